"""Tells a service manager how the daemon is: systemd's notify protocol, READY=1, WATCHDOG=1 and STOPPING=1.

Owns one datagram socket. Refuses to judge how the daemon is, and to fail: a manager that does not listen is logged, and
the daemon goes on. Where no manager has started us (no NOTIFY_SOCKET) nothing is said.
"""

from __future__ import annotations

import socket

import structlog

from pms.clock import Clock
from pms.config import Notify

_log = structlog.get_logger("pms.service_manager")


class ServiceManager:
    """See the module. What it is told comes from the event loop that trades: a loop that stands still says nothing,
    and a manager that watches starts the daemon anew."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if notify.address else None
        if self._socket is not None:
            self._socket.setblocking(False)

    def ready(self) -> None:
        """The doors are open."""
        self._say("READY=1")

    def stopping(self) -> None:
        """The daemon has begun to stop."""
        self._say("STOPPING=1")

    async def watch(self, clock: Clock) -> None:
        """Give a sign of life twice within the time that the manager waits for one; nothing where it waits for none."""
        while self._notify.watchdog_s:
            self._say("WATCHDOG=1")
            await clock.sleep(self._notify.watchdog_s / 2)

    def _say(self, word: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(word.encode(), self._notify.address)
        except OSError as error:
            _log.warning("service_manager_not_told", word=word, reason=str(error))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
