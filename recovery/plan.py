"""The plan of a recovery: from what the venue shows and what was recorded to verdicts, each with its evidence. Pure.

Running it on what its own application leaves behind gives an empty plan (design.md). An outcome is never invented: what
was looked up and is still not known stays unknown. Policy: design.md, "Recovery policy"; execution.md 11, 22-26.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from algos.view import View
from schemas.ids import Damaged, Foreign, OrderId, VenueOrder, parse
from schemas.market import ZERO
from schemas.orders import Fill, Order
from schemas.reports import Report, VenueStatus

ForeignPolicy = Literal["cancel", "ours", "report"]
RECORDS_LAST_MS = 23 * 3_600_000  # an ended order's record lasts 24 h; an hour for clocks and late writes
SETTLE_MS = 12_000  # recvWindow of a place + 10 s: nothing younger is judged absent (execution.md 2, 22)


class Settle(msgspec.Struct, frozen=True, tag=True):
    """One of our recorded orders, as the venue has it now: adopt it, or take in its end."""

    report: Report
    evidence: str


class Book(msgspec.Struct, frozen=True, tag=True):
    """A trade that is not booked yet. `client_id` is empty where its order is nobody's record (sub-account
    `external`)."""

    client_id: str
    fill: Fill
    evidence: str


class Resolve(msgspec.Struct, frozen=True, tag=True):
    """Looked up and not found: ask on until the settle window proves absence. Its owner waits meanwhile."""

    client_id: str
    evidence: str


class Adopt(msgspec.Struct, frozen=True, tag=True):
    """A resting order without a record whose id names a live algo with no other child: newest attempt of its slot."""

    report: Report
    algo_id: str
    evidence: str


class CancelOrder(msgspec.Struct, frozen=True, tag=True):
    """A resting order that must leave the market: an orphan of ours, or a foreign one by policy."""

    report: Report
    evidence: str


class Show(msgspec.Struct, frozen=True, tag=True):
    """Found and left alone."""

    subject: str
    evidence: str


class Drift(msgspec.Struct, frozen=True, tag=True):
    """The venue's position is not the sum of the books: new risk on the symbol is blocked (execution.md 13)."""

    symbol: str
    venue: Decimal
    books: Decimal
    evidence: str


Verdict = Settle | Book | Resolve | Adopt | CancelOrder | Show | Drift


class Found(msgspec.Struct, frozen=True):
    """What was gathered. `looked_up` holds the answers for recorded live orders that do not rest at the venue (None:
    not found); `trades` are newest-last; `strangers` names the client id of trades' orders that have no record, by
    exchange id."""

    now: int
    open_orders: tuple[Report, ...]
    looked_up: Mapping[str, Report | None]
    trades: tuple[Fill, ...]
    strangers: Mapping[tuple[str, int], Report]
    venue_positions: Mapping[str, Decimal]


class Recorded(msgspec.Struct, frozen=True):
    """What the records say. `algos` are the live ones by id; `books` the signed sum of all sub-accounts by symbol;
    `newest` the (time, id) of each symbol's newest booked trade, `accepted` until when a person took over the venue's
    position whatever made it."""

    orders: Mapping[str, Order]
    algos: Mapping[str, View]
    books: Mapping[str, Decimal]
    newest: Mapping[str, tuple[int, int]] = {}
    accepted: Mapping[str, int] = {}


class Plan(msgspec.Struct, frozen=True):
    """Verdicts in the order in which they are applied: settle, book, adopt, resolve, cancel, report."""

    verdicts: tuple[Verdict, ...]

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        totals: dict[str, int] = {}
        for verdict in self.verdicts:
            name = type(verdict).__name__.lower()
            totals[name] = totals.get(name, 0) + 1
        return totals

    @property
    def unresolved(self) -> tuple[str, ...]:
        """What trading waits for, by order id or symbol."""
        waiting = [verdict.client_id for verdict in self.verdicts if isinstance(verdict, Resolve)]
        return (*waiting, *(verdict.symbol for verdict in self.verdicts if isinstance(verdict, Drift)))


