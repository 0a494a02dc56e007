from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from haru.collect.geo import Geo
from haru.collect.sites import Site
from haru.spool.spool import Spool
from haru.transfer.import_log import LogUnreadable, Summary, _Run, import_log, is_asset

EXCERPT = Path(__file__).parent.parent / "data" / "access-excerpt.log.gz"
SITE = Site(id=1, domain="semicomplete.com", token="t")
NOW = 1_767_268_800_000


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.sqlite3")


def run(spool: Spool, content: bytes, site: Site = SITE) -> Summary:
    return import_log(io.BufferedReader(io.BytesIO(content)), site, spool, Geo(None), now=NOW)  # type: ignore[arg-type]


def lines(count: int, start: int = 0) -> bytes:
    return b"".join(
        b'203.0.113.%d - - [17/May/2015:10:%02d:%02d +0000] "GET /page/%d HTTP/1.1" 200 5 "-" "Mozilla/5.0 (X11; Linux '
        b'x86_64; rv:40.0) Gecko/20100101 Firefox/40.0"\n' % (n % 250, n // 60 % 60, n % 60, n)
        for n in range(start, start + count)
    )


def test_every_line_of_a_real_log_is_accounted_for(spool: Spool) -> None:
    summary = run(spool, EXCERPT.read_bytes())
    assert summary.lines == 500
    assert summary.imported == spool.depth() > 50
    assert summary.imported + sum(summary.refused.values()) == 500
    assert {"asset", "bot", "not_a_page"} <= set(summary.refused)
    events = spool.events()
    assert all(event.hostname == "semicomplete.com" and event.path.startswith("/") for event in events)
    assert {event.at // 86_400_000 for event in events} <= {16572, 16573, 16574, 16575}  # 17 to 20 May 2015


def test_gzip_and_plain_are_the_same_log(spool: Spool) -> None:
    assert run(spool, EXCERPT.read_bytes()).imported > 0
    assert run(spool, gzip.decompress(EXCERPT.read_bytes())).imported == 0


def test_running_twice_imports_nothing_twice(spool: Spool) -> None:
    assert run(spool, lines(2500)).imported == 2500
    again = run(spool, lines(2500))
    assert (again.imported, again.refused["already_imported"]) == (0, 2500)
    assert spool.depth() == 2500


@pytest.mark.parametrize("before", [1, 999, 1000, 1001, 2300])
def test_of_a_log_that_has_grown_only_the_new_lines_are_imported(spool: Spool, before: int) -> None:
    run(spool, lines(before))
    grown = run(spool, lines(2500))
    assert (grown.imported, grown.refused["already_imported"]) == (2500 - before, before)
    assert [event.path for event in spool.events()] == [f"/page/{n}" for n in range(2500)]


def test_an_import_that_was_killed_goes_on_where_it_was(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, commits = _Run.commit, 0

    def dying(self: object) -> None:
        nonlocal commits
        commits += 1
        if commits == 2:
            raise KeyboardInterrupt
        commit(self)  # type: ignore[arg-type]

    monkeypatch.setattr(_Run, "commit", dying)
    with pytest.raises(KeyboardInterrupt):
        run(spool, lines(2500))
    monkeypatch.undo()
    assert spool.depth() == 1000
    assert run(spool, lines(2500)).imported == 1500
    assert spool.depth() == 2500


def test_another_log_of_the_same_length_is_another_log(spool: Spool) -> None:
    run(spool, lines(10))
    assert run(spool, lines(10, start=10)).imported == 10


def test_the_same_log_for_another_site_is_imported_there(spool: Spool) -> None:
    run(spool, lines(10))
    assert run(spool, lines(10), Site(id=2, domain="other.example", token="u")).imported == 10


def test_a_line_that_is_still_being_written_is_imported_whole_the_next_time(spool: Spool) -> None:
    content = lines(3)
    first = run(spool, content[:-40])
    assert (first.imported, first.refused["bad_line"]) == (2, 1)
    assert run(spool, content).imported == 1


def test_a_damaged_archive_keeps_what_came_before_and_says_so(spool: Spool) -> None:
    packed = gzip.compress(lines(5000))
    with pytest.raises(LogUnreadable, match="mend the file"):
        run(spool, packed[: len(packed) // 2])
    assert run(spool, packed).imported + spool.depth() >= 5000
    assert spool.depth() == 5000


def test_bad_bytes_and_endless_lines_stop_nothing(spool: Spool) -> None:
    summary = run(spool, b"\xff\xfe\n" + b"x" * 300_000 + b"\n\n" + lines(2))
    assert (summary.lines, summary.imported, summary.refused["bad_line"]) == (5, 2, 3)


def test_no_address_of_the_log_is_on_disk(spool: Spool, tmp_path: Path) -> None:
    content = gzip.decompress(EXCERPT.read_bytes())
    assert run(spool, content).imported > 50
    addresses = {line.split(b" ")[0] for line in content.splitlines()}
    assert len(addresses) > 100
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [address for address in addresses if address in on_disk] == []


def test_what_the_site_excludes_is_not_imported_and_named(spool: Spool) -> None:
    site = Site(
        id=1,
        domain="semicomplete.com",
        token="t",
        excluded_addresses=("203.0.113.0/28",),
        excluded_pages=("/page/2*",),
        honour_opt_out=True,
    )
    summary = run(spool, lines(40), site)  # from the addresses 203.0.113.0 to .39, each for the page of its number
    assert summary.refused == {"excluded_address": 16, "excluded_page": 10}
    assert summary.imported == 14


@pytest.mark.parametrize(
    ("path", "asset"),
    [
        ("/", False), ("/blog/", False), ("/blog/post.html", False), ("/a.b/c", False), ("/style.css", True),
        ("/img/x.PNG", True), ("/feed", True), ("/blog/feed/", True), ("/robots.txt", True), ("/favicon.ico", True),
        ("/.well-known/security", True), ("/download.tar.gz", True), ("/index.php", False),
    ],
)  # fmt: skip
def test_assets_are_told_from_pages(path: str, asset: bool) -> None:
    assert is_asset(path) is asset
