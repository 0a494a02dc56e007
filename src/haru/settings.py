"""The settings table: every setting's name, default, meaning and check, in one place.

A setting is read from the environment (``HARU_PORT``), else from ``haru.toml`` (``port = 4000``), else has its default.
A value that cannot be used raises `BadSetting`, whose text names the setting and the remedy; nothing starts with it.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from haru import files

T = TypeVar("T")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class BadSetting(ValueError):
    """A setting has a value that cannot be used; the text is one sentence with the remedy."""


def _text(value: str) -> str:
    return value.strip()


def _path(value: str) -> Path:
    return Path(value).expanduser().resolve()


def _optional_path(value: str) -> Path | None:
    if not value.strip():
        return None
    path = _path(value)
    if not path.is_file():
        raise ValueError(f"there is no file at {path}: name an existing .mmdb file, or leave it empty")
    return path


def _port(value: str) -> int:
    if not value.strip().isdigit() or not 0 < int(value) < 65536:
        raise ValueError(f'"{value}" is not a port: give a number from 1 to 65535, such as 4000')
    return int(value)


def _count(value: str) -> int:
    if not value.strip().isdigit():
        raise ValueError(f'"{value}" is not a whole number: give one such as 100; 0 switches the limit off')
    return int(value)


def _at_least_one(value: str) -> int:
    if not value.strip().isdigit() or int(value) < 1:
        raise ValueError(f'"{value}" is not a whole number of at least 1')
    return int(value)


def _memory(value: str) -> str:
    number, unit = value.strip()[:-2], value.strip()[-2:].upper()
    if unit not in {"MB", "GB"} or not number.strip().isdigit() or int(number) == 0:
        raise ValueError(f'"{value}" is not an amount of memory: write a number with MB or GB, such as 512MB')
    return f"{int(number)}{unit}"


def _bytes(value: str) -> int:
    if value.strip() == "0":
        return 0
    text = _memory(value)
    return int(text[:-2]) * {"MB": 1_000_000, "GB": 1_000_000_000}[text[-2:]]


def _base_url(value: str) -> str:
    if not value.strip():
        return ""
    parts = urlsplit(value.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(
            f'"{value}" is not the address of a server: write it with its scheme, such as https://stats.example.com'
        )
    if parts.path not in {"", "/"}:
        raise ValueError(f'"{value}" has a path: Haru serves from the root of a host, so leave off "{parts.path}"')
    return value.strip().rstrip("/")


def _networks(value: str) -> tuple[Network, ...]:
    networks = []
    for part in value.replace(",", " ").split():
        try:
            networks.append(ipaddress.ip_network(part, strict=False))
        except ValueError:
            raise ValueError(
                f'"{part}" is neither an address nor a network: write 10.0.0.0/8 or 127.0.0.1, with commas between'
            ) from None
    return tuple(networks)


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.strip().lower() not in choices:
            raise ValueError(f'"{value}" is not one of {", ".join(choices)}')
        return value.strip().lower()

    return parse


def _secret(value: str) -> str:
    if value and len(value) < 32:
        raise ValueError("the key is shorter than 32 characters: leave it empty and one is made in the data folder")
    return value


def _database_url(value: str) -> str:
    if value and urlsplit(value).scheme not in {"sqlite", "postgres", "postgresql"}:
        raise ValueError(f'"{value}" is not a database Haru knows: write sqlite:///path or postgresql://user@host/name')
    return value.strip()


# How an event store's address begins, and how it is written.
EVENT_STORES = {
    "duckdb:///": "duckdb:///path",
    "postgresql://": "postgresql://user@host/name",
    "postgres://": "",
    "clickhouse://": "clickhouse://user:password@host:8123/database",
    "clickhouses://": "",
    "chdb:///": "chdb:///path",
}


def _events_url(value: str) -> str:
    if value and not value.strip().startswith(tuple(EVENT_STORES)):
        known = ", ".join(form for form in EVENT_STORES.values() if form)
        kind = value.strip().partition(":")[0]  # the rest may hold a password
        raise ValueError(f'"{kind}" is not an event store Haru knows: write {known}, or leave it empty')
    if value.strip().startswith(("postgresql://", "postgres://")):
        _check_libpq(value.strip())
    return value.strip()


def _check_libpq(url: str) -> None:
    from psycopg import ProgrammingError  # only where it is needed: every command reads the settings
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(url)
    except ProgrammingError:
        # The library's own words may hold a part of the password.
        raise ValueError(
            "the address cannot be read: write postgresql://user:password@host:5432/name, special characters of the "
            "password as %40 for @, and after ? only what libpq knows"
        ) from None


def setting(default: str, parse: Callable[[str], T], help: str) -> T:
    """One row of the table: the default as a person would write it, how it is read, and what it means."""
    metadata = {"default": default, "parse": parse, "help": help}
    return field(default_factory=lambda: parse(default), metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting. The field `data_dir` is `HARU_DATA_DIR` in the environment and `data_dir` in haru.toml."""

    data_dir: Path = setting("data", _path, "Folder for everything Haru keeps: spool, events, accounts, salts, key.")
    host: str = setting("127.0.0.1", _text, "Address to listen on. Behind a reverse proxy leave it as it is.")
    port: int = setting("4000", _port, "Port to listen on.")
    base_url: str = setting(
        "",
        _base_url,
        "Where people reach this server. Links in mail and the snippet use it, and pages answer to its host name only. "
        "Empty: http://localhost and the port.",
    )
    secret_key: str = setting(
        "",
        _secret,
        "Key that signs cookies and links. Empty: one is made on first start and kept in the data folder, mode 0600.",
    )
    database_url: str = setting(
        "",
        _database_url,
        "Database of accounts and sites: sqlite:///path or postgresql://user:password@host/name. "
        "Empty: accounts.sqlite3 in the data folder.",
    )
    events_url: str = setting(
        "",
        _events_url,
        "Event store: duckdb:///path, postgresql://user:password@host/name (which may be the database of accounts), "
        "clickhouse://user:password@host:8123/database or chdb:///path (docs/stores.md). "
        "Empty: events.duckdb in the data folder.",
    )
    events_memory: str = setting(
        "512MB",
        _memory,
        "Most memory the embedded event store may use for a query; one that needs more is ended and answered with 400.",
    )
    events_threads: int = setting("2", _at_least_one, "Most processor cores one query of the event store may use.")
    query_seconds: int = setting(
        "30",
        _count,
        "Seconds that one question may take, all its queries of the event store and the wait for its turn included, "
        "before it is ended and answered with 504. 0 is no limit.",
    )
    spool_limit: int = setting(
        "2GB",
        _bytes,
        "How large the spool of accepted events may grow while the event store doesn't take them (some 200 bytes an "
        "event). Beyond it senders get 503 and are asked to try again. 0 is no limit.",
    )
    workers: int = setting(
        "0",
        _count,
        "Processes that only collect, beside the one that loads and serves pages. 0: one process does all.",
    )
    trusted_proxies: tuple[Network, ...] = setting(
        "",
        _networks,
        "Addresses or networks of your reverse proxies, with commas between. Only what they say in X-Forwarded-For, "
        "X-Forwarded-Proto and the country header is believed.",
    )
    connections: int = setting(
        "256",
        _count,
        "Connections that one address (of IPv6: one /64 network) may hold open at a time; more get 429. With workers "
        "each counts its own. 127.0.0.1, ::1 and HARU_TRUSTED_PROXIES may hold any number. 0 switches it off.",
    )
    header_seconds: int = setting(
        "10",
        _at_least_one,
        "Seconds from the first byte of a request to the end of its headers; after that it gets 408.",
    )
    idle_seconds: int = setting(
        "60",
        _at_least_one,
        "Seconds that a connection may stay open while nothing comes of a request that is waited for (where its body "
        "stops it gets 408, else it ends), or nothing is taken of an answer (it is reset).",
    )
    country_header: str = setting(
        "", _text, "Header in which your CDN names the visitor's country, such as CF-IPCountry. Empty: none is read."
    )
    geoip_db: Path | None = setting(
        "", _optional_path, "An .mmdb file that maps addresses to countries, regions and cities. Empty: none is used."
    )
    rate_limit: int = setting(
        "100", _count, "Requests a minute that one address may send to one site; more get 429. 0 switches it off."
    )
    api_rate_limit: int = setting(
        "600", _count, "Requests a minute that one API key may make; more get 429. 0 switches it off."
    )
    registration: str = setting(
        "first",
        _one_of("first", "open", "closed"),
        "Who may register an account: whoever comes first, until there is one (first), anyone (open) or nobody "
        "(closed). `haru user add` adds people whatever it says.",
    )
    email_url: str = setting(
        "",
        _text,
        "Mail server: smtp://user:password@host:587 (insists on STARTTLS except on this machine; ?starttls=no waives "
        "it) or smtps://user:password@host. Empty: no mail is sent, and `haru user password` replaces a "
        "forgotten password; `haru serve --dev` prints mails on its console.",
    )
    email_from: str = setting("haru@localhost", _text, "Sender of the mails.")
    metrics_token: str = setting(
        "",
        _text,
        "Bearer token that /metrics asks for. Empty: it answers this machine only, and nothing that came by a proxy.",
    )
    log_level: str = setting(
        "info", _one_of("debug", "info", "warning", "error"), "Least severe log line that is written."
    )
    log_format: str = setting(
        "auto", _one_of("auto", "json", "text"), "Log lines as json or text; auto: text on a terminal."
    )

    def __post_init__(self) -> None:
        """Fill in what follows from other settings."""
        if not self.base_url:
            object.__setattr__(self, "base_url", f"http://localhost:{self.port}")


