"""The event stream for a reader who may lose nothing: subscription and stream as contract.md, "Events out", says.

Owns the order and the filling of gaps. Refuses to interpret events but for their number.
"""

from __future__ import annotations

import json
import select
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from pms.cli.wire import Redis, Unreachable
from schemas.keys import STREAM_FIELD, Keys

PAGE = 1000  # contract.md: more would keep Redis busy for others
RETRY_S = 0.5

Event = dict[str, Any]


def read(body: bytes) -> Event:
    """An event with exact numbers."""
    event: Event = json.loads(body, parse_float=Decimal)
    return event


class Feed:
    """Events after `last` in order, each once. `trimmed` counts those that the stream no longer held."""

    def __init__(self, url: str, keys: Keys, last: int | None = None) -> None:
        self._url, self._keys = url, keys
        self.trimmed = 0
        self._open()
        if last is None:
            newest = self._stream.call("XREVRANGE", keys.event_stream, "+", "-", "COUNT", 1)
            last = _number(newest[0][0]) if newest else 0
        self.last = last
        self._behind = True

    def _open(self) -> None:
        self._channel, self._stream = Redis(self._url), Redis(self._url)
        self._channel.call("PSUBSCRIBE", self._keys.event_channels)

    def close(self) -> None:
        self._channel.close()
        self._stream.close()

    def ready(self, within_s: float) -> Iterator[bytes]:
        """What has come, waiting up to `within_s` for the first. Raises `Unreachable`; `resume` then goes on."""
        if self._behind:
            self._behind = False
            yield from self._catch_up()
        message = self._channel.read(within_s)
        while message is not False:
            body: bytes = message[3]
            number = read(body)["seq"]
            if number > self.last + 1:
                yield from self._catch_up()
            if number > self.last:
                self.last = number
                yield body
            message = self._channel.read(0)

    def _catch_up(self) -> Iterator[bytes]:
        while True:
            start = f"({self.last}-0" if self.last else "-"
            page = self._stream.call("XRANGE", self._keys.event_stream, start, "+", "COUNT", PAGE)
            for entry, fields in page:
                body = fields[fields.index(STREAM_FIELD.encode()) + 1]
                self._count_trimmed(_number(entry), body)
                self.last = _number(entry)
                yield body
            if len(page) < PAGE:
                return

    def _count_trimmed(self, number: int, body: bytes) -> None:
        if self.last and number > self.last + 1 and b'"seq_jump"' not in body:
            self.trimmed += number - self.last - 1

    def resume(self) -> None:
        """Connect again after a loss, however long it takes; nothing is missed as long as the stream holds it."""
        self.close()
        while True:
            try:
                self._open()
            except Unreachable:
                select.select((), (), (), RETRY_S)
                continue
            self._behind = True
            return


def _number(entry: bytes) -> int:
    return int(entry.partition(b"-")[0])
