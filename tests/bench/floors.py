"""The hand-written loops with the product's one atomic step between what came and what leaves, and still nothing
decided: the floor under a daemon that keeps what the contract asks for. What the product takes beyond it is its own.

A step has the shape and the sizes that the product's has (records with their rows, numbered events, a claim), and runs
under names of its own. Refuses to have a record's version checked: nobody else writes here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pms.bus import commit
from pms.bus.batch import Batch, Claim, Durable, Event, Index, Record
from pms.bus.outbox import Entry
from pms.bus.scripts import COMMIT
from schemas.keys import Keys
from tests.bench.reference_feed import Levels, RawSocket
from tests.bench.reference_orders import Followed, Link, Orders, Published, SocketOrders, connect, hear, place, senders

KEYS = Keys("reference:floor")
DEPTH, PRIVATE = "/reference/floor/depth", "/reference/floor/private"
EPOCH = 1
CHASE = ("chase", 1_700, KEYS.active("chase", "main"))  # record, bytes, the hash that mirrors it
ORDER = ("order", 800, KEYS.open_orders("main"))


def _body(size: int) -> bytes:
    return b'{"is":"' + b"x" * (size - 9) + b'"}'


def _batch(records: tuple[tuple[str, int, str], ...], events: tuple[tuple[str, int], ...]) -> Batch:
    kept = tuple(
        Record(
            key=f"reference:floor:{name}:0",
            body=_body(size),
            rev=1,
            expected_rev=None,
            index=Index(row, name) if row else None,
        )
        for name, size, row in records
    )
    return Batch(records=kept, events=tuple(Event("main", name, _body(size)) for name, size in events))


AMEND = _batch((CHASE, ORDER), (("chase_progress", 440),))
START = _batch((CHASE, ORDER), (("chase_started", 440), ("order_placed", 635)))
FILL = _batch(
    (ORDER, ("position", 390, ""), ("subaccount", 365, ""), ("watermark", 185, ""), CHASE),
    (("order_partial", 590), ("position_updated", 270), ("chase_progress", 460)),
)


class Steps:
    """Atomic steps under a name, one at a time; `then` is called at the answer."""

    def __init__(self, name: str, batch: Batch) -> None:
        names = Keys(f"reference:floor:{name}")
        self.link = Link(self._told)
        self._function = commit.Function(names)
        self._names, self._batch = names, batch
        self._never = Durable()
        self._base = 0
        self._then: Callable[[], None] = _nothing

    def open(self) -> None:
        self.link.send("SCRIPT", "LOAD", COMMIT.text)
        self.link.send("SET", self._names.epoch, EPOCH)

    def keep(self, then: Callable[[], None], claim: Claim | None = None) -> None:
        batch = self._batch if claim is None else msgspec.structs.replace(self._batch, claim=claim)
        entry = Entry(batch, self._never)
        entry.base, self._then = self._base, then
        self._base += len(batch.events)
        self.link.send(*self._function.command(entry, EPOCH))

    def _told(self, reply: Any) -> None:
        if isinstance(reply, int):
            assert reply == self._base, f"the step stands at {reply}, not at {self._base}"
            self._then()


class Amended:
    """Amends one order, once that is kept."""

    def __init__(self, orders: Orders | SocketOrders) -> None:
        self.steps = Steps("amend", AMEND)
        self._orders = orders

    def amend(self, price: str) -> None:
        self.steps.keep(lambda: self._orders.amend(price))


class Popped:
    """BRPOP, order once it is claimed and kept, BRPOP again."""

    LIST = KEYS.command_list("chase")

    def __init__(self, orders: Orders) -> None:
        self.steps = Steps("start", START)
        self.link = Link(self._told)
        self._orders = orders
        self._count = 0

    def read(self) -> None:
        self.link.send("BRPOP", self.LIST, 0)

    def _told(self, reply: Any) -> None:
        if isinstance(reply, list):
            self._count += 1
            claim = Claim(KEYS.request("main", str(self._count)), _body(145))
            self.steps.keep(lambda: place(self._orders, reply[1]), claim)
            self.read()


class Filled(Published):
    """The frame read, and a fill's whole step in place of an event alone."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = Steps("fill", FILL)

    def on_payload(self, payload: bytes) -> None:
        self.read(payload)
        self.steps.keep(_nothing)


async def open_all(
    redis_path: str, password: str, port: int, bids: Levels, asks: Levels, last_id: int, over_ws: bool = False
) -> None:
    """Connect every floor; they live as long as the running loop."""
    orders, over_socket = await senders(port)
    amended, popped, filled = Amended(over_socket if over_ws else orders), Popped(orders), Filled()
    followed = Followed(bids, asks, last_id, amended.amend)
    for user in (amended, popped, filled):
        await connect(user.steps.link, redis_path, password)
        user.steps.open()
    await connect(popped.link, redis_path, password)
    popped.read()
    await hear(port, [RawSocket(DEPTH, followed.on_payload), RawSocket(PRIVATE, filled.on_payload)])


def _nothing() -> None:
    """An event leaves nothing behind to be done."""