def newest_epoch(found: Found) -> int:
    """The highest epoch in our ids at the venue, 0 where there is none (execution.md 12, 19)."""
    reports = (*found.open_orders, *found.strangers.values())
    ours = [whose for report in reports if isinstance(whose := parse(report.client_id), OrderId)]
    return max((whose.epoch for whose in ours), default=0)


def plan(found: Found, recorded: Recorded, policy: ForeignPolicy) -> Plan:
    """All verdicts on what was gathered."""
    live = [order for order in recorded.orders.values() if not order.state.terminal]
    verdicts: list[Verdict] = []
    verdicts += _settle(live, found)
    verdicts += _book(found, recorded)
    adopted = list(_adopt(found, recorded))
    verdicts += adopted
    verdicts += _resolve(live, found)
    taken = {verdict.report.client_id for verdict in adopted}
    verdicts += [
        verdict
        for report in found.open_orders
        if report.client_id not in taken
        for verdict in _judge(report, recorded, policy)
    ]
    verdicts += _drift(live, found, recorded)
    return Plan(tuple(verdicts))


def _settle(live: Iterable[Order], found: Found) -> Iterable[Verdict]:
    resting = {report.client_id: report for report in found.open_orders}
    for order in live:
        report = resting.get(order.client_order_id)
        if report is not None:
            if _differs(order, report):
                yield Settle(
                    report, f"rests at the venue, filled {report.filled} of {report.quantity} at {report.price}"
                )
            continue
        report = found.looked_up.get(order.client_order_id)
        if report is not None:
            yield Settle(report, f"look-up by id: {report.status}, filled {report.filled}")


def _differs(order: Order, report: Report) -> bool:
    """Whether a resting order's record has anything to learn."""
    same = (order.price, order.quantity, order.venue_filled, order.exchange_order_id) == (
        report.price,
        report.quantity,
        report.filled,
        report.order_id,
    )
    return not (same and order.state == "active")


def _book(found: Found, recorded: Recorded) -> Iterable[Verdict]:
    by_exchange_id = {
        (order.symbol, order.exchange_order_id): order for order in recorded.orders.values() if order.exchange_order_id
    }
    resting = (*found.open_orders, *(report for report in found.looked_up.values() if report is not None))
    for report in resting:
        if (order := recorded.orders.get(report.client_id)) is not None:
            by_exchange_id.setdefault((report.symbol, report.order_id), order)
    for fill in found.trades:
        order = by_exchange_id.get((fill.symbol, fill.exchange_order_id))
        if order is None:
            if _record_ran_out(fill, found.now, recorded) or fill.time <= recorded.accepted.get(fill.symbol, -1):
                continue
            stranger = found.strangers.get((fill.symbol, fill.exchange_order_id))
            name = "" if stranger is None else stranger.client_id
            yield Book(name, fill, f"trade {fill.trade_id} of an order without a record")
        elif fill.trade_id not in order.trade_ids:
            yield Book(order.client_order_id, fill, f"trade {fill.trade_id} at {fill.time} is not in the record")


def _record_ran_out(fill: Fill, now: int, recorded: Recorded) -> bool:
    """Whether a trade without an order's record was booked under one that is gone by its age: then it stands in the
    position, and booked again it would stand there twice."""
    booked_to = recorded.newest.get(fill.symbol, (0, 0))
    return (fill.time, fill.trade_id) <= booked_to and fill.time < now - RECORDS_LAST_MS


def _adopt(found: Found, recorded: Recorded) -> Iterable[Adopt]:
    """The newest attempt of a live algo's slot where the algo knows no live child (execution.md 23); of what waits for
    its price only what the algo stands for, or has use for."""
    newest: dict[tuple[str, int], tuple[int, int, Report]] = {}
    for report in found.open_orders:
        whose = parse(report.client_id)
        if not isinstance(whose, OrderId) or report.client_id in recorded.orders:
            continue
        view = recorded.algos.get(whose.owner)
        if view is not None and report.waits and not (view.backstop or report.client_id in view.live_children):
            continue
        others = () if view is None else [child for child in view.live_children if child != report.client_id]
        if view is None or any(_still_live(child, found) for child in others):
            continue
        key = (whose.owner, whose.slot)
        age = (whose.epoch, whose.attempt)
        if key not in newest or age > newest[key][:2]:
            newest[key] = (*age, report)
    for (owner, _), (_, attempt, report) in newest.items():
        yield Adopt(report, owner, f"newest attempt ({attempt}) of a live algo that knows no live child")


