"""A daemon by itself in a process, for what only a fresh one shows: how fast it starts and how much it holds.

`python -m tests.bench.lone REDIS_URL PORT`: prints `[seconds to doors open, MB then]`; at each line on stdin the bytes
it holds then.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from tests.bench.orders import product
from tests.bench.quiet import quiet

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Bytes of memory that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


async def run() -> None:
    begin = time.perf_counter()
    async with product(sys.argv[1], int(sys.argv[2]), None):
        print(msgspec.json.encode((time.perf_counter() - begin, resident() / 1e6)).decode(), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(resident(), flush=True)


if __name__ == "__main__":
    with quiet():
        uvloop.run(run())
