"""Real processes with unusual keys: what they print, log, keep and show as arguments holds no secret."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pms import child, config, exits
from pms.log_files import FOLDER
from tests.conftest import logged
from tests.process import stack
from tests.process.stack import SYMBOL, Stack
from tests.waiting import until

KEY = "kEy-Zq~7f3b19_unusual"
SECRET = "sEcReT-x~8a0c42_unusual"
PASSWORD = "rEdIs-Pw_unusual"
KEYS = {"PMS_API_KEY": KEY, "PMS_API_SECRET": SECRET}
LIMIT_S = 30


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Stack]:
    with stack.running(tmp_path, "--profile", "still", "--symbols", SYMBOL) as standing:
        yield standing


def test_a_daemon_that_is_refused_by_venue_or_redis_tells_no_secret(still: Stack) -> None:
    nobody = f"http://127.0.0.1:{child.free_port()}"
    redis = f"redis://u:{PASSWORD}@127.0.0.1:{still.endpoint.port}/0"
    for number, (code, environment) in enumerate(
        (
            (exits.AUTH, KEYS),
            (exits.UNAVAILABLE, KEYS | {"PMS_REST_URL": nobody}),
            (exits.UNAVAILABLE, KEYS | {"PMS_REDIS_URL": redis}),
            (exits.UNAVAILABLE, KEYS | {"PMS_REDIS_URL": redis.replace(str(still.endpoint.port), nobody[17:])}),
            (exits.CONFIG, KEYS | {"PMS_REDIS_URL": f"redis://u:{PASSWORD}/x@h:1/0"}),
            (exits.CONFIG, {"PMS_API_KEY": f"{KEY}\n", "PMS_API_SECRET": SECRET}),
        )
    ):
        daemon = still.daemon(f"daemon-{number}", PYTHONASYNCIODEBUG="1", PYTHONDEVMODE="1", **environment)
        ended = daemon.ended()
        assert ended.code == code, ended
        assert ended.said, "it says why"
        for secret in (KEY, SECRET, PASSWORD):
            assert secret not in ended.told + ended.said, ended
        assert kept(daemon.log.parent, KEY, SECRET, PASSWORD) == []


def test_a_paper_stack_shows_no_secret_in_arguments_logs_or_files_and_keeps_its_files_private(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    log = tmp_path / "said"
    environment = config.clean_environment(**KEYS, PMS_DATA_DIR=str(data), PMS_LOG_FORMAT="json")
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "pms", "run", "--json"],
            cwd=stack.ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=said,
        )
    assert process.stdout is not None
    try:
        told = process.stdout.readline().decode()
        assert told, log.read_text()
        password = urlsplit((data / "redis.url").read_text().strip()).password
        assert password
        shown = b"\n".join(arguments(process.pid))
        assert b"redis-server" in shown
        for secret in (KEY, SECRET, password):
            assert secret.encode() not in shown
        os.kill(json.loads(told)["redis"]["pid"], signal.SIGKILL)
        until(lambda: "child_ended" in log.read_text(), LIMIT_S, "Redis is brought back")
    finally:
        process.terminate()
        rest = process.communicate(timeout=LIMIT_S)[0].decode()
    said_all = told + rest + log.read_text() + "".join(map(logged, data.glob("*.log*")))
    system = (data / FOLDER / "system.jsonl").read_text()
    assert "child_ended" in system
    for secret in (KEY, SECRET, password):
        assert secret not in said_all + system
    assert kept(data, KEY, SECRET) == []
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert [path.name for path in data.rglob("*") if path.is_file() and path.stat().st_mode & 0o077] == []


def kept(folder: Path, *secrets: str) -> list[tuple[str, str]]:
    """Which files of a folder hold which secret."""
    return [
        (path.name, secret)
        for path in folder.rglob("*")
        if path.is_file()
        for secret in secrets
        if secret in logged(path)
    ]


def arguments(pid: int) -> list[bytes]:
    """The command lines of a process and of everything below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    below = [line for number in children for line in arguments(int(number))]
    return [Path(f"/proc/{pid}/cmdline").read_bytes(), *below]
