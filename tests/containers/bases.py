"""Images that stand in for those of a registry, which no test reaches: Debian, PostgreSQL and Caddy.

Debian's is made with `debootstrap` under the name that the Dockerfile asks for. What package managers need on this machine
(its mirror, a proxy, certificates, their settings) is copied into it when it is made, and is nowhere else.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.containers.machine import CACHE, Failed, build, podman, run

DEBIAN = "docker.io/library/debian:trixie-slim"
POSTGRES = "docker.io/library/postgres:17"
CADDY = "docker.io/library/caddy:2"

HERE = Path(__file__).parent
TARBALL = CACHE / "trixie.tar"
BUNDLE = "/usr/local/share/test-ca.pem"
# Whoever reads one of these is told of the machine's certificates. A mount over /etc/ssl would break ca-certificates.
CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "NPM_CONFIG_CAFILE")
HANDED_ON = re.compile(
    r"(http|https|no|all|ftp)_proxy|PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT)|NPM_CONFIG_(?!CAFILE).*",
    re.IGNORECASE,
)
# What the slim image of Debian leaves out and does not keep.
SLIM = "".join(f"path-exclude /usr/share/{name}/*\n" for name in ("doc", "info", "locale", "man"))
TIDY = 'APT::Keep-Downloaded-Packages "false";\nDir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'


def debian() -> None:
    """Make the Dockerfile's base unless it is here as this machine would make it now."""
    files = dict(_files())
    variables = {name: BUNDLE for name in CERTIFICATES if BUNDLE in files}
    variables |= {name: value for name, value in os.environ.items() if HANDED_ON.fullmatch(name)}
    digest = hashlib.sha256(repr((sorted(files.items()), sorted(variables.items()))).encode()).hexdigest()
    if _label(DEBIAN) == digest:
        return
    if not TARBALL.exists():
        _bootstrap()
    container = run("buildah", "from", "scratch").strip()
    try:
        run("buildah", "add", "-q", container, TARBALL, "/")
        for path, content in files.items():
            with tempfile.NamedTemporaryFile() as file:
                Path(file.name).write_bytes(content)
                Path(file.name).chmod(0o644)
                run("buildah", "add", "-q", container, file.name, path)
        settings = [f"--env={name}={value}" for name, value in variables.items()]
        run("buildah", "config", "--cmd", "bash", f"--label=made-of={digest}", *settings, container)
        run("buildah", "commit", "-q", container, DEBIAN)
    finally:
        run("buildah", "rm", container)


def postgres() -> None:
    """Debian's PostgreSQL under the name of the official image, which reads the same variables."""
    build(HERE / "postgres", POSTGRES)


def caddy() -> None:
    """Debian's Caddy under the name of the official image."""
    build(HERE / "caddy", CADDY)


def _bootstrap() -> None:
    folder = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        run("nice", "debootstrap", "--variant=minbase", "trixie", folder / "root", _mirrors()["Debian"])
        for each in ("var/cache/apt/archives", "usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man"):
            for path in (folder / "root" / each).glob("*"):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        run("tar", "--numeric-owner", "--one-file-system", "-C", folder / "root", "-cf", folder / "base.tar", ".")
        (folder / "base.tar").rename(TARBALL)
    finally:
        shutil.rmtree(folder)


def _mirrors() -> dict[str, str]:
    """{label of an archive: where this machine has it from}."""
    known = {"Debian": "http://deb.debian.org/debian", "Debian-Security": "http://deb.debian.org/debian-security"}
    for line in run("apt-get", "indextargets", "--format", "$(LABEL) $(SITE)", "Created-By: Packages").splitlines():
        label, _, site = line.partition(" ")
        if label in known:
            known[label] = site
    return known


def _files() -> Iterator[tuple[str, bytes]]:
    """(path in the base, content)."""
    mirrors = _mirrors()
    sources = (
        f"deb {mirrors['Debian']} trixie main\n"
        f"deb {mirrors['Debian']} trixie-updates main\n"
        f"deb {mirrors['Debian-Security']} trixie-security main\n"
    )
    yield "/etc/apt/sources.list", sources.encode()
    how = [line for line in run("apt-config", "dump").splitlines() if re.match(r"Acquire::(https?|Check)", line)]
    yield "/etc/apt/apt.conf.d/90test", (TIDY + "\n".join(how) + "\n").encode()
    yield "/etc/dpkg/dpkg.cfg.d/90test", SLIM.encode()
    yield from _settings_of_managers()
    bundle = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    if bundle and Path(bundle).is_file():
        yield BUNDLE, Path(bundle).read_bytes()


def _settings_of_managers() -> Iterator[tuple[str, bytes]]:
    home = Path.home()
    npm = [Path("/etc/npmrc"), home / ".npmrc"]
    if shutil.which("npm"):
        npm[0] = Path(run("npm", "config", "get", "globalconfig", cwd=home).strip())
    lines = [path.read_bytes() for path in npm if path.is_file()]
    if lines:
        yield "/root/.npmrc", b"\n".join(lines)
    for path in (home / ".pip/pip.conf", home / ".config/pip/pip.conf", Path("/etc/pip.conf")):
        if path.is_file():
            yield "/etc/pip.conf", path.read_bytes()
            return


def _label(image: str) -> str:
    try:
        return podman("image", "inspect", "--format", '{{index .Config.Labels "made-of"}}', image).strip()
    except Failed:
        return ""
