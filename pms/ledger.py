"""The daemon's memory of what is in Redis: orders, positions, sub-accounts and revisions, changed only through a `Unit`
(one atomic step).

Owns the records and their versions. Refuses to decide and to send. Invariant: memory and the commit queue move
together, so what is read here is what Redis holds or is about to hold, in the same order.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

from pms.bus.batch import Batch, Durable
from pms.core import positions
from pms.core.exposure import Exposure
from schemas.books import Position, Risk
from schemas.keys import Keys
from schemas.orders import Order
from schemas.records import Mode, SubAccount, Watermark


class Commits(Protocol):
    """Takes batches in order; see pms.bus.store.Store."""

    def commit(self, batch: Batch) -> Durable: ...


class Ledger:
    """All records of one account, by key."""

    def __init__(self, names: Keys, commits: Commits) -> None:
        self.names = names
        self.commit = commits.commit  # of what memory has already
        self.orders: dict[str, Order] = {}
        self.positions: dict[tuple[str, str], Position] = {}
        self.sub_accounts: dict[str, SubAccount] = {}
        self.watermark = Watermark()
        self.mode = Mode()
        self.risks: dict[str, Risk] = {}
        self.exposure = Exposure()
        self.open_by_symbol: defaultdict[str, set[str]] = defaultdict(set)
        self._by_exchange_id: dict[tuple[str, int], str] = {}
        self._revisions: dict[tuple[str, str], int] = {}

    def position(self, sub_account_id: str, symbol: str) -> Position:
        """A sub-account's book of a symbol; a flat one where it never traded."""
        return self.positions.get((sub_account_id, symbol)) or positions.flat(sub_account_id, symbol)

    def open_orders(self, symbol: str) -> list[Order]:
        """Every order of ours that may rest at the venue."""
        return list(map(self.orders.__getitem__, self.open_by_symbol[symbol]))

    def by_exchange_id(self, symbol: str, order_id: int) -> Order | None:
        """The order that a trade belongs to (userTrades carries no client id, execution.md 11)."""
        client_id = self._by_exchange_id.get((symbol, order_id))
        return None if client_id is None else self.orders.get(client_id)

    def restore_order(self, order: Order, rev: int) -> None:
        """Take over a record read at start."""
        self._revisions[(self.names.order(order.client_order_id), "")] = rev
        self.remember(order)

    def restore_position(self, position: Position, rev: int) -> None:
        self._revisions[(self.names.position(position.sub_account_id), position.symbol)] = rev
        self.keep_position(position)

    def restore_sub_account(self, account: SubAccount, rev: int) -> None:
        self._revisions[(self.names.subaccount(account.id), "")] = rev
        self.sub_accounts[account.id] = account

    def restore_risk(self, sub_account_id: str, risk: Risk, rev: int) -> None:
        self._revisions[(self.names.risk(sub_account_id), "")] = rev
        self.risks[sub_account_id] = risk

    def restore_algo(self, key: str, rev: int) -> None:
        self._revisions[(key, "")] = rev

    def restore_watermark(self, watermark: Watermark, rev: int) -> None:
        self._revisions[(self.names.watermark, "")] = rev
        self.watermark = watermark

    def restore_mode(self, mode: Mode, rev: int) -> None:
        self._revisions[(self.names.mode, "")] = rev
        self.mode = mode

    def keep_position(self, position: Position) -> None:
        """Keep a position in memory; its record is written by the unit that changed it."""
        self.positions[(position.sub_account_id, position.symbol)] = position
        self.exposure.position(position)

    def remember(self, order: Order) -> None:
        """Keep an order in memory; its record is written by the unit that changed it."""
        self.orders[order.client_order_id] = order
        self.exposure.order(order)
        if order.exchange_order_id:
            self._by_exchange_id[(order.symbol, order.exchange_order_id)] = order.client_order_id
        if order.state.terminal:
            self.open_by_symbol[order.symbol].discard(order.client_order_id)
        else:
            self.open_by_symbol[order.symbol].add(order.client_order_id)

    def forget(self, client_id: str, tried: bool = False) -> Order | None:
        """Drop an order that never came to stand in Redis; `tried` as `Exposure.forget` takes it."""
        order = self.orders.pop(client_id, None)
        if order is not None:
            self.exposure.forget(client_id, tried)
            self.open_by_symbol[order.symbol].discard(client_id)
            self._revisions.pop((self.names.order(client_id), ""), None)
        return order

    def forget_ended(self, before_ms: int) -> int:
        """Drop terminal orders last touched before a time: memory follows the records' TTL. Returns how many."""
        ended = [order for order in self.orders.values() if order.state.terminal and order.updated_at < before_ms]
        for order in ended:
            del self.orders[order.client_order_id]
            self._by_exchange_id.pop((order.symbol, order.exchange_order_id), None)
            self._revisions.pop((self.names.order(order.client_order_id), ""), None)
        return len(ended)

    def next_revision(self, key: str, field: str) -> int:
        """The version of the next write of a record; the one before it must stand."""
        rev = self._revisions[(key, field)] = self._revisions.get((key, field), 0) + 1
        return rev
