"""What the daemon shows of itself and of prices: `pms:health`, `pms:price:{SYMBOL}`, and the sign of life in the data
directory.

Owns the pace of these plain writes, none of which is state. Refuses to judge health: it asks. A price that can't be
written now is dropped, the next comes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pms.bus.batch import Batch, Put
from pms.clock import Clock
from pms.ledger import Commits
from pms.quotes import Mark
from schemas import codec
from schemas.keys import HEALTH_TTL_S, PRICE_TTL_S, Keys
from schemas.market import Instrument, Quote
from schemas.records import DaemonStatus, Health, Price

if TYPE_CHECKING:
    from pms.assembly import Assembly

VERSION = "0.1.0"
PACE_S = 2.0  # pms:health lives 15 s, so that seven beats may be missed
TOGETHER_S = 0.02  # prices of so long are one write: fifty symbols would be five hundred a second, beside the orders'
ALIVE_FILE = "alive"


class HealthWriter:
    """Writes `pms:health` every `PACE_S` and the time beside it, so that the next start knows how long nobody
    watched."""

    def __init__(
        self,
        commits: Commits,
        names: Keys,
        clock: Clock,
        folder: Path | None,
        read: Callable[[], Health],
        down: Callable[[], bool],
    ) -> None:
        self._commits = commits
        self._names = names
        self._clock = clock
        self._alive = None if folder is None else folder / ALIVE_FILE
        self._read = read
        self._down = down
        self._prices: dict[str, Put] = {}
        self._gathering = False  # prices were written a moment ago

    async def run(self) -> None:
        while True:
            self.write()
            await self._clock.sleep(PACE_S)

    def write(self) -> None:
        """Once, now. Not while Redis is away: what is old by then would be told as new."""
        if self._alive is not None:
            _overwrite(self._alive, str(self._clock.now_ms()))
        if self._down():
            return
        put = Put(key=self._names.health, value=codec.encode(self._read()), ttl_ms=HEALTH_TTL_S * 1000)
        self._commits.commit(Batch(puts=(put,)))

    def on_price(self, instrument: Instrument, quote: Quote, mark: Mark | None) -> None:
        """The newest touch of a symbol, at the market's pace (at most 10 a second)."""
        if self._down():
            return
        bid, ask = instrument.price(quote.bid), instrument.price(quote.ask)
        mid = (bid + ask) / 2
        price = Price(
            bid=bid,
            ask=ask,
            mid=mid,
            mark=mid if mark is None else mark.price,
            bid_qty=quote.bid_qty,
            ask_qty=quote.ask_qty,
            ts=quote.ts,
            source="depth",
        )
        key = self._names.price(instrument.symbol)
        self._prices[key] = Put(key=key, value=codec.encode(price), ttl_ms=PRICE_TTL_S * 1000)
        if not self._gathering:
            self._write_prices()

    def _write_prices(self) -> None:
        """What has gathered; what comes from now on gathers for a while."""
        puts, self._prices = tuple(self._prices.values()), {}
        self._gathering = bool(puts)
        if not self._gathering:
            return
        self._clock.call_later(TOGETHER_S, self._write_prices)
        if not self._down():
            self._commits.commit(Batch(puts=puts))


def _overwrite(path: Path, text: str) -> None:
    """In place, always as long as before: a file that is emptied first is waited for until it is on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, text.encode(), 0)
    finally:
        os.close(descriptor)


def last_alive(folder: Path | None) -> int:
    """Unix ms at which a former life last gave a sign, 0 where it left none."""
    path = None if folder is None else folder / ALIVE_FILE
    if path is None or not path.exists():
        return 0
    text = path.read_text().strip()
    return int(text) if text.isdecimal() else 0


def health_of(daemon: Assembly, status: DaemonStatus) -> Health:
    """What `pms:health` shows of a daemon in that status."""
    draining = daemon.draining.reason
    if status == "open" and (draining or daemon.watch.degraded):
        status = "gated" if draining else "degraded"
    ages = {symbol: age for symbol in daemon.market.symbols() if (age := daemon.market.age_ms(symbol)) is not None}
    return Health(
        mode=daemon.halts.mode,
        status=status,
        reason="; ".join(filter(None, (draining, *daemon.watch.degraded))),
        seq=daemon.store.seq,
        epoch=daemon.lease.epoch,
        ts=daemon.parts.clock.now_ms(),
        stream_ages_ms=ages,
        clock_offset_ms=-daemon.venue.host_clock_error_ms(),
        rate_budget=daemon.governor.used(),
        dead_man={symbol: at for symbol, at in daemon.dead_man.confirmed.items() if at},
        counts={
            "algos": len(daemon.desk.runners),
            "openOrders": sum(map(len, daemon.ledger.open_by_symbol.values())),
            "alarms": len(daemon.alarms.open),
            "taskFailures": daemon.tasks.failures,
        },
        blocked=(*daemon.hands.blocked, *daemon.unresolved.subjects),
        version=VERSION,
    )
