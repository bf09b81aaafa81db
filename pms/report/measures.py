"""How well a parent order was executed: pure, in exact decimals.

Owns the definitions. Costs are in basis points of what was traded, positive where it cost: slippage against the arrival
mid, and against what the market did meanwhile (TWAP, VWAP). Spread and markouts are positive where they were earned. A
measure is None where the records do not hold what it needs; it is never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import msgspec

from pms.report.facts import Depth, Fill, Level, Parent, Tape
from schemas.market import ZERO, Side

BPS = Decimal(10_000)
MARKOUTS_S = (1, 5, 30)
KNOWN_FOR_MS = 5_000  # a mid this old is not what a fill met
LATE_MS = 2_000  # seconds are told at their ends, and one may be missing
SECOND_MS = 1_000
DIGITS = Decimal("0.0001")  # of a basis point
DOLLARS = frozenset(("USDT", "USDC", "FDUSD", "BUSD"))  # counted one for one; other fees are named, not summed


class Market(msgspec.Struct, frozen=True, rename="camel"):
    """The same quantity at once, at market, on the depth at arrival. `beyond` of it lay deeper than was recorded, and
    is counted at the last level: then the price is too good. `saved`: what the algo saved (negative: cost), fees of
    both included."""

    avg_price: Decimal
    cost_bps: Decimal
    fees: Decimal
    beyond: Decimal
    saved: Decimal
    saved_bps: Decimal


class Figures(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one parent and several together are judged by. `rejects` are the gate's and the venue's, `refusals` the
    gate's by code."""

    notional: Decimal
    slippage_bps: Decimal | None
    twap_bps: Decimal | None
    vwap_bps: Decimal | None
    spread_bps: Decimal | None
    fees: dict[str, Decimal]
    fees_bps: Decimal | None
    maker_pct: Decimal | None
    time_to_fill_ms: int | None
    placed: int
    reprices: int
    rejects: int
    refusals: dict[str, int]
    markout_bps: dict[str, Decimal | None]


class Measures(Figures, frozen=True, kw_only=True):
    """One parent, judged."""

    id: str
    kind: str
    sub_account_id: str
    symbol: str
    side: str
    status: str
    started_at: int
    ended_at: int
    quantity: Decimal
    filled: Decimal
    avg_price: Decimal | None
    arrival_mid: Decimal | None
    first_fill_ms: int | None
    at_market: Market | None


def measure(parent: Parent, tape: Tape, taker_bps: Decimal) -> Measures:
    """Judge one parent. `taker_bps` is the fee that taking would have cost."""
    fills = sorted(parent.fills, key=lambda fill: fill.ts)
    filled = sum((fill.quantity for fill in fills), ZERO)
    notional = sum((fill.notional for fill in fills), ZERO)
    arrival = arrival_of(parent)
    fees, paid = fees_of(fills)
    interval = tape.within(parent.started_at, _whole_second(fills[-1].ts)) if fills else []
    mids = [second.mid for second in interval if second.mid is not None]
    traded = sum((second.quantity for second in interval), ZERO)
    return Measures(
        id=parent.id,
        kind=parent.kind,
        sub_account_id=parent.sub_account_id,
        symbol=parent.symbol,
        side="/".join(sorted({str(fill.side) for fill in fills})),
        status=parent.status,
        started_at=parent.started_at,
        ended_at=parent.ended_at,
        quantity=parent.quantity,
        filled=filled,
        notional=notional,
        avg_price=notional / filled if filled else None,
        arrival_mid=arrival,
        slippage_bps=against(fills, lambda _: arrival),
        twap_bps=against(fills, lambda _: sum(mids, ZERO) / len(mids) if mids else None),
        vwap_bps=against(fills, lambda _: sum((s.notional for s in interval), ZERO) / traded if traded else None),
        spread_bps=_negative(against(fills, lambda fill: tape.before(fill.ts, KNOWN_FOR_MS))),
        fees=fees,
        fees_bps=_bps(paid, notional) if notional else None,
        maker_pct=rounded(100 * sum((f.notional for f in fills if f.maker), ZERO) / notional) if notional else None,
        first_fill_ms=fills[0].ts - parent.started_at if fills else None,
        time_to_fill_ms=fills[-1].ts - parent.started_at if fills else None,
        placed=parent.placed,
        reprices=parent.reprices,
        rejects=parent.rejects,
        refusals=parent.refusals,
        markout_bps={f"{s}s": _markout(fills, tape, s * 1000) for s in MARKOUTS_S},
        at_market=_at_market(parent.depth, fills, paid, arrival, taker_bps),
    )


