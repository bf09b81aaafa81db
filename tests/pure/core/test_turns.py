"""Who is served next while the budget is short (execution.md 18)."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pms.core.limiter import Charge, Lane
from pms.core.turns import Turns, Waiting

ORDER, CANCEL = Charge(0, 1, 1), Charge(1)
LANES = st.sampled_from(list(Lane))


def one(key: str, lane: Lane = Lane.NEAR, account: str = "a", charge: Charge = ORDER, called: bool = False) -> Waiting:
    return Waiting(key, account, lane, charge, 0, lambda _: None, called)


class Room:
    """So many order slots and so much weight."""

    def __init__(self, orders: int, weight: int = 0) -> None:
        self.orders = orders
        self.weight = weight

    def fits(self, charge: Charge, lane: Lane) -> bool:
        if charge.orders_10s > self.orders or charge.weight > self.weight:
            return False
        self.orders -= charge.orders_10s
        self.weight -= charge.weight
        return True


def keys(turns: Turns, orders: int, weight: int = 0) -> list[str]:
    return [served.key for served in turns.serve(Room(orders, weight).fits)]


def test_exits_go_before_children_near_the_touch_and_these_before_far_ones() -> None:
    turns = Turns()
    for key, lane in (("far", Lane.FAR), ("near", Lane.NEAR), ("exit", Lane.EXIT), ("other exit", Lane.EXIT)):
        turns.join(one(key, lane))
    assert keys(turns, 3) == ["exit", "other exit", "near"]
    assert keys(turns, 3) == ["far"]
    assert turns.count == 0


def test_a_cancel_passes_exits_that_wait_for_order_slots() -> None:
    turns = Turns()
    turns.join(one("exit", Lane.EXIT))
    turns.join(one("cancel", Lane.EXIT, charge=CANCEL, account="b"))
    assert keys(turns, 0, 1) == ["cancel"]


def test_accounts_take_turns() -> None:
    turns = Turns()
    for number in range(4):
        turns.join(one(f"a{number}", account="a"))
    turns.join(one("b0", account="b"))
    turns.join(one("c0", account="c"))
    assert keys(turns, 4) == ["a0", "b0", "c0", "a1"]


def test_whose_turn_it_is_is_remembered_between_windows() -> None:
    turns = Turns()
    for account in "abc":
        for number in range(3):
            turns.join(one(f"{account}{number}", account=account))
    assert keys(turns, 2) + keys(turns, 2) + keys(turns, 2) == ["a0", "b0", "c0", "a1", "b1", "c1"]


def test_an_owner_that_is_to_be_called_waits_once() -> None:
    turns = Turns()
    turns.join(one("chase", called=True))
    turns.join(one("chase", called=True))
    assert turns.count == 1
    assert turns.calls("chase")
    assert keys(turns, 5) == ["chase"]
    assert not turns.calls("chase")


def test_who_leaves_is_not_served() -> None:
    turns = Turns()
    gone = one("gone")
    turns.join(gone)
    turns.join(one("stays"))
    turns.leave(gone)
    turns.leave(gone)
    assert keys(turns, 5) == ["stays"]


def test_the_oldest_entry_is_known_and_exits_are_none() -> None:
    turns = Turns()
    turns.join(Waiting("exit", "a", Lane.EXIT, ORDER, 1, lambda _: None))
    assert turns.entries_since() is None
    turns.join(Waiting("far", "a", Lane.FAR, ORDER, 7, lambda _: None))
    turns.join(Waiting("near", "b", Lane.NEAR, ORDER, 5, lambda _: None))
    assert turns.entries_since() == 5


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), st.lists(st.integers(0, 7), max_size=40))
def test_no_account_is_served_twice_while_another_waits(accounts: list[str], windows: list[int]) -> None:
    turns = Turns()
    waiting = Counter(accounts)
    for number, account in enumerate(accounts):
        turns.join(one(str(number), account=account))
    since = dict.fromkeys(waiting, 0)
    for room in windows:
        for served in turns.serve(Room(room).fits):
            waiting[served.account] -= 1
            since[served.account] = 0
            for account in since:
                if account != served.account and waiting[account]:
                    since[account] += 1
            assert max(since.values()) <= len(since) - 1
