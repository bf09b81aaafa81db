"""The daemon's memory of what is in Redis: orders, positions, sub-accounts and revisions, changed only through a `Unit` (one atomic step).

Owns the records and their versions. Refuses to decide and to send. Invariant: memory and the commit queue move together, so what is read here is what
Redis holds or is about to hold, in the same order.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
import structlog

from algos.registry import Kind
from pms.bus.batch import Batch, Claim, Conflict, Delete, Event, Index, Outcome, Put, Record
from pms.core import positions
from pms.core.positions import Booked
from schemas import codec, events, keys
from schemas.events_orders import Event as EventBody
from schemas.events_orders import OrderEvent, PositionReduced, PositionUpdated
from schemas.keys import Keys
from schemas.orders import Fill, Order
from schemas.records import Applied, Position, SubAccount, Watermark

_log = structlog.get_logger("pms.ledger")
_TERMINAL_TTL_MS = keys.TERMINAL_TTL_S * 1000


class Commits(Protocol):
    """Takes batches in order; see pms.bus.store.Store."""

    def commit(self, batch: Batch) -> asyncio.Future[Outcome]: ...


class Ledger:
    """All records of one account, by key."""

    def __init__(self, names: Keys, commits: Commits) -> None:
        self.names = names
        self._commits = commits
        self.orders: dict[str, Order] = {}
        self.positions: dict[tuple[str, str], Position] = {}
        self.sub_accounts: dict[str, SubAccount] = {}
        self.watermark = Watermark()
        self.open_by_symbol: defaultdict[str, set[str]] = defaultdict(set)
        self._by_exchange_id: dict[tuple[str, int], str] = {}
        self._revisions: dict[tuple[str, str], int] = {}

    def unit(self, now: int, request_id: str = "") -> Unit:
        """Begin one atomic step."""
        return Unit(self, now, request_id)

    def rewriting(self, now: int) -> Unit:
        """A step that writes every record from memory, whatever stands in Redis (execution.md 20)."""
        unit = Unit(self, now, "", over_anything=True)
        for account in self.sub_accounts.values():
            unit.sub_account(account)
        for order in self.orders.values():
            unit.order(order)
        for position in self.positions.values():
            unit.position(position)
        unit.watermark(self.watermark)
        return unit

    def commit(self, batch: Batch) -> asyncio.Future[Outcome]:
        """Commit, and once more over whatever stands where a client deleted or wrote one of our records (contract.md:
        deleting a record does not lose the algo of a running daemon)."""
        future = self._commits.commit(batch)
        if not batch.records:
            return future
        result: asyncio.Future[Outcome] = future.get_loop().create_future()
        future.add_done_callback(lambda done: self._committed(done, batch, result))
        return result

    def _committed(self, done: asyncio.Future[Outcome], batch: Batch, result: asyncio.Future[Outcome]) -> None:
        if result.done():
            return
        if done.cancelled():
            result.cancel()
        elif (error := done.exception()) is None:
            result.set_result(done.result())
        elif isinstance(error, Conflict):
            _log.error("record_overwritten_by_a_client", detail=str(error))
            over = tuple(msgspec.structs.replace(record, expected_rev=None) for record in batch.records)
            again = self._commits.commit(msgspec.structs.replace(batch, records=over))
            again.add_done_callback(lambda second: _hand_on(second, result))
        else:
            result.set_exception(error)
            result.exception()  # whoever waits sees it; a step that nobody waits for has told the store's owner

    def position(self, sub_account_id: str, symbol: str) -> Position:
        """A sub-account's book of a symbol; a flat one where it never traded."""
        return self.positions.get((sub_account_id, symbol)) or positions.flat(sub_account_id, symbol)

    def open_orders(self, symbol: str) -> list[Order]:
        """Every order of ours that may rest at the venue."""
        return [self.orders[client_id] for client_id in self.open_by_symbol[symbol]]

    def by_exchange_id(self, symbol: str, order_id: int) -> Order | None:
        """The order that a trade belongs to (userTrades carries no client id, execution.md 11)."""
        client_id = self._by_exchange_id.get((symbol, order_id))
        return None if client_id is None else self.orders.get(client_id)

    def restore_order(self, order: Order, rev: int) -> None:
        """Take over a record read at start."""
        self._revisions[(self.names.order(order.client_order_id), "")] = rev
        self._remember(order)

    def restore_position(self, position: Position, rev: int) -> None:
        self._revisions[(self.names.position(position.sub_account_id), position.symbol)] = rev
        self.positions[(position.sub_account_id, position.symbol)] = position

    def restore_sub_account(self, account: SubAccount, rev: int) -> None:
        self._revisions[(self.names.subaccount(account.id), "")] = rev
        self.sub_accounts[account.id] = account

    def restore_algo(self, key: str, rev: int) -> None:
        self._revisions[(key, "")] = rev

    def restore_watermark(self, watermark: Watermark, rev: int) -> None:
        self._revisions[(self.names.watermark, "")] = rev
        self.watermark = watermark

    def _remember(self, order: Order) -> None:
        self.orders[order.client_order_id] = order
        if order.exchange_order_id:
            self._by_exchange_id[(order.symbol, order.exchange_order_id)] = order.client_order_id
        if order.state.terminal:
            self.open_by_symbol[order.symbol].discard(order.client_order_id)
        else:
            self.open_by_symbol[order.symbol].add(order.client_order_id)

    def forget(self, client_id: str) -> Order | None:
        """Drop an order that never came to stand in Redis."""
        order = self.orders.pop(client_id, None)
        if order is not None:
            self.open_by_symbol[order.symbol].discard(client_id)
            self._revisions.pop((self.names.order(client_id), ""), None)
        return order

    def forget_ended(self, before_ms: int) -> int:
        """Drop terminal orders last touched before a time: memory follows the records' TTL. Returns how many."""
        ended = [
            order
            for order in self.orders.values()
            if order.state.terminal and order.updated_at < before_ms
        ]
        for order in ended:
            del self.orders[order.client_order_id]
            self._by_exchange_id.pop((order.symbol, order.exchange_order_id), None)
            self._revisions.pop((self.names.order(order.client_order_id), ""), None)
        return len(ended)

    def next_revision(self, key: str, field: str) -> tuple[int, int]:
        """(expected, new) for the next write of a record."""
        expected = self._revisions.get((key, field), 0)
        self._revisions[(key, field)] = expected + 1
        return expected, expected + 1


