"""`pms` commands as they are typed: run to their end, or kept running, in a data directory of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import redis

from schemas.keys import Keys
from tests.process.stack import ROOT
from tests.waiting import until

KEYS = Keys()
END_S = 30  # a command takes a tenth of a second; two cores may be busy
STILL = ("--profile", "still", "--symbols", "BTCUSDT")


def environment(data: Path, **more: str) -> dict[str, str]:
    """Ours without what would change settings, with this data directory."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PMS_", "PYTEST_"))}
    settled = {"PMS_DATA_DIR": str(data), "PMS_LOG_FORMAT": "json", "PMS_RECORDS": "off"}  # a second of a core each
    return ours | settled | more


def pms(data: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Type a command and wait for its end."""
    command = [sys.executable, "-m", "pms", *words]
    given = environment(data, **more)
    return subprocess.run(
        command,
        cwd=ROOT,
        env=given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )


def spawn(data: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    """Type a command that goes on."""
    data.parent.mkdir(exist_ok=True, parents=True)
    with data.with_name(f"{data.name}.log").open("ab") as errors:
        command = [sys.executable, "-m", "pms", *words]
        given = environment(data, **more)
        return subprocess.Popen(command, cwd=ROOT, env=given, stdout=subprocess.PIPE, stderr=errors, text=True)


class Up:
    """`pms up --json` on a still market."""

    def __init__(self, data: Path, *words: str, **more: str) -> None:
        self.data = data
        self.process = spawn(data, "up", "--json", *(words or STILL), **more)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it ended: {data.with_name(f'{data.name}.log').read_text()[-2000:]}"
        self.told: dict[str, Any] = json.loads(line)

    def pms(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return pms(self.data, *words, **more)

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url((self.data / "redis.url").read_text().strip(), decode_responses=True)

    def events(self) -> list[dict[str, Any]]:
        with self.redis() as client:
            return [json.loads(row["event"]) for _, row in client.xrange(KEYS.event_stream)]

    def children(self) -> list[int]:
        """Process ids of Redis and the simulator."""
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def end(self, signal_number: int) -> int:
        """Send a signal, and wait for its exit code."""
        self.process.send_signal(signal_number)
        return self.ended_with()

    def ended_with(self) -> int:
        """Wait for its end; the exit code."""
        code = self.process.wait(END_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def alive(pids: list[int]) -> list[int]:
    """Those that still run."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()]


def until_gone(pids: list[int]) -> None:
    until(lambda: not alive(pids), 10, f"{pids} are gone")
