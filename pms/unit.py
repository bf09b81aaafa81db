"""One atomic step in the making: records, events, and then one commit (contract.md, "State keys").

Owns the draft of the step. Refuses to decide what belongs in it. What is put into a unit is in the ledger's memory at
once, and in Redis when the commit is done: all of it or nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from algos.registry import Kind
from algos.view import View
from pms.bus.batch import Batch, Claim, Delete, Durable, Event, Index, Put, Record
from pms.ledger import Ledger
from schemas import codec, keys
from schemas.books import Position, Risk
from schemas.events_orders import Event as EventBody
from schemas.events_orders import OrderEvent
from schemas.orders import Fill, Order
from schemas.records import Applied, Mode, SubAccount, Watermark
from schemas.reports import Income

_INCOME_KEPT = 500  # names of other income: an hour of it is read again, and has a few rows
_TERMINAL_TTL_MS = keys.TERMINAL_TTL_S * 1000

_Draft = tuple[Any, Index | None, int, int, int | None]  # body, index row, lifetime, format, place of its event


class Unit:
    """The last word on each record, and events in order. `with` it, also within itself: `finish` is called with it when
    the outermost ends, however it ends, since memory has what was put into it."""

    def __init__(
        self,
        ledger: Ledger,
        now: int,
        request_id: str = "",
        claim: Claim | None = None,
        finish: Callable[[Unit], None] | None = None,
        over_anything: bool = False,
    ) -> None:
        self._ledger = ledger
        self._over_anything = over_anything
        self._finish = finish
        self._depth = 0
        self.claim = claim  # of the command that the step begins
        self.now = now  # venue-corrected ms, of all that this step writes
        self._request_id = request_id
        self._events: list[Event] = []
        self._drafts: dict[tuple[str, str], _Draft] = {}
        self._afterwards: list[Callable[[object], None]] = []
        self.durable: Durable | None = None

    def __enter__(self) -> Unit:
        self._depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if not self._depth and self._finish is not None:
            self._finish(self)

    def afterwards(self, call: Callable[[object], None]) -> None:
        """Have it called with the outcome's future, after what waited for the step has left, or never will."""
        self._afterwards.append(call)

    @property
    def empty(self) -> bool:
        return not (self._events or self._drafts or self.claim)

    def event(self, body: EventBody) -> None:
        """Publish with this step. The request that caused it is added where the event names none."""
        if self._request_id and not body.request_id:
            body = msgspec.structs.replace(body, request_id=self._request_id)
        self._events.append(Event(body.sub_account_id, body.type, codec.encode(body)))

    def order(self, order: Order, happened: Iterable[str] = ()) -> None:
        """Keep an order's record and publish what happened to it."""
        names, ended = self._ledger.names, order.state.terminal
        self._ledger.remember(order)
        for kind in happened:
            self.event(OrderEvent.of(kind, order, self.now))  # type: ignore[arg-type]
        self._draft(
            names.order(order.client_order_id),
            order,
            index=Index(names.open_orders(order.sub_account_id), order.client_order_id, not ended),
            ttl_ms=_TERMINAL_TTL_MS if ended else 0,
        )

    def position(self, position: Position) -> None:
        ledger = self._ledger
        ledger.keep_position(position)
        self._draft(ledger.names.position(position.sub_account_id), position, field=position.symbol)

    def traded(self, fill: Fill) -> None:
        """Advance the symbol's watermark to a fill that is booked."""
        seen = self._ledger.watermark.symbols.get(fill.symbol, Applied())
        if (fill.time, fill.trade_id) > (seen.trade_time, seen.trade_id):
            newer = msgspec.structs.replace(seen, trade_time=fill.time, trade_id=fill.trade_id)
            self._applied(fill.symbol, newer)

    def funded(self, symbol: str, time: int) -> None:
        """Advance the symbol's watermark to a funding that is booked."""
        seen = self._ledger.watermark.symbols.get(symbol, Applied())
        self._applied(symbol, msgspec.structs.replace(seen, income_time=time))

    def received(self, row: Income) -> None:
        """Keep in mind that a row of other income is booked."""
        seen = self._ledger.watermark
        ids = (*seen.income_ids, row.name)[-_INCOME_KEPT:]
        self.watermark(msgspec.structs.replace(seen, income_time=max(seen.income_time, row.time), income_ids=ids))

    def accepted(self, symbol: str, time: int) -> None:
        """What was traded until `time` stands in the books, whatever records say."""
        seen = self._ledger.watermark.symbols.get(symbol, Applied())
        self._applied(symbol, msgspec.structs.replace(seen, accepted_at=time))

    def _applied(self, symbol: str, applied: Applied) -> None:
        symbols = self._ledger.watermark.symbols | {symbol: applied}
        self.watermark(msgspec.structs.replace(self._ledger.watermark, symbols=symbols))

    def watermark(self, watermark: Watermark) -> None:
        self._ledger.watermark = watermark
        self._draft(self._ledger.names.watermark, watermark)

    def mode(self, mode: Mode) -> None:
        self._ledger.mode = mode
        self._draft(self._ledger.names.mode, mode)

    def sub_account(self, account: SubAccount) -> None:
        self._ledger.sub_accounts[account.id] = account
        self._draft(self._ledger.names.subaccount(account.id), account)

    def risk(self, sub_account_id: str, risk: Risk) -> None:
        """Keep a sub-account's risk record."""
        self._ledger.risks[sub_account_id] = risk
        self._draft(self._ledger.names.risk(sub_account_id), risk)

    def algo(self, kind: Kind, state: Any, view: View, happened: EventBody | None) -> None:
        """Keep an algo's record, its row in what a UI lists, and its event."""
        names = self._ledger.names
        if happened is not None:
            self.event(happened)
        ended = view.status.terminal
        self._draft(
            kind.key(names, view.algo_id),
            state,
            index=Index(kind.active_key(names, view.sub_account_id), view.algo_id, not ended),
            ttl_ms=_TERMINAL_TTL_MS if ended else 0,
            v=kind.version,
        )

    def _draft(
        self, key: str, body: Any, field: str = "", index: Index | None = None, ttl_ms: int = 0, v: int = codec.VERSION
    ) -> None:
        self._drafts[(key, field)] = (body, index, ttl_ms, v, len(self._events) - 1 if self._events else None)

    def commit(self, puts: tuple[Put, ...] = (), deletes: tuple[Delete, ...] = (), progress: bool = False) -> Durable:
        """Hand the step over; memory has it already."""
        batch = Batch(
            records=self._records(),
            events=tuple(self._events),
            puts=puts,
            deletes=deletes,
            claim=self.claim,
            progress=progress,
            overwrites=True,
        )
        durable = self.durable = self._ledger.commit(batch)
        for call in self._afterwards:
            durable.add_done_callback(call)
        return durable

    def _records(self) -> tuple[Record, ...]:
        records = []
        for (key, field), (body, index, ttl_ms, v, event) in self._drafts.items():
            rev = self._ledger.next_revision(key, field)
            records.append(
                Record(
                    key=key,
                    field=field,
                    body=codec.encode(body),
                    expected_rev=None if self._over_anything else rev - 1,
                    rev=rev,
                    v=v,
                    event=event,
                    index=index,
                    ttl_ms=ttl_ms,
                )
            )
        return tuple(records)


def rewriting(ledger: Ledger, now: int) -> Unit:
    """A step that writes every record from memory, whatever stands in Redis (execution.md 20)."""
    unit = Unit(ledger, now, over_anything=True)
    for account in ledger.sub_accounts.values():
        unit.sub_account(account)
    for order in ledger.orders.values():
        unit.order(order)
    for position in ledger.positions.values():
        unit.position(position)
    unit.watermark(ledger.watermark)
    unit.mode(ledger.mode)
    return unit
