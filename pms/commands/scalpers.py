"""scalper at the door: its layers in the venue's grid (contract.md, algos.md).

Starting, ending and pausing are what all kinds share (pms.commands.starting, pms.commands.algos).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from algos import scalper
from algos.registry import SCALPER
from algos.scalper_layers import Layers, plan
from pms.commands.needs import Needs, Planned
from pms.commands.terms import Terms
from schemas.commands_scalper import Scalper
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.market import ZERO, Instrument, Quote, Side
from schemas.replies import ScalperReply, Success
from schemas.scalper import ScalperLadder, ScalperLayer, ScalperParams, ScalperState


class ScalperDoor:
    """A `starting.Door`."""

    kind = SCALPER
    command: type[Command] = Scalper
    id_name = "scalperId"

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def needs(self, command: Scalper, sub_account: str) -> Sequence[Needs]:
        return (Needs(command.symbol, command.leverage),)

    def params(self, command: Scalper, sub_account: str, quotes: Mapping[str, Quote]) -> ScalperParams:
        """Raises Invalid (BELOW_MINIMUM, INVALID_FIELD)."""
        params = command.params()
        instrument, mid, layers = self._layers(params, quotes)
        for name, usd, found in (
            ("longSizeUsd", params.long_size_usd, layers.long),
            ("shortSizeUsd", params.short_size_usd, layers.short),
        ):
            if not found:
                message = (
                    f"{usd} USD is not enough for one order of {params.symbol}, which takes at least "
                    f"{instrument.min_qty} and {instrument.min_notional} USDT."
                )
                raise Invalid(ErrorCode.BELOW_MINIMUM, message, path=name, minNotional=instrument.min_notional)
        cap = scalper.cap_quantity(params, instrument, mid)
        smallest = min(layer.quantity for _, opening in _opening(params, layers) for layer in opening)
        if cap < smallest:
            message = f"{params.max_position_usd} USD holds {cap}, but the smallest opening layer is {smallest}."
            raise Invalid(ErrorCode.INVALID_FIELD, message, path="maxPositionUsd", limit=cap)
        return params

    def planned(self, params: ScalperParams, quotes: Mapping[str, Quote]) -> Sequence[Planned]:
        """What the opening legs come to; the others only ever close that."""
        instrument, mid, layers = self._layers(params, quotes)
        return [
            Planned(
                params.symbol,
                side,
                sum((layer.quantity for layer in opening), ZERO),
                mid - side.sign * opening[0].offset_ticks * instrument.tick,
                params.leverage,
            )
            for side, opening in _opening(params, layers)
        ]

    def _layers(self, params: ScalperParams, quotes: Mapping[str, Quote]) -> tuple[Instrument, Decimal, Layers]:
        instrument = self._terms.instrument(params.symbol, False)
        mid = quotes[params.symbol].mid2 * instrument.tick / 2
        return instrument, mid, plan(params, instrument, mid)

    def reply(self, state: ScalperState) -> Success:
        opens = state.params.opening_side
        layers = _planned(state.ladder(opens))
        return ScalperReply(
            scalper_id=state.scalper_id,
            long_layers=_planned(state.long),
            short_layers=_planned(state.short),
            symbol=state.symbol,
            start_side=state.params.start_side,
            side=opens,
            quantity=sum((layer.quantity for layer in layers), ZERO),
        )


def _opening(params: ScalperParams, layers: Layers) -> list[tuple[Side, tuple[ScalperLayer, ...]]]:
    sides = ((Side.BUY, layers.long), (Side.SELL, layers.short))
    return [(side, found) for side, found in sides if not params.reduces(side)]


def _planned(ladder: ScalperLadder) -> tuple[ScalperLayer, ...]:
    return tuple(slot.layer for slot in ladder.slots)
