from __future__ import annotations

from pathlib import Path

from haru.server import workers
from haru.server.jobs import JOBS

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


def test_every_job_is_documented_as_it_is() -> None:
    rows = [f"| `{job.name}` | {job.every:g} s | {job.why} |" for job in JOBS]
    rows = ["| job | again after | what it does |", "|---|---|---|", *rows, "", "With"]
    assert "\n".join(rows) in DOCUMENT.read_text("utf-8"), "put these rows into docs/reliability.md"
    assert f"| `worker-1` to `worker-N` | {workers.WHY} |" in DOCUMENT.read_text("utf-8")


def test_each_job_has_a_name_of_its_own_and_says_in_a_sentence_why_it_runs() -> None:
    assert len({job.name for job in JOBS} | {"writer"}) == len(JOBS) + 1
    for job in JOBS:
        assert job.every > 0
        assert job.why[0].isupper()
        assert job.why.endswith(".")
