"""A plain, blocking connection to the daemon's Redis, for commands that are typed: opened in a millisecond.

Owns finding the address, the greeting, and one reply per command. Refuses to retry. redis-py would do the same, and
take longer to import than a command takes to run.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import hiredis

from pms import config
from schemas.keys import Keys

TIMEOUT_S = 5.0  # for connecting and for one reply: a server this late is stopped
SCAN_COUNT = 1000
Word = str | bytes | int


class Unreachable(Exception):
    """There is no Redis, or it went away. The text says what to do; nothing was done."""


class Refused(Exception):
    """An error reply of Redis, or that it does not let us in; the text says what to do."""


class Redis:
    """One connection. Raises `Unreachable` wherever it can't be used."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._where = unquote(parts.path) if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
        self._reader = hiredis.Reader(replyError=Refused, protocolError=ConnectionResetError)
        try:
            self._socket = _connect(url)
        except OSError as error:
            raise self._lost(error) from error
        self._greet(parts)

    def _greet(self, parts: SplitResult) -> None:
        """Come in as the address says. Raises `Refused` with a sentence for a person where Redis does not let us."""
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        number = "" if parts.scheme == "unix" else parts.path.strip("/")
        try:
            if password:
                self.call("AUTH", *([user] if user else []), password)
            self.call("SELECT", number or "0")
        except Refused as refused:
            self.close()
            raise Refused(f"Redis at {self._where} {_why_not_in(str(refused), number)}") from refused

    def _lost(self, error: OSError) -> Unreachable:
        hint = "Is the daemon running? Start it with: python3 -m pms up"
        return Unreachable(f"Redis at {self._where} can't be reached ({error}). {hint}")

    def call(self, *words: Word) -> Any:
        """The reply to one command. Raises `Refused` for an error reply."""
        self.send(*words)
        reply = self.read(TIMEOUT_S)
        if reply is False:
            raise self._lost(TimeoutError(f"no answer within {TIMEOUT_S} s"))
        if isinstance(reply, Refused):
            raise reply
        return reply

    def send(self, *words: Word) -> None:
        try:
            self._socket.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]  # takes any sequence of words
        except OSError as error:
            raise self._lost(error) from error

    def read(self, within_s: float) -> Any:
        """The next reply or message, or False where none comes within that time."""
        while (reply := self._reader.gets()) is False:
            try:
                if not select.select((self._socket,), (), (), within_s)[0]:
                    return False
                if not (data := self._socket.recv(1 << 16)):
                    raise ConnectionResetError("it closed the connection")
                self._reader.feed(data)
            except OSError as error:
                raise self._lost(error) from error
        return reply

    def scan(self, pattern: str) -> Iterator[str]:
        """Every key that matches, once."""
        seen: set[bytes] = set()
        cursor: Word = 0
        while True:
            cursor, found = self.call("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
            yield from (key.decode() for key in found if key not in seen)
            seen.update(found)
            if cursor == b"0":
                return

    def rows(self, key: str) -> dict[str, bytes]:
        """A hash."""
        flat: Sequence[bytes] = self.call("HGETALL", key)
        return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}

    def close(self) -> None:
        self._socket.close()


def _why_not_in(said: str, number: str) -> str:
    """What is wrong with an address, by the first word of Redis' refusal."""
    match said.partition(" ")[0]:
        case "WRONGPASS":
            return f"does not take this user and password ({said}). Put the right ones into PMS_REDIS_URL."
        case "NOAUTH":
            return (
                f"wants a password ({said}). Put user and password into PMS_REDIS_URL, as redis://USER:PASSWORD@HOST."
            )
        case "NOPERM":
            return f"does not let this user do it ({said}). Take another user in PMS_REDIS_URL, or mend its ACL."
        case "LOADING":
            return f"is still reading its data ({said}). Try again in a moment."
        case _:
            return f"has no database {number} ({said}). Leave the number at the end of PMS_REDIS_URL out."


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(TIMEOUT_S)
        plain.connect(unquote(parts.path))
        return plain
    plain = socket.create_connection((parts.hostname or "localhost", parts.port or 6379), TIMEOUT_S)
    if parts.scheme == "rediss":
        import ssl  # it takes longer than all else here

        return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
    return plain


def find() -> tuple[str, Keys]:
    """The daemon's Redis and its names: PMS_REDIS_URL, or what a private Redis left in the data directory."""
    reach = config.reach()
    if reach.redis_url:
        return reach.redis_url, Keys(reach.namespace)
    note = reach.data_dir / "redis.url"
    if not note.exists() or not os.access(note, os.R_OK):
        raise Unreachable(
            f"No daemon was found: there is no {note} to read, and PMS_REDIS_URL is not set. "
            "Start one with `python3 -m pms up`, or come to its directory, or set PMS_DATA_DIR."
        )
    return note.read_text().strip(), Keys(reach.namespace)
