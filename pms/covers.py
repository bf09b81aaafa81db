"""Who may close how much of a symbol from the venue itself, and in which form, for when nobody is there to act: stops,
take-profits and backstops (algos.md, trail_stop, Protection; execution.md 14).

Owns what each hears of its part. Together they never sell more than a position: either the venue's flag sees to that,
or what stands there never sums above it. Backstops together never ask for more than the account's net position, and
come after what was asked for by command. Refuses to decide what is placed: that is the algo's.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import takewhile
from typing import TYPE_CHECKING

import msgspec

from algos import protecting
from algos.cover import Cover
from algos.registry import PROTECTION
from algos.view import View
from pms.core import exits
from pms.core.exits import Claim, Form
from pms.runner import Runner
from schemas.market import ZERO, Side
from schemas.protection import ProtectionState

if TYPE_CHECKING:
    from pms.desk import Desk


class _Parts:
    """One look at a symbol's signed books: what is free of the account's net by side, and what each position's algos
    may have there."""

    def __init__(self, books: Mapping[str, Decimal]) -> None:
        self.books = books
        self.free: dict[int, Decimal] = {}
        self.rooms: dict[str, Mapping[str, Decimal] | None] = {}


class Covers:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._by_symbol: dict[str, dict[str, Runner]] = {}
        self._told: dict[str, tuple[Decimal, Decimal]] = {}
        self._claimed: dict[str, Claim] = {}
        self._rounds: dict[str, int] = {}

    def add(self, runner: Runner) -> None:
        """An algo begins, or came back from Redis."""
        if _closes(runner):
            view = runner.kind.view(runner.state)
            self._by_symbol.setdefault(view.symbol, {})[view.algo_id] = runner
            self._claimed[view.algo_id] = self._claim(runner)

    def discard(self, symbol: str, algo_id: str) -> None:
        """An algo has ended: what it had is free."""
        here = self._by_symbol.get(symbol, {})
        if here.pop(algo_id, None) is not None:
            self._told.pop(algo_id, None)
            self._claimed.pop(algo_id, None)
            self.tell(symbol)

    def changed(self, runner: Runner) -> None:
        """An algo's record changed: where it wants another quantity, or has another there, others' parts change."""
        if not _closes(runner):
            return
        claim = self._claim(runner)
        if self._claimed.get(claim.name, claim) != claim:
            self._claimed[claim.name] = claim
            self.tell(runner.state.symbol)

    def tell(self, symbol: str) -> None:
        """Tell each that closes from the venue what its part is, where it is another now. What one does with its part
        may change others': then all are told anew."""
        this = self._rounds[symbol] = self._rounds.get(symbol, 0) + 1
        here = self._by_symbol.get(symbol)
        if not here:
            return
        for runner in [one for one in here.values() if one.kind is PROTECTION]:
            self.fit(runner, runner.state.rest)
            if self._rounds[symbol] != this:
                return
        parts = _Parts(self._desk.books.held(symbol))
        for runner in self._backed(symbol):
            self._tell_part(runner, parts)
            if self._rounds[symbol] != this:
                return

    # --- stops and take-profits -----------------------------------------------------------------------

    def fit(self, runner: Runner, quantity: Decimal) -> None:
        """Tell a protection in which form `quantity` of it may stand, where that is another now."""
        state: ProtectionState = runner.state
        bare, most = self.form(state.sub_account_id, state.symbol, state.side, quantity, state.protection_id)
        if (bare, most) != (state.bare, state.most):
            now = self._desk.now()
            self._desk.offer(runner, protecting.Bare(now, bare, most, self._desk.quote_of(runner)))

    def form(
        self, sub_account_id: str, symbol: str, side: Side, quantity: Decimal, name: str = ""
    ) -> tuple[bool, Decimal]:
        """Whether so much of the protection of that name (empty: of a new one) would have to stand at the venue without
        its flag, and how much may; 0 with the flag: all of it, since that bounds what stands there."""
        books = self._desk.books.held(symbol)
        held = self._desk.ledger.position(sub_account_id, symbol).quantity
        own = Claim(name, quantity, ZERO)
        claims = self._claims(sub_account_id, symbol, books)
        if name:
            claims = [msgspec.structs.replace(one, wants=quantity) if one.name == name else one for one in claims]
        else:
            claims.insert(sum(1 for one in claims if _first(self._by_symbol[symbol][one.name])), own)
        if not exits.crowded(side, held, books, claims):
            return False, ZERO
        given = exits.rooms(held, claims)
        before = sum((given[one.name] for one in takewhile(lambda one: one.name != name, claims)), ZERO)
        most = given[name]
        bare = exits.form(sub_account_id, side, most, False, books, before) is Form.UNFLAGGED
        return bare or not most, most

    # --- backstops ------------------------------------------------------------------------------------

    def share(self, view: View) -> tuple[Decimal, Decimal]:
        """What one more algo would be given, and the account's net in its direction."""
        parts = _Parts(self._desk.books.held(view.symbol))
        for runner in self._backed(view.symbol):
            self._part(runner.kind.view(runner.state), parts)
        return self._part(view, parts)

    def _backed(self, symbol: str) -> list[Runner]:
        """Who stands at the venue already keeps what it has, then the older comes before the newer."""
        here = self._by_symbol.get(symbol, {})
        found = [self._claimed[name] for name, runner in here.items() if runner.kind.backed]
        return [here[claim.name] for claim in sorted(found, key=lambda one: (not one.stands, one.name))]

    def _tell_part(self, runner: Runner, parts: _Parts) -> None:
        desk, view = self._desk, runner.kind.view(runner.state)
        most, net = self._part(view, parts)
        if desk.follows(view.algo_id) and self._told.get(view.algo_id) != (most, net):
            self._told[view.algo_id] = (most, net)
            desk.offer(runner, Cover(desk.now(), most, net, desk.quote_of(runner)))

    def _part(self, view: View, parts: _Parts) -> tuple[Decimal, Decimal]:
        """What one may have of what is free of the account's net in its direction, and that net."""
        owner, books = view.sub_account_id, parts.books
        held = books.get(owner, ZERO)
        if not held:
            return ZERO, ZERO
        side = exits.closing_side(held)
        net = exits.coverable(side, books, ZERO)
        left = parts.free.setdefault(side.sign, net)
        if exits.form(owner, side, view.backstop, False, books, ZERO) is Form.FORBIDDEN:
            return ZERO, net
        most = min(view.backstop, left)
        if owner not in parts.rooms or view.algo_id not in self._claimed:
            parts.rooms[owner] = self._rooms(view, books, side)
        rooms = parts.rooms[owner]
        most = most if rooms is None else min(most, rooms[view.algo_id])
        parts.free[side.sign] = left - most
        return most, net

    def _rooms(self, view: View, books: Mapping[str, Decimal], side: Side) -> Mapping[str, Decimal] | None:
        """How much of the position of an algo, which may be a new one, each may have there; None where the flag bounds
        them all."""
        held, net = abs(books[view.sub_account_id]), exits.coverable(side, books, ZERO)
        claims = self._claims(view.sub_account_id, view.symbol, books)
        if view.algo_id not in self._claimed:
            claims.append(Claim(view.algo_id, min(view.backstop, net), ZERO))
        return exits.rooms(held, claims) if exits.crowded(side, held, books, claims) else None

    # --- who wants what -------------------------------------------------------------------------------

    def _claims(self, sub_account_id: str, symbol: str, books: Mapping[str, Decimal]) -> list[Claim]:
        """What the algos of a position want of it at the venue: what was asked for by command, then backstops."""
        held = books.get(sub_account_id, ZERO)
        net = exits.coverable(exits.closing_side(held), books, ZERO) if held else ZERO
        here = self._by_symbol.get(symbol, {})
        mine = [self._claimed[name] for name, runner in here.items() if runner.sub_account_id == sub_account_id]
        mine.sort(key=lambda one: (not _first(here[one.name]), not (_first(here[one.name]) or one.stands), one.name))
        return [one if _first(here[one.name]) else _within(one, net) for one in mine]

    def _claim(self, runner: Runner) -> Claim:
        """A protection's is its stop's: a take-profit alone stands there only where the flag bounds it."""
        view = runner.kind.view(runner.state)
        if _first(runner):
            state: ProtectionState = runner.state
            stop = state.leg("stop")
            wants = state.rest if stop is not None and not stop.dropped else ZERO
            return Claim(view.algo_id, wants, sum((one.open_quantity for one in state.orders), ZERO))
        orders = (self._desk.ledger.orders.get(name) for name in view.live_children)
        return Claim(view.algo_id, view.backstop, sum((one.remaining for one in orders if one is not None), ZERO))


def _closes(runner: Runner) -> bool:
    """Whether an algo keeps something at the venue that closes a position."""
    return runner.kind.backed or runner.kind is PROTECTION


def _first(runner: Runner) -> bool:
    """Whether it was asked for by command; a backstop comes after that."""
    return runner.kind is PROTECTION


def _within(claim: Claim, net: Decimal) -> Claim:
    return msgspec.structs.replace(claim, wants=min(claim.wants, net))
