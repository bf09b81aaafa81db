"""What a new algo would do first, with all of its children: looked at before anything is recorded.

Starting is pure, so it can be done for a look: the gate judges the first orders of all together, and a preview shows
them. Refuses to record and to send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from algos.children import Exit, Spawn
from algos.cover import Cover
from algos.registry import KINDS, Decided, Kind
from algos.step import Action, Identity, PlaceChild
from pms.desk import Desk
from pms.family import Family, view_of
from pms.runner import Runner
from schemas.market import Quote
from schemas.orders import Order


class FirstActions:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def begin(self, kind: Kind, who: Identity, params: Any, quotes: Mapping[str, Quote]) -> Decided:
        """The first record and actions of an algo as things stand now; `quotes` are the newest of its symbols."""
        symbol = getattr(params, "symbol", "")
        desk, quote = self._desk, quotes.get(symbol)
        state, actions = kind.start(who, params, desk.instruments.get(symbol), quote, desk.now())
        if kind.backed:  # what it may close from the venue is among the things as they stand
            most, net = desk.covers.share(kind.view(state))
            state, more = kind.step(state, Cover(desk.now(), most, net, quote))
            actions = (*actions, *more)
        return state, actions

    def orders(self, runner: Runner, actions: Sequence[Action]) -> list[Order]:
        """The first orders, its children's too."""
        found: list[Order] = []
        for action in actions:
            if isinstance(action, PlaceChild):
                found.append(self._desk.entry.intent(runner, action))
            elif isinstance(action, Spawn):
                found += self.orders(*self._child(runner, action))
        return found

    def _child(self, runner: Runner, action: Spawn) -> tuple[Runner, Sequence[Action]]:
        kind, symbol = KINDS[action.kind], getattr(action.params, "symbol", "")
        quote = self._desk.market.quote(symbol)
        quotes = {} if quote is None else {symbol: quote}
        state, actions = self.begin(kind, Family.identity(view_of(runner), action), action.params, quotes)
        return self._desk.begin(kind, state), actions

    def described(self, runner: Runner, actions: Sequence[Action]) -> list[dict[str, Any]]:
        """The first actions in the words of the contract, a child's beside its parent's."""
        rows: list[dict[str, Any]] = []
        for action in actions:
            if isinstance(action, PlaceChild):
                rows.append(_order(runner, action))
            elif isinstance(action, Exit):
                rows.append(
                    {"action": "exit", "symbol": action.symbol, "side": action.side, "quantity": action.quantity}
                )
            elif isinstance(action, Spawn):
                child, first = self._child(runner, action)
                rows.append({"action": "start", "algo": action.kind, "slot": action.slot})
                rows += [row | {"slot": action.slot} for row in self.described(child, first)]
        return rows


def _order(runner: Runner, action: PlaceChild) -> dict[str, Any]:
    waits = {"orderType": action.order_type, "triggerPrice": action.trigger_price} if action.trigger_price else {}
    return waits | {
        "action": "place",
        "algo": runner.kind.name,
        "symbol": action.symbol,
        "side": action.side,
        "price": action.price,
        "quantity": action.quantity,
        "timeInForce": action.time_in_force,
        "reduceOnly": action.reduce_only,
    }
