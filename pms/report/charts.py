"""The charts of a report: price with an algo's level and fills, its schedule against what filled, equity. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate

from pms.report.facts import Fill, Parent, Step, Tape
from pms.report.frame import Frame, Point
from pms.report.measures import arrival_of
from pms.report.text import number, when
from schemas.market import ZERO

BEFORE_MS, AFTER_MS = 5_000, 10_000  # shown around a parent
FILLS = 400  # dots in one chart


def price(parent: Parent, tape: Tape) -> str:
    """The mid, where the orders stood, and each fill; "" where nothing is known."""
    seconds = tape.within(parent.started_at - BEFORE_MS, parent.ended_at + AFTER_MS)
    mids = [(second.ts, second.mid) for second in seconds if second.mid is not None]
    arrival = arrival_of(parent)
    values = [mid for _, mid in mids] + [step.price for step in parent.steps if step.price is not None]
    values += [fill.price for fill in parent.fills] + ([arrival] if arrival else [])
    if len(values) < 2:
        return ""
    last = max(parent.ended_at, mids[-1][0] if mids else 0)
    frame = Frame(min(parent.started_at, mids[0][0] if mids else parent.started_at), last, values)
    if arrival:
        frame.level(arrival, "arrival", f"arrival {number(arrival)}")
    frame.line(mids, "mid")
    for stretch in stretches(parent.steps, parent.ended_at):
        frame.steps(stretch, "order")
    for fill in parent.fills[-FILLS:]:
        frame.dot(fill.ts, fill.price, _style(fill), _said(fill))
    return frame.svg(f"Price, order level and fills of {parent.id}")


def stretches(steps: Sequence[Step], ended_at: int) -> list[list[Point]]:
    """Each order's time in the market: its levels, and its last one once more where it left."""
    found: list[list[Point]] = []
    standing: dict[str, list[Point]] = {}
    for step in steps:
        if step.price is not None:
            standing.setdefault(step.order_id, []).append((step.ts, step.price))
        elif path := standing.pop(step.order_id, None):
            found.append([*path, (step.ts, path[-1][1])])
    return found + [[*path, (ended_at, path[-1][1])] for path in standing.values()]


def _style(fill: Fill) -> str:
    return f"{'maker' if fill.maker else 'taker'} {fill.side.lower()}"


def _said(fill: Fill) -> str:
    kind = "maker" if fill.maker else "taker"
    return f"{when(fill.ts)}: {fill.side} {number(fill.quantity)} at {number(fill.price)}, {kind}"


def schedule(parent: Parent) -> str:
    """What was to be filled by when, against what was."""
    if not parent.fills:
        return ""
    filled = _sums([(fill.ts, fill.quantity) for fill in parent.fills], parent.started_at, parent.ended_at)
    lots = sorted((lot.due_at, lot.quantity) for lot in parent.plan)
    planned = _sums(lots, parent.started_at, max(parent.ended_at, lots[-1][0])) if lots else []
    whole = max(parent.quantity, filled[-1][1])
    last = max(parent.ended_at, planned[-1][0] if planned else 0)
    frame = Frame(parent.started_at, last, [ZERO, whole], floor=ZERO)
    if parent.quantity:
        frame.level(parent.quantity, "arrival", f"asked for {number(parent.quantity)}")
    frame.steps(planned, "plan")
    frame.steps(filled, "filled")
    return frame.svg(f"Schedule and fills of {parent.id}")


def _sums(parts: Sequence[tuple[int, Decimal]], first: int, last: int) -> list[Point]:
    times = [ts for ts, _ in parts]
    sums = list(accumulate(quantity for _, quantity in parts))
    return [(first, ZERO), *zip(times, sums, strict=True), (last, sums[-1])]


def equity(name: str, curve: Sequence[Point]) -> str:
    """What a sub-account was worth."""
    if len(curve) < 2:
        return ""
    frame = Frame(curve[0][0], curve[-1][0], [value for _, value in curve])
    frame.line(curve, "equity")
    return frame.svg(f"Equity of {name}")
