from __future__ import annotations

import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.template import Context, Template

from haru.web.project import errors, middleware, services
from tests.conftest import rendered

TEMPLATES = Path(middleware.__file__).parents[1] / "templates"


@pytest.mark.parametrize(
    ("view", "status", "says"),
    [
        (errors.bad_request, 400, "cannot be read"),
        (errors.forbidden, 403, "may not do this"),
        (errors.csrf_failure, 403, "no longer valid"),
        (errors.not_found, 404, "nothing at this address"),
        (errors.too_many, 429, "Wait a few minutes"),
        (errors.server_error, 500, "on our side"),
    ],
)
def test_an_error_is_a_page_for_people_and_json_for_programs(rf, view, status, says):
    page = view(rf.get("/sites/x"))
    assert page.status_code == status
    assert says in page.content.decode()
    assert f">{status}</p>" in page.content.decode()
    answer = view(rf.get("/api/v2/query"))
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert list(json.loads(answer.content)) == ["error"]


def test_an_unknown_address_gets_our_page(db, sign_in):
    answer = sign_in().get("/nothing/here")
    assert answer.status_code == 404
    assert "There is nothing at this address." in answer.content.decode()


def test_a_page_that_breaks_shows_ours_and_no_trace(owner, sign_in, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("haru.sites.access.sites_of", broken)
    answer = sign_in(owner, raise_request_exception=False).get("/sites")
    assert answer.status_code == 500
    assert "on our side" in answer.content.decode()
    assert "secret detail" not in answer.content.decode()


def test_even_a_broken_error_page_leaves_a_sentence(rf, monkeypatch):
    def broken(*_):
        raise OSError

    monkeypatch.setattr(errors, "render_to_string", broken)
    assert "Please try again" in errors.server_error(rf.get("/")).content.decode()


def test_asking_for_numbers_without_stores_says_so():
    assert not services.is_set()
    with pytest.raises(services.NoServicesError, match="haru serve"):
        services.get()


def asset(name: str) -> str:
    return Template("{% load assets %}{% asset name %}").render(Context({"name": name}))


@pytest.fixture
def built(settings, tmp_path) -> Path:
    """A built front end of one file."""
    settings.STATIC_ROOT = tmp_path
    (tmp_path / "build").mkdir()
    file = tmp_path / "build" / "app.css"
    file.write_text("body{}")
    return file


def test_a_built_file_has_an_address_that_changes_with_its_content(built):
    first = asset("app.css")
    assert first.startswith("/static/build/app.css?v=")
    assert asset("app.css") == first
    built.write_text("body{color:red}")
    assert asset("app.css") != first


def test_a_file_that_is_not_built_has_its_plain_address(built):
    assert asset("app.js") == "/static/build/app.js"


def test_a_file_with_its_digest_is_kept_for_a_year_and_one_without_is_asked_for_again(built, rf):
    files = middleware.StaticFiles(lambda request: pytest.fail("not a file"))
    kept = files(rf.get("/static/build/app.css?v=abc"))
    assert kept.content == b"body{}"
    assert kept.headers["Content-Type"].startswith("text/css")
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    part = files(rf.get("/static/build/app.css", headers={"range": "bytes=1-3"}))
    assert (part.status_code, part.content) == (206, b"ody")
    asked = files(rf.get("/static/build/app.css"))
    again = files(rf.get("/static/build/app.css", headers={"if-none-match": asked.headers["ETag"]}))
    assert (again.status_code, again.content) == (304, b"")
    assert "immutable" not in asked.headers["Cache-Control"]
    assert "max-age=60" in asked.headers["Cache-Control"]


def test_a_path_outside_the_built_files_is_not_served(built, rf):
    (built.parent.parent.parent / "secret.key").write_text("x")
    files = middleware.StaticFiles(lambda request: "passed on")
    for path in ["/static/../secret.key", "/static/build/../../../secret.key", "/static/%2e%2e/secret.key", "/static/"]:
        assert files(rf.get(path)) == "passed on"


def test_pages_work_before_the_front_end_is_built(settings, tmp_path, rf):
    settings.STATIC_ROOT = tmp_path / "missing"
    assert middleware.StaticFiles(lambda request: "passed on")(rf.get("/static/build/app.css")) == "passed on"


@pytest.mark.parametrize(
    "view", ["haru.web.dashboard.views.dashboard", "haru.web.dashboard.views.panel", "haru.web.api.query.query"]
)
def test_a_view_that_is_imported_late_exists(view):
    module, _, name = view.rpartition(".")
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    assert callable(getattr(import_module(module), name))


@pytest.mark.last
def test_every_template_was_rendered(request):
    """A template that no test renders may be broken without anyone knowing."""
    rooms = {"tests/accounts", "tests/sites", "tests/web"}
    ran = {Path(item.path).relative_to(request.config.rootpath).parent.as_posix() for item in request.session.items}
    files = {path.name for room in rooms for path in (request.config.rootpath / room).glob("test_*.py")}
    if not rooms <= ran or not files <= {Path(item.path).name for item in request.session.items}:
        pytest.skip("only a part of the tests ran")
    if request.session.testsfailed or request.config.getoption("keyword"):
        pytest.skip("some tests did not run to their end")
    names = {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*") if path.is_file()}
    missing = {name for name in names - rendered if not name.startswith("dashboard/")}
    assert not missing