class Unit:
    """One atomic step in the making: records (the last word on each), events in order, then one commit."""

    def __init__(self, ledger: Ledger, now: int, request_id: str, over_anything: bool = False) -> None:
        self._ledger = ledger
        self._over_anything = over_anything
        self._now = now
        self._request_id = request_id
        self._events: list[Event] = []
        self._drafts: dict[tuple[str, str], dict[str, Any]] = {}

    @property
    def empty(self) -> bool:
        return not self._events and not self._drafts

    def event(self, body: EventBody) -> None:
        """Publish with this step. The request that caused it is added where the event names none."""
        if self._request_id and not body.request_id:
            body = msgspec.structs.replace(body, request_id=self._request_id)
        self._events.append(Event(body.sub_account_id, body.type, events.encode_event(body)))

    def order(self, order: Order, happened: Iterable[str] = ()) -> None:
        """Keep an order's record and publish what happened to it."""
        names = self._ledger.names
        self._ledger._remember(order)
        for kind in happened:
            self.event(OrderEvent.of(kind, order, self._now))  # type: ignore[arg-type]
        self._draft(
            names.order(order.client_order_id),
            order,
            index=Index(names.open_orders(order.sub_account_id), order.client_order_id, not order.state.terminal),
            ttl_ms=_TERMINAL_TTL_MS if order.state.terminal else 0,
        )

    def fill(self, order: Order, fill: Fill, leverage: int) -> Booked:
        """Move the owner's position and the symbol's watermark by a newly booked fill."""
        ledger = self._ledger
        held = ledger.position(order.sub_account_id, order.symbol)
        booked = positions.book(held, fill, leverage, self._now)
        self.position(booked.position)
        self.event(_position_event(booked, fill, self._now))
        self._advance_watermark(fill)
        return booked

    def position(self, position: Position) -> None:
        ledger = self._ledger
        ledger.positions[(position.sub_account_id, position.symbol)] = position
        self._draft(ledger.names.position(position.sub_account_id), position, field=position.symbol)

    def _advance_watermark(self, fill: Fill) -> None:
        ledger = self._ledger
        seen = ledger.watermark.symbols.get(fill.symbol, Applied())
        if (fill.time, fill.trade_id) <= (seen.trade_time, seen.trade_id):
            return
        applied = msgspec.structs.replace(seen, trade_time=fill.time, trade_id=fill.trade_id)
        symbols = ledger.watermark.symbols | {fill.symbol: applied}
        self.watermark(msgspec.structs.replace(ledger.watermark, symbols=symbols))

    def watermark(self, watermark: Watermark) -> None:
        self._ledger.watermark = watermark
        self._draft(self._ledger.names.watermark, watermark)

    def sub_account(self, account: SubAccount) -> None:
        self._ledger.sub_accounts[account.id] = account
        self._draft(self._ledger.names.subaccount(account.id), account)

    def algo(self, kind: Kind, state: Any, happened: EventBody | None) -> None:
        """Keep an algo's record, its row in what a UI lists, and its event."""
        view = kind.view(state)
        names = self._ledger.names
        if happened is not None:
            self.event(happened)
        ended = view.status.terminal
        self._draft(
            names.algo(kind.name, view.algo_id),  # type: ignore[arg-type]
            state,
            index=Index(names.active(kind.name, view.sub_account_id), view.algo_id, not ended),  # type: ignore[arg-type]
            ttl_ms=_TERMINAL_TTL_MS if ended else 0,
            v=kind.version,
        )

    def _draft(
        self, key: str, body: Any, field: str = "", index: Index | None = None, ttl_ms: int = 0, v: int = codec.VERSION
    ) -> None:
        self._drafts[(key, field)] = {
            "body": body,
            "index": index,
            "ttl_ms": ttl_ms,
            "v": v,
            "event": len(self._events) - 1 if self._events else None,
        }

    def commit(
        self,
        claim: Claim | None = None,
        puts: tuple[Put, ...] = (),
        deletes: tuple[Delete, ...] = (),
        progress: bool = False,
    ) -> asyncio.Future[Outcome]:
        """Hand the step over; memory has it already."""
        records = tuple(self._record(key, field, draft) for (key, field), draft in self._drafts.items())
        batch = Batch(
            records=records, events=tuple(self._events), puts=puts, deletes=deletes, claim=claim, progress=progress
        )
        return self._ledger.commit(batch)

    def _record(self, key: str, field: str, draft: dict[str, Any]) -> Record:
        expected, rev = self._ledger.next_revision(key, field)
        return Record(
            key=key,
            field=field,
            body=codec.encode(draft["body"]),
            expected_rev=None if self._over_anything else expected,
            rev=rev,
            v=draft["v"],
            event=draft["event"],
            index=draft["index"],
            ttl_ms=draft["ttl_ms"],
        )


def _position_event(booked: Booked, fill: Fill, now: int) -> EventBody:
    position = booked.position
    shown: dict[str, Any] = {
        "ts": now,
        "sub_account_id": position.sub_account_id,
        "position_id": position.position_id,
        "symbol": position.symbol,
        "side": position.side,
        "entry_price": position.entry_price,
        "quantity": position.quantity,
        "notional": position.notional,
        "margin": position.margin,
        "leverage": position.leverage,
        "liquidation_price": position.liquidation_price,
    }
    if booked.event == "position_updated":
        return PositionUpdated(**shown)
    return PositionReduced(
        type=booked.event,  # type: ignore[arg-type]
        closed_qty=booked.closed_qty,
        remaining_qty=position.quantity,
        realized_pnl=booked.realized_pnl,
        fee=fill.commission,
        close_price=fill.price,
        **shown,
    )


def _hand_on(done: asyncio.Future[Outcome], result: asyncio.Future[Outcome]) -> None:
    if done.cancelled():
        result.cancel()
    elif (error := done.exception()) is None:
        result.set_result(done.result())
    else:
        result.set_exception(error)
        result.exception()
