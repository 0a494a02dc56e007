"""Events out to a file and in again: the same numbers, each event once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from haru.events.columns import COLUMNS, Row
from haru.spool.keys import IdempotencyKeys
from haru.spool.spool import Spool, Spools
from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import Query, QueryError, parse
from haru.stats.vocabulary.dimensions import DIMENSIONS, Level
from haru.stats.vocabulary.metrics import METRICS
from haru.stats.vocabulary.periods import Dates
from haru.store.duckdb.store import DuckStore
from haru.store.loader import Loader
from haru.store.protocol import Progress, Store, StoreUnavailable
from haru.transfer import export, import_file
from haru.transfer.import_file import FileUnreadable, Record, import_events
from tests.events.made import MINUTE, NOON, event
from tests.rounds import examples
from tests.stats.made import ENGINES, filled, journey, stored

ALL = (0, 2**45)
HERE, ELSEWHERE = "0" * 16, "e" * 16  # installations
DOCS = Path(__file__).parent.parent.parent / "docs"
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


class Installation:
    """A spool, a store and the loader between them."""

    stores: ClassVar[list[Store]] = []

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.store: Store = store or DuckStore(folder / "events.duckdb", threads=1)
        if store is None:
            self.stores.append(self.store)
        self.spool = Spool(folder / "spool.sqlite3")
        self.loader = Loader(Spools(folder), self.store, IdempotencyKeys(folder))

    def take_in(self, path: Path, site_id: int = 2, load: bool = True) -> import_file.Summary:
        with export.work_folder(self.folder) as work:
            summary = import_events(path, HERE, site_id, self.spool, work)
        if load:
            self.load()
        return summary

    def load(self, now: int = NOON) -> None:
        for _ in self.loader.drain(now):
            pass

    def rows(self, site_id: int) -> list[dict[str, Any]]:
        return rows_of(self.store, site_id)


@pytest.fixture(autouse=True)
def _no_store_left_open() -> Iterator[None]:
    """DuckDB knows an open file by its path, also when the file is gone and the next test has one of that name."""
    yield
    while Installation.stores:
        Installation.stores.pop().close()


def rows_of(store: Store, site_id: int) -> list[dict[str, Any]]:
    names = [name for name, _ in COLUMNS]
    return [dict(zip(names, row, strict=True)) for some in store.scan(site_id, *ALL) for row in some]


def exported(
    store: Store, path: Path, site_id: int = 1, span: tuple[int, int] = ALL, installation: str = ELSEWHERE
) -> Path:
    with path.open("wb") as file:
        for piece in export.events(store, installation, site_id, span, path.suffix.removeprefix("."), path.parent):
            file.write(piece)
    return path


def numbers(store: Store, site_id: int) -> dict[str, object]:
    """Every metric and every breakdown of a site, where one can be asked."""
    reports, site, found = Reports(store), StatsSite(site_id, "Asia/Kathmandu"), {}
    for dimension in ("", *(name for name, d in DIMENSIONS.items() if d.level is not Level.TIME), "time:day"):
        dimensions = (dimension,) if dimension else ()
        metrics = tuple(metric for metric in METRICS if can_be_asked(metric, dimensions))
        query = Query(metrics, Dates(date(2025, 12, 1), date(2026, 2, 28)), dimensions)
        answer = reports.answer(site, query, NOON, fresh=True)
        found[dimension] = [(row.dimensions, dict(zip(metrics, row.metrics, strict=True))) for row in answer.rows]
    return found


def can_be_asked(metric: str, dimensions: tuple[str, ...]) -> bool:
    try:
        parse({"metrics": [metric], "date_range": "all", "dimensions": list(dimensions)})
    except QueryError:
        return False
    return True


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "home")
    yield made
    # The next test may get the same folder: it must not find this one's file, which the engine would still have open.
    made.store.close()


def some_events() -> list[dict[str, Any]]:
    return [
        *journey(100, NOON, (0, "/"), (3, "/pricing"), (4, "/pricing!signup"), source="Google", country="DE"),
        *journey(200, NOON + MINUTE, (0, "/ünï"), (1, "/ünï~"), props='{"plan":"pro","Ü":"\\"x\\""}'),
        *journey(300, NOON - 40 * MINUTE, (0, "/b"), revenue_currency="EUR", revenue_amount="12.50", visitor_id=-5),
        stored(400, NOON, 400, site_id=9, path="/of another site"),
    ]


@pytest.mark.parametrize("format", export.FORMATS)
def test_a_site_comes_back_to_the_same_numbers_with_ids_of_its_own(
    home: Installation, tmp_path: Path, format: str
) -> None:
    source = filled(some_events())
    home.spool.append([event(NOON - 5, visitor=8, site_id=3)])
    home.load()
    summary = home.take_in(exported(source, tmp_path / f"events.{format}"))
    assert (summary.rows, summary.imported, summary.known) == (6, 6, 0)
    assert (summary.first_at, summary.last_at) == (NOON - 40 * MINUTE, NOON + 4 * MINUTE)
    found = home.rows(2)
    assert [row["id"] for row in found] == [2, 3, 4, 102, 103, 202]
    assert [row["visit_id"] for row in found] == [2, 2, 2, 102, 102, 202]
    free = {"id": 0, "visit_id": 0, "site_id": 0, "visitor_id": 0}
    assert [row | free for row in found] == [row | free for row in rows_of(source, 1)]
    assert numbers(home.store, 2) == numbers(source, 1)
    assert home.store.progress().last_id == 202
    home.spool.append([event(NOON, visitor=9, site_id=3)])
    home.load()
    assert home.rows(3)[-1]["id"] == 203


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("format", export.FORMATS)
def test_each_store_gives_and_takes_the_same_events(tmp_path: Path, fresh_store, engine: str, format: str) -> None:
    source = filled(some_events())
    home = Installation(tmp_path / "home", fresh_store(engine))
    home.take_in(exported(source, tmp_path / f"events.{format}"))
    assert numbers(home.store, 2) == numbers(source, 1)
    again = Installation(tmp_path / "again")
    again.take_in(exported(home.store, tmp_path / f"again.{format}", 2), 7)
    assert numbers(again.store, 7) == numbers(source, 1)
    free = {"id": 0, "visit_id": 0, "site_id": 0, "visitor_id": 0}
    assert [row | free for row in rows_of(again.store, 7)] == [row | free for row in rows_of(source, 1)]


_EVENTS = st.lists(
    st.builds(
        dict,
        visit=st.integers(0, 5),
        minute=st.integers(0, 60_000),
        name=st.sampled_from(["pageview", "pageview", "engagement", "signup", "Käufe"]),
        path=st.sampled_from(["/", "/a", "/b?", "/ü", "/%"]) | _TEXT,
        props=st.dictionaries(_TEXT.filter(bool), _TEXT, max_size=3),
        amount=st.sampled_from(["", "1.10", "-3", "999999999999999.123456789"]),
        scroll=st.integers(-1, 100),
        interactive=st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@examples(2, 20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=_EVENTS, format=st.sampled_from(list(export.FORMATS)))
def test_whatever_is_stored_comes_back_to_the_same_numbers(
    tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, Any]], format: str
) -> None:
    folder = tmp_path_factory.mktemp("round")
    opened: dict[int, int] = {}
    made = []
    for number, each in enumerate(events, 50):
        visit = opened.setdefault(each["visit"], number)
        made.append(
            stored(
                number,
                NOON + each["minute"] * 1_001,
                visit,
                name=each["name"],
                path=each["path"],
                props=json.dumps(each["props"], ensure_ascii=False, sort_keys=True, separators=(",", ":")),
                revenue_amount=each["amount"],
                revenue_currency="USD" if each["amount"] else "",
                scroll_depth=each["scroll"],
                interactive=each["interactive"],
                source=["", "Google"][visit % 2],
            )
        )
    source, home = filled(made), Installation(folder / "home")
    home.take_in(exported(source, folder / f"events.{format}"))
    again = Installation(folder / "again")
    again.take_in(exported(home.store, folder / f"again.{format}", 2), 7)
    assert numbers(again.store, 7) == numbers(home.store, 2) == numbers(source, 1)


def test_the_same_events_in_either_format_are_imported_once(home: Installation, tmp_path: Path) -> None:
    source = filled(some_events())
    first = exported(source, tmp_path / "events.ndjson")
    second = exported(source, tmp_path / "events.parquet")
    home.take_in(first)
    for again in (first, second):
        summary = home.take_in(again)
        assert (summary.rows, summary.imported, summary.known) == (6, 0, 6)
    assert len(home.rows(2)) == 6
    assert home.take_in(first, 3).imported == 6  # another site is another matter


def test_a_file_that_has_grown_brings_what_is_new(home: Installation, tmp_path: Path) -> None:
    events = some_events()
    home.take_in(exported(filled(events), tmp_path / "events.ndjson"))
    grown = filled([*events, *journey(500, NOON + 5 * MINUTE, (0, "/new"), (1, "/newer"))])
    summary = home.take_in(exported(grown, tmp_path / "events.ndjson"))
    assert (summary.rows, summary.imported, summary.known) == (8, 2, 6)
    assert numbers(home.store, 2) == numbers(grown, 1)


@pytest.mark.parametrize("cut", range(1, 6))
def test_an_import_that_was_cut_short_goes_on_where_it_was(
    home: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    source = filled(some_events())
    path = exported(source, tmp_path / "events.ndjson")
    monkeypatch.setattr(import_file, "BATCH_ROWS", 1)

    class Killed(Exception):
        pass

    def die(summary: import_file.Summary) -> None:
        if summary.imported == cut:
            raise Killed

    with pytest.raises(Killed), export.work_folder(home.folder) as work:
        import_events(path, HERE, 2, home.spool, work, die)
    if cut % 2:
        home.load()
    summary = home.take_in(path)
    assert (summary.imported, summary.known) == (6 - cut, cut)
    assert numbers(home.store, 2) == numbers(source, 1)
    assert len(home.rows(2)) == 6


def test_a_spool_that_was_lost_with_its_marks_doubles_nothing(home: Installation, tmp_path: Path) -> None:
    source = filled(some_events())
    path = exported(source, tmp_path / "events.ndjson")
    home.take_in(path)
    home.spool.close()
    home.store.close()
    for file in home.folder.glob("spool*"):
        file.unlink()
    home = Installation(home.folder)
    assert home.take_in(path).imported == 6  # into the spool; the store knows better
    assert len(home.rows(2)) == 6


def test_an_answer_of_the_store_that_was_lost_doubles_nothing(home: Installation, tmp_path: Path) -> None:
    source = filled(some_events())
    load, lost = home.store.load, []

    def forgetful(*arguments: Any) -> None:
        load(*arguments)
        if not lost:
            lost.append(True)
            raise StoreUnavailable("the answer was lost")

    home.store.load = forgetful  # type: ignore[method-assign]
    home.take_in(exported(source, tmp_path / "events.ndjson"))
    assert lost
    assert len(home.rows(2)) == 6


def test_the_next_event_of_an_imported_visit_joins_it(home: Installation, tmp_path: Path) -> None:
    home.spool.append([event(NOON, visitor=1, site_id=3)])
    home.load()
    source = filled(journey(100, NOON - 10 * MINUTE, (0, "/"), (9, "/a"), site_id=2))
    home.take_in(exported(source, tmp_path / "events.ndjson", 2, installation=HERE))
    home.spool.append([event(NOON + 20 * MINUTE, visitor=100, site_id=2, path="/b")])
    home.load(NOON + 20 * MINUTE)
    assert {row["visit_id"] for row in home.rows(2)} == {2}
    # An hour and a half later the visit has left the memory, and the store knows it still.
    home.load(NOON + 110 * MINUTE)
    home.spool.append([event(NOON + 45 * MINUTE, visitor=100, site_id=2, path="/late")])
    home.load(NOON + 110 * MINUTE)
    assert {row["visit_id"] for row in home.rows(2)} == {2}


def test_a_visit_that_is_known_already_grows_by_what_is_imported(
    home: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_file, "BATCH_ROWS", 1)
    monkeypatch.setattr("haru.store.loader.MAX_EVENTS", 1)
    source = filled(journey(100, NOON - 50 * MINUTE, (0, "/"), (29, "/a"), (50, "/b"), site_id=2))
    home.loader.start(NOON)
    home.take_in(exported(source, tmp_path / "events.ndjson", 2, installation=HERE))
    home.spool.append([event(NOON - 79 * MINUTE, visitor=100, site_id=2), event(NOON + 30 * MINUTE, 100, site_id=2)])
    home.load()
    assert {row["visit_id"] for row in home.rows(2)} == {1}


def visitors(home: Installation, site_id: int) -> list[int]:
    return [row["visitor_id"] for row in home.rows(site_id)]


@pytest.mark.parametrize("format", export.FORMATS)
def test_ids_are_of_a_site_and_of_no_other(home: Installation, tmp_path: Path, format: str) -> None:
    ids = [100, 100, 100, 200, 200, -5]
    source = filled([event | {"site_id": 2} for event in some_events()[:-1]])
    home.take_in(exported(source, tmp_path / f"own.{format}", 2, installation=HERE), 2)
    assert visitors(home, 2) == ids
    # Another site of the installation, the same one elsewhere, and a site of a file that does not say of which it is.
    home.take_in(tmp_path / f"own.{format}", 3)
    home.take_in(exported(source, tmp_path / f"other.{format}", 2, installation=ELSEWHERE), 4)
    (without := tmp_path / f"before.{format}").write_bytes(_without_site(tmp_path / f"own.{format}"))
    home.take_in(without, 5)
    sets = {site_id: set(visitors(home, site_id)) for site_id in (2, 3, 4, 5)}
    assert len(set[int]().union(*sets.values())) == 4 * 3
    for site_id in (3, 4, 5):
        assert [ids.index(id) for id in ids] == [visitors(home, site_id).index(id) for id in visitors(home, site_id)]
        assert all(-(2**63) <= id < 2**63 for id in sets[site_id])


def _without_site(path: Path) -> bytes:
    """The same file as it was before files said of which site they are."""
    if path.suffix == ".ndjson":
        records = [json.loads(line) for line in path.read_text().splitlines()]
        return b"".join(json.dumps({k: v for k, v in r.items() if k != "site"}).encode() + b"\n" for r in records)
    plain = path.with_name("plain.parquet")
    duckdb.execute(f"COPY (SELECT * EXCLUDE (site) FROM '{path}') TO '{plain}' (FORMAT parquet)")
    return plain.read_bytes()


def test_the_same_file_gives_the_same_ids_each_time(home: Installation, tmp_path: Path) -> None:
    path = exported(filled(some_events()), tmp_path / "events.ndjson")
    home.take_in(path)
    again = Installation(tmp_path / "again")
    again.take_in(path)
    assert visitors(home, 2) == visitors(again, 2)
    # A part of it first, and all of it later: who is in both is one.
    whole = exported(filled([*some_events(), *journey(500, NOON + MINUTE, (0, "/"), visitor_id=-5)]), path)
    home.take_in(whole)
    assert visitors(home, 2)[-1] == visitors(home, 2)[5]


@pytest.mark.parametrize("format", export.FORMATS)
def test_a_copy_beside_its_site_takes_nobody_from_it(home: Installation, tmp_path: Path, format: str) -> None:
    """Ten minutes after a site was copied its visits are folded."""
    events = [event for n in range(5) for event in journey(100 * n + 100, NOON + n, (0, "/"), (1, "/a"), site_id=1)]
    home.take_in(exported(filled(events), tmp_path / f"first.{format}", installation=HERE), 1)
    before = numbers(home.store, 1)
    home.take_in(exported(home.store, tmp_path / f"copy.{format}", 1, installation=HERE), 2)
    assert isinstance(home.store, DuckStore)
    assert home.store.fold() == 0
    assert numbers(home.store, 1) == numbers(home.store, 2) == before
    assert before[""][0][1]["visitors"] == 5  # type: ignore[index]


def good() -> dict[str, Any]:
    (line,) = list(export.ndjson([[tuple(stored(1, NOON, 1)[name] for name, _ in COLUMNS)]], f"{HERE}/2"))
    return dict(json.loads(line))


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (lambda _: b"{", "Line 2: "),
        (lambda _: b"", "Line 2: "),
        (lambda _: b"id,occurred_at", "Line 2: JSON is malformed"),
        (lambda _: b'{"id": "\xff"}', "Line 2:"),
        (lambda _: b"x" * (1 << 20) + b"xx", "Line 2: it is longer than a mebibyte"),
        (lambda r: r | {"city": "Berlin"}, "Line 2: city: expected int, got str"),
        (lambda r: r | {"id": 1}, "Line 2: id: 1 comes after 1"),
        (lambda r: r | {"id": 2**60}, "Line 2: id: expected int <="),
        (lambda r: r | {"visit_id": 3}, "Line 2: visit_id: is greater than id"),
        (lambda r: r | {"occurred_at": "yesterday"}, "Line 2: occurred_at: "),
        (lambda r: r | {"occurred_at": "1812-01-01T00:00:00Z"}, "Line 2: occurred_at: 1812 is no year"),
        (lambda r: r | {"occurred_at": "2026-01-01T00:00:00"}, "Line 2: occurred_at: "),
        (lambda r: r | {"visitor_id": "9" * 19}, "Line 2: visitor_id: does not fit"),
        (lambda r: r | {"path": "/\0"}, "Line 2: a text holds a character that no store takes"),
        (lambda r: r | {"props": {"a": 1}}, "Line 2: props"),
        (lambda r: r | {"scroll_depth": 101}, "Line 2: scroll_depth: expected int <= 100"),
        (lambda r: r | {"revenue_amount": "much"}, "Line 2: revenue_amount: expected str matching"),
        (lambda r: r | {"site": "example.com"}, "Line 2: site: expected str matching"),
        (lambda r: r | {"site": 1}, "Line 2: site: expected str, got int"),
        (lambda r: r | {"site_id": 1}, "Line 2: object contains unknown field site_id"),
        (lambda r: {k: v for k, v in r.items() if k != "os"}, "Line 2: object missing required field os"),
    ],
)
def test_a_file_with_a_fault_imports_nothing_and_names_the_line(
    home: Installation, tmp_path: Path, broken: Callable[[dict[str, Any]], dict[str, Any] | bytes], sentence: str
) -> None:
    line = broken(good() | {"id": 2})
    path = tmp_path / "events.ndjson"
    path.write_bytes(
        json.dumps(good()).encode() + b"\n" + (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n"
    )
    with pytest.raises(FileUnreadable) as caught:
        home.take_in(path)
    assert sentence in str(caught.value)
    assert "Nothing was imported" in str(caught.value)
    assert home.rows(2) == []


@pytest.mark.parametrize(
    "value",
    [
        "make_timestamp_ms(260000000000000) AS occurred_at",  # of the year 10209
        """'{"a": "\\ud800"}' AS props""",  # half of a character
        """repeat('[', 100000) AS props""",
    ],
)
def test_a_parquet_file_with_a_value_that_no_event_has_says_where(
    home: Installation, tmp_path: Path, value: str
) -> None:
    home.store.load([tuple(stored(1, NOON, 1)[name] for name, _ in COLUMNS)], Progress(1))
    path, odd = tmp_path / "events.parquet", tmp_path / "odd.parquet"
    path.write_bytes(b"".join(export.parquet(home.store.scan(1, *ALL), f"{HERE}/1", tmp_path)))
    duckdb.execute(f"COPY (SELECT * REPLACE ({value}) FROM '{path}') TO '{odd}' (FORMAT parquet)")
    with pytest.raises(FileUnreadable, match=r"^Row 1: .*Nothing was imported\.$"):
        home.take_in(odd)


def test_a_parquet_file_of_something_else_says_what_is_missing(home: Installation, tmp_path: Path) -> None:
    path = tmp_path / "odd[name]*.parquet"
    plain = tmp_path / "plain.parquet"
    for sql, sentence in (
        ("SELECT 1::BIGINT AS id", "The column occurred_at is missing"),
        ("SELECT 'a' AS id", "The column id is VARCHAR and not BIGINT"),
    ):
        duckdb.execute(f"COPY ({sql}) TO '{plain}' (FORMAT parquet)")
        plain.rename(path)
        with pytest.raises(FileUnreadable, match=sentence):
            home.take_in(path)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(FileUnreadable, match="The Parquet file cannot be read"):
        home.take_in(path)
    exported(filled(some_events()), plain).rename(path)
    assert home.take_in(path).imported == 6


def test_the_file_is_cut_by_the_days_of_the_zone(tmp_path: Path) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert export.bounds("2026-01-01", "2026-01-01", berlin) == (NOON - 13 * 60 * MINUTE, NOON + 11 * 60 * MINUTE)
    assert export.bounds("2026-01-01T12:00:00Z", "2026-01-01T14:00:00+01:00", berlin) == (NOON, NOON + 60 * MINUTE)
    assert export.bounds("", "", berlin) == (0, 253_402_300_800_000)
    source = filled(some_events())
    path = exported(source, tmp_path / "events.ndjson", span=export.bounds("2026-01-01T12:03:00Z", "", berlin))
    assert [json.loads(line)["path"] for line in path.read_text().splitlines()] == ["/pricing", "/pricing"]
    for since, until in (("soon", ""), ("", "2026-13-01"), ("2026-01-01T12:00:00", ""), ("2026-01-02", "2025-01-01")):
        with pytest.raises(export.BadBounds):
            export.bounds(since, until, berlin)


def test_a_cut_visit_keeps_its_events_together(home: Installation, tmp_path: Path) -> None:
    source = filled(some_events())
    home.take_in(exported(source, tmp_path / "events.ndjson", span=(NOON + 1, 2**45)))
    visits = [row["visit_id"] for row in home.rows(2)]
    assert visits == [1, 1, 101, 101]


def test_a_file_of_many_events_needs_little_memory_and_leaves_nothing(tmp_path: Path) -> None:
    columns = [name for name, _ in COLUMNS]
    row: Row = tuple(stored(1, NOON, 1)[name] for name in columns)

    def rows() -> Iterator[list[Row]]:
        for number in range(10):
            yield [(number * 100 + place + 1, *row[1:]) for place in range(100)]

    path = tmp_path / "events.parquet"
    path.write_bytes(b"".join(export.parquet(rows(), f"{HERE}/2", tmp_path)))
    found = duckdb.execute("SELECT count(*), list(id) FROM read_parquet($1)", [str(path)]).fetchall()
    assert found == [(1000, list(range(1, 1001)))]
    assert [entry.name for entry in tmp_path.iterdir()] == ["events.parquet"]


def test_every_column_is_documented_and_read_back() -> None:
    names = [name for name, _ in export.EXPORTED]
    assert list(Record.__struct_fields__) == names
    text = (DOCS / "export.md").read_text()
    for name in names:
        assert f"| `{name}` |" in text