def environment_name(name: str) -> str:
    """`data_dir` → `HARU_DATA_DIR`."""
    return f"HARU_{name.upper()}"


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that looks like a setting and is none, with the one that was probably meant."""
    known = {environment_name(row.name) for row in fields(Settings)} | {"HARU_CONFIG"}
    sentences = []
    for name in sorted(name for name in environment if name.startswith("HARU_") and name not in known):
        nearest = get_close_matches(name, known, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "`haru check --settings` lists them all."
        sentences.append(f"{name} is no setting: {hint}")
    return sentences


def doubts(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """A sentence for each thing that can be used and is probably not meant so."""
    sentences = unknown_names(environment)
    if settings.base_url.startswith("https:") and not settings.trusted_proxies:
        # Haru itself speaks HTTP only.
        sentences.append(
            f"{settings.base_url} needs a reverse proxy, and HARU_TRUSTED_PROXIES names none: all visitors would come "
            "from the proxy's address and count as few. Name its address, such as 127.0.0.1."
        )
    return sentences


def read(environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Settings from the environment, then from a TOML file, then from the defaults.

    Raises `BadSetting` for a value that cannot be used, a file that cannot be read, and a name the table does not have.
    """
    known = {f.name: f for f in fields(Settings)}
    written: dict[str, Any] = {}
    if file is not None:
        try:
            written = tomllib.loads(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadSetting(f"{file} cannot be read as TOML ({error}): mend the file or remove it.") from None
        for name in written:
            if name not in known:
                raise BadSetting(f'{file} sets "{name}", which is no setting: `haru check --settings` lists them all.')
    values: dict[str, Any] = {}
    for name, row in known.items():
        if (variable := environment_name(name)) in environment:
            source, text = variable, environment[variable]
        elif name in written:
            value = written[name]
            source, text = f"{name} in {file}", ",".join(map(str, value)) if isinstance(value, list) else str(value)
        else:
            continue
        try:
            values[name] = row.metadata["parse"](text)
        except ValueError as error:
            raise BadSetting(f"{source}: {error}.") from None
    return Settings(**values)


@cache
def current() -> Settings:
    """The settings of this process: the environment and the haru.toml named by HARU_CONFIG or in the working folder.

    The data folder is made on first use and a secret key is made in it when none is set.
    """
    named = os.environ.get("HARU_CONFIG")
    file = Path(named) if named else Path("haru.toml")
    settings = read(os.environ, file if named or file.is_file() else None)
    try:
        if not settings.data_dir.is_dir():
            settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            files.sync_folder(settings.data_dir.parent)
    except OSError as error:
        raise BadSetting(
            f"HARU_DATA_DIR: {settings.data_dir} cannot be made ({error.strerror}): name a folder this user may write."
        ) from None
    if not settings.secret_key:
        object.__setattr__(settings, "secret_key", kept_secret(settings.data_dir / "secret.key"))
    return settings


def kept_secret(path: Path) -> str:
    """The random text kept in the file at `path`, mode 0600, made on first use. Two processes that race agree."""
    while True:
        try:
            text = path.read_text("ascii").strip()
        except FileNotFoundError:
            files.create(path, secrets.token_urlsafe(48).encode("ascii"))
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetting(f"{path} cannot be read ({error}): give it back to the user that runs Haru.") from None
        if len(text) < 32:
            raise BadSetting(
                f"{path} is too short to be a key: remove it and a new one is made (everyone signs in again)."
            )
        return text


def reference() -> str:
    """The settings table as Markdown; docs/settings.md is this text, and a test keeps it so."""
    rows = ["| setting | in haru.toml | default | meaning |", "|---|---|---|---|"]
    for row in fields(Settings):
        default = f"`{row.metadata['default']}`" if row.metadata["default"] else "empty"
        rows.append(f"| `{environment_name(row.name)}` | `{row.name}` | {default} | {row.metadata['help']} |")
    return "\n".join(rows) + "\n"
