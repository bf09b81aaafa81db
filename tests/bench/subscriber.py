"""A frontend of its own process: it notes when an event came, and tells the venue's process on stdout.

`python -m tests.bench.subscriber REDIS_SOCKET PASSWORD`: one line of JSON per event, `[nanoseconds, channel, trade]`,
after one per pattern that says it listens.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import hiredis
import msgspec
import uvloop

PATTERNS = ("pms:events:*", "reference:*")


class Event(msgspec.Struct, rename="camel"):
    trade_id: int = 0


_event = msgspec.json.Decoder(Event).decode


class Subscriber(asyncio.Protocol):
    def __init__(self) -> None:
        self._reader = hiredis.Reader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        write: Any = transport
        write.write(hiredis.pack_command(("AUTH", sys.argv[2])))
        write.write(hiredis.pack_command(("PSUBSCRIBE", *PATTERNS)))

    def data_received(self, data: bytes) -> None:
        stamp = time.perf_counter_ns()
        self._reader.feed(data)
        told = []
        while (reply := self._reader.gets()) is not False:
            if isinstance(reply, list) and reply[0] == b"pmessage":
                told.append(msgspec.json.encode((stamp, reply[2].decode(), _event(reply[3]).trade_id)))
            elif isinstance(reply, list):
                told.append(msgspec.json.encode((stamp, "subscribed", 0)))
        if told:
            os.write(1, b"\n".join(told) + b"\n")


async def run() -> None:
    await asyncio.get_running_loop().create_unix_connection(Subscriber, sys.argv[1])
    await asyncio.to_thread(sys.stdin.read)  # ends with whoever started us


if __name__ == "__main__":
    uvloop.run(run())