def _still_live(client_id: str, found: Found) -> bool:
    """Whether an algo's known child may still fill: resting, or not accounted for."""
    if any(report.client_id == client_id for report in found.open_orders):
        return True
    report = found.looked_up.get(client_id)
    return report is None or report.status is VenueStatus.OPEN


def _resolve(live: Iterable[Order], found: Found) -> Iterable[Verdict]:
    resting = {report.client_id for report in found.open_orders}
    for order in live:
        name = order.client_order_id
        if name in resting or found.looked_up.get(name, order) is not None:  # never looked up: too young to be judged
            continue
        age = found.now - order.created_at
        window = "within" if age < SETTLE_MS else "past"
        yield Resolve(name, f"{order.state}, not found by id, {age} ms old ({window} the settle window)")


def _judge(report: Report, recorded: Recorded, policy: ForeignPolicy) -> Iterable[Verdict]:
    """What to do about one resting order."""
    whose = parse(report.client_id)
    subject = f"{report.client_id} ({report.side} {report.quantity - report.filled} {report.symbol} at {report.price})"
    match whose:
        case Damaged() if report.waits:
            yield Show(subject, "our prefix, the rest is damaged; it waits for its price and may protect: left alone")
        case OrderId():
            if why := _orphaned(report.client_id, whose, recorded):
                yield CancelOrder(report, why)
        case Damaged():
            yield CancelOrder(report, "our prefix, the rest is damaged: no owner can be told")
        case VenueOrder():
            yield Show(subject, "made by the venue itself (liquidation, ADL or settlement): recorded, never cancelled")
        case Foreign():
            protects = report.reduce_only or report.waits
            if policy == "cancel" and not protects:
                yield CancelOrder(report, "foreign order, policy `cancel`")
            else:
                why = "reduce-only or conditional" if protects else f"policy `{policy}`"
                yield Show(subject, f"foreign order left alone ({why})")


def _orphaned(client_id: str, whose: OrderId, recorded: Recorded) -> str:
    """Why nobody stands for a resting order of ours; empty where somebody does."""
    order = recorded.orders.get(client_id)
    owner = whose.owner if order is None else order.parent_id
    if order is not None and order.state.terminal:
        return f"rests at the venue, while its record says {order.state}"
    if order is not None and not owner:
        return ""
    view = recorded.algos.get(owner)
    if view is None:
        return f"our id, owner {owner} is not a live algo"
    return "" if client_id in view.live_children else f"its owner {owner} stands for another order, or an older one"


def _drift(live: Iterable[Order], found: Found, recorded: Recorded) -> Iterable[Verdict]:
    """Judged on the books as they stand once the plan's trades are booked, where no order is in flight."""
    unbooked: dict[str, Decimal] = {}
    for verdict in _book(found, recorded):
        assert isinstance(verdict, Book)
        fill = verdict.fill
        unbooked[fill.symbol] = unbooked.get(fill.symbol, ZERO) + fill.side.sign * fill.quantity
    looked = {*found.looked_up, *(report.client_id for report in found.open_orders)}
    flying = {order.symbol for order in live if order.client_order_id not in looked}  # placed since: it may trade now
    for symbol in sorted({*found.venue_positions, *recorded.books} - flying):
        venue = found.venue_positions.get(symbol, ZERO)
        books = recorded.books.get(symbol, ZERO) + unbooked.get(symbol, ZERO)
        if venue != books:
            yield Drift(symbol, venue, books, f"the venue holds {venue}, all books together {books}")
