"""HTTP/1.1 as bytes: writes a request, reads an answer (RFC 9112, the part a REST client needs).

Owns the wire form only: it does no I/O and keeps no connections. An answer is whole or it is none: `Answer.feed`
returns a `Response` once the last byte is there, and everything that does not follow the rules raises `Malformed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from pms.binance.transport import Response

HEAD_MAX = 64 * 1024  # the venue's heads have under 2 kB; a peer that sends more is not the venue
BODY_MAX = 32 * 1024 * 1024  # exchangeInfo has a few MB and grows
_BODYLESS = frozenset((204, 304))


class Malformed(Exception):
    """The peer's bytes are no HTTP/1.1 answer within our limits."""


def request(method: str, target: str, host: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """One request as bytes. `target` is percent-encoded already; ValueError where a part would break the framing."""
    length = len(body) if body or method != "GET" else None
    head = f"{method} {target} HTTP/1.1\r\n{_headers(host, tuple(headers.items()), length)}"
    if " " in target or "\n" in target or not head.isascii():  # an encoder's error would show the head
        raise ValueError("a space in the target, or a line break or a character beyond ASCII in a header")
    return head.encode("ascii") + body


@lru_cache(maxsize=64)  # a client says the same at each request; only the target changes
def _headers(host: str, headers: tuple[tuple[str, str], ...], length: int | None) -> str:
    lines = [f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    if any("\n" in line for line in lines):
        raise ValueError("a line break in a header")
    return "\r\n".join(lines) + "\r\n\r\n"


class Answer:
    """Reads one answer, fed as it arrives.

    `reusable` (of a whole answer) tells whether the connection may carry another request: the peer keeps it open, and
    sent nothing beyond the answer.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._status = 0
        self._headers: dict[str, str] = {}
        self._length: int | None = None
        self._chunked = False
        self._body = bytearray()
        self.reusable = False

    def feed(self, data: bytes) -> Response | None:
        """The answer, once whole. Raises `Malformed`."""
        self._data += data
        while not self._status:
            if not self._read_head():
                return None
        if self._chunked:
            return self._whole() if self._read_chunks() else None
        if self._length is None or len(self._data) < self._length:
            if len(self._data) > BODY_MAX:
                raise Malformed(f"a body of more than {BODY_MAX} bytes")
            return None
        self._body = self._data[: self._length]
        del self._data[: self._length]
        return self._whole()

    def end(self) -> Response | None:
        """The peer closed: whole now, if the end of the connection is what delimits this answer; otherwise None."""
        if not self._status or self._chunked or self._length is not None:
            return None
        self._body, self._data = self._data, bytearray()
        self.reusable = False
        return Response(self._status, self._headers, bytes(self._body))

    def _whole(self) -> Response:
        self.reusable = not self._data and self._headers.get("connection", "").lower() != "close"
        return Response(self._status, self._headers, bytes(self._body))

    def _read_head(self) -> bool:
        """Take the head off the data; False while it is not whole. An informational answer (1xx) is passed over."""
        cut = self._data.find(b"\r\n\r\n")
        if cut < 0 or cut > HEAD_MAX:
            if len(self._data) > HEAD_MAX:
                raise Malformed(f"a head of more than {HEAD_MAX} bytes")
            return False
        first, *lines = self._data[:cut].decode("latin-1").split("\r\n")
        del self._data[: cut + 4]
        version, _, rest = first.partition(" ")
        code = rest[:3]
        if version not in ("HTTP/1.1", "HTTP/1.0") or not (code.isascii() and code.isdigit() and len(code) == 3):
            raise Malformed(f"no status line: {first[:80]!r}")
        try:
            headers = {name.lower(): value.strip() for name, value in [line.split(":", 1) for line in lines]}
        except ValueError:
            raise Malformed("a header line without a colon") from None
        status = int(code)
        if status >= 200:
            if version == "HTTP/1.0":
                headers["connection"] = "close"
            self._status, self._headers = status, headers
            self._delimit()
        return True

    def _delimit(self) -> None:
        """How the end of the body is told: chunks, a length, or the end of the connection."""
        length = self._headers.get("content-length")
        if self._status in _BODYLESS:
            self._length = 0
        elif self._headers.get("transfer-encoding", "").lower() == "chunked":
            self._chunked = True
        elif length is not None:
            if not (length.isascii() and length.isdigit()) or int(length) > BODY_MAX:
                raise Malformed(f"content-length {length[:40]!r}")
            self._length = int(length)

    def _read_chunks(self) -> bool:
        """Move whole chunks to the body; True after the last one and its trailers."""
        while (line := self._data.find(b"\r\n")) >= 0:
            text = bytes(self._data[:line]).partition(b";")[0].strip()
            if not text or len(text) > 8 or text.strip(b"0123456789abcdefABCDEF"):
                raise Malformed(f"chunk size {text[:40]!r}")
            size = int(text, 16)
            if len(self._body) + size > BODY_MAX:
                raise Malformed(f"a body of more than {BODY_MAX} bytes")
            if size == 0:
                return self._read_trailers(line)
            end = line + 2 + size
            if len(self._data) < end + 2:
                return False
            if self._data[end : end + 2] != b"\r\n":
                raise Malformed("a chunk that does not end where it said")
            self._body += self._data[line + 2 : end]
            del self._data[: end + 2]
        if len(self._data) > HEAD_MAX:
            raise Malformed("a chunk size that does not end")
        return False

    def _read_trailers(self, line: int) -> bool:
        """Drop the trailers after the last chunk, whose size line ends at `line`; False while they are not whole."""
        end = self._data.find(b"\r\n\r\n", line)
        if end < 0:
            if len(self._data) > HEAD_MAX:
                raise Malformed("trailers that do not end")
            return False
        del self._data[: end + 4]
        return True