def arrival_of(parent: Parent) -> Decimal | None:
    """The mid that the parent met."""
    mid = None if parent.depth is None else parent.depth.mid
    return parent.arrival if mid is None else mid


def against(fills: Iterable[Fill], reference: Callable[[Fill], Decimal | None]) -> Decimal | None:
    """How much worse than a reference the fills were, in its basis points: bought above or sold below it. Fills whose
    reference is not known are left out."""
    cost, base = ZERO, ZERO
    for fill in fills:
        price = reference(fill)
        if price:
            cost += fill.side.sign * (fill.price - price) * fill.quantity
            base += price * fill.quantity
    return _bps(cost, base) if base else None


def fees_of(fills: Iterable[Fill]) -> tuple[dict[str, Decimal], Decimal]:
    """What was paid, by asset; and the sum in dollars."""
    paid: dict[str, Decimal] = {}
    for fill in fills:
        if fill.commission:
            paid[fill.asset] = paid.get(fill.asset, ZERO) + fill.commission
    return paid, sum((amount for asset, amount in paid.items() if asset in DOLLARS), ZERO)


def walk(levels: Sequence[Level], quantity: Decimal) -> tuple[Decimal, Decimal]:
    """What taking a quantity from these levels comes to, and how much of it lay beyond the last of them."""
    left, notional = quantity, ZERO
    for price, resting in levels:
        taken = min(left, resting)
        left -= taken
        notional += taken * price
        if not left:
            break
    return notional + left * levels[-1][0], left


def _at_market(
    depth: Depth | None, fills: Sequence[Fill], paid: Decimal, arrival: Decimal | None, taker_bps: Decimal
) -> Market | None:
    """The counterfactual; none for a run that traded both ways."""
    if depth is None or not arrival or len({fill.side for fill in fills}) != 1:
        return None
    side, quantity = fills[0].side, sum((fill.quantity for fill in fills), ZERO)
    levels = depth.asks if side is Side.BUY else depth.bids
    if not levels:
        return None
    notional, beyond = walk(levels, quantity)
    fee = notional * taker_bps / BPS
    done = sum((fill.notional for fill in fills), ZERO)
    saved = side.sign * (notional - done) + fee - paid
    base = arrival * quantity
    return Market(
        avg_price=notional / quantity,
        cost_bps=_bps(side.sign * (notional - base), base),
        fees=fee,
        beyond=beyond,
        saved=saved,
        saved_bps=_bps(saved, base),
    )


def _markout(fills: Iterable[Fill], tape: Tape, after_ms: int) -> Decimal | None:
    """How far the mid had moved our way by then, from what was paid."""
    gained, base = ZERO, ZERO
    for fill in fills:
        mid = tape.after(fill.ts + after_ms, LATE_MS)
        if mid is not None:
            gained += fill.side.sign * (mid - fill.price) * fill.quantity
            base += fill.notional
    return _bps(gained, base) if base else None


def _whole_second(ts: int) -> int:
    """The end of the second that `ts` lies in."""
    return -(-ts // SECOND_MS) * SECOND_MS


def _bps(part: Decimal, base: Decimal) -> Decimal:
    return rounded(part * BPS / base)


def rounded(value: Decimal) -> Decimal:
    return value.quantize(DIGITS)


def _negative(value: Decimal | None) -> Decimal | None:
    return None if value is None else -value
