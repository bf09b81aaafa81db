"""Requests and answers of the WebSocket API as text (binance.md 2, 3.6). Pure: ids and the time to sign are given.

Owns both forms. An answer comes out as REST's would, with status, counters as headers and body, so that one table of
outcomes reads both. Refuses to know sockets and what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from pms.binance.signing import Signer, is_plain
from pms.binance.transport import Response

_STAMP, _WINDOW = "timestamp", "recvWindow"


class Call:
    """One request, ready but for its id and its moment. Without `signer` the session's logon stands for key and
    signature. Values must be plain (`callable_with`): they are signed and sent as they are."""

    __slots__ = ("_middle", "_part", "_tail")

    def __init__(
        self, method: str, params: Sequence[tuple[str, str]], window_ms: int, key: str, signer: Signer | None
    ) -> None:
        values = dict(params)
        if signer is not None:
            values["apiKey"] = key
        values[_WINDOW] = str(window_ms)
        shape = _shape(tuple(values))
        self._middle = f',"method":"{method}",{shape.json % values}'
        self._part = None
        self._tail = ""
        if signer is not None:
            self._part = signer.part(shape.before % values)
            self._tail = shape.after % values

    def text(self, ident: int, timestamp_ms: int) -> str:
        """The frame: to be sent as it is, now. To be asked once."""
        stamp = str(timestamp_ms)
        if self._part is None:
            return f'{{"id":{ident}{self._middle}{stamp}}}}}'
        signature = self._part.sign(stamp + self._tail)
        return f'{{"id":{ident}{self._middle}{stamp},"signature":"{signature}"}}}}'


class _Shape(NamedTuple):
    """The text of requests with the same parameters, to be filled in by name: `json` up to the timestamp, and what is
    signed before and after it."""

    json: str
    before: str
    after: str


@lru_cache(maxsize=64)  # there are a handful
def _shape(names: tuple[str, ...]) -> _Shape:
    fields = ",".join(f'"{name}":%({name})s' if name == _WINDOW else f'"{name}":"%({name})s"' for name in names)
    before = "".join(f"{name}=%({name})s&" for name in sorted(names) if name < _STAMP) + f"{_STAMP}="
    after = "".join(f"&{name}=%({name})s" for name in sorted(names) if name > _STAMP)
    return _Shape(f'"params":{{{fields},"{_STAMP}":', before, after)


def callable_with(params: Sequence[tuple[str, str]]) -> bool:
    """Whether a request may go this way. What needs quoting goes over REST: how it would be signed here is not told."""
    return is_plain(params)


class _Limit(msgspec.Struct, rename="camel"):
    rate_limit_type: str
    interval: str
    interval_num: int = 1
    count: int = 0


class _Event(msgspec.Struct):
    e: str = ""


class Frame(msgspec.Struct, rename="camel"):
    """What the venue sends: an answer with the id of its request, or an event."""

    id: int | str | None = None
    status: int = 0
    result: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")
    rate_limits: list[_Limit] = []
    event: _Event | None = None


class _When(msgspec.Struct, rename="camel"):
    retry_after: int = 0
    server_time: int = 0


class _Refusal(msgspec.Struct):
    data: _When | None = None


decode = msgspec.json.Decoder(Frame).decode
_refusal = msgspec.json.Decoder(_Refusal).decode
# The weight's count is left out: whether it is REST's or one of its own is told both ways (binance.md 3.1), and a lower
# count than REST's would let us forget what we have used. Our own charge counts all the same.
_HEADERS: Mapping[tuple[str, str], str] = {
    ("ORDERS", "SECOND"): "x-mbx-order-count-10s",
    ("ORDERS", "MINUTE"): "x-mbx-order-count-1m",
}


def response(frame: Frame, now_ms: int) -> Response:
    """An answer in the form of REST's. `now_ms` is the venue's time, for a refusal that tells none."""
    headers = {
        _HEADERS[row.rate_limit_type, row.interval]: str(row.count)
        for row in frame.rate_limits
        if (row.rate_limit_type, row.interval) in _HEADERS
    }
    if frame.status == 200:
        return Response(200, headers, bytes(frame.result))
    seconds = _retry_after(frame.error, now_ms)
    if seconds:
        headers["retry-after"] = str(seconds)
    return Response(frame.status, headers, bytes(frame.error))


def _retry_after(error: msgspec.Raw, now_ms: int) -> int:
    """Whole seconds to wait, rounded up; 0 where none are told."""
    try:
        told = _refusal(error).data
    except msgspec.MsgspecError:
        return 0
    if told is None or not told.retry_after:
        return 0
    return max(1, -(((told.server_time or now_ms) - told.retry_after) // 1000))
