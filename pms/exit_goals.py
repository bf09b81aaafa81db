"""What is to be closed, and how far that has come: the values of `pms.exit_orders`.

Refuses to do anything.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec

from pms.bus.batch import Outcome as StoreOutcome
from pms.core.exits import Form
from pms.core.risk import Denied
from schemas.market import Side
from schemas.orders import Order, OrderState, Origin

STOPPED = "stopped"  # why an exit ended with the process: who still wants it asks again in the next life
STUCK_AT = 6  # attempts in a row that filled nothing: with their pauses some eight seconds


class Goal(msgspec.Struct, frozen=True):
    """What is to be closed: all of a sub-account's position on that closing side, or so much of it, or only that
    position. `after`: placings in flight whose fate is waited for, since they may still add to it."""

    sub_account_id: str
    symbol: str
    side: Side
    quantity: Decimal | None = None
    position_id: str = ""
    after: tuple[str, ...] = ()
    request_id: str = ""
    origin: Origin = Origin.MANUAL
    parent_id: str = ""

    def order(self, client_id: str, owner: str, quantity: Decimal, price: Decimal, leverage: int, now: int) -> Order:
        """One order towards it. Those of one `owner` stand for the same quantity."""
        return Order(
            client_order_id=client_id,
            sub_account_id=self.sub_account_id,
            symbol=self.symbol,
            side=self.side,
            order_type="LIMIT",
            time_in_force="IOC",
            quantity=quantity,
            price=price,
            reduce_only=True,
            state=OrderState.PLACING,
            origin=self.origin,
            parent_id=self.parent_id,
            root_id=self.parent_id,
            created_at=now,
            updated_at=now,
            request_id=self.request_id,
            leverage=leverage,
            alternatives=owner,
        )


class Exit:
    """One exit under way. `first` is done once its first order has its record (its client id), or without one where
    there was nothing to send; `done` with why it ended: empty where nothing is left."""

    def __init__(self, goal: Goal, owner: str) -> None:
        loop = asyncio.get_running_loop()
        self.goal = goal
        self.owner = owner
        self.orders: list[str] = []
        self.first: asyncio.Future[str] = loop.create_future()
        self.done: asyncio.Future[str] = loop.create_future()
        self.claimed: asyncio.Future[StoreOutcome] | None = None
        self.denied: Denied | None = None
        self.refusals = 0
        self.idle = 0  # attempts in a row that filled nothing
        self.wait_s = 0.0  # what the venue asked for after the last one
        self.form: Form | None = None  # what the attempt after an unknown one is held to

    @property
    def stuck(self) -> bool:
        """Whether nothing has been filled for a while, though it goes on being tried."""
        return self.idle >= STUCK_AT

    def ends(self, reason: str) -> None:
        if not self.first.done():
            self.first.set_result(self.orders[0] if self.orders else "")
        self.done.set_result(reason)


def in_flight(order: Order | None) -> bool:
    """Whether a placing's fate is not known yet: what never rests is known once it has ended."""
    if order is None or order.state.terminal:
        return False
    return order.immediate or order.state in (OrderState.PLACING, OrderState.UNKNOWN)
