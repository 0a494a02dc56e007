from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from haru.collect.collector import Counts
from haru.server import jobs, metrics
from haru.server.jobs import JOBS
from haru.server.node import Node
from tests.server.nodes import Answer, collect, opened, scope

# Alerts and dashboards of operators know them by these names.
NAMES = {
    "haru_accounts_up", "haru_cache_hits", "haru_cache_misses", "haru_collect_accepted", "haru_collect_refused",
    "haru_collect_requests", "haru_collect_seconds", "haru_collect_waiting", "haru_live_subscribers", "haru_load_seconds",
    "haru_loaded_events", "haru_queries_running", "haru_queries_stopped", "haru_query_seconds", "haru_spool_age_seconds",
    "haru_spool_batch_events", "haru_spool_commit_seconds", "haru_spool_commits", "haru_spool_full", "haru_spool_refusing",
    "haru_spool_waiting_commits", "haru_store_up", "haru_task_restarts",
}  # fmt: skip


async def asked(node: Node, *, client: Any = ("127.0.0.1", 4711), **headers: str) -> Answer:
    answer = Answer()
    await metrics.answer(node, scope("/metrics", headers=headers, client=client), answer.send)
    return answer


def figures(answer: Answer) -> dict[str, float]:
    assert answer.status == 200
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


async def test_names_stay(tmp_path: Path) -> None:
    async with opened(tmp_path) as node:
        text = (await asked(node)).body.decode()
    assert {family.name for family in text_string_to_metric_families(text)} == NAMES


async def test_figures_follow_an_event_from_the_request_into_the_store(tmp_path: Path) -> None:
    async with opened(tmp_path) as node:
        assert await collect(node) == 200
        before = figures(await asked(node))
        assert before["haru_collect_accepted_total"] == before["haru_spool_commits_total"] == 1
        assert before["haru_collect_requests_total[200]"] == before["haru_collect_seconds_count"] == 1
        assert before["haru_spool_waiting_commits"] == 1
        assert before["haru_loaded_events_total"] == before["haru_store_up"] == 0
        await node.on_loader(lambda: (jobs.resume(node), jobs.load_waiting(node)))
        after = figures(await asked(node))
        assert after["haru_spool_waiting_commits"] == 0
        assert after["haru_loaded_events_total"] == after["haru_load_seconds_count"] == after["haru_store_up"] == 1


async def test_every_job_has_its_count_from_the_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as node:
        node.supervisor.start(JOBS, node)
        await node.supervisor.stop()
        node.supervisor.restarts["folding"] += 1
        found = figures(await asked(node))
    counts = {name: value for name, value in found.items() if name.startswith("haru_task_restarts_total")}
    names = [*(job.name for job in JOBS), "writer"]
    assert counts == {f"haru_task_restarts_total[{name}]": float(name == "folding") for name in names}


async def test_what_several_processes_counted_is_added(tmp_path: Path) -> None:
    async with opened(tmp_path) as node:
        snapshot = await metrics.snapshot(node)
        bounds = len(snapshot.bounds["seconds"]) + 1
        for _ in range(2):
            counts = Counts(answers={200: 3}, refusals={"bot": 1}, accepted=3, full=True)
            counts.seconds = [4] * bounds, 0.5
            snapshot.counts.append(counts)
    text = metrics.page(snapshot).decode()
    found = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    assert found["haru_collect_accepted_total"] == found["haru_collect_requests_total"] == 6
    assert found["haru_collect_refused_total"] == found["haru_spool_full"] == 2
    assert (found["haru_collect_seconds_count"], found["haru_collect_seconds_sum"]) == (8 * bounds, 1.0)


@pytest.mark.parametrize(
    ("token", "client", "headers", "status"),
    [
        ("", "127.0.0.1", {}, 200),
        ("", "::1", {}, 200),
        ("", "203.0.113.9", {}, 404),
        *[("", "127.0.0.1", {name: "203.0.113.9"}, 404) for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")],
        ("secret", "203.0.113.9", {"Authorization": "Bearer secret"}, 200),
        ("secret", "203.0.113.9", {"Authorization": "Bearer secret", "X-Forwarded-For": "203.0.113.9"}, 200),
        ("secret", "127.0.0.1", {}, 404),
        ("secret", "127.0.0.1", {"Authorization": "secret"}, 404),
        ("secret", "127.0.0.1", {"Authorization": "Bearer other"}, 404),
    ],
)  # fmt: skip
async def test_they_are_for_the_machine_itself_or_for_whoever_has_the_token(
    tmp_path: Path, token: str, client: str, headers: dict[str, str], status: int
) -> None:
    async with opened(tmp_path, HARU_METRICS_TOKEN=token) as node:
        answer = await asked(node, client=(client, 4711), **headers)
    assert answer.status == status
    assert (b"haru_" in answer.body) == (status == 200)


async def test_a_client_without_an_address_is_not_the_machine_itself(tmp_path: Path) -> None:
    async with opened(tmp_path) as node:
        assert (await asked(node, client=None)).status == 404
