"""trail_stop, the arithmetic: extreme, distance and trigger in exact half ticks (algos.md, trail_stop).

A price is seen from its stop: towards profit is up for a long and for a short alike, so one rule serves both
(`Seen`). Rounding never tightens: an extreme is rounded back towards the entry, a trigger away from the extreme. Pure;
refuses to know inputs and what a trigger causes.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from schemas.market import Instrument, Quote, Side
from schemas.trail_stop import TrailStopParams, TrailStopState

WRITE_MS = 250  # an extreme that moves is written four times a second at most (algos.md)
FAR2 = 1 << 52  # half ticks that no price reaches, and that a JSON reader holds exactly

_SELL = Side.SELL  # looked up once: the enum's class takes its time, and every quote asks
_replace = msgspec.structs.replace


class Seen(msgspec.Struct, frozen=True):
    """Prices since the last step as half ticks, signed so that more is better for the position: the best, the worst,
    and the last, which came after both. `best` is rounded towards worse and the others towards better, so that what
    falls between half ticks (a mark price) neither stretches an extreme nor triggers early."""

    best: int
    worst: int
    last: int


def sign(side: Side) -> int:
    """+1 where a higher price is better: a stop that sells protects a long."""
    return -side.sign


def of_quote(state: TrailStopState, quote: Quote) -> Seen:
    """What a quote tells of the stop's trigger source, mid or touch."""
    if state.params.trigger != "touch":
        ends = sign(state.side) * quote.low2, sign(state.side) * quote.high2
        return Seen(max(ends), min(ends), sign(state.side) * quote.mid2)
    touches = quote.touches
    if state.side is Side.SELL:
        low, high = (quote.bid, quote.bid) if touches is None else (touches.bid_low, touches.bid_high)
        return Seen(2 * max(high, quote.bid), 2 * min(low, quote.bid), 2 * quote.bid)
    low, high = (quote.ask, quote.ask) if touches is None else (touches.ask_low, touches.ask_high)
    return Seen(-2 * min(low, quote.ask), -2 * max(high, quote.ask), -2 * quote.ask)


def of_price(state: TrailStopState, price: Decimal) -> Seen:
    """What one exact price tells."""
    exact = 2 * sign(state.side) * price / state.instrument.tick
    back = int(exact.to_integral_value(ROUND_CEILING))
    return Seen(int(exact.to_integral_value(ROUND_FLOOR)), back, back)


def best_of_range(state: TrailStopState, high: Decimal, low: Decimal) -> int:
    """The best price of a range, as in `Seen.best`."""
    return of_price(state, high if sign(state.side) > 0 else low).best


def trigger_of(params: TrailStopParams, instrument: Instrument, extreme: int) -> int:
    """The trigger of an extreme, both signed as in `Seen`: the distance is never less than asked."""
    if params.callback_ticks:
        return extreme - 2 * params.callback_ticks
    if params.callback_abs:
        exact = extreme - 2 * params.callback_abs / instrument.tick
    else:
        exact = extreme - abs(extreme) * params.callback_pct / 100
    return int(exact.to_integral_value(ROUND_FLOOR))


def backstop_of(params: TrailStopParams, instrument: Instrument, extreme: int) -> int:
    """Where a backstop stands behind an extreme, both signed as in `Seen`: on the venue's grid, never nearer than
    asked."""
    if params.backstop_pct is not None:
        exact = extreme - abs(extreme) * params.backstop_pct / 100
    elif params.callback_ticks:
        exact = Decimal(extreme - 4 * params.callback_ticks)
    elif params.callback_abs:
        exact = extreme - 4 * params.callback_abs / instrument.tick
    else:
        exact = extreme - abs(extreme) * 2 * params.callback_pct / 100
    return 2 * int((exact / 2).to_integral_value(ROUND_FLOOR))


def backstop_price(params: TrailStopParams, instrument: Instrument, extreme2: int) -> Decimal:
    """The trigger price of a backstop behind that extreme, as far away as the symbol's prices go."""
    towards = sign(params.side)
    price = towards * backstop_of(params, instrument, towards * extreme2) * instrument.tick / 2
    lowest = max(instrument.ticks_up(instrument.min_price), 1) * instrument.tick
    highest = instrument.ticks_down(instrument.max_price) * instrument.tick
    return max(min(price, highest) if highest else price, lowest)


