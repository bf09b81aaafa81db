"""Where a following order wants to stand, in whole ticks. The hot arithmetic of the algos, exact by being integer."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from schemas.market import Instrument, Quote, Side

PCT_SCALE = 10**8  # stalkOffsetPct is kept as pct × 10^8, so that a percentage with eight decimals is exact
_PCT_OF_ONE = 100 * PCT_SCALE
_BUY = Side.BUY  # a member is looked up by the enum's class each time, and this is the hottest arithmetic there is


def scaled_pct(pct: Decimal) -> int:
    """A percentage as an integer × 10^8, cut after the eighth decimal."""
    return int(pct * PCT_SCALE)


def follow_ticks(side: Side, bid: int, ask: int, offset_ticks: int, offset_e8: int, aggressive: bool, back: int) -> int:
    """The price of a passive order behind, at or one tick before own touch, never crossing the other side (algos.md,
    chase).

    `offset_ticks` wins over `offset_e8`; distances round away from the touch (law 6); `back` are ticks stepped back
    after post-only refusals.
    """
    if side is _BUY:
        if offset_ticks:
            ticks = bid - offset_ticks
        elif offset_e8:
            ticks = bid + (-bid * offset_e8) // _PCT_OF_ONE
        else:
            ticks = bid + 1 if aggressive else bid
        return (ticks if ticks < ask else ask - 1) - back
    if offset_ticks:
        ticks = ask + offset_ticks
    elif offset_e8:
        ticks = ask - (-ask * offset_e8) // _PCT_OF_ONE
    else:
        ticks = ask - 1 if aggressive else ask
    return (ticks if ticks > bid else bid + 1) + back


def crossing_ticks(side: Side, quote: Quote, slippage_bps: int, instrument: Instrument) -> int:
    """The bound of an order that takes: mid ± `slippage_bps`, rounded towards mid (execution.md 8, 10)."""
    mid = quote.mid2 * instrument.tick / 2
    bound = mid * (10_000 + side.sign * slippage_bps) / 10_000
    return instrument.limit_ticks(side, bound)


def bound_ticks(side: Side, quote: Quote, slippage_bps: int, instrument: Instrument) -> int:
    """The bound of a TWAP's lot that takes: own touch ± `slippage_bps`, rounded towards it; never beyond the same
    distance from mid (execution.md 10)."""
    touch = instrument.price(quote.bid if side is _BUY else quote.ask)
    return instrument.limit_ticks(side, touch * (10_000 + side.sign * slippage_bps) / 10_000)


def adverse_limit2(side: Side, mid2: int, max_distance_pct: Decimal) -> int:
    """Twice the mid beyond which the market has run away by `max_distance_pct`, 0 for no limit."""
    if not max_distance_pct:
        return 0
    bound = mid2 * (100 + side.sign * max_distance_pct) / 100
    return int(bound.to_integral_value(ROUND_FLOOR if side is Side.BUY else ROUND_CEILING))


def beyond(side: Side, mid2: int, limit2: int) -> bool:
    """Whether a mid is past its adverse limit."""
    if not limit2:
        return False
    return mid2 > limit2 if side is Side.BUY else mid2 < limit2


def slice_quantity(rest: Decimal, price: Decimal, instrument: Instrument, reduce_only: bool) -> Decimal:
    """How much of `rest` one order asks for: all of it up to maxQty, leaving no remainder that can't be sent alone
    (law 6)."""
    whole = instrument.quantity_down(rest)
    if whole <= instrument.max_qty:
        return whole
    left = whole - instrument.max_qty
    if instrument.sendable(left, price, reduce_only):
        return instrument.max_qty
    return instrument.quantity_down(whole / 2)
