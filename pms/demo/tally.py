"""The demo's verdict: what venue, Redis and events say of each chase and each account, compared exactly. Pure.

Owns the comparison and the report. Every number is an exact decimal; a difference of one step is a difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from schemas.ids import OrderId, parse
from schemas.market import ZERO

Row = dict[str, Any]


KINDS = 6  # three modes on two sides


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen. `published` and `stored` are event bodies by pub/sub and in the stream, from the same number on;
    `numbers` are all of the stream's."""

    venue_orders: list[Row]
    venue_trades: list[Row]
    venue_position: Decimal
    chases: dict[str, Row]
    orders: dict[str, Row]
    positions: dict[str, Decimal]
    events: list[Row]
    numbers: list[int]
    published: list[bytes]
    stored: list[bytes]
    refused: list[str]


class Sums(msgspec.Struct, frozen=True, rename="camel"):
    """One quantity, as three witnesses tell it."""

    venue: Decimal
    redis: Decimal
    events: Decimal

    @property
    def agree(self) -> bool:
        return self.venue == self.redis == self.events


class ChaseTally(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One chase. `filled` is what every witness says: the venue's trades, the chase's record, its orders' records, the
    orders' events and its own last event. `touch` is its own side's when it was started."""

    chase_id: str
    sub_account_id: str
    side: str
    mode: str
    quantity: Decimal
    filled: dict[str, Decimal]
    avg_price: Decimal
    touch: Decimal
    partials: int
    amends: int
    status: str

    @property
    def sums(self) -> Sums:
        return Sums(self.filled["venue"], self.filled["record"], self.filled["orderEvents"])


class Verdict(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The demo's JSON. `avg_price` and `touch` are by side, weighted by what filled; `positions` by sub-account."""

    ok: bool
    reasons: list[str]
    symbol: str
    seconds: int
    chases: int
    partly_filled: int
    orders: int
    amends: int
    filled: Sums
    positions: dict[str, Sums]
    avg_price: dict[str, Decimal]
    touch: dict[str, Decimal]
    seq_first: int
    seq_last: int
    holes: int
    by_chase: list[ChaseTally]


def chases(seen: Evidence) -> list[ChaseTally]:
    """Each chase as the three tell it."""
    owner_of = {row["orderId"]: _owner(row["clientOrderId"]) for row in seen.venue_orders}
    at_venue: defaultdict[str, Decimal] = defaultdict(Decimal)
    paid: defaultdict[str, Decimal] = defaultdict(Decimal)
    for trade in seen.venue_trades:
        owner, quantity = owner_of.get(trade["orderId"], ""), Decimal(trade["qty"])
        at_venue[owner] += quantity
        paid[owner] += quantity * Decimal(trade["price"])
    told = _by_chase(seen.events)
    found = sorted(seen.chases.items())
    return [_chase(chase_id, record, at_venue, paid, seen, told[chase_id]) for chase_id, record in found]


def _chase(
    chase_id: str,
    record: Row,
    at_venue: dict[str, Decimal],
    paid: dict[str, Decimal],
    seen: Evidence,
    told: list[Row],
) -> ChaseTally:
    side = record["params"]["side"]
    started = next((event for event in told if event["type"] == "chase_started"), {"bid": ZERO, "ask": ZERO})
    own = [Decimal(event["filledQuantity"]) for event in told if event["type"].startswith("chase_")]
    children = (Decimal(row["filledQty"]) for row in seen.orders.values() if row["parentId"] == chase_id)
    filled = at_venue.get(chase_id, ZERO)
    return ChaseTally(
        chase_id=chase_id,
        sub_account_id=record["subAccountId"],
        side=side,
        mode=record["params"]["stalkMode"],
        quantity=Decimal(record["params"]["quantity"]),
        filled={
            "venue": filled,
            "record": Decimal(record["filledQuantity"]),
            "orders": sum(children, ZERO),
            "orderEvents": sum((Decimal(event["lastFillQty"]) for event in told if _is_fill(event)), ZERO),
            "chaseEvents": own[-1] if own else ZERO,
        },
        avg_price=_ratio(paid.get(chase_id, ZERO), filled),
        touch=Decimal(started["bid"] if side == "BUY" else started["ask"]),
        partials=sum(event["type"] == "order_partial" for event in told),
        amends=sum(event["type"] == "order_amended" for event in told),
        status=record["status"],
    )


def _owner(client_id: str) -> str:
    whose = parse(client_id)
    return whose.owner if isinstance(whose, OrderId) else ""


def _by_chase(events: Iterable[Row]) -> defaultdict[str, list[Row]]:
    told: defaultdict[str, list[Row]] = defaultdict(list)
    for event in events:
        told[event.get("chaseId") or event.get("parentId") or ""].append(event)
    return told


def _is_fill(event: Row) -> bool:
    return event["type"] in ("order_partial", "order_filled") and bool(event["lastFillQty"])


def _ratio(amount: Decimal, quantity: Decimal) -> Decimal:
    return round(amount / quantity, 4) if quantity else ZERO


def _positions(seen: Evidence, tallies: list[ChaseTally]) -> dict[str, Sums]:
    """Signed position of each sub-account: by its trades at the venue, its record, its order events."""
    found = {}
    for account in sorted({*seen.positions, *(tally.sub_account_id for tally in tallies)}):
        own = [tally for tally in tallies if tally.sub_account_id == account]
        sign = {"BUY": 1, "SELL": -1}
        venue = sum((sign[tally.side] * tally.sums.venue for tally in own), ZERO)
        told = (event for event in seen.events if _is_fill(event) and event["subAccountId"] == account)
        events = sum((sign[event["side"]] * Decimal(event["lastFillQty"]) for event in told), ZERO)
        found[account] = Sums(venue, seen.positions.get(account, ZERO), events)
    return found


def judge(seen: Evidence, symbol: str, seconds: int, minima: tuple[int, int, int]) -> Verdict:
    """The verdict. `minima`: chases, partly filled ones, amends."""
    tallies = chases(seen)
    positions = _positions(seen, tallies)
    holes = sum(later - earlier - 1 for earlier, later in zip(seen.numbers, seen.numbers[1:], strict=False))
    partly = sum(tally.partials >= 2 for tally in tallies)
    amends = sum(tally.amends for tally in tallies)
    reasons = [*_differences(seen, tallies, positions, holes), *_shortfalls((len(tallies), partly, amends), minima)]
    kinds = {(tally.mode, tally.side) for tally in tallies}
    if len(kinds) < KINDS:
        reasons.append(f"only {len(kinds)} of {KINDS} combinations of mode and side were seen")
    return Verdict(
        ok=not reasons,
        reasons=reasons,
        symbol=symbol,
        seconds=seconds,
        chases=len(tallies),
        partly_filled=partly,
        orders=len(seen.venue_orders),
        amends=amends,
        filled=_total(tallies),
        positions=positions,
        avg_price=_weighted(tallies, "avg_price"),
        touch=_weighted(tallies, "touch"),
        seq_first=seen.numbers[0] if seen.numbers else 0,
        seq_last=seen.numbers[-1] if seen.numbers else 0,
        holes=holes,
        by_chase=tallies,
    )


def _total(tallies: list[ChaseTally]) -> Sums:
    told = [tally.sums for tally in tallies]
    return Sums(*(sum((getattr(sums, name) for sums in told), ZERO) for name in ("venue", "redis", "events")))


def _weighted(tallies: list[ChaseTally], name: str) -> dict[str, Decimal]:
    """The average of a price by side, weighted by what filled."""
    found = {}
    for side in ("BUY", "SELL"):
        own = [tally for tally in tallies if tally.side == side]
        amount = sum((getattr(tally, name) * tally.sums.venue for tally in own), ZERO)
        found[side] = _ratio(amount, sum((tally.sums.venue for tally in own), ZERO))
    return found


def _differences(seen: Evidence, tallies: list[ChaseTally], positions: dict[str, Sums], holes: int) -> Iterable[str]:
    for tally in tallies:
        if len(set(tally.filled.values())) > 1:
            told = ", ".join(f"{witness} {quantity}" for witness, quantity in tally.filled.items())
            yield f"chase {tally.chase_id}: filled {told}"
        if max(tally.filled.values()) > tally.quantity:
            yield f"chase {tally.chase_id} filled {max(tally.filled.values())}, more than its {tally.quantity}"
        if tally.status in ("failed", "active", "starting", "stopping"):
            yield f"chase {tally.chase_id} is {tally.status} at the end"
    for account, sums in positions.items():
        if not sums.agree:
            yield f"position of {account}: {_words(sums)}"
    books = sum(seen.positions.values(), ZERO)
    if books != seen.venue_position:
        yield f"the venue holds {seen.venue_position}, all books together {books}"
    missing = {row["clientOrderId"] for row in seen.venue_orders} ^ {
        name for name, row in seen.orders.items() if row["exchangeOrderId"]
    }
    if missing:
        yield f"orders that only one side knows: {', '.join(sorted(missing))}"
    if holes:
        yield f"the stream has {holes} holes"
    if seen.published != seen.stored:
        yield f"{len(seen.published)} events were published and {len(seen.stored)} stored, or not the same ones"
    yield from (f"a chase was refused: {reason}" for reason in seen.refused)


def _words(sums: Sums) -> str:
    return f"venue {sums.venue}, Redis {sums.redis}, events {sums.events}"


def _shortfalls(reached: tuple[int, ...], minima: tuple[int, ...]) -> Iterable[str]:
    words = ("chases", "chases with two or more partial fills", "amends")
    for word, count, least in zip(words, reached, minima, strict=True):
        if count < least:
            yield f"only {count} {word}, at least {least} were wanted"
