"""Sends faulty requests to a real server and sees what becomes of them, of its memory and of its rows.

`python -m tests.fuzz.fuzzer 100000` prints the table of docs/reliability.md and ends with 1 when something is wrong.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import psutil

from tests.fuzz.mutations import Attack, attack
from tests.server import Server

CONNECTIONS = 32
ANSWER_SECONDS = 20.0  # beyond it, it is a hang
PATIENCE = 0.05  # how long one waits for an answer to what may be no request, before saying that no more will come

_HEAD = re.compile(rb"HTTP/1\.1 (\d{3})[^\r]*\r\n((?:[^\r\n]+\r\n)*)\r\n")


@dataclass
class Report:
    """What was seen."""

    requests: Counter[str] = field(default_factory=Counter)  # by kind
    answers: Counter[int] = field(default_factory=Counter)  # by status
    dropped: Counter[str] = field(default_factory=Counter)  # by reason
    counted: int = 0  # answered with 200 and without a reason
    uncertain: int = 0  # whose answer may have been lost with a connection that was broken off
    faults: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)  # bytes, at each tenth of the way
    seconds: float = 0.0


class Fuzzer:
    """One run."""

    def __init__(self, server: Server, token: str, count: int, seed: int) -> None:
        self._server = server
        self._token = token
        self._count = count
        self._dice = random.Random(seed)
        self._done = 0
        assert server.process is not None
        self._process = psutil.Process(server.process.pid)
        self.report = Report()

    async def run(self) -> Report:
        """Send them all."""
        begun = time.monotonic()
        await asyncio.gather(*(self._sender() for _ in range(CONNECTIONS)))
        self.report.seconds = time.monotonic() - begun
        return self.report

    async def _sender(self) -> None:
        while self._done < self._count:
            made = attack(self._dice, self._token)
            count = made.answers or 1
            if self._done % (self._count // 10) + count >= self._count // 10:
                self.report.memory.append(self._process.memory_info().rss)
            self._done += count
            self.report.requests[made.kind] += count
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._send(made)
            except TimeoutError:
                self.report.faults.append(f"hang: {made.kind} {made.sent[:300]!r}")

    async def _send(self, made: Attack) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port, limit=1 << 20)
        received = b""
        wanted = made.answers
        try:
            writer.write(made.sent)
            while wanted is None or len(_HEAD.findall(received)) < wanted:
                try:
                    async with asyncio.timeout(PATIENCE if wanted is None and not reader.at_eof() else None):
                        part = await reader.read(65_536)
                except TimeoutError:
                    writer.write_eof()  # no more will come: an answer, or the end of the connection, must
                    part = await reader.read(-1)
                    received += part
                    break
                if not part:
                    break
                received += part
        except OSError:
            if wanted is not None:
                self.report.faults.append(f"connection broken: {made.kind} {made.sent[:300]!r}")
        finally:
            writer.close()
        self._look_at(made, received)

    def _look_at(self, made: Attack, received: bytes) -> None:
        heads = _HEAD.findall(received)
        if made.answers is not None and len(heads) != made.answers:
            self.report.faults.append(f"{len(heads)} answers for {made.answers}: {made.kind} {made.sent[:300]!r}")
        if made.answers is None and not heads:
            self.report.uncertain += 1
        for status, lines in heads:
            headers = dict(
                line.split(b": ", 1) for line in lines.decode("latin-1").lower().encode().split(b"\r\n") if line
            )
            self.report.answers[int(status)] += 1
            reason = headers.get(b"x-haru-dropped", b"").decode()
            if reason:
                self.report.dropped[reason] += 1
            elif status == b"200":
                self.report.counted += 1
            if int(status) >= 500 or b"Traceback" in received:
                self.report.faults.append(f"{status.decode()}: {made.kind} {made.sent[:300]!r}")


def check_rows(data_dir: Path, report: Report, since_ms: float, until_ms: float) -> int:
    """Hold every stored row against the schema; faults go into the report. How many rows there are."""
    with closing(duckdb.connect(str(data_dir / "events.duckdb"), read_only=True)) as store:
        cursor = store.execute("SELECT *, epoch_ms(occurred_at) AS ms FROM event")
        names = [name for name, *_ in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        for fault in faults_of(row, since_ms, until_ms):
            report.faults.append(f"row {row['id']}: {fault}")
    if len({row["id"] for row in rows}) != len(rows):
        report.faults.append("rows share an id")
    unvisited = 0  # engagement events without a visit are answered with 200, and then counted as refused
    with closing(duckdb.connect(str(data_dir / "events.duckdb"), read_only=True)) as store:
        query = "SELECT coalesce(sum(count), 0) FROM refusal WHERE reason = 'no_visit_for_engagement'"
        ((unvisited,),) = store.execute(query).fetchall()
    kept = len(rows) + int(unvisited)
    if not report.counted <= kept <= report.counted + report.uncertain:
        report.faults.append(f"{kept} stored, {report.counted} answered (and {report.uncertain} uncertain)")
    return len(rows)


def faults_of(row: dict[str, object], since_ms: float, until_ms: float) -> list[str]:
    texts = {name: value for name, value in row.items() if isinstance(value, str)}
    props = json.loads(str(row["props"]))
    rules = {
        "text that cannot be stored": all("\0" not in t and _utf8(t) for t in texts.values()),
        "path": str(row["path"]).startswith("/") and len(str(row["path"]).encode("utf-8", "surrogatepass")) <= 2_000,
        "name": 1 <= len(str(row["name"])) <= 120,
        "moment": since_ms <= float(str(row["ms"])) <= until_ms,
        "country": re.fullmatch("([A-Z]{2})?", str(row["country"])) is not None,
        "device": row["device"] in {"Desktop", "Mobile", "Tablet", ""},
        "screen": re.fullmatch(r"(\d{1,5}x\d{1,5})?", str(row["screen"])) is not None,
        "language": len(str(row["language"])) <= 8,
        "scroll depth": -1 <= int(str(row["scroll_depth"])) <= 100,
        "engaged": int(str(row["engaged_ms"])) >= 0,
        "props": isinstance(props, dict)
        and len(props) <= 30
        and all(isinstance(v, str) and len(v.encode()) <= 2_000 for v in props.values()),
        "revenue": not row["revenue_amount"]
        or re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", str(row["revenue_amount"])) is not None,
        "visit": 0 < int(str(row["visit_id"])) <= int(str(row["id"])),
        "referrer": "?" not in str(row["referrer"]) and "@" not in str(row["referrer"]).split("/")[0],
        "no null": all(value is not None for value in row.values()),
    }
    return [f"{name}: {row}" for name, holds in rules.items() if not holds]


def _utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def run(folder: Path, count: int, seed: int) -> tuple[Report, int]:
    """Start a server, send `count` requests, look at everything. The report and how many rows there are."""
    with Server(folder / "data", forks=False, HARU_LOG_LEVEL="warning") as server:
        token = server.add_site()
        server.start()
        since = time.time() * 1000
        report = asyncio.run(Fuzzer(server, token, count, seed).run())
        if server.collect(token, "/alive").status_code != 200:
            report.faults.append("the server no longer counts")
        report.counted += 1
        server.call("load")
        if server.stop() != 0:
            report.faults.append("the server did not end in order")
        logged = server.log.read_text()
        if "Traceback" in logged or "collect_failed" in logged:
            report.faults.append(f"the log has an exception: {logged[-2000:]}")
        rows = check_rows(folder / "data", report, since, time.time() * 1000)
    return report, rows


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()
    with tempfile.TemporaryDirectory() as folder:
        report, rows = run(Path(folder), count, seed)
    print(f"\n## {sum(report.requests.values()):,} faulty requests in {report.seconds:.0f} s (seed {seed})\n")
    print("| what | number |\n|---|---|")
    lines: dict[str, object] = {f"sent: {kind}": f"{number:,}" for kind, number in report.requests.most_common()}
    lines |= {f"answered {status}": f"{number:,}" for status, number in sorted(report.answers.items())}
    lines |= {f"not counted: {reason}": f"{number:,}" for reason, number in report.dropped.most_common()}
    lines |= {"counted": f"{report.counted:,}", "rows in the store": f"{rows:,}"}
    lines["resident memory at each tenth, MB"] = ", ".join(f"{size / 1e6:.0f}" for size in report.memory)
    lines["5xx, hangs, lost answers, rows against the schema"] = len(report.faults)
    for name, number in lines.items():
        print(f"| {name} | {number} |")
    for fault in report.faults[:20]:
        print(fault)
    sys.exit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
