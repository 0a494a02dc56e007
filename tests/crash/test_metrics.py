"""/metrics of a real server: what it tells, and to whom."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server import Server

pytestmark = pytest.mark.crash


def figures(text: str) -> dict[str, float]:
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_figures_tell_what_happened(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start()
        for number in range(7):
            assert server.collect(token, f"/{number}").status_code == 200
        assert server.collect(token, "/", sw="wide").status_code == 400
        assert server.collect("nobody", "/").status_code == 401
        server.call("load")
        found = figures(httpx.get(f"{server.url}/metrics").text)
        assert found["haru_collect_accepted_total"] == found["haru_loaded_events_total"] == 7
        assert found["haru_collect_requests_total[200]"] == 7
        assert found["haru_collect_requests_total[400]"] == found["haru_collect_refused_total[invalid]"] == 1
        assert found["haru_collect_requests_total[401]"] == found["haru_collect_refused_total[unknown_site]"] == 1
        assert found["haru_collect_seconds_count"] == 9
        assert found["haru_spool_batch_events_sum"] == 7
        assert found["haru_spool_waiting_commits"] == 0
        assert found["haru_store_up"] == found["haru_accounts_up"] == 1
        assert server.stop() == 0


def test_they_are_for_the_machine_itself_or_for_who_has_the_token(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        server.start()
        assert httpx.get(f"{server.url}/metrics").status_code == 200
        from_a_proxy = httpx.get(f"{server.url}/metrics", headers={"X-Forwarded-For": "203.0.113.9"})
        assert from_a_proxy.status_code in {401, 403, 404}
        assert "haru_" not in from_a_proxy.text
        assert server.stop() == 0
    with Server(tmp_path / "other", HARU_METRICS_TOKEN="a-long-token-for-the-figures") as server:
        server.start()
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "a-long-token-for-the-figures"}):
            answer = httpx.get(f"{server.url}/metrics", headers=headers)
            assert answer.status_code in {401, 403, 404}
            assert "haru_" not in answer.text
        headers = {"Authorization": "Bearer a-long-token-for-the-figures", "X-Forwarded-For": "203.0.113.9"}
        assert httpx.get(f"{server.url}/metrics", headers=headers).status_code == 200
        assert server.stop() == 0
