"""The programs that build and run containers here, with images, networks and settings of their own in `.cache`.

So no test touches the containers of whoever works on this machine, and no image of the tests is taken for a real one.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "containers"
# What is known of running containers: it must be gone after the machine was started again, as /run is.
STATE = Path("/run") / f"haru-tests-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]}"
BIN = Path(sys.executable).parent

STORAGE = f"""\
[storage]
driver = "overlay"
graphroot = "{CACHE}/images"
runroot = "{STATE}/storage"
"""
# Without systemd, and in a machine that is a container itself, the defaults for groups, limits and events fail.
CONTAINERS = f"""\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
tmp_dir = "{STATE}/podman"
[network]
network_backend = "netavark"
network_config_dir = "{CACHE}/networks"
"""
REGISTRIES = 'unqualified-search-registries = ["docker.io"]\n'
FILES = {
    "CONTAINERS_STORAGE_CONF": ("storage.conf", STORAGE),
    "CONTAINERS_CONF": ("containers.conf", CONTAINERS),
    "CONTAINERS_REGISTRIES_CONF": ("registries.conf", REGISTRIES),
}


def environment() -> dict[str, str]:
    """The environment in which `podman` and `buildah` work on the tests' own images; writes what they read."""
    CACHE.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HARU_")}
    for name, (file, text) in FILES.items():
        (CACHE / file).write_text(text)
        kept[name] = str(CACHE / file)
    if not Path("/run/systemd/system").exists():
        kept["DISABLE_HC_SYSTEMD"] = "true"  # timers of health checks are systemd's: a test asks by itself
    return kept


class Failed(AssertionError):
    """A program ended with another exit code than 0; the text is what it said."""


def run(*command: str | Path, stdin: str = "", cwd: Path = ROOT, seconds: float = 1200) -> str:
    """What a program writes to its standard output. Raises `Failed` with the end of both outputs."""
    done = subprocess.run(
        [str(part) for part in command],
        input=stdin,
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-6000:]
        raise Failed(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}")
    return done.stdout


def podman(*arguments: str, stdin: str = "", seconds: float = 300) -> str:
    """What `podman` writes."""
    return run("podman", *arguments, stdin=stdin, seconds=seconds)


def build(folder: Path, name: str) -> None:
    """Build the Dockerfile of a folder, from images that are here only."""
    # As Docker does: the other format has no HEALTHCHECK.
    run("nice", "buildah", "bud", "--isolation", "chroot", "--pull-never", "--format", "docker", "-t", name, folder)


def megabytes(image: str) -> float:
    """The size of an image, in millions of bytes."""
    return int(podman("image", "inspect", "--format", "{{.Size}}", image)) / 1e6
