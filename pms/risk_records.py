"""`pms:risk:{acct}` and the events `pnl_update` and `margin_update`: what each sub-account is worth now (contract.md).

Owns the pace, and that the symbols of open positions are watched for their marks. Refuses to judge: that is the risk
gate's and the margin ladder's. The events leave the open orders out; their own events tell of them.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec

from pms.clock import Clock
from pms.core import equity
from pms.desk import Desk
from pms.losses import Losses
from pms.margin_ladder import MarginLadder
from pms.unit import Unit
from schemas.books import Position, Risk
from schemas.events_system import RiskEvent
from schemas.orders import Order
from schemas.records import EXTERNAL

BEAT_S = 1.0  # at most once a second per sub-account (contract.md)
PNL_MS = 5_000  # the event when nothing but marks moved: people look at it, nobody acts on it
MANY_ORDERS = 100  # with more, the record is worth writing only every `PNL_MS`: it holds them all

_replace = msgspec.structs.replace


class RiskRecords:
    """See the module."""

    def __init__(self, desk: Desk, clock: Clock, losses: Losses, ladder: MarginLadder) -> None:
        self._ladder = ladder
        self._desk = desk
        self._clock = clock
        self._losses = losses
        self._written: dict[str, Risk] = {}
        self._told: dict[str, Risk] = {}
        self._watched: set[str] = set()

    async def run(self) -> None:
        while True:
            await self._clock.sleep(BEAT_S)
            await self._watch()
            self.write()

    def write(self) -> None:
        """Write the record of every sub-account whose numbers moved."""
        desk = self._desk
        positions: defaultdict[str, list[Position]] = defaultdict(list)
        for (name, _), position in desk.ledger.positions.items():
            if position.signed_quantity:
                positions[name].append(position)
        orders: defaultdict[str, list[Order]] = defaultdict(list)
        for ids in desk.ledger.open_by_symbol.values():
            for client_id in ids:
                order = desk.ledger.orders[client_id]
                orders[order.sub_account_id].append(order)
        for name in tuple(desk.ledger.sub_accounts):
            if name != EXTERNAL:
                self._write(name, positions[name], tuple(sorted(orders[name], key=_age)))

    def _write(self, name: str, positions: list[Position], orders: tuple[Order, ...]) -> None:
        now = self._desk.now()
        books = self._desk.books
        held = equity.stakes(positions, self._desk.mark, books.brackets)
        risk = equity.snapshot(self._desk.ledger.sub_accounts[name], positions, orders, held, now)
        risk = self._losses.measured(name, risk)
        self._losses.judge(name, risk)
        self._record(name, risk, orders)
        self._ladder.look(name, held, risk.equity)

    def _record(self, name: str, risk: Risk, orders: tuple[Order, ...]) -> None:
        now = risk.timestamp
        written = self._written.get(name)
        event = self._event(name, risk, now)
        if event is None and written is not None:
            paced = len(orders) > MANY_ORDERS and now < written.timestamp + PNL_MS
            if paced or _same(written, risk):
                return
        self._written[name] = risk
        unit = Unit(self._desk.ledger, now)
        if event is not None:
            unit.event(event)
        unit.risk(name, risk)
        unit.commit(progress=True)

    def _event(self, name: str, risk: Risk, now: int) -> RiskEvent | None:
        """margin_update where balance or positions changed, pnl_update where only prices did, now and then."""
        told = self._told.get(name)
        moved = told is None or (told.balance, _sizes(told)) != (risk.balance, _sizes(risk))
        if told is not None and not moved and (now < told.timestamp + PNL_MS or told.equity == risk.equity):
            return None
        self._told[name] = risk
        shown: dict[str, Any] = {field: getattr(risk, field) for field in _SHOWN}
        return RiskEvent(type="margin_update" if moved else "pnl_update", ts=now, sub_account_id=name, **shown)

    async def _watch(self) -> None:
        """Follow the symbols in which somebody holds something: without a mark nothing is known of them."""
        desk = self._desk
        held = {symbol for (_, symbol), position in desk.ledger.positions.items() if position.signed_quantity}
        for symbol in held - self._watched:
            if instrument := desk.instruments.get(symbol):
                self._watched.add(symbol)
                await desk.market.watch(instrument)
        for symbol in self._watched - held:
            self._watched.discard(symbol)
            await desk.market.release(symbol)


_SHOWN = [name for name in RiskEvent.__struct_fields__ if name in Risk.__struct_fields__ and name != "open_orders"]


def _age(order: Order) -> tuple[int, str]:
    return order.created_at, order.client_order_id


def _same(told: Risk, risk: Risk) -> bool:
    """Whether a reader would learn nothing. An order that only moves its price is told by its own event."""
    return _replace(told, timestamp=0, open_orders=()) == _replace(risk, timestamp=0, open_orders=()) and [
        (order.client_order_id, order.state, order.filled_qty) for order in told.open_orders
    ] == [(order.client_order_id, order.state, order.filled_qty) for order in risk.open_orders]


def _sizes(risk: Risk) -> list[tuple[str, Any]]:
    return [(position.id, position.quantity) for position in risk.positions]
