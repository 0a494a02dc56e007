from __future__ import annotations

import json

import pytest
from django.db import OperationalError
from django.test import RequestFactory

from haru.store.protocol import StoreUnavailable
from haru.web.project.errors import server_error


@pytest.mark.parametrize("fault", [StoreUnavailable("locked"), OperationalError("no connection")])
def test_a_database_that_does_not_answer_is_503_and_says_that_collecting_goes_on(fault: Exception) -> None:
    for path in ("/sites/example.com", "/api/v2/query"):
        try:
            raise fault
        except Exception:
            response = server_error(RequestFactory().get(path))
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "10"
        text = response.content.decode()
        assert "Visits are being counted" in (json.loads(text)["error"] if path.startswith("/api") else text)
        assert "locked" not in text


def test_any_other_fault_is_500() -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        assert server_error(RequestFactory().get("/")).status_code == 500
