"""The layers of a scalper: how far behind the touch each stands and what it asks for (algos.md, scalper).

One pure function for the start, the reply, `validate` and every preview. Exact decimals of a fixed precision, so that
the same command gives the same layers on any machine (law 10). Refuses to judge whether a side is worth starting: one
whose size is below the minimum has no layers.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal, localcontext

import msgspec

from schemas.market import ZERO, Instrument, Side
from schemas.scalper import ScalperLayer, ScalperParams

CONTEXT = Context(prec=28, rounding=ROUND_HALF_EVEN)
_SHOWN = Decimal("1e-12")  # factors are cut here: far below a tick, far above the last digit of `exp`
_LN2 = Decimal(2).ln(CONTEXT)
_LN8 = 3 * _LN2


class Layers(msgspec.Struct, frozen=True):
    """Both sides, innermost layer first. A side without layers can't be traded at its size."""

    long: tuple[ScalperLayer, ...]
    short: tuple[ScalperLayer, ...]


def factors(count: int) -> tuple[Decimal, ...]:
    """What the base distance is multiplied with: exp(−ln2/2 + i·ln2/(n−1)), 0.71 … 1.41; a single layer has 1."""
    with localcontext(CONTEXT):
        return tuple(_exp(_LN2 * place / 2) for place in _places(count))


def weights(count: int, skew: Decimal) -> tuple[Decimal, ...]:
    """Each layer's share of its side's size: 8^(s·(2i/(n−1) − 1)) with s = skew/100, normalised."""
    with localcontext(CONTEXT):
        raw = [_exp(_LN8 * skew / 100 * place) for place in _places(count)]
        return tuple(one / sum(raw) for one in raw)


def _places(count: int) -> tuple[Decimal, ...]:
    """Where each layer stands between the innermost (−1) and the outermost (1); a single one in the middle."""
    if count == 1:
        return (ZERO,)
    return tuple(Decimal(2 * number) / (count - 1) - 1 for number in range(count))


def _exp(power: Decimal) -> Decimal:
    """Correctly rounded, as the specification of decimal arithmetic asks for, then cut."""
    return power.exp().quantize(_SHOWN)


def plan(params: ScalperParams, instrument: Instrument, mid: Decimal) -> Layers:
    """The layers at a mid price."""
    with localcontext(CONTEXT):
        return Layers(_side(Side.BUY, params, instrument, mid), _side(Side.SELL, params, instrument, mid))


def _side(side: Side, params: ScalperParams, instrument: Instrument, mid: Decimal) -> tuple[ScalperLayer, ...]:
    base, size = (
        (params.long_offset_pct, params.long_size_usd)
        if side is Side.BUY
        else (params.short_offset_pct, params.short_size_usd)
    )
    offsets = [(base * factor).quantize(Decimal("1e-8")) for factor in factors(params.child_count)]
    ticks = distinct_ticks([mid * offset / 100 / instrument.tick for offset in offsets])
    sizes = [size * weight / mid for weight in weights(params.child_count, params.skew)]
    layers = [
        ScalperLayer(layer_idx=number, offset_pct=offset, offset_ticks=ticks[number], quantity=sizes[number])
        for number, offset in enumerate(offsets)
    ]
    return _merged(side, layers, params.reduces(side), instrument, mid)


def distinct_ticks(distances: list[Decimal]) -> tuple[int, ...]:
    """Whole ticks, away from the touch (law 6), each layer at least one further out than the one before."""
    ticks: list[int] = []
    for distance in distances:
        wanted = int(distance.to_integral_value(ROUND_CEILING))
        ticks.append(max(wanted, ticks[-1] + 1) if ticks else wanted)
    return tuple(ticks)


def _merged(
    side: Side, layers: list[ScalperLayer], reduce_only: bool, instrument: Instrument, mid: Decimal
) -> tuple[ScalperLayer, ...]:
    """Sizes on the step grid. A layer below the minimum goes to the next one further out, what is left at the end to
    the outermost that stands."""
    kept: list[ScalperLayer] = []
    carried, merged = ZERO, ()  # type: tuple[Decimal, tuple[int, ...]]
    for layer in layers:
        exact = layer.quantity + carried
        quantity = instrument.quantity_down(exact)
        price = mid - side.sign * layer.offset_ticks * instrument.tick
        if price > 0 and instrument.sendable(quantity, price, reduce_only):
            kept.append(msgspec.structs.replace(layer, quantity=exact, merged=merged))
            carried, merged = ZERO, ()
        else:
            carried, merged = exact, (*merged, layer.layer_idx)
    if kept and merged:
        last = kept[-1]
        kept[-1] = msgspec.structs.replace(last, quantity=last.quantity + carried, merged=(*last.merged, *merged))
    return tuple(msgspec.structs.replace(layer, quantity=instrument.quantity_down(layer.quantity)) for layer in kept)
