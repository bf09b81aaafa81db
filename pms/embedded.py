"""A private redis-server as our child, for whoever has none of their own (setup.md 1.4).

Owns the choice of the binary, its configuration, its life and its addresses. Refuses to know what is kept in it; with
PMS_REDIS_URL set nobody calls it. Invariants: loopback and password only; what it holds survives us (append-only
file); it ends when we end, however we end; one server at a time works on a data directory, as the child keeps the
directory's lock open. Synchronous, and to be called from the main thread: the kernel ties the child's life to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote

import msgspec

from pms import acl, child, exits
from pms.datadir import DataDir
from pms.log_files import ChildLog
from schemas.keys import Keys

DEFAULT_PORT = 16379
NAMES = ("redis-server", "valkey-server")
OLDEST = (6, 2)  # the commands we use are those of 6.2
USUAL_PLACES = ("/usr/bin", "/usr/local/bin")
SOCKET_PATH_LIMIT = 107  # bytes the kernel takes for a socket's path
START_LIMIT_S = 60  # loading a large append-only file; an empty one takes 10-30 ms
POLL_S = 0.005
PORT_TRIES = 5


class EmbeddedFailed(Exception):
    """The private Redis did not start; the text says why and what to do. `exit_code` is for the command line."""

    exit_code = exits.UNAVAILABLE


class Binary(NamedTuple):
    """A redis-server program and the version that it says it is."""

    path: Path
    version: tuple[int, int, int]


class Endpoint(msgspec.Struct, frozen=True):
    """Where the running server is. The URLs carry passwords: print `address`, not them."""

    port: int
    url_tcp: str
    url_unix: str
    url_read: str
    url_command: str
    version: str
    binary: Path
    pid: int

    def __repr__(self) -> str:
        return f"Endpoint({self.address})"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


def _examine(path: Path) -> Binary | None:
    """The binary at `path`, or None where it does not run here."""
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", told)
    return Binary(path, (int(match[1]), int(match[2]), int(match[3]))) if match else None


def binaries() -> Iterator[Binary]:
    """Every usable redis-server, best first: the host's own (it gets security fixes), then the one packed in .venv."""
    ours = Path(sys.prefix)
    folders = [Path(folder) for folder in (*os.get_exec_path(), *USUAL_PLACES) if Path(folder) != ours / "bin"]
    seen: set[Path] = set()
    for path in [*(folder / name for folder in folders for name in NAMES), ours / "redis" / "redis-server"]:
        if path.resolve() in seen or not os.access(path, os.X_OK):
            continue
        seen.add(path.resolve())
        binary = _examine(path)
        if binary and binary.version >= OLDEST:
            yield binary


def choose_binary() -> Binary:
    """The preferred redis-server. Raises `EmbeddedFailed` where there is none."""
    for binary in binaries():
        return binary
    raise EmbeddedFailed(
        "no redis-server 6.2 or newer was found on this host, nothing was started. Install one (Debian and Ubuntu: "
        "apt-get install redis-server; Alpine: apk add redis), or set PMS_REDIS_URL to a Redis of your own."
    )


def socket_path(folder: Path, name: str) -> Path:
    """In the data directory, or where that path is too long for a socket, in a private temporary folder."""
    wanted = folder / name
    if len(os.fsencode(wanted)) <= SOCKET_PATH_LIMIT:
        return wanted
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    private = Path(tempfile.gettempdir(), f"pms-{os.getuid()}-{digest}")
    private.mkdir(mode=0o700, exist_ok=True)
    found = private.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EmbeddedFailed(f"{private} is not a private folder of this user; remove it, nothing was started")
    return private / name


