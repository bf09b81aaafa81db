"""What a sweeping command covers: a sub-account, a symbol, both, or everything (contract.md)."""

from __future__ import annotations

import msgspec

from pms.desk import Desk
from pms.family import view_of
from pms.runner import Runner
from schemas.books import Position
from schemas.orders import Order
from schemas.records import EXTERNAL, Halt


class Scope(msgspec.Struct, frozen=True):
    """None: all of them."""

    sub_account_id: str | None = None
    symbol: str | None = None

    @classmethod
    def of_halt(cls, halt: Halt) -> Scope:
        """What a halt covers."""
        account = halt.subject if halt.scope == "subAccountId" else None
        return cls(account, halt.subject if halt.scope == "symbol" else None)

    def covers(self, sub_account_id: str, symbol: str) -> bool:
        return self.sub_account_id in (None, sub_account_id) and self.symbol in (None, symbol)

    def runners(self, desk: Desk, protection: bool) -> list[Runner]:
        """The algos in it, parents before their children, so that none of these is started anew; those that only
        reduce where `protection` is meant too."""
        views = [(runner, view_of(runner)) for runner in desk.runners.values()]
        found = [
            runner
            for runner, view in views
            if self.covers(view.sub_account_id, view.symbol) and (protection or not view.reduce_only)
        ]
        return sorted(found, key=lambda runner: bool(view_of(runner).parent_id))

    def orders(self, desk: Desk) -> list[Order]:
        """Every order of ours in it that has not ended."""
        orders, symbols = desk.ledger.orders, desk.ledger.open_by_symbol
        names = [name for symbol, open_here in symbols.items() if self.symbol in (None, symbol) for name in open_here]
        found = [orders[name] for name in names if self.covers(orders[name].sub_account_id, orders[name].symbol)]
        return [order for order in found if order.sub_account_id != EXTERNAL]

    def withdraw_entries(self, desk: Desk, request_id: str = "") -> list[str]:
        """Cancel the orders in it that add risk and belong to no running algo; their client ids."""
        loose = [order for order in self.orders(desk) if not order.reduce_only and order.parent_id not in desk.runners]
        with desk.step(request_id):
            for order in loose:
                desk.cancel(order, request_id)
        return [order.client_order_id for order in loose]

    def positions(self, desk: Desk) -> list[Position]:
        """The open positions in it, but those that are nobody's."""
        return [
            position
            for (name, symbol), position in desk.ledger.positions.items()
            if position.signed_quantity and name != EXTERNAL and self.covers(name, symbol)
        ]
