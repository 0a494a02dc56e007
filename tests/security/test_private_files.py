"""Every file in the data folder is for the user alone who runs Haru, whatever the umask says."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tests.server import Server


def modes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode)
        for path in folder.rglob("*")
        if not path.is_symlink()
    }


def test_every_file_is_for_its_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Server(tmp_path / "data", HARU_WORKERS="1") as server:
            token = server.add_site_by_commands("example.com", "UTC")
            server.start()
            assert server.collect(token, "/").status_code == 200
            server.call("load")
            server.haru("export", "events", "--site", "example.com", "--output", str(server.data_dir / "events.ndjson"))
            found = modes(server.data_dir)
            assert {"events.duckdb.wal", "haru.lock", "migrate.lock", "control.sock", "spool-1.sqlite3"} <= set(found)
            assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}
            server.stop()
            assert {name: oct(mode) for name, mode in modes(server.data_dir).items() if mode & 0o077} == {}
    finally:
        os.umask(before)
