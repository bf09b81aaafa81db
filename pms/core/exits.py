"""The exit ledger of one (sub-account, symbol): how much may still be asked for to close it, and under which form
(execution.md 14). Pure.

A closer is an order that only reduces for its sub-account, live or of unknown fate. Invariant: what is allotted to
closers never adds up to more than the position; alternatives for the same quantity count once. That an order only
reduces is our own meaning; the venue's reduce-only flag is about the account's net, so it is chosen anew for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from schemas.market import ZERO, Side
from schemas.records import EXTERNAL


class Closer(msgspec.Struct, frozen=True):
    """One order that closes. `quantity` is what it may still fill; `rests`: it may wait at the venue. Orders with the
    same non-empty `alternatives` stand for the same quantity: stop and take-profit, old and new of a move."""

    client_id: str
    side: Side
    quantity: Decimal
    rests: bool
    alternatives: str = ""

    @property
    def group(self) -> str:
        return self.alternatives or self.client_id


class Claim(msgspec.Struct, frozen=True):
    """Who would have a position closed from the venue: how much it `wants` to stand there, and how much `stands`."""

    name: str
    wants: Decimal
    stands: Decimal


class Form(StrEnum):
    """How a closer may leave."""

    FLAGGED = "flagged"  # under the venue's reduce-only flag
    UNFLAGGED = "unflagged"
    FORBIDDEN = "forbidden"  # `external` stands opposite: alarm, position_assign


def closing_side(held: Decimal) -> Side:
    """The side that reduces a signed position."""
    return Side.SELL if held > 0 else Side.BUY


def reserved(closers: Iterable[Closer]) -> Decimal:
    """What closers may fill altogether: the largest of each group."""
    largest: dict[str, Decimal] = {}
    for closer in closers:
        largest[closer.group] = max(largest.get(closer.group, ZERO), closer.quantity)
    return sum(largest.values(), ZERO)


def closable(held: Decimal, side: Side, closers: Iterable[Closer], alternatives: str = "") -> Decimal:
    """What one more closer on that side may ask for; one that stands for a group's quantity may have the group's."""
    if not held or side is not closing_side(held):
        return ZERO
    others = (closer for closer in closers if not alternatives or closer.group != alternatives)
    return max(abs(held) - reserved(others), ZERO)


def allotted(held: Decimal, closers: Iterable[Closer], leaving: Decimal = ZERO) -> dict[str, Decimal]:
    """How much of a position each closer may still fill, by client id: exits under way first, then `leaving`, an
    immediate exit that is about to take over what rests, then that, the older before the newer. A group's orders share
    what the group is given."""
    left, about = abs(held), leaving
    given: dict[str, Decimal] = {}
    shares: dict[str, Decimal] = {}
    for closer in sorted(closers, key=lambda one: one.rests):
        has = shares.get(closer.group, ZERO)
        if not held or closer.side is not closing_side(held):
            given[closer.client_id] = ZERO
            continue
        if closer.rests and about:
            left, about = max(left - about, ZERO), ZERO
        grown = max(min(closer.quantity, has + left), has)
        shares[closer.group], left = grown, left - (grown - has)
        given[closer.client_id] = min(closer.quantity, grown)
    return given


def opposed(owner: str, books: Mapping[str, Decimal]) -> bool:
    """Whether any other book stands opposite to its owner's on the symbol. `books` are signed positions by name."""
    held = books.get(owner, ZERO)
    return any(held * other < 0 for name, other in books.items() if name != owner)


def coverable(side: Side, books: Mapping[str, Decimal], flagged: Decimal) -> Decimal:
    """What an order on that side may close under the venue's flag beside `flagged`, all other flagged orders' open
    quantity on it: the rest of the account's net in its direction."""
    net = sum(books.values(), ZERO)
    return max(-side.sign * net - flagged, ZERO)


def form(
    owner: str, side: Side, quantity: Decimal, rests: bool, books: Mapping[str, Decimal], flagged: Decimal
) -> Form:
    """The form of a closer of its owner's position, by the books as they stand now."""
    if books.get(owner, ZERO) * books.get(EXTERNAL, ZERO) < 0:
        return Form.FORBIDDEN
    if not opposed(owner, books):
        return Form.FLAGGED
    if not rests and quantity <= coverable(side, books, flagged):
        return Form.FLAGGED
    return Form.UNFLAGGED


def crowded(side: Side, held: Decimal, books: Mapping[str, Decimal], claims: Iterable[Claim]) -> bool:
    """Whether the venue's flag alone would let what waits on that side sell more than a position `held`: others have a
    part of the account's net, or an order is for more than that net and so can't have the flag."""
    net = coverable(side, books, ZERO)
    return net > held or any(claim.wants > net for claim in claims)


def rooms(held: Decimal, claims: Iterable[Claim]) -> dict[str, Decimal]:
    """How much of a position may stand at the venue for each claim, by name; the earlier comes first, and waits until
    what a later one has there is gone. Nothing that is placed within its room brings the sum above what is `held`."""
    claims = list(claims)
    given: dict[str, Decimal] = {}
    left, later = held, sum((claim.stands for claim in claims), ZERO)
    for claim in claims:
        later -= claim.stands
        given[claim.name] = min(claim.wants, max(left - later, min(claim.stands, left)))
        left = max(left - max(min(claim.wants, left), claim.stands), ZERO)
    return given
