"""Whether the books still are what the venue says: positions, and the wallet to the last digit (execution.md 13); and
whether the account still is as we can serve it.

Owns the pace and the comparison, slowly in the background. Refuses to mend: a difference of positions goes to the
recovery, which reads what was missed and judges; one of the wallet first to the income. An average entry alone is taken
from the venue, which knows the order of all fills. Touches nothing foreign.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

import structlog

from pms.account_watch import AccountWatch
from pms.accounts import other_assets
from pms.books import MONEY
from pms.clock import Clock
from pms.desk import Desk
from pms.hands import DeskHands
from pms.income import Incomes
from pms.recover import Recovery
from pms.venue import Reads, Unavailable
from schemas.books import Position
from schemas.ids import OrderId, parse
from schemas.market import ZERO
from schemas.orders import Order, OrderState
from schemas.reports import VenuePosition

AUDIT_S = 30.0  # fifteen weight each: 30 of 2 400 a minute
WAITING_EVERY = 10  # audits: eighty weight, since all open orders of both books are read
ENTRY_DIGIT = Decimal("1e-8")  # of an average entry: the venue rounds its own, far below
PAUSE_S = 2.0  # a difference counts when it stands so long, with nothing in flight

_log = structlog.get_logger("pms.audit")


class Audit:
    """See the module. `gap` says why events may be missing now, empty when none can."""

    def __init__(
        self,
        venue: Reads,
        desk: Desk,
        hands: DeskHands,
        incomes: Incomes,
        recovery: Recovery,
        clock: Clock,
        gap: Callable[[], str],
        account: AccountWatch,
    ) -> None:
        self._venue = venue
        self._desk = desk
        self._hands = hands
        self._incomes = incomes
        self._recovery = recovery
        self._clock = clock
        self._gap = gap
        self._account = account
        self._asked = asyncio.Event()
        self._difference = ZERO
        self._rounds = 0

    def ask(self) -> None:
        """Look soon: somebody has a reason to."""
        self._asked.set()

    async def run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(AUDIT_S):
                    await self._asked.wait()
            self._asked.clear()
            if self._gap():
                continue  # the gap's own recovery looks
            self._rounds += 1
            looks = (self._account.look, self._incomes.sync, self._leaving, self._positions, self._wallet)
            for look in looks if self._rounds % WAITING_EVERY else (*looks, self._waiting):
                try:
                    await look()
                except Unavailable as error:
                    _log.info("audit_left_out", reason=str(error))

    async def _leaving(self) -> None:
        """What should have left the market at an earlier look and did not is taken away now."""
        if self._hands.unresolved.leaving:
            await self._recovery.run("audit", foreign="report")

    # --- positions ------------------------------------------------------------------------------------

    async def _positions(self) -> None:
        """Raises `Unavailable`."""
        held = await self._venue.positions()
        await self._entries(held)
        first = self._differences(held)
        for subject in [alarm.subject for alarm in self._desk.alarms.open.values() if alarm.code == "position_drift"]:
            if subject not in first:
                self._hands.lift(subject)
        if not set(first) - set(self._hands.blocked):
            return
        await self._clock.sleep(PAUSE_S)
        second = self._differences(await self._venue.positions())
        if lasting := {symbol for symbol, difference in second.items() if first.get(symbol) == difference}:
            _log.warning("books_differ", symbols=sorted(lasting))
            await self._recovery.run("audit", foreign="report")

    async def _entries(self, held: list[VenuePosition]) -> None:
        """Raises `Unavailable`. Fills that came to be known out of their order gave another average than theirs."""
        first = self._averages(held)
        if not first:
            return
        await self._clock.sleep(PAUSE_S)
        second = self._averages(await self._venue.positions())
        for symbol, (position, entry) in second.items():
            if first.get(symbol) == (position, entry):
                _log.info("entry_averaged", symbol=symbol, was=str(position.entry_price), entry=str(entry))
                self._hands.average(position, entry)

    def _averages(self, held: list[VenuePosition]) -> dict[str, tuple[Position, Decimal]]:
        """Positions whose average entry is another than the venue's although it must be the same, with the venue's."""
        sole = {one.symbol: (self._desk.books.sole(one.symbol), one) for one in held}
        return {
            symbol: (position, theirs.entry_price)
            for symbol, (position, theirs) in sole.items()
            if position is not None
            and position.signed_quantity == theirs.quantity
            and abs(position.entry_price - theirs.entry_price) > ENTRY_DIGIT
        }

    def _differences(self, positions: list[VenuePosition]) -> dict[str, Decimal]:
        """What the venue holds beyond the books, by symbol."""
        held = {position.symbol: position.quantity for position in positions}
        books = self._desk.books
        symbols = {*held, *(symbol for _, symbol in self._desk.ledger.positions)}
        found = {symbol: held.get(symbol, ZERO) - books.net(symbol) for symbol in symbols}
        return {symbol: difference for symbol, difference in found.items() if difference}

    # --- conditional orders ---------------------------------------------------------------------------

    async def _waiting(self) -> None:
        """Raises `Unavailable`. What waits for its price rests in no book and moves no position: nothing else would
        show that one of ours is too many there, or is gone."""
        first = await self._strays()
        if not first:
            return
        await self._clock.sleep(PAUSE_S)
        if lasting := first & await self._strays():
            _log.warning("conditional_orders_differ", orders=sorted(lasting))
            await self._recovery.run("audit", foreign="report")

    async def _strays(self) -> set[str]:
        """Our conditional orders that wait at the venue and have no live record, and recorded ones that do not."""
        there = {report.client_id for report in await self._venue.open_orders() if report.conditional}
        orders = self._desk.ledger.orders
        unknown = {name for name in there if isinstance(parse(name), OrderId) and _ended(orders.get(name))}
        known = [order for order in orders.values() if order.waiting and order.state is OrderState.ACTIVE]
        return unknown | {order.client_order_id for order in known}.difference(there)

    # --- money ----------------------------------------------------------------------------------------

    async def _wallet(self) -> None:
        """Raises `Unavailable`. Told when the same difference stands at two audits and the income does not explain
        it."""
        difference = await self._beyond_books()
        if difference:
            await self._incomes.sync(thorough=True)
            difference = await self._beyond_books()
        if difference and difference == self._difference:
            self._sound(difference)
            if self._hands.suspected:
                await self._recovery.run("audit", foreign="report")
        elif not difference:
            self._desk.alarms.clear("balance_drift", MONEY, self._desk.now())
        self._difference = difference

    async def _beyond_books(self) -> Decimal:
        wallet = await self._venue.wallet()
        if message := other_assets(wallet):
            self._desk.alarms.sound("other_assets", "warning", "wallet", message, self._desk.now())
        else:
            self._desk.alarms.clear("other_assets", "wallet", self._desk.now())
        return wallet.get(MONEY, ZERO) - sum(
            (account.balance for account in self._desk.ledger.sub_accounts.values()), ZERO
        )

    def _sound(self, difference: Decimal) -> None:
        message = (
            f"the wallet holds {difference} {MONEY} beyond all sub-accounts and `external` together, and the venue's "
            "income does not explain it. Nothing was changed; compare the venue's transaction history with the events."
        )
        self._desk.alarms.sound("balance_drift", "critical", MONEY, message, self._desk.now())


def _ended(order: Order | None) -> bool:
    """Whether nobody of ours knows the order for a live one."""
    return order is None or order.state.terminal
