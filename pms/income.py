"""Money that no trade brings: funding, transfers and the rest of the venue's income, booked exactly once (execution.md
13, 16).

Owns what was booked of it (by the watermark, in the step that books it). Refuses to judge whether the sums agree: that
is the audit's. Funding is looked for after each whole hour, and whenever somebody has a reason to (`sync(True)`).
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import structlog

from pms.books import MONEY
from pms.core import funding
from pms.core.funding import HOUR_MS
from pms.desk import Desk
from pms.hands import DeskHands
from pms.venue import Reads
from schemas.market import ZERO
from schemas.records import Applied
from schemas.reports import FundingRate, Income, IncomeKind

SETTLE_MS = 15_000  # a funding's rows come within seconds of the hour (binance.md 8: about 15 s)
LATE_MS = 600_000  # a row that is still missing then is missed by people too
OVERLAP_MS = 3_600_000  # income may come late with an older time; ids make reading it again harmless

_log = structlog.get_logger("pms.income")
Paid = dict[tuple[str, int], Decimal]  # the venue's own funding by symbol and hour


class Incomes:
    """See the module."""

    def __init__(self, venue: Reads, desk: Desk, hands: DeskHands) -> None:
        self._venue = venue
        self._desk = desk
        self._hands = hands
        self._asked_hour: dict[str, int] = {}

    async def sync(self, thorough: bool = False) -> None:
        """Book what is there and not booked. Not `thorough`: only funding that an hour since the last time may have
        brought. Raises `Unavailable`."""
        now = self._desk.now()
        hour = (now - SETTLE_MS) // HOUR_MS
        symbols = [symbol for symbol in self._held() if thorough or self._asked_hour.get(symbol) != hour]
        rates = [rate for symbol in sorted(symbols) for rate in await self._rates(symbol, now)]
        if not (rates or thorough):
            self._asked_hour.update(dict.fromkeys(symbols, hour))
            return
        rows = await self._rows(rates, now)
        paid = _paid(rows)
        for symbol in symbols:
            if self._fund(symbol, [rate for rate in rates if rate.symbol == symbol], paid, now):
                self._asked_hour[symbol] = hour
        self._receive(rows)

    def _held(self) -> set[str]:
        """Symbols in which somebody holds something, or held at an hour whose funding is not booked."""
        return {
            position.symbol
            for position in self._desk.ledger.positions.values()
            if position.signed_quantity or any(hour.time > self._funded(position.symbol) for hour in position.hours)
        }

    def _funded(self, symbol: str) -> int:
        return self._desk.ledger.watermark.symbols.get(symbol, Applied()).income_time

    async def _rates(self, symbol: str, now: int) -> list[FundingRate]:
        """Fundings that are not booked, oldest first, the newest only once its rows have had their time."""
        since = self._funded(symbol)
        return [rate for rate in await self._venue.funding(symbol, since + 1) if since < rate.time <= now - SETTLE_MS]

    async def _rows(self, rates: list[FundingRate], now: int) -> list[Income]:
        watermark = self._desk.ledger.watermark
        since = min([max(watermark.since, watermark.income_time - OVERLAP_MS), *(rate.time for rate in rates)])
        return await self._venue.income(since // HOUR_MS * HOUR_MS)

    def _fund(self, symbol: str, rates: list[FundingRate], paid: Paid, now: int) -> bool:
        """Book a symbol's fundings in their order; False where one has to wait for the venue's own row, which must be
        there unless the account's net was flat."""
        desk = self._desk
        for rate in rates:
            row = paid.get((symbol, rate.time // HOUR_MS))
            owed = funding.payment(sum(desk.books.held_at(symbol, rate.time).values(), ZERO), rate.mark, rate.rate)
            if row is None and owed:
                if now > rate.time + LATE_MS:
                    message = (
                        f"the venue tells of no payment for {symbol}'s funding at {rate.time}, though {owed} {MONEY} "
                        "were due. It is not booked; look at the venue's transaction history."
                    )
                    desk.alarms.sound("funding_missing", "warning", symbol, message, now)
                return False
            with desk.step() as unit:
                desk.books.fund(unit, rate, ZERO if row is None else row)
        desk.alarms.clear("funding_missing", symbol, now)
        return True

    def _receive(self, rows: list[Income]) -> None:
        """Book every other row once, on `external`, and note trades of symbols that no book knows."""
        watermark = self._desk.ledger.watermark
        for row in rows:
            booked = row.time <= watermark.since or row.name in watermark.income_ids
            if row.kind is IncomeKind.TRADE:
                if not booked and row.symbol not in watermark.symbols:
                    self._hands.suspected.add(row.symbol)
            elif not booked and (row.kind is IncomeKind.OTHER or row.symbol not in watermark.symbols):
                with self._desk.step() as unit:
                    self._desk.books.receive(unit, row)
                _log.info("income_booked", about=row.about, amount=str(row.amount), asset=row.asset)
                watermark = self._desk.ledger.watermark


def _paid(rows: list[Income]) -> Paid:
    paid: defaultdict[tuple[str, int], Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.kind is IncomeKind.FUNDING and row.asset == MONEY:
            paid[row.symbol, row.time // HOUR_MS] += row.amount
    return dict(paid)
