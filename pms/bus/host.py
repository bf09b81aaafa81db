"""Which process on which host holds the lease, and whether one that did is provably dead (execution.md 19).

Owns what is read of the operating system for that. Refuses to know Redis. Where anything can't be read, nobody is
proven dead.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from schemas.records import Holder

_PROC = Path("/proc")


def _started(pid: int) -> int:
    """When a process of this namespace started, 0 where there is none.

    The name in field 2 may hold blanks and brackets.
    """
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def this_process() -> Holder:
    """Who we are. Where there is no /proc (a bare chroot) what can't be told is empty, and proves nothing."""
    try:
        boot_id = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        pid_namespace = str((_PROC / "self/ns/pid").readlink())
    except OSError:
        boot_id = pid_namespace = ""
    return Holder(
        host=socket.gethostname(),
        boot_id=boot_id,
        pid_namespace=pid_namespace,
        pid=os.getpid(),
        started=_started(os.getpid()),
    )


def is_dead(holder: Holder, me: Holder) -> bool:
    """Whether `holder` certainly runs no more: this host booted since, or its pid is nobody's or another's."""
    if holder.host != me.host or not holder.boot_id or not me.boot_id:
        return False
    if holder.boot_id != me.boot_id:
        return True
    return holder.pid_namespace == me.pid_namespace and _started(holder.pid) != holder.started
