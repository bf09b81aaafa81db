"""scalper, the guards: what holds a leg back, why, and until when (algos.md, scalper).

Each is a pure question about a record, a time and a quote. Refuses to act on the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext

import msgspec

from algos import pricing
from algos.scalper_book import WINDOW_S
from algos.scalper_layers import CONTEXT
from schemas.market import ZERO, Quote, Side
from schemas.scalper import LayerSlot, ScalperLadder, ScalperState

_BPS = 10_000
_LN2 = Decimal(2).ln(CONTEXT)


class Held(msgspec.Struct, frozen=True):
    """Why a leg is held back, until when at the earliest; `retry_at` is 0 where no time can be named."""

    reason: str
    retry_at: int = 0


class Bound(msgspec.Struct, frozen=True):
    """The worst price at which a side may stand, in ticks, and the guard that says so; 0 ticks: none does."""

    ticks: int = 0
    reason: str = ""


NO_BOUND = Bound()
SPREAD = "min_fill_spread"
PRICES = frozenset(  # the guards that a price alone can lift
    (
        "long_max_price",
        "short_min_price",
        "pin_long_to_entry",
        "pin_short_to_entry",
        "would_lose",
        "max_loss_per_close",
    )
)


def held(state: ScalperState) -> Decimal:
    """The inventory that matters: dust that no order could close counts for nothing."""
    return state.inventory if abs(state.inventory) >= state.instrument.min_qty else ZERO


# --- prices -------------------------------------------------------------------------------------------


def target(side: Side, slot: LayerSlot, quote: Quote) -> int:
    """Where a leg would stand now, in ticks."""
    return pricing.follow_ticks(side, quote.bid, quote.ask, slot.layer.offset_ticks, 0, False, 0)


def bound(state: ScalperState, side: Side) -> Bound:
    """The tightest of a side's price guards."""
    tightest = NO_BOUND
    for reason, price in _bounds(state, side):
        ticks = max(state.instrument.limit_ticks(side, price), 1)
        if not tightest.ticks or (ticks - tightest.ticks) * side.sign < 0:
            tightest = Bound(ticks, reason)
    return tightest


def _bounds(state: ScalperState, side: Side) -> Iterator[tuple[str, Decimal]]:
    params, inventory, entry = state.params, held(state), state.entry_price
    buys = side is Side.BUY
    limit = params.long_max_price if buys else params.short_min_price
    if limit:
        yield ("long_max_price" if buys else "short_min_price"), limit
    if not inventory:
        return
    if params.pin_long_to_entry if buys else params.pin_short_to_entry:
        yield ("pin_long_to_entry" if buys else "pin_short_to_entry"), entry
    if inventory * side.sign > 0:
        return
    if not params.allow_loss:
        yield "would_lose", entry
    if params.max_loss_per_close_bps:
        yield "max_loss_per_close", entry * (_BPS + side.sign * params.max_loss_per_close_bps) / _BPS


def outside(side: Side, ticks: int, limit: Bound) -> bool:
    """Whether a price is beyond its bound."""
    return bool(limit.ticks) and (ticks - limit.ticks) * side.sign > 0


# --- after a fill -------------------------------------------------------------------------------------


def fills_per_minute(state: ScalperState, ladder: ScalperLadder, now: int) -> Held | None:
    """Too many fills within the last minute: until the oldest of them are older. A second counts as a whole, so that
    memory is bounded."""
    most = state.params.max_fills_per_minute
    second = now // 1000
    recent = [one for one in ladder.fill_seconds if one.second > second - WINDOW_S]
    total, until = sum(one.count for one in recent), 0
    if not most or total < most:
        return None
    while total >= most:
        oldest, *recent = recent
        total, until = total - oldest.count, oldest.second + WINDOW_S
    return Held("max_fills_per_minute", until * 1000)


def fill_spread(state: ScalperState, ladder: ScalperLadder, ticks: int, now: int) -> Held | None:
    """Too near the side's last fill: until the price has moved, or the distance asked for has decayed below it."""
    most = _spread_ticks(state, ladder)
    away = abs(ticks - ladder.fill_price / state.instrument.tick)
    if _decayed(state, most, now - ladder.filled_at) <= away:
        return None
    return Held(SPREAD, ladder.filled_at + _decay_ms(state, most, away))


def _spread_ticks(state: ScalperState, ladder: ScalperLadder) -> Decimal:
    """minFillSpreadPct of the last fill's price, in ticks, as it is right after the fill; 0 without one."""
    if not ladder.filled_at:
        return ZERO
    return ladder.fill_price * state.params.min_fill_spread_pct / 100 / state.instrument.tick


def _decayed(state: ScalperState, ticks: Decimal, elapsed: int) -> int:
    """What is left of a distance after some ms, in whole ticks: less than one is none."""
    half_life = state.params.fill_decay_half_life_ms
    if not ticks or not half_life:
        return 0
    with localcontext(CONTEXT):
        return int(ticks * (-_LN2 * max(elapsed, 0) / half_life).exp())


def _decay_ms(state: ScalperState, ticks: Decimal, away: Decimal) -> int:
    """After how many ms a distance has decayed to no more than `away`."""
    with localcontext(CONTEXT):
        halves = (ticks / (int(away) + 1)).ln() / _LN2
        return int(halves * state.params.fill_decay_half_life_ms) + 1


# --- what may be asked for ----------------------------------------------------------------------------


def open_total(ladder: ScalperLadder, but: int = -1) -> Decimal:
    """What the live children of a side may still fill, one slot left out."""
    return sum(
        (slot.child.open_quantity for number, slot in enumerate(ladder.slots) if slot.child and number != but), ZERO
    )


def room(state: ScalperState, side: Side, but: int = -1) -> Decimal:
    """What an opening leg of a side may ask for until the inventory, with all that may still fill, is at its cap."""
    return state.cap_quantity - held(state) * side.sign - open_total(state.ladder(side), but)


def closable(state: ScalperState, side: Side) -> Decimal:
    """What of the inventory no closing leg of a side asks for yet; below 0 where they ask for too much."""
    return max(-state.inventory * side.sign, ZERO) - open_total(state.ladder(side))
