"""Funding: at 00:00, 08:00 and 16:00 UTC each position pays, or is paid, its share (binance.md 8, "Funding").

Owns when it is due and its history. A payment is -amount x mark x rate; it changes the wallet, is an income row, and
is told by an ACCOUNT_UPDATE of reason FUNDING_FEE with the balance alone (binance.md 7.4). What fell due while the
venue did not run is settled when it runs again, at the mark of that moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal

from pms.sim import events
from pms.sim.accounts import Account
from pms.sim.feed import FUNDING_EVERY_MS, funding_after
from pms.sim.journal import FundingRecord
from pms.sim.market import Market
from pms.sim.numbers import money
from pms.sim.outbox import Outbox
from pms.sim.settlement import Settlement

KEPT = 1_000  # rows per symbol: most of a year


class Funding:
    """See the module. `now` is Unix ms."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        markets: Mapping[str, Market],
        settlement: Settlement,
        outbox: Outbox,
        now: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._markets = markets
        self._settlement = settlement
        self._outbox = outbox
        self._now = now
        self._began = now()
        self._history: dict[str, deque[FundingRecord]] = {}

    def restore(self, record: FundingRecord) -> None:
        """Take over what the journal kept, oldest first."""
        self._rows(record.symbol).append(record)

    def _rows(self, symbol: str) -> deque[FundingRecord]:
        return self._history.setdefault(symbol, deque(maxlen=KEPT))

    def history(self, symbol: str | None) -> list[FundingRecord]:
        """Every funding so far, oldest first."""
        names = self._markets if symbol is None else (symbol,)
        return sorted((row for name in names for row in self._history.get(name, ())), key=lambda row: row.time)

    def next_due(self) -> int:
        """When `settle` has something to do."""
        marked = [symbol for symbol, market in self._markets.items() if market.mark is not None]
        return min((self._due(symbol) for symbol in marked), default=funding_after(self._now()))

    def _due(self, symbol: str) -> int:
        rows = self._history.get(symbol)
        return (rows[-1].time if rows else self._began) // FUNDING_EVERY_MS * FUNDING_EVERY_MS + FUNDING_EVERY_MS

    def settle(self, now: int) -> None:
        """Pay what is due. A symbol without a mark waits for one."""
        for symbol, market in self._markets.items():
            while (due := self._due(symbol)) <= now and market.mark is not None:
                self.pay(symbol, market.mark.funding_rate, due)

    def pay(self, symbol: str, rate: Decimal, time: int) -> None:
        """One funding of a symbol at its mark, at any time: a test's own, too."""
        market = self._markets[symbol]
        mark = market.mark_price()
        record = FundingRecord(symbol, time, rate, mark)
        self._rows(symbol).append(record)
        self._outbox.keep(("funding", symbol, str(time)), record)
        for account in self._accounts.values():
            position = account.positions.get(symbol)
            if position is None or not position.amount:
                continue
            payment = money(-position.amount * mark * rate)
            self._settlement.receive(account, symbol, "FUNDING_FEE", payment, time)
            told = events.funding(account, symbol, payment, self._now())
            self._outbox.user_event(account.name, told)
