"""What a plug-in is made of: the whole of what an installed package needs to bring a new algo (design.md, plug-ins).

A plug-in is a `Plugin`, named by an entry point of the group `pms.algos`. It says what its parameters come to (`plan`)
and what is to be asked of the market now (`decide`); the records, ids, fills, pauses, holds, back-offs and recoveries
are ours (`algos.plugin_step`), and so is the check of the laws on each step (`algos.plugin_laws`). Both functions are
pure: no clock, no chance, no I/O. Refuses child algos: a plug-in has orders of its own only, on one symbol.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from algos.step import Action, AmendChild, CancelChild, PlaceChild
from schemas.chase import AlgoStatus
from schemas.ids import ATTEMPT_MAX, OrderId, make
from schemas.market import Instrument, Quote, Side
from schemas.orders import OrderState, TimeInForce
from schemas.plugin import PluginOrder, PluginParams, PluginState

Decided = tuple[PluginState, tuple[Action, ...]]
NOTHING: tuple[Action, ...] = ()

_replace = msgspec.structs.replace


class Plan(msgspec.Struct, frozen=True):
    """What an algo is to trade on one side: the most that it may ever fill there, and what it would ask first."""

    side: Side
    quantity: Decimal
    price: Decimal


class NothingOwn(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The own part of a record whose plug-in keeps nothing."""


class Plugin(msgspec.Struct, frozen=True, kw_only=True):
    """One algo of a package; `name` is the entry point's name and the word in `algo_start`.

    `params`: a struct of `PluginParams` with the plug-in's fields; the door decodes it strictly.
    `plan(params, instrument, quote)`: what they come to, one `Plan` for each side it trades. Raises `schemas.errors.
    Invalid`, with the field as `path`, for what can't be done. The quantities bind: no side ever fills more (law 2).
    `decide(state, now, quote)`: what to do, asked whenever something may have changed and acting is allowed (nothing
    held, paused, blocked or backing off). Made of `place`, `amend`, `cancel` and `end` below; the same state object
    back means nothing. A `wake_at` put into the state is the time (Unix ms) of the next look, whatever happens
    till then.
    `own`: a frozen struct of what the plug-in keeps in the record between two looks, all fields with defaults; it is
    `state.own`, and goes out in the algo's events.
    """

    name: str
    params: type[PluginParams]
    plan: Callable[[PluginParams, Instrument, Quote], tuple[Plan, ...]]
    decide: Callable[[PluginState, int, Quote], Decided]
    own: type[msgspec.Struct] = NothingOwn


def place(
    state: PluginState,
    slot: int,
    side: Side,
    price: Decimal,
    quantity: Decimal,
    time_in_force: TimeInForce = "GTC",
) -> Decided:
    """A new order in a free slot. The algo ends where its attempts are used up."""
    assert state.order(slot) is None, f"slot {slot} has a live order: law 1"
    if state.attempt >= ATTEMPT_MAX:
        return end(state, AlgoStatus.FAILED, "attempts_exhausted"), NOTHING
    attempt = state.attempt + 1
    client_id = make(OrderId(state.tag, state.algo_id, state.id_epoch, slot, attempt))
    order = PluginOrder(
        slot=slot,
        client_order_id=client_id,
        side=side,
        price=price,
        quantity=quantity,
        time_in_force=time_in_force,
        request="place",
    )
    action = PlaceChild(
        client_id, state.symbol, side, time_in_force, price, quantity, state.reduce_only, state.leverage
    )
    return _replace(state, attempt=attempt, orders=(*state.orders, order)), (action,)


def amend(state: PluginState, slot: int, price: Decimal, quantity: Decimal) -> Decided:
    """Move a resting order; `quantity` is its total, executed part included (execution.md 7). Nothing where it does not
    rest now."""
    order = state.order(slot)
    if order is None or order.state is not OrderState.ACTIVE:
        return state, NOTHING
    moving = _replace(order, state=OrderState.AMENDING, request="amend")
    action = AmendChild(order.client_order_id, state.symbol, order.side, price, quantity, state.reduce_only)
    return with_order(state, moving), (action,)


def cancel(state: PluginState, slot: int) -> Decided:
    """Take a resting order away; the slot is free once that is proven. Nothing where it does not rest now."""
    order = state.order(slot)
    if order is None or order.state is not OrderState.ACTIVE:
        return state, NOTHING
    leaving = _replace(order, state=OrderState.CANCELLING, request="cancel")
    return with_order(state, leaving), (CancelChild(order.client_order_id, state.symbol),)


def end(state: PluginState, status: AlgoStatus, reason: str = "") -> PluginState:
    """Decide the ending (`completed`, `cancelled` or `failed`): it is reached when no order is left, and the first
    decision stands."""
    assert status in (AlgoStatus.COMPLETED, AlgoStatus.CANCELLED, AlgoStatus.FAILED), f"{status} is no ending of ours"
    return state if state.ending is not None else _replace(state, ending=status, ending_reason=reason)


def with_order(state: PluginState, order: PluginOrder) -> PluginState:
    """The state with a live order as it is now."""
    orders = tuple(order if known.slot == order.slot else known for known in state.orders)
    return _replace(state, orders=orders)
