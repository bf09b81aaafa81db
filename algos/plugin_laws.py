"""The laws of algos.md on each step of a plug-in's algo, whatever its code meant: checked at run time before anything
of the step is recorded or leaves.

A broken law fails that algo and nothing else (pms.runner). Beyond the laws: a plug-in may change nothing that is ours
(who it is, what it may trade, what is filled), asks on its own symbol only, and its record can be read back as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from algos.laws import check_grid, require
from algos.step import Action, AmendChild, CancelChild, Input, OrderUpdate, PlaceChild, Recovered
from schemas import codec
from schemas.errors import Invalid
from schemas.ids import OrderId, parse
from schemas.plugin import PluginOrder, PluginState

RECORD_MAX_BYTES = 65_536  # it is written whole at each step, and goes out with each event
ORDERS_MAX = 50  # live ones of one algo: of the 200 that the venue takes on a symbol, for all algos together

# What a step of any kind leaves as it is. The epoch changes by a recovery only.
_FIXED = (
    *("algo_id", "algo", "sub_account_id", "tag", "symbol", "params", "leverage", "reduce_only"),
    *("request_id", "root_id", "started_at", "arrival_mid"),
)


def check_plugin(
    before: PluginState | None, given: Input | None, after: PluginState, actions: tuple[Action, ...]
) -> None:
    """One step: the record before (None at the start), the input that changed it, and what came of it. Raises
    LawBroken."""
    if before is not None:
        _check_kept(before, given, after)
    if before is not None and before.status.terminal:
        require(not actions and after.status is before.status, 4, "an ended algo acts")
    elif after.status.terminal:
        require(not after.orders, 3, "an ending before its orders are proven gone")
    slots = [order.slot for order in after.orders]
    require(len(slots) == len(set(slots)), 1, f"two live orders in one slot: {slots}")
    require(len(slots) <= ORDERS_MAX, 1, f"{len(slots)} live orders, over {ORDERS_MAX}")
    for order in () if before is None else before.orders:
        if _find(after, order.client_order_id) is None:
            require(_proves_gone(given, order), 3, f"{order.client_order_id} left without evidence")
    _check_actions(before, after, actions)
    _check_record(after)


def _check_kept(before: PluginState, given: Input | None, after: PluginState) -> None:
    """What is not the plug-in's to change."""
    for name in _FIXED:
        require(getattr(after, name) == getattr(before, name), 10, f"{name} was changed")
    require(after.id_epoch == before.id_epoch or isinstance(given, Recovered), 10, "id_epoch was changed")
    booked = [(leg.side, leg.filled, leg.quote_filled) for leg in before.legs]
    filled = isinstance(given, OrderUpdate) and given.fill is not None
    now = [(leg.side, leg.filled, leg.quote_filled) for leg in after.legs]
    require(filled or now == booked, 2, "fills were changed without a fill")
    grown = any(new.quantity > old.quantity for new, old in zip(after.legs, before.legs, strict=False))
    require(len(now) == len(booked) and not grown, 2, "more is to be traded than was asked for at the door")


def _check_actions(before: PluginState | None, after: PluginState, actions: Sequence[Action]) -> None:
    asked = set()
    for action in actions:
        require(isinstance(action, PlaceChild | AmendChild | CancelChild), 1, "a plug-in has orders only")
        assert isinstance(action, PlaceChild | AmendChild | CancelChild)
        require(action.client_order_id not in asked, 1, f"two requests at once for {action.client_order_id}")
        asked.add(action.client_order_id)
        order = _find(after, action.client_order_id)
        require(order is not None, 1, f"{action.client_order_id} is an order that the record misses")
        require(action.symbol == after.symbol, 1, f"{action.symbol} is not its own symbol")
        assert order is not None
        if isinstance(action, PlaceChild | AmendChild):
            _check_asked(after, order, action)
        if isinstance(action, PlaceChild):
            _check_new(before, after, order, action)
        else:
            known = None if before is None else _find(before, action.client_order_id)
            require(known is not None, 1, f"{action.client_order_id} is not there yet")


def _check_asked(after: PluginState, order: PluginOrder, action: PlaceChild | AmendChild) -> None:
    """What any request for more, or for another price, has to keep."""
    require(not after.hold, 5, f"acts on stale data ({after.hold})")
    require(action.side is order.side and action.reduce_only == after.reduce_only, 2, "another kind of order")
    require(action.quantity > order.filled, 2, "a total below the executed part cancels the order")
    leg = after.leg(action.side)
    require(leg is not None, 2, f"{action.side} was not planned")
    assert leg is not None
    others = sum(one.open_quantity for one in after.orders if one.side is action.side and one.slot != order.slot)
    most = leg.rest - others
    open_after = max(action.quantity, order.quantity) - order.filled
    require(open_after <= most, 2, f"asks {action.quantity} where {most} is left")
    check_grid(after.instrument, action)


def _check_new(before: PluginState | None, after: PluginState, order: PluginOrder, action: PlaceChild) -> None:
    waiting = after.ending is not None or after.withdraw or after.stopped_at or after.paused or after.blocked
    require(not waiting, 8, "places while it is to leave the market")
    require(action.leverage == after.leverage, 2, "another leverage")
    whose = parse(action.client_order_id)
    require(isinstance(whose, OrderId), 1, f"{action.client_order_id} is no id of ours")
    assert isinstance(whose, OrderId)
    named = (whose.tag, whose.owner, whose.epoch, whose.slot)
    require(named == (after.tag, after.algo_id, after.id_epoch, order.slot), 1, f"{whose} is not an id of its own")
    used = 0 if before is None or before.id_epoch != after.id_epoch else before.attempt
    require(used < whose.attempt <= after.attempt, 1, f"attempt {whose.attempt} was used before")


def _check_record(after: PluginState) -> None:
    """What is written must be what a restart reads."""
    try:
        written = codec.encode(after)
        same = codec.decode(type(after), written) == after
    except (Invalid, msgspec.MsgspecError, TypeError, ValueError) as error:
        require(False, 10, f"the record can't be read back: {error}")
    else:
        require(same, 10, "the record reads back as another")
        require(len(written) <= RECORD_MAX_BYTES, 10, f"the record has {len(written)} bytes, over {RECORD_MAX_BYTES}")


def _find(state: PluginState, client_order_id: str) -> PluginOrder | None:
    return next((order for order in state.orders if order.client_order_id == client_order_id), None)


def _proves_gone(given: Input | None, order: PluginOrder) -> bool:
    return (
        isinstance(given, OrderUpdate)
        and given.order.client_order_id == order.client_order_id
        and given.order.state.terminal
    )
