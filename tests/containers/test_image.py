"""The image: what it holds, and that it serves with a read-only root, one volume and little memory."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.containers import bases
from tests.containers.conftest import EMAIL, PASSWORD, sign_in, until, visit
from tests.containers.machine import BIN, ROOT, Failed, megabytes, podman, run
from tests.server import free_port


class Haru:
    """A container of the image, as `docker run` in docs/deploy.md starts it, on a volume of its own."""

    def __init__(self) -> None:
        self.name = f"haru-{uuid.uuid4().hex[:8]}"
        self.url = f"http://localhost:{free_port()}"

    def start(self) -> None:
        port = self.url.rpartition(":")[2]
        # Podman would mount memory over /tmp and /run.
        bounds = ("--memory=512m", "--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL")
        where = (f"--publish=127.0.0.1:{port}:4000", f"--volume={self.name}:/data", f"--env=HARU_BASE_URL={self.url}")
        podman("run", "--detach", f"--name={self.name}", *bounds, *where, "localhost/haru")
        until(lambda: httpx.get(f"{self.url}/health").status_code == 200)

    def stop(self) -> int:
        """Ask it to stop, remove the container, keep its volume; answers the exit code."""
        podman("stop", "--time=60", self.name)
        code = int(podman("inspect", "--format={{.State.ExitCode}}", self.name))
        podman("rm", self.name)
        return code

    def haru(self, *arguments: str, stdin: str = "") -> str:
        return podman("exec", "--interactive", self.name, "haru", *arguments, stdin=stdin)

    def add_site(self) -> str:
        """Make an account and a site; answers the site's token."""
        self.haru("user", "add", EMAIL, "--password-stdin", stdin=f"{PASSWORD}\n")
        self.haru("site", "add", "example.com")
        return str(json.loads(self.haru("site", "list", "--json"))[0]["token"])

    def count(self, metric: str = "pageviews", site: str = "example.com", period: str = "day") -> int:
        asked = ("--site", site, "--metrics", metric, "--range", period, "--format", "json")
        return int(json.loads(self.haru("query", *asked))["results"][0]["metrics"][0])


@pytest.fixture
def haru(image: str) -> Iterator[Haru]:
    haru = Haru()
    try:
        yield haru
    finally:
        with suppress(Failed):
            podman("rm", "--force", haru.name)
        podman("volume", "rm", "--force", haru.name)


def test_the_image_is_small(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    size, base = megabytes(image), megabytes(bases.DEBIAN)
    with capsys.disabled():
        print(f"\nThe image has {size:.0f} MB, {size - base:.0f} MB beyond its base.")
    assert size - base <= 250


def test_the_image_says_how_it_is_run(image: str) -> None:
    config = json.loads(podman("image", "inspect", image))[0]["Config"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["Volumes"]) == ["/data"]
    assert list(config["ExposedPorts"]) == ["4000/tcp"]
    assert config["Entrypoint"] + config["Cmd"] == ["haru", "serve"]


def test_of_the_checkout_only_the_package_is_in_the_image(image: str) -> None:
    strange = ("-name", "pyproject.toml", "-o", "-name", ".git", "-o", "-name", "node_modules", "-o", "-name", ".env*")
    assert podman("run", "--rm", "--user=0", "--entrypoint=find", image, "/", "-xdev", *strange) == ""
    package = podman("run", "--rm", "--entrypoint=python", image, "-c", "import haru; print(haru.__file__)")
    assert package.startswith("/opt/haru/")


def test_hadolint_has_nothing_to_say() -> None:
    files = [ROOT / "Dockerfile", *ROOT.glob("tests/containers/*/Dockerfile")]
    assert run(BIN / "hadolint", *files) == ""


def test_it_works_with_a_read_only_root_and_half_a_gigabyte(haru: Haru) -> None:
    haru.start()
    podman("healthcheck", "run", haru.name)
    assert podman("exec", haru.name, "id", "-u").strip() == "10001"
    with pytest.raises(Failed, match="Read-only file system"):
        podman("exec", "--user=0", haru.name, "touch", "/opt/haru/written")
    token = haru.add_site()
    with httpx.Client(base_url=haru.url, follow_redirects=True, headers={"Referer": haru.url}, timeout=60) as browser:
        sign_in(browser)
        assert visit(browser, token, "/") == 200
        assert browser.get("/js/haru.js").status_code == 200
        until(lambda: haru.count() == 1)
        haru.haru("demo", "--days", "90", "--visits-per-day", "1000", "--owner", EMAIL)
        until(lambda: haru.count("visits", "demo.haru.local", "91d") > 80_000, seconds=600)
        dashboard = browser.get("/")
        assert dashboard.status_code == 200
    state = json.loads(podman("inspect", "--format={{json .State}}", haru.name))
    assert state["Running"]
    assert not state["OOMKilled"]
    assert haru.stop() == 0


def test_a_stop_answers_what_is_under_way_and_loses_nothing(haru: Haru) -> None:
    haru.start()
    token = haru.add_site()
    answered = 0
    some = threading.Event()

    def send() -> None:
        nonlocal answered
        with httpx.Client(base_url=haru.url, timeout=60) as client, suppress(httpx.TransportError):
            while visit(client, token, f"/{answered}", address=None) == 200:
                answered += 1
                if answered == 50:
                    some.set()

    # More than the limit of one address lets through would be answered 429 and end the loop.
    haru.haru("site", "set", "example.com", "--rate-limit", "0")
    sender = threading.Thread(target=send)
    sender.start()
    assert some.wait(240)
    assert haru.stop() == 0
    sender.join(120)
    haru.start()
    until(lambda: haru.count() >= answered)
    assert haru.count() == answered
