"""A data folder for this run alone, set before anything reads the settings, and the people of every access test."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling

MEMORY = Path("/dev/shm")
ENOUGH = 3 << 30  # bytes; many times what a run needs at once


def _has_room(folder: Path) -> bool:
    return folder.is_dir() and min(shutil.disk_usage(folder).free, psutil.virtual_memory().available) > ENOUGH


# What tests write is thrown away: where there is memory for it, no sync waits for a disk.
if "TMPDIR" not in os.environ and _has_room(MEMORY):
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

_folder = Path(tempfile.mkdtemp(prefix="haru-tests-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith("HARU_")]:
    del os.environ[_name]
(_folder / "haru.toml").touch()
os.environ["HARU_CONFIG"] = str(_folder / "haru.toml")
os.environ["HARU_DATA_DIR"] = str(_folder / "data")
os.environ["DJANGO_SETTINGS_MODULE"] = "haru.web.project.config"

from django.conf import settings as django_settings  # noqa: E402

# pytest-django sets Django up only when the settings are loaded by the time this file has run.
assert django_settings.DATABASES
# A process that pytest-xdist starts would load them before this file gives it a data folder of its own.
del os.environ["DJANGO_SETTINGS_MODULE"]

from django.core.cache import caches  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.signals import template_rendered  # noqa: E402

from tests.server import Server  # noqa: E402

Server.forks = True

pytest_plugins = ["tests.postgres", "tests.engines"]

PASSWORD = "a long enough secret"

#: Names of the templates that this run has rendered.
rendered: set[str] = set()


def _note(template: object, **_: object) -> None:
    rendered.add(str(getattr(template, "name", "")))


template_rendered.connect(_note, weak=False)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data folder of this run."""
    return _folder / "data"


@pytest.fixture(autouse=True)
def _no_rate_limits_left() -> None:
    """Tries of signing in are counted in memory: each test begins with none."""
    for cache in caches.all(initialized_only=True):
        cache.clear()


@pytest.fixture(scope="session", autouse=True)
def _built_files_are_looked_at_once() -> Iterator[None]:
    """Each browser of Django's makes the middleware again, which would look at some 260 files each time."""
    from haru.web.project.middleware import StaticFiles

    look, found = StaticFiles.add_files, {}

    def add_files(self: StaticFiles, root: str, prefix: str | None = None) -> None:
        if (root, prefix) not in found:
            look(self, root, prefix)
            found[root, prefix] = dict(self.files)
        self.files.update(found[root, prefix])

    with patch.object(StaticFiles, "add_files", add_files):
        yield


@pytest.fixture
def quick_passwords(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def mail_server(db, settings) -> None:
    """Mails are sent: they are found in `django.core.mail.outbox`."""
    settings.MAILS_ARE_SENT = True


@pytest.fixture
def open_registration(db, settings) -> None:
    """Anyone may register, also when there is an account."""
    settings.REGISTRATION = "open"


@pytest.fixture
def make_user(db, quick_passwords) -> Callable[[str], object]:
    """Makes an account with `PASSWORD` and a confirmed address."""
    from haru.accounts.registry import create_user

    return lambda email: create_user(email, PASSWORD)


@pytest.fixture
def owner(make_user):
    """Owns `site`."""
    return make_user("owner@example.com")


@pytest.fixture
def team_mate(make_user):
    """May see `site` and no more."""
    return make_user("mate@example.com")


@pytest.fixture
def stranger(make_user):
    """Has an account and nothing to do with `site`."""
    return make_user("stranger@example.com")


@pytest.fixture
def site(owner, team_mate):
    """The site example.com with its owner and a viewer."""
    from haru.sites import registry

    site = registry.create_site("example.com", "Europe/Berlin", owner)
    registry.set_role(site, team_mate, "viewer")
    return site


@pytest.fixture
def sign_in() -> Callable[..., Client]:
    """A browser in which the person is signed in; without a person nobody is."""

    def browser(user=None, **options) -> Client:
        client = Client(**options)
        if user is not None:
            client.force_login(user)
        return client

    return browser


# They render the templates; one process runs them all, so that it can say which were not rendered.
RENDERING = {"accounts", "sites", "web"}
# Their files take the longest, as they start servers.
SLOW = {"browser", "cli", "crash", "fuzz", "live", "privacy", "security"}
# They take minutes, so they come in parts, which are shared.
LONG = (
    "test_every_engine_answers_as_the_second_implementation",
    "test_a_kill_at_each_moment_neither_loses_nor_doubles_an_event",
    "test_power_cuts_neither_lose_nor_double_an_event",
)


class Files(LoadScopeScheduling):
    """Gives whole files to the processes that share a run, in order, as what a file sets up serves all its tests."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file, _, name = nodeid.partition("::")
        if name.startswith(LONG):
            return nodeid
        return "pages" if Path(file).parent.name in RENDERING else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Files:
    return Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that the processes that share a run end together; what looks back on the pages
    comes after them.
    """
    names = Counter(item.nodeid for item in items)
    if several := [name for name, count in names.items() if count > 1]:
        # Processes that share a run would run one of them only.
        raise pytest.UsageError(f"tests have the same name: {', '.join(several)}")
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[int, bool]:
    folder = item.path.parent.name
    turn = 0 if item.name.startswith(LONG) else 1 if folder in RENDERING else 2 if folder in SLOW else 3
    return turn, bool(item.get_closest_marker("last"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "last: looks back on the tests of pages, so it runs after them")
    config.addinivalue_line("markers", "long: has more rounds in `make test-long` (tests/rounds.py)")
