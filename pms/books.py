"""The books of all sub-accounts: each change of positions and balances, put into the atomic step that caused it.

Owns who a fill belongs to (execution.md 13) and the law that nothing is lost: what the venue's wallet changed by and
the named books do not explain falls to `external` in the same step, so that the sum of all balances is the wallet to
the last digit. (The venue realises profit on the account's net; opposite books realise their own.) Refuses to decide
what is traded and to read the venue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec

from pms.core import allocation, equity, funding, positions
from pms.core.funding import CENT
from pms.core.margin import Brackets
from pms.core.positions import Booked, Trade
from pms.ledger import Ledger
from pms.unit import Unit
from schemas.books import Position
from schemas.events_orders import FundingPaid, PositionReduced, PositionUpdated
from schemas.events_system import Allocation, LiquidationEvent
from schemas.market import ZERO, Instrument
from schemas.orders import Fill, Order, Origin
from schemas.records import EXTERNAL, Applied
from schemas.reports import FundingRate, Income

MONEY = "USDT"  # the one margin asset (execution.md 17)
LATE_MS = 60_000  # a fill comes to be known so long after others at most, but for a long gap
NOT_OURS = frozenset((Origin.EXTERNAL, Origin.LIQUIDATION, Origin.RECOVERED))
_LIQUIDATIONS = {"autoclose-": "full_liquidation", "adl_autoclose": "adl_triggered"}  # settlement moves books only

_SHOWN = [name for name in PositionUpdated.__struct_fields__ if name in Position.__struct_fields__]
_shown = attrgetter(*_SHOWN)

_replace = msgspec.structs.replace


class Books:
    """See the module. `mark` is a symbol's mark price, 0 where it is not known; `now` is venue-corrected ms."""

    def __init__(
        self,
        ledger: Ledger,
        instruments: Mapping[str, Instrument],
        mark: Callable[[str], Decimal],
        now: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._instruments = instruments
        self._mark = mark
        self._now = now
        self.brackets: dict[str, Brackets] = {}

    # --- reading --------------------------------------------------------------------------------------

    def held(self, symbol: str) -> dict[str, Decimal]:
        """Every book's signed position in a symbol, `external`'s too; flat ones are left out."""
        return {
            name: position.signed_quantity
            for (name, traded), position in self._ledger.positions.items()
            if traded == symbol and position.signed_quantity
        }

    def net(self, symbol: str) -> Decimal:
        """What the venue must hold."""
        return sum(self.held(symbol).values(), ZERO)

    def of(self, sub_account_id: str) -> list[Position]:
        """A sub-account's open positions."""
        return [
            position
            for (name, _), position in self._ledger.positions.items()
            if name == sub_account_id and position.signed_quantity
        ]

    def id_after(self, sub_account_id: str, symbol: str, delta: Decimal) -> str:
        """The positionId that a book has after it moved by `delta`: a new one where that opens or turns it."""
        held = self._ledger.position(sub_account_id, symbol)
        after = held.signed_quantity + delta
        opens = after and held.signed_quantity * after <= 0
        return positions.position_id(sub_account_id, symbol, held.number + 1) if opens else held.position_id

    # --- trades ---------------------------------------------------------------------------------------

    def fill(self, unit: Unit, order: Order, fill: Fill) -> tuple[str, ...]:
        """Book a new fill on the order's sub-account, or on those it is allocated to. Returns whose positions got
        smaller."""
        signed = fill.side.sign * fill.quantity
        fee = fill.commission if fill.commission_asset in (MONEY, "") else ZERO
        if order.sub_account_id == EXTERNAL and order.origin in NOT_OURS:
            return self._allocate(unit, order, fill, signed, fee)
        trades = {order.sub_account_id: Trade(signed, fill.price, fee, fill.time)}
        reduced = self._move(unit, fill.symbol, trades, order.leverage, fill.realized - fee)
        unit.traded(fill)
        return reduced

    def _allocate(self, unit: Unit, order: Order, fill: Fill, signed: Decimal, fee: Decimal) -> tuple[str, ...]:
        """Book a fill that nobody here ordered on those who bear it, and tell them."""
        parts = allocation.allocated(signed, self.held(fill.symbol), self._instruments[fill.symbol].step)
        fees = allocation.apportioned(fee, parts, CENT)
        trades = {name: Trade(part, fill.price, fees[name], fill.time) for name, part in parts.items()}
        before = {name: self._ledger.position(name, fill.symbol) for name in parts}
        reduced = self._move(unit, fill.symbol, trades, order.leverage, fill.realized - fee)
        unit.traded(fill)
        self._tell_allocation(unit, order, fill, [(before[name], abs(parts[name])) for name in reduced])
        return reduced

    def assign(
        self, unit: Unit, symbol: str, giver: str, taker: str, quantity: Decimal, price: Decimal
    ) -> tuple[str, ...]:
        """Move `quantity` of the giver's position to the taker, as a trade between them at `price`; nothing happens at
        the venue. Returns whose positions got smaller."""
        held = self._ledger.position(giver, symbol)
        signed = quantity if held.signed_quantity > 0 else -quantity
        now = self._now()
        trades = {giver: Trade(-signed, price, ZERO, now), taker: Trade(signed, price, ZERO, now)}
        return self._move(unit, symbol, trades, held.leverage, ZERO)

    def accept(self, unit: Unit, symbol: str, difference: Decimal, price: Decimal) -> None:
        """Book what the venue holds and no book explains on `external`, at mark."""
        now = self._now()
        self._move(unit, symbol, {EXTERNAL: Trade(difference, price, ZERO, now)}, 1, ZERO)
        unit.accepted(symbol, now)

    def retire(self, unit: Unit, sub_account_id: str, symbol: str, price: Decimal) -> None:
        """Give a position that is too small for an unflagged exit to `external` at mark (execution.md 9)."""
        held = self._ledger.position(sub_account_id, symbol)
        if held.quantity and sub_account_id != EXTERNAL:
            self.assign(unit, symbol, sub_account_id, EXTERNAL, held.quantity, price)

    # --- average entries ------------------------------------------------------------------------------

    def sole(self, symbol: str) -> Position | None:
        """The position whose average entry is the venue's, which averages all that the account traded since it was
        flat: a sub-account's, with no other book's part in it. None where there is none."""
        books = [position for (_, traded), position in self._ledger.positions.items() if traded == symbol]
        held = [position for position in books if position.signed_quantity]
        if len(held) != 1 or held[0].sub_account_id == EXTERNAL:
            return None
        before = held[0].opened_at - LATE_MS
        return held[0] if all(book.updated_at < before for book in books if book is not held[0]) else None

    def average(self, unit: Unit, position: Position, entry: Decimal) -> None:
        """Give a sole position the venue's average entry: it was averaged in the order in which its fills came to be
        known. What `external` took for the difference goes where it belongs."""
        now = self._now()
        booked = positions.averaged(position, entry, now)
        self._put(unit, position.sub_account_id, (booked,), booked.realized_pnl, now)
        self.pay(unit, {position.sub_account_id: booked.realized_pnl}, ZERO)

    def _move(
        self, unit: Unit, symbol: str, trades: Mapping[str, Trade], leverage: int, wallet: Decimal
    ) -> tuple[str, ...]:
        """Book each trade; `wallet` is the change of the venue's wallet that came with them. Returns whose positions
        got smaller."""
        funded = self._ledger.watermark.symbols.get(symbol, Applied()).income_time
        if not funded:  # funding counts from the first trade on
            funded = min(trade.time for trade in trades.values())
            unit.funded(symbol, funded)
        reduced, cash, now = [], {}, unit.now
        for name, trade in trades.items():
            held = self._ledger.position(name, symbol)
            parts = positions.book(held, trade, leverage, now, funded)
            earned = -trade.fee
            for part in parts:
                earned += part.realized_pnl
            cash[name] = earned
            self._put(unit, name, parts, earned, now)
            if parts[0].closed_qty:
                reduced.append(name)
        self.pay(unit, cash, wallet)
        return tuple(reduced)

    def _put(self, unit: Unit, name: str, parts: tuple[Booked, ...], cash: Decimal, now: int) -> None:
        """Keep the position and tell each part of its move; the liquidation price is the one after it."""
        last = parts[-1].position
        account = self._ledger.sub_accounts.get(name)
        if account is not None and name != EXTERNAL and last.signed_quantity:
            last = _replace(last, liquidation_price=self._liquidation_price(last, account.balance + cash))
        for part in parts[:-1]:
            unit.event(_position_event(part, part.position, now))
        unit.position(last)
        unit.event(_position_event(parts[-1], last, now))

    def _liquidation_price(self, held: Position, balance: Decimal) -> Decimal:
        """Of a position that is about to be kept, its sub-account's others as they stand."""
        others = [other for other in self.of(held.sub_account_id) if other.symbol != held.symbol]
        stakes = equity.stakes([held, *others], self._mark, self.brackets)
        return equity.liquidation_price(balance, held.symbol, stakes)

    def _tell_allocation(self, unit: Unit, order: Order, fill: Fill, closed: list[tuple[Position, Decimal]]) -> None:
        """Each sub-account that a liquidation or an ADL closed something of is told, with all who shared it."""
        word = next((word for start, word in _LIQUIDATIONS.items() if order.client_order_id.startswith(start)), "")
        if not word:
            return
        shared = tuple(
            Allocation(
                sub_account_id=held.sub_account_id, position_id=held.position_id, quantity=min(held.quantity, part)
            )
            for held, part in closed
        )
        for (held, _), one in zip(closed, shared, strict=True):
            unit.event(
                LiquidationEvent(
                    type=word,  # type: ignore[arg-type]
                    ts=self._now(),
                    sub_account_id=one.sub_account_id,
                    symbol=fill.symbol,
                    side=held.side,
                    quantity=one.quantity,
                    price=fill.price,
                    action="allocated",
                    allocation=shared,
                )
            )

    # --- money ----------------------------------------------------------------------------------------

    def pay(self, unit: Unit, cash: Mapping[str, Decimal], wallet: Decimal) -> None:
        """Move balances; what of the wallet's change is nobody's is `external`'s."""
        for name, amount in self._shared(cash, wallet).items():
            if amount:
                account = self._ledger.sub_accounts[name]
                unit.sub_account(_replace(account, balance=account.balance + amount))

    def _shared(self, cash: Mapping[str, Decimal], wallet: Decimal) -> dict[str, Decimal]:
        """What each sub-account's balance moves by, together what the wallet did."""
        accounts = self._ledger.sub_accounts
        shares, rest = {}, wallet
        for name, amount in cash.items():
            if name in accounts and name != EXTERNAL:
                shares[name] = amount
                rest -= amount
        shares[EXTERNAL] = rest
        return shares

    def held_at(self, symbol: str, time: int) -> dict[str, Decimal]:
        """What each book held of a symbol when a funding was due."""
        hour = time // funding.HOUR_MS * funding.HOUR_MS
        return {
            name: funding.held_at(hour, position.signed_quantity, position.hours)
            for (name, traded), position in self._ledger.positions.items()
            if traded == symbol
        }

    def fund(self, unit: Unit, rate: FundingRate, income: Decimal) -> None:
        """Book one funding, once: each book is paid on what it held then, `external` takes the difference to the
        venue's row (execution.md 16)."""
        held = self.held_at(rate.symbol, rate.time)
        payments = funding.payments(rate, held)
        for name, amount in self._shared(payments, income).items():
            if amount or held.get(name):
                unit.event(self._funding_event(name, held.get(name, ZERO), rate, amount))
        self.pay(unit, payments, income)
        unit.funded(rate.symbol, rate.time)

    def _funding_event(self, name: str, held: Decimal, rate: FundingRate, amount: Decimal) -> FundingPaid:
        position = self._ledger.position(name, rate.symbol)
        hour = rate.time // funding.HOUR_MS * funding.HOUR_MS
        return FundingPaid(
            ts=self._now(),
            sub_account_id=name,
            symbol=rate.symbol,
            position_id=funding.position_at(hour, position.position_id, position.hours) if held else "",
            due_at=rate.time,
            rate=rate.rate,
            mark_price=rate.mark,
            quantity=held,
            amount=amount or ZERO,  # 0E-8 is written out
        )

    def receive(self, unit: Unit, row: Income) -> None:
        """Book what else moved the wallet (a transfer, a rebate, an insurance clearance) on `external`."""
        if row.asset == MONEY:
            self.pay(unit, {}, row.amount)
        unit.received(row)


def _position_event(part: Booked, position: Position, now: int) -> PositionUpdated | PositionReduced:
    shown: dict[str, Any] = dict(zip(_SHOWN, _shown(position), strict=True))
    if part.event == "position_updated":
        return PositionUpdated(ts=now, **shown)
    return PositionReduced(
        type=part.event,  # type: ignore[arg-type]
        ts=now,
        closed_qty=part.closed_qty,
        remaining_qty=position.quantity,
        realized_pnl=part.realized_pnl,
        fee=part.fee,
        close_price=part.price,
        **shown,
    )
