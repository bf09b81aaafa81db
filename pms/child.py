"""Programs that we start as our own: they end when we end, however we end, and listen on ports that were free.

Owns the tie to our life and the choice of ports. Refuses to know which program. Call from the main thread: the kernel
ties the child's life to the thread that started it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pms.log_files import ChildLog

# The child asks the kernel for a signal when its parent dies, makes sure that this has not happened yet, and becomes
# the program.
_LAUNCH = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, int(sys.argv[2])); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); os.execv(sys.argv[3], sys.argv[3:])"
)
STOP_LIMIT_S = 10


def start(
    program: list[str],
    log: ChildLog,
    *,
    lock: int | None = None,
    cwd: Path | None = None,
    talks: bool = False,
    environment: Mapping[str, str] | None = None,
    ends_by: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start `program` (an absolute path and its arguments).

    It keeps the data directory's `lock` until it ends, writes to `log`, and where it `talks` its standard output comes
    to us. `environment` replaces ours. `ends_by` is the signal that it gets when we die.
    """
    with log.begin() as output:
        told: IO[bytes] | int = subprocess.PIPE if talks else output
        return subprocess.Popen(
            [sys.executable, "-IS", "-c", _LAUNCH, str(os.getpid()), str(int(ends_by)), *program],
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us: we still need it to put things away
            pass_fds=() if lock is None else (lock,),
            cwd=cwd,
            env=environment,
            umask=0o077,
        )


def stop(child: subprocess.Popen[bytes], by: signal.Signals = signal.SIGTERM) -> None:
    """End it and wait; what it keeps is on disk when this returns."""
    child.send_signal(by)
    try:
        child.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a loopback port can be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False