def follow(state: TrailStopState, seen: Seen, now: int) -> tuple[TrailStopState, int | None]:
    """The stop after a step's prices, and the price that reached its trigger, None where none is known to have.

    It did where the worst one reached the trigger as it stood before, or the last one that of the new extreme: what
    came between a better and a worse price of one step is not known, and decides nothing. The stop's first price is the
    last one, since the others may be older than the stop."""
    towards = sign(state.side)
    if state.activated and seen.worst <= towards * state.trigger2:
        return state, seen.worst
    first = not state.activated and not state.params.activation_price
    state = followed(state, min(seen.best, seen.last) if first else seen.best, now)
    reached = state.activated and seen.last <= towards * state.trigger2
    return state, seen.last if reached else None


def followed(state: TrailStopState, best: int, now: int) -> TrailStopState:
    """The stop after a price, signed as in `Seen`: activated where it has reached that, its extreme and trigger moved
    where it is better."""
    if state.activated:
        return _stretched(state, best) if best > sign(state.side) * state.extreme2 else state
    if state.params.activation_price and best < _activation(state):
        return state
    return _stretched(_replace(state, activated=True, activated_at=now), best)


def _activation(state: TrailStopState) -> int:
    """The first half tick that reaches the activation price, signed as in `Seen`."""
    exact = 2 * sign(state.side) * state.params.activation_price / state.instrument.tick
    return int(exact.to_integral_value(ROUND_CEILING))


def _stretched(state: TrailStopState, extreme: int) -> TrailStopState:
    """The stop with that extreme, signed as in `Seen`."""
    towards, half = sign(state.side), state.instrument.tick / 2
    extreme2, trigger2 = (towards * x for x in (extreme, trigger_of(state.params, state.instrument, extreme)))
    return _replace(
        state, extreme2=extreme2, trigger2=trigger2, extreme_price=extreme2 * half, trigger_price=trigger2 * half
    )


def regridded(state: TrailStopState, instrument: Instrument) -> TrailStopState:
    """The stop in ticks of another size."""
    state = _replace(state, instrument=instrument)
    return _stretched(state, of_price(state, state.extreme_price).best) if state.activated else state


def calm(state: TrailStopState) -> tuple[int, int]:
    """The half ticks between which, both exclusive, the mids of a quote change nothing."""
    params, towards = state.params, sign(state.side)
    if params.trigger == "mark":
        return -FAR2, FAR2
    if params.trigger == "touch" or not (state.activated or params.activation_price):
        return FAR2, -FAR2
    if state.activated:
        best, worst = state.extreme2 + towards, state.trigger2
    else:
        best, worst = towards * _activation(state), -towards * FAR2
    return (worst, best) if towards > 0 else (best, worst)


def calm_touch(state: TrailStopState, quote: Quote) -> bool:
    """Whether a quote tells a stop on the touch nothing: its side stayed between trigger and extreme."""
    if state.calm_low2 != FAR2:
        return False
    touches = quote.touches
    if state.side is _SELL:
        low, high = (quote.bid, quote.bid) if touches is None else (touches.bid_low, touches.bid_high)
        return state.trigger2 < 2 * low and 2 * high <= state.extreme2
    low, high = (quote.ask, quote.ask) if touches is None else (touches.ask_low, touches.ask_high)
    return state.extreme2 <= 2 * low and 2 * high < state.trigger2


def stands_behind(params: TrailStopParams, instrument: Instrument, price: Decimal) -> bool:
    """Whether the backstop of a stop that follows from that price comes after its trigger."""
    towards = sign(params.side)
    extreme = int(2 * towards * price / instrument.tick)
    return backstop_of(params, instrument, extreme) < trigger_of(params, instrument, extreme)


def protects(params: TrailStopParams, instrument: Instrument, price: Decimal) -> bool:
    """Whether a stop that follows from that price has a trigger above 0; a distance as large as the price has none."""
    towards = sign(params.side)
    return towards * trigger_of(params, instrument, int(2 * towards * price / instrument.tick)) > 0
