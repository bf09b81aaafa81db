"""The client's side of RFC 6455, as far as a market-data client needs it: handshake, reading and writing frames. Pure.

Owns bytes. Refuses to know sockets, time and chance: keys and masks are given. No extensions are offered, so a
frame with a reserved bit, like a masked one or one beyond the limit, is the server's error and raises
`ProtocolError`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0
FIN = 0x80
MASKED = 0x80
CONTROL_MAX = 125  # RFC 6455 5.5
HEAD_MAX = 16_384  # a longer handshake answer is no handshake
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
_WHOLE_TEXT = FIN | TEXT


class ProtocolError(Exception):
    """The server does not speak the protocol: the connection is of no further use."""


def upgrade(target: str, host: str, key: bytes) -> bytes:
    """The request that opens a socket; `key` is 16 bytes of chance."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(key).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def check_answer(head: bytes, key: bytes) -> None:
    """Raises `ProtocolError` where the answer to `upgrade` is not a socket. `head` ends before the blank line."""
    status, *lines = head.split(b"\r\n")
    if status.split(b" ")[1:2] != [b"101"]:
        raise ProtocolError(f"the venue answered {status[:80].decode('latin-1')!r} instead of opening a socket")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    digest = hashlib.sha1(base64.b64encode(key) + _GUID, usedforsecurity=False).digest()
    if fields.get(b"sec-websocket-accept") != base64.b64encode(digest):
        raise ProtocolError("the answer to the handshake is not one to ours")


def frame(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """One whole masked frame; `mask` is 4 bytes of chance."""
    size = len(payload)
    if size < 126:
        head = bytes((FIN | opcode, MASKED | size))
    elif size < 65_536:
        head = bytes((FIN | opcode, MASKED | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((FIN | opcode, MASKED | 127)) + size.to_bytes(8, "big")
    key = (mask * (size // 4 + 1))[:size]
    hidden = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask + hidden.to_bytes(size, "big")


class Reader:
    """Cuts what was received into messages, told whole to `on_message`, and control frames, told to `on_control`."""

    def __init__(
        self, on_message: Callable[[bytes], None], on_control: Callable[[int, bytes], None], limit: int
    ) -> None:
        self._on_message = on_message
        self._on_control = on_control
        self._limit = limit
        self._rest = b""
        self._parts: list[bytes] | None = None  # of a message that comes in several frames

    def feed(self, data: bytes) -> None:
        """Take received bytes, cut anywhere. Raises `ProtocolError`."""
        if self._rest:
            data = self._rest + data
        at, size, on_message = 0, len(data), self._on_message
        while size - at >= 2:
            length, start = data[at + 1], at + 2
            if length >= 126:
                if length > 127:
                    raise ProtocolError("a masked frame from the server")
                start += 2 if length == 126 else 8
                if start > size:
                    break
                length = int.from_bytes(data[at + 2 : start], "big")
                if length > self._limit:
                    raise ProtocolError(f"a frame of {length} bytes; at most {self._limit} are taken")
            end = start + length
            if end > size:
                break
            if data[at] == _WHOLE_TEXT and self._parts is None:
                on_message(data[start:end])
            else:
                self._unusual(data[at], data[start:end])
            at = end
        self._rest = data[at:]

    def _unusual(self, head: int, payload: bytes) -> None:
        """Control frames, binary messages and parts of messages."""
        opcode, last = head & 0x0F, bool(head & FIN)
        if head & 0x70:
            raise ProtocolError("a frame with an extension that was not offered")
        if opcode in (CLOSE, PING, PONG):
            if not last or len(payload) > CONTROL_MAX:
                raise ProtocolError("a control frame in parts, or too long")
            self._on_control(opcode, payload)
        elif opcode in (TEXT, BINARY) and self._parts is None:
            self._parts = []
            self._part(payload, last)
        elif opcode == CONTINUATION and self._parts is not None:
            self._part(payload, last)
        else:
            raise ProtocolError(f"a frame out of turn (opcode {opcode})")

    def _part(self, payload: bytes, last: bool) -> None:
        assert self._parts is not None
        self._parts.append(payload)
        if sum(map(len, self._parts)) > self._limit:
            raise ProtocolError(f"a message of more than {self._limit} bytes")
        if last:
            whole, self._parts = b"".join(self._parts), None
            self._on_message(whole)
