"""The sites in the data folder: all that collect knows of them, so that it needs no database."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import msgspec

from haru import files
from haru.collect.exclusions import Exclusions

log = logging.getLogger(__name__)

FILE = "sites.json"
UNSURE = "sites.unsure"  # lies beside it while the database of sites does not answer


class Site(msgspec.Struct, frozen=True, dict=True):
    """What collect must know of a site. New fields come last and have a default: older files are read as well."""

    id: int
    domain: str
    token: str
    timezone: str = "UTC"
    rate_limit: int | None = None  # requests a minute and address; None is the installation's setting
    excluded_addresses: tuple[str, ...] = ()  # these five as `haru.collect.exclusions` reads them
    excluded_countries: tuple[str, ...] = ()
    excluded_pages: tuple[str, ...] = ()
    allowed_hostnames: tuple[str, ...] = ()  # none: any
    honour_opt_out: bool = False

    @cached_property
    def exclusions(self) -> Exclusions:
        """The rules of the site, compiled on first use: once after each change of the file."""
        return Exclusions(
            self.excluded_addresses,
            self.excluded_countries,
            self.excluded_pages,
            self.allowed_hostnames,
            self.honour_opt_out,
        )

    @cached_property
    def excludes(self) -> bool:
        """Whether there is any rule at all; most sites have none."""
        return bool(self.exclusions)


def write(data_dir: Path, sites: Iterable[Site]) -> None:
    """Replace the file with these sites: a reader sees the old list or the new one, never a part."""
    files.replace(data_dir / FILE, msgspec.json.encode(sorted(sites, key=lambda site: site.id)))


def set_sure(data_dir: Path, sure: bool) -> None:
    """Say whether the database of sites answers: while it does not, a token that the file lacks may be a new one."""
    marker = data_dir / UNSURE
    if sure:
        marker.unlink(missing_ok=True)
    else:
        marker.touch(mode=0o600)


class Sites:
    """The sites in memory, read again whenever the file was replaced."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._unsure = data_dir / UNSURE
        self.sure = False  # whether a token that is not here is no site's
        self._version: tuple[int, int, int] | None = None
        self._damaged: tuple[int, int, int] | None = None  # read and told of once: unknown tokens ask at any rate
        self._tokens: dict[str, Site] = {}
        self._domains: dict[str, Site] = {}
        self.refresh()

    def refresh(self) -> bool:
        """Read the file if it was replaced since; true when it was. A damaged file leaves the sites known before."""
        self.sure = self._version is not None and not self._unsure.exists()
        try:
            status = self._path.stat()
            version = (status.st_ino, status.st_mtime_ns, status.st_size)
            if version in (self._version, self._damaged):
                return False
            sites = msgspec.json.decode(self._path.read_bytes(), type=list[Site])
        except FileNotFoundError:
            return False
        except (OSError, msgspec.DecodeError) as error:
            if isinstance(error, msgspec.DecodeError):
                self._damaged = version
            log.error(
                "sites_unreadable",
                extra={"file": FILE, "error": str(error), "remedy": "save any site's settings again"},
            )
            return False
        # Both are replaced whole: a request sees one state or the other.
        self._tokens = {site.token: site for site in sites}
        self._domains = {site.domain: site for site in sites}
        self._version, self._damaged = version, None
        self.sure = not self._unsure.exists()
        return True

    def by_token(self, token: str) -> Site | None:
        """The site whose token this is."""
        return self._tokens.get(token)

    def by_domain(self, domain: str) -> Site | None:
        """The site of this domain, as `sites` normalises it: lower case, without `www.`."""
        return self._domains.get(domain)
