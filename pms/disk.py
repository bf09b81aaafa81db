"""Room on the disk that holds the data directory: told of before it is gone (execution.md 33).

Owns the look and its pace. Refuses to make room: what is kept there is the operator's to judge.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from pms.alarms import Alarms
from pms.clock import Clock
from schemas.records import Severity

LOW_BYTES = 1 << 30  # an alarm: days of events are left
FULL_BYTES = 200 << 20  # as Redis gone: its append-only file must still be rewritten, which takes its size again
LOOK_S = 5.0


def free_bytes(folder: Path) -> int:
    """What is free for us on the folder's disk."""
    return shutil.disk_usage(folder).free


class Disk:
    """See the module. `on_full` hears the reason, empty once there is room again."""

    def __init__(
        self,
        free: Callable[[], int],
        clock: Clock,
        now: Callable[[], int],
        alarms: Alarms,
        on_full: Callable[[str], None],
    ) -> None:
        self.free = free
        self._clock = clock
        self._now = now
        self._alarms = alarms
        self._on_full = on_full

    async def run(self) -> None:
        while True:
            self.look()
            await self._clock.sleep(LOOK_S)

    def look(self) -> None:
        """Once, now."""
        free = self.free()
        self._judge("disk_low", "warning", free < LOW_BYTES, free)
        self._judge("disk_full", "critical", free < FULL_BYTES, free)
        self._on_full(_words(free) if free < FULL_BYTES else "")

    def _judge(self, code: str, severity: Severity, short: bool, free: int) -> None:
        if not short:
            self._alarms.clear(code, "disk", self._now())
            return
        message = (
            f"{_words(free)} on the data directory's disk. Make room: below {FULL_BYTES >> 20} MiB nothing that adds "
            "risk is sent any more."
        )
        self._alarms.sound(code, severity, "disk", message, self._now())


def _words(free: int) -> str:
    return f"{free >> 20} MiB are free"
