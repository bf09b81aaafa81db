"""Who may close how much of a symbol from the venue itself: backstops together never ask for more than the account's
net position, and each hears of its part (algos.md, trail_stop; execution.md 14).

Refuses to decide what is placed: that is the algo's.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from algos.cover import Cover
from algos.view import View
from pms.core import exits
from pms.core.exits import Form
from pms.runner import Runner
from schemas.market import ZERO

if TYPE_CHECKING:
    from pms.desk import Desk


class Covers:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._by_symbol: dict[str, dict[str, Runner]] = {}
        self._told: dict[str, tuple[Decimal, Decimal]] = {}
        self._asked: dict[str, Decimal] = {}

    def add(self, runner: Runner) -> None:
        """An algo begins, or came back from Redis."""
        if runner.kind.backed:
            view = runner.kind.view(runner.state)
            self._by_symbol.setdefault(view.symbol, {})[view.algo_id] = runner
            self._asked[view.algo_id] = view.backstop

    def discard(self, symbol: str, algo_id: str) -> None:
        """An algo has ended: what it had is free."""
        here = self._by_symbol.get(symbol, {})
        if here.pop(algo_id, None) is not None:
            self._told.pop(algo_id, None)
            self._asked.pop(algo_id, None)
            self.tell(symbol)

    def asks(self, runner: Runner) -> None:
        """An algo's record changed: where it asks for another quantity, others' parts change with it."""
        if runner.kind.backed:
            view = runner.kind.view(runner.state)
            if self._asked.get(view.algo_id, view.backstop) != view.backstop:
                self._asked[view.algo_id] = view.backstop
                self.tell(view.symbol)

    def tell(self, symbol: str) -> None:
        """Tell each that follows its symbol what its part is, where it is another now. Who stands at the venue already
        keeps what it has, then the older comes before the newer."""
        desk, here = self._desk, self._by_symbol.get(symbol)
        if not here:
            return
        views = [(runner.kind.view(runner.state), runner) for runner in here.values()]
        views.sort(key=lambda one: (not one[0].live_children, one[0].algo_id))
        books, free = desk.books.held(symbol), dict[int, Decimal]()
        for view, runner in views:
            most, net = _part(view, books, free)
            if desk.follows(view.algo_id) and self._told.get(view.algo_id) != (most, net):
                self._told[view.algo_id] = (most, net)
                desk.offer(runner, Cover(desk.now(), most, net, desk.quote_of(runner)))

    def share(self, view: View) -> tuple[Decimal, Decimal]:
        """What one more algo would be given, and the account's net in its direction."""
        books, free = self._desk.books.held(view.symbol), dict[int, Decimal]()
        for runner in self._by_symbol.get(view.symbol, {}).values():
            _part(runner.kind.view(runner.state), books, free)
        return _part(view, books, free)


def _part(view: View, books: Mapping[str, Decimal], free: dict[int, Decimal]) -> tuple[Decimal, Decimal]:
    """What one may have of what is `free` in its direction, by signed books, and the account's net there."""
    held = books.get(view.sub_account_id, ZERO)
    if not held:
        return ZERO, ZERO
    side = exits.closing_side(held)
    net = exits.coverable(side, books, ZERO)
    left = free.setdefault(side.sign, net)
    if exits.form(view.sub_account_id, side, view.backstop, False, books, ZERO) is Form.FORBIDDEN:
        return ZERO, net
    most = min(view.backstop, left)
    free[side.sign] = left - most
    return most, net
