"""What prices did while nobody looked, told to what protects a position before its first decision (execution.md 27).

Owns the reading of one-minute candles, once per symbol. Refuses to judge them: which of them count is the algo's.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from algos import step
from algos.view import View
from pms.clock import Clock
from pms.desk import Desk
from pms.family import view_of
from pms.runner import Runner
from pms.venue import Reads, Unavailable
from schemas.market import Candle

READ_S = 5.0  # a stop that knows less is worth more than one that waits
AGAIN_S = 0.25

_log = structlog.get_logger("pms.missed")


class Missed:
    """The candles that one recovery needs, for these runners."""

    def __init__(self, desk: Desk, venue: Reads, clock: Clock, runners: Iterable[Runner]) -> None:
        self._desk = desk
        self._venue = venue
        self._clock = clock
        self._since: dict[tuple[str, bool], int] = {}
        self._read: dict[tuple[str, bool], tuple[Candle, ...] | None] = {}
        for view in map(view_of, runners):
            if view.missed_since:
                source = _source(view)
                self._since[source] = min(self._since.get(source, view.missed_since), view.missed_since)

    async def tell(self, runner: Runner) -> None:
        """Give an algo what it missed; where that can't be read it goes on without, and people hear of it."""
        view = view_of(runner)
        if not view.missed_since:
            return
        source = _source(view)
        if source not in self._read:
            self._read[source] = await self._candles(*source)
        candles, now = self._read[source], self._desk.now()
        if candles is not None:
            self._desk.alarms.clear("extreme_not_read", view.algo_id, now)
            self._desk.offer(runner, step.Missed(now, candles))
            return
        message = (
            f"{view.algo_id} does not know what {view.symbol} did while the daemon was away: the venue could not be "
            "asked. It follows from the extreme it knew; look at its trigger."
        )
        self._desk.alarms.sound("extreme_not_read", "warning", view.algo_id, message, now)

    async def _candles(self, symbol: str, marks: bool) -> tuple[Candle, ...] | None:
        give_up = self._clock.monotonic() + READ_S
        while True:
            try:
                return tuple(await self._venue.candles(symbol, self._since[symbol, marks], marks))
            except Unavailable as error:
                _log.warning("candles_unavailable", symbol=symbol, reason=str(error))
                if self._clock.monotonic() >= give_up:
                    return None
            await self._clock.sleep(AGAIN_S)


def _source(view: View) -> tuple[str, bool]:
    return view.symbol, view.follows == "mark"
