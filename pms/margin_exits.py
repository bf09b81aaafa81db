"""Exits that margin asks for: what is closed for it, and where an exit can't help now.

Owns the memory of exits that ended with something left, so that they are tried again in a while and not each second.
Refuses to decide what is closed, and to send (`pms.exit_orders`).
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

from pms.commands.scope import Scope
from pms.core import exits
from pms.desk import Desk
from pms.exit_goals import Exit, Goal

AGAIN_MS = 5_000  # what was refused for good may be mended by a person; until then others are closed in its stead


class MarginExits:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._not_before: dict[tuple[str, str], int] = {}

    def begin(self, sub_account_id: str, symbol: str, quantity: Decimal | None, after: tuple[str, ...] = ()) -> Exit:
        """Close so much of a position, None: all of it, and what placings `after` may still add."""
        desk = self._desk
        assert desk.closing is not None, "composed with the desk"
        side = exits.closing_side(desk.ledger.position(sub_account_id, symbol).signed_quantity)
        one = desk.closing.begin(Goal(sub_account_id, symbol, side, quantity, after=after))
        one.done.add_done_callback(lambda done: self._ended(sub_account_id, symbol, done))
        return one

    def _ended(self, sub_account_id: str, symbol: str, done: asyncio.Future[str]) -> None:
        if not done.cancelled() and done.result():
            self._not_before[sub_account_id, symbol] = self._desk.now() + AGAIN_MS

    def barred(self, sub_account_id: str) -> set[str]:
        """The symbols in which an exit does not get on, or ended a moment ago with something left."""
        stuck = {one.goal.symbol for one in self._running(sub_account_id) if one.stuck}
        now = self._desk.now()
        refused = {
            symbol for (name, symbol), since in self._not_before.items() if name == sub_account_id and now < since
        }
        return stuck | refused

    def running(self, sub_account_id: str) -> set[str]:
        """The symbols with an exit under way, whoever began it: the books do not show yet what it brings."""
        return {one.goal.symbol for one in self._running(sub_account_id)}

    def locked(self, sub_account_id: str) -> set[str]:
        """Those, and the symbols with an exit of a former life, which is known by its order alone."""
        orders = Scope(sub_account_id).orders(self._desk)
        immediate = {order.symbol for order in orders if order.reduce_only and order.immediate}
        return self.running(sub_account_id) | immediate

    def _running(self, sub_account_id: str) -> list[Exit]:
        assert self._desk.closing is not None, "composed with the desk"
        return self._desk.closing.running(sub_account_id)