def _quoted(value: object) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class EmbeddedRedis:
    """A private Redis in a data directory. `start` again after its death brings it back at the same address.

    `port` 0 takes a free one; a taken port falls back to a free one. `fsync` is Redis' appendfsync.
    """

    def __init__(
        self,
        data: DataDir,
        keys: Keys,
        *,
        binary: Path | None = None,
        port: int = DEFAULT_PORT,
        fsync: Literal["everysec", "always", "no"] = "everysec",
    ) -> None:
        self._data = data
        self._given = binary
        self._port = port
        self._fsync = fsync
        self._keys = keys
        self._child: subprocess.Popen[bytes] | None = None
        self._socket = data.path / "redis.sock"
        self.log = ChildLog(data.path / "redis.log")

    def start(self) -> Endpoint:
        """Start the server and return when it answers. Raises `EmbeddedFailed` and OSError."""
        binary = choose_binary() if self._given is None else _examine(self._given)
        if binary is None:
            raise EmbeddedFailed(f"{self._given} does not run as a redis-server, nothing was started")
        self._refuse_older(binary)
        self._socket = socket_path(self._data.path, "redis.sock")
        passwords = self._passwords()
        for _ in range(PORT_TRIES):
            if not self._port or not child.is_free(self._port):
                self._port = child.free_port()
            self._launch(binary, passwords)
            if self._answers(passwords["default"]):
                self._data.write_private("redis.version", ".".join(map(str, binary.version[:2])))
                return self._describe(binary, passwords)
            self.stop()
            if child.is_free(self._port):
                break  # it was not the port
        raise EmbeddedFailed(f"{binary.path} did not start. {self._last_words()}")

    def stop(self) -> None:
        """End the server; what it holds is on disk when this returns."""
        if self._child is None:
            return
        child.stop(self._child)
        self._child = None
        self.log.close()
        if self._socket.parent != self._data.path:
            with contextlib.suppress(OSError):  # not empty or gone already: both harmless
                self._socket.parent.rmdir()

    def revive(self) -> None:
        """Start a server that ended by itself at its old address, without waiting until it answers."""
        self._launch(choose_binary() if self._given is None else Binary(self._given, (0, 0, 0)), self._passwords())

    def ended(self) -> bool:
        """Whether the server has ended by itself (killed, out of memory)."""
        return self._child is not None and self._child.poll() is not None

    def _refuse_older(self, binary: Binary) -> None:
        """An older Redis does not see a newer one's append-only files and would start empty: refuse instead."""
        note = self._data.path / "redis.version"
        kept = tuple(int(part) for part in note.read_text().split(".")) if note.exists() else (0, 0)
        if binary.version[:2] < kept:
            written = ".".join(map(str, kept))
            raise EmbeddedFailed(
                f"the state in {self._data.path} was written by Redis {written}; {binary.path} is older and would "
                f"start without it. Install redis-server {written} or newer, or set PMS_DATA_DIR to another directory."
            )

    def _passwords(self) -> dict[str, str]:
        return self._data.passwords("redis.secrets", ["default", *acl.rules(self._keys)])

    def _configuration(self, passwords: dict[str, str]) -> str:
        lines = [
            "bind 127.0.0.1",
            f"port {self._port}",
            f"unixsocket {_quoted(self._socket)}",
            "unixsocketperm 700",
            f"requirepass {passwords['default']}",
            f"dir {_quoted(self._data.path)}",
            "appendonly yes",
            f"appendfsync {self._fsync}",
            'save ""',
            "maxmemory-policy noeviction",
            "client-output-buffer-limit pubsub 64mb 16mb 60",  # a slow subscriber is cut, not Redis filled
            "daemonize no",
            "always-show-logo no",
            *acl.directives(self._keys, passwords),
        ]
        return "\n".join(lines) + "\n"

    def _launch(self, binary: Binary, passwords: dict[str, str]) -> None:
        conf = self._data.write_private("redis.conf", self._configuration(passwords))
        program = [str(binary.path), str(conf)]
        self._child = child.start(program, self.log, lock=self._data.lock)

    def _answers(self, password: str) -> bool:
        """Wait until the server has loaded its state and answers; False where it ended or took too long."""
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and not self.ended():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1)
                probe.connect(str(self._socket))
                probe.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                told = b""
                while told.count(b"\r\n") < 2 and (part := probe.recv(256)):
                    told += part
                if b"+PONG" in told:  # otherwise it is loading
                    return True
            time.sleep(POLL_S)
        return False

    def _describe(self, binary: Binary, passwords: dict[str, str]) -> Endpoint:
        assert self._child is not None
        read, command = acl.rules(self._keys)

        def url(user: str, password: str) -> str:
            return f"redis://{user}:{password}@127.0.0.1:{self._port}/0"

        tcp = url("", passwords["default"])
        self._data.write_private("redis.url", tcp + "\n")
        return Endpoint(
            port=self._port,
            url_tcp=tcp,
            url_unix=f"unix://:{passwords['default']}@{quote(str(self._socket))}",
            url_read=url(read, passwords[read]),
            url_command=url(command, passwords[command]),
            version=".".join(map(str, binary.version)),
            binary=binary.path,
            pid=self._child.pid,
        )

    def _last_words(self) -> str:
        log = self.log.path
        lines = log.read_text(errors="replace").strip().splitlines()[-3:]
        return f"Its last words ({log}): " + " / ".join(lines or ["none"])
