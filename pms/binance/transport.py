"""The wire under the Binance adapter as a port: requests and frame sockets.

The same adapter runs over TCP (`pms.binance.http`, `pms.binance.ws`) and in memory (tests/world). An HTTP client
that re-sends by itself would be a blind retry under our feet (execution.md 4): an implementation sends each request at
most once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec


class Response(msgspec.Struct, frozen=True):
    """A whole HTTP answer. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class NotSent(Exception):
    """The request certainly did not reach the wire (connect refused, DNS, TLS, closed before): it may be sent again."""


class Lost(Exception):
    """The request was written and no whole answer came (reset, timeout, garbage): it may have been executed."""


class Http(Protocol):
    """Sends one request, once."""

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """`target` is the path with the raw, already encoded query. Raises `NotSent` or `Lost`."""
        ...

    async def close(self) -> None: ...


class Socket(Protocol):
    """An open frame socket."""

    def send(self, text: str) -> None:
        """Queue one text frame; silently without effect once closed (`on_close` has told or will tell)."""
        ...

    async def close(self) -> None: ...


class Sockets(Protocol):
    """Opens frame sockets. Frames and the end are told by plain calls, so that a frame costs no task switch."""

    async def connect(self, url: str, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]) -> Socket:
        """Raises `NotSent` when the socket could not be opened. `on_close(reason)` is called exactly once, later."""
        ...
