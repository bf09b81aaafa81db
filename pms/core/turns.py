"""Who is served next while the rate budget is short (execution.md 18). Pure.

Owns the order: lanes before one another, and within a lane one request of each account in turn. Refuses to know what
is left and what a request is. Invariants: an account that waits in a lane is served before any other of that lane is
served twice; an owner waits once, whatever it wants meanwhile: its newer self takes the place of the older.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from pms.core.limiter import Charge, Lane


class Waiting:
    """One that waits. `key` names its owner, `called` says that it will be called to decide anew instead of being let
    go; `settle(True)` once it is served, `settle(False)` where it has waited too long."""

    __slots__ = ("account", "called", "charge", "key", "lane", "settle", "since")

    def __init__(
        self,
        key: str,
        account: str,
        lane: Lane,
        charge: Charge,
        since: int,
        settle: Callable[[bool], None],
        called: bool = False,
    ) -> None:
        self.key = key
        self.account = account
        self.lane = lane
        self.charge = charge
        self.since = since
        self.settle = settle
        self.called = called


class Turns:
    """The line. `count` is how many stand in it."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, OrderedDict[str, deque[Waiting]]] = {lane: OrderedDict() for lane in Lane}
        self._called: dict[str, Waiting] = {}
        self.count = 0

    def join(self, one: Waiting) -> None:
        """Stand at the end of its account's part of the line; one that will be called only once."""
        if one.called:
            if one.key in self._called:
                return
            self._called[one.key] = one
        self._lanes[one.lane].setdefault(one.account, deque()).append(one)
        self.count += 1

    def leave(self, one: Waiting) -> None:
        """Stand there no longer; nothing where it was served."""
        mine = self._lanes[one.lane].get(one.account)
        if mine is None or one not in mine:
            return
        mine.remove(one)
        if not mine:
            del self._lanes[one.lane][one.account]
        self._gone(one)

    def calls(self, key: str) -> bool:
        """Whether an owner waits to be called."""
        return key in self._called

    def serve(self, fits: Callable[[Charge, Lane], bool]) -> list[Waiting]:
        """Take out who can be served now, in order. `fits` has to count what it has granted."""
        return [one for lane in Lane for one in self._serve_lane(self._lanes[lane], fits)]

    def _serve_lane(
        self, accounts: OrderedDict[str, deque[Waiting]], fits: Callable[[Charge, Lane], bool]
    ) -> list[Waiting]:
        served: list[Waiting] = []
        passed = 0  # accounts in a row that got nothing: once round, and all have been asked
        short: set[Charge] = set()  # within a lane nobody overtakes on the same counters
        while passed < len(accounts):
            account, waiting = next(iter(accounts.items()))
            one = waiting[0]
            accounts.move_to_end(account)
            if one.charge in short or not fits(one.charge, one.lane):
                short.add(one.charge)
                passed += 1
                continue
            passed = 0
            waiting.popleft()
            if not waiting:
                del accounts[account]
            self._gone(one)
            served.append(one)
        return served

    def _gone(self, one: Waiting) -> None:
        self.count -= 1
        if one.called:
            del self._called[one.key]

    def entries_since(self) -> int | None:
        """Since when the oldest entry waits; None where none does."""
        lanes = (self._lanes[Lane.NEAR], self._lanes[Lane.FAR])
        return min((waiting[0].since for lane in lanes for waiting in lane.values()), default=None)
