"""A plug-in as a kind of algo that the shell runs like any other (algos.registry.Kind).

Owns the record's concrete type, what the shell reads of it, its events, and the stand-in for an algo whose plug-in is
missing. No plug-in's code runs here: all of it is asked from within a step, where an error fails that algo alone.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache, partial
from typing import Any, NoReturn

import msgspec

from algos import tally
from algos.laws import LawBroken
from algos.plugin import Decided, Plugin
from algos.plugin_laws import check_plugin
from algos.plugin_step import start, step_parked, step_plugin
from algos.registry import Kind
from algos.step import Identity
from algos.view import View
from schemas import codec
from schemas.chase import AlgoStatus
from schemas.errors import ErrorCode, Invalid
from schemas.events_algos import AlgoEvent
from schemas.market import Instrument, Quote
from schemas.orders import Origin
from schemas.plugin import ParkedState, PluginParams, PluginState

LETTER = "p"
VERSION = 1
_WORDS = {AlgoStatus.FILLED: "completed", AlgoStatus.EXPIRED: "cancelled"}


def kind_of(plugin: Plugin, made_by: str) -> Kind:
    """The kind of an approved plug-in; `made_by` is its line in the approval list."""
    record = record_of(plugin)

    def begin(
        who: Identity, params: PluginParams, instrument: Instrument | None, quote: Quote | None, now: int
    ) -> Decided:
        assert instrument is not None, "a plug-in's algo has a symbol"
        assert quote is not None, "a plug-in's algo begins on a price"
        state, actions = start(plugin, record, made_by, who, params, instrument, quote, now)
        try:
            check_plugin(None, None, state, actions)
        except LawBroken as broken:
            message = f"{plugin.name} would break {broken}. Nothing was done; it is for who made the plug-in."
            raise Invalid(ErrorCode.INVALID_FIELD, message, path="algo") from broken
        return state, actions

    return _kind(plugin.name, record, begin, partial(step_plugin, plugin))


@cache
def record_of(plugin: Plugin) -> type[PluginState]:
    """The record with the plug-in's own types in it."""
    name = "".join(word.capitalize() for word in plugin.name.split("_")) + "State"
    fields: list[tuple[str, Any]] = [("params", plugin.params), ("own", plugin.own)]
    made = msgspec.defstruct(name, fields, bases=(PluginState,), frozen=True, rename="camel", kw_only=True)
    assert issubclass(made, PluginState), "its base"
    return made


def parked(name: str) -> Kind:
    """The stand-in for a plug-in that is missing."""

    def never(*_: Any) -> NoReturn:
        raise Invalid(ErrorCode.PLUGIN_NOT_APPROVED, f"the plug-in {name} is missing; nothing was done.", path="algo")

    return _kind(name, ParkedState, never, step_parked)


def revived(plugin: Plugin, made_by: str, state: ParkedState) -> PluginState:
    """A record for the plug-in that has come back, or goes on. Raises Invalid where it can't read what is its own."""
    rest = {name: getattr(state, name) for name in PluginState.__struct_fields__}
    rest["params"] = codec.decode(plugin.params, bytes(state.params))
    rest["own"] = codec.decode(plugin.own, bytes(state.own))
    return record_of(plugin)(**rest | {"made_by": made_by})


def _kind(name: str, record: type[PluginState], begin: Any, step: Any) -> Kind:
    return Kind(
        name=name,
        letter=LETTER,
        origin=Origin.ALGO,
        record=record,
        version=VERSION,
        start=begin,
        step=step,
        view=_view,
        report=None,
        check=check_plugin,
        event=_event,
        plugin=True,
    )


def _view(state: PluginState) -> View:
    return View(
        algo_id=state.algo_id,
        root_id=state.root_id,
        sub_account_id=state.sub_account_id,
        symbol=state.symbol,
        status=state.status,
        wake_at=state.wake_at,
        reduce_only=state.reduce_only,
        live_children=tuple(order.client_order_id for order in state.orders),
        updated_at=state.updated_at,
        news=(state.status, state.legs, tuple((one.client_order_id, one.price, one.state) for one in state.orders)),
        tag=state.tag,
        epoch=state.id_epoch,
        instrument=state.instrument,
        mid=state.mid,
    )


def _event(kind: Any, state: PluginState, now: int) -> AlgoEvent:
    """`kind` is the algo's name and what happened; events of plug-ins have the family `algo`."""
    word = kind.removeprefix(f"{state.algo}_")
    if state.status.terminal:
        word = _WORDS.get(state.status, word)
    return AlgoEvent(
        type=f"algo_{word}",  # type: ignore[arg-type]
        ts=now,
        sub_account_id=state.sub_account_id,
        request_id=state.request_id,
        algo_id=state.algo_id,
        algo=state.algo,
        symbol=state.symbol,
        status=state.status,
        state=_shown(state),
        reason=state.paused if state.status is AlgoStatus.PAUSED else state.reason,
    )


def _shown(state: PluginState) -> dict[str, Any]:
    """What is filled and what it cost, what rests, and what the plug-in keeps."""
    legs = []
    for leg in state.legs:
        average = tally.average(leg.quote_filled, leg.filled)
        slippage = tally.slippage_bps(leg.side, average, state.arrival_mid)
        told = {"side": leg.side, "quantity": leg.quantity, "filledQuantity": leg.filled, "avgPrice": average}
        legs.append(told | {"slippageBps": slippage})
    orders = [
        {"slot": one.slot, "clientOrderId": one.client_order_id, "price": one.price, "quantity": one.quantity}
        | {"filledQty": one.filled, "state": one.state}
        for one in state.orders
    ]
    own = state.own if isinstance(state.own, msgspec.Raw) else msgspec.to_builtins(state.own, builtin_types=(Decimal,))
    return {"legs": legs, "fees": state.fees, "arrivalMid": state.arrival_mid, "orders": orders, "own": own}
