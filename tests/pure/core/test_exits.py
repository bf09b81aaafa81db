"""The exit ledger's arithmetic (execution.md 14): closers within the position, the flag by the net."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.core import exits
from pms.core.exits import Claim, Closer, Form
from schemas.market import Side

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def closer(name: str, quantity: str, side: Side = SELL, rests: bool = True, alternatives: str = "") -> Closer:
    return Closer(name, side, D(quantity), rests, alternatives)


# --- what is left to close ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "held, side, closers, left",
    [
        ("10", SELL, (), "10"),
        ("-10", BUY, (), "10"),
        ("10", BUY, (), "0"),
        ("-10", SELL, (), "0"),
        ("0", SELL, (), "0"),
        ("10", SELL, (closer("a", "4"),), "6"),
        ("10", SELL, (closer("a", "4"), closer("b", "6")), "0"),
        ("3", SELL, (closer("a", "4"),), "0"),
        ("10", SELL, (closer("stop", "10", alternatives="p"), closer("profit", "10", alternatives="p")), "0"),
        ("10", SELL, (closer("stop", "6", alternatives="p"), closer("profit", "4", alternatives="p")), "4"),
        ("10", SELL, (closer("old", "6", alternatives="m"), closer("a", "1")), "3"),
    ],
)
def test_one_more_closer_may_ask_for_what_no_other_has(
    held: str, side: Side, closers: tuple[Closer, ...], left: str
) -> None:
    assert exits.closable(D(held), side, closers) == D(left)


def test_an_alternative_may_ask_for_the_quantity_of_its_group() -> None:
    closers = (closer("stop", "6", alternatives="p"), closer("a", "3"))
    assert exits.closable(D("10"), SELL, closers, alternatives="p") == D("7")


# --- a triggered stop -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leaving, left",
    [("2", ("4", "4")), ("3", ("4", "3")), ("6", ("4", "0")), ("7", ("3", "0")), ("10", ("0", "0"))],
)
def test_an_immediate_exit_takes_over_what_rests_newest_first(leaving: str, left: tuple[str, str]) -> None:
    given_ = exits.allotted(D("10"), (closer("old", "4"), closer("new", "4")), D(leaving))
    assert given_ == {"old": D(left[0]), "new": D(left[1])}


def test_an_exit_under_way_keeps_what_it_has() -> None:
    given_ = exits.allotted(D("10"), (closer("a", "6"), closer("way", "4", rests=False)), D("10"))
    assert given_ == {"way": D("4"), "a": D("0")}


# --- a position that got smaller ------------------------------------------------------------------------


def test_a_smaller_position_is_given_to_exits_under_way_first_then_to_the_older() -> None:
    closers = (closer("old", "4"), closer("new", "4"), closer("way", "3", rests=False))
    assert exits.allotted(D("6"), closers) == {"way": D("3"), "old": D("3"), "new": D("0")}


def test_a_flipped_position_leaves_nothing_to_those_that_closed_the_old_one() -> None:
    assert exits.allotted(D("-6"), (closer("a", "4"),)) == {"a": D("0")}


def test_alternatives_share_what_their_group_is_given() -> None:
    closers = (closer("stop", "5", alternatives="p"), closer("profit", "5", alternatives="p"), closer("a", "4"))
    assert exits.allotted(D("7"), closers) == {"stop": D("5"), "profit": D("5"), "a": D("2")}


sizes = st.decimals(min_value=0, max_value=20, places=3)
signed = st.decimals(min_value=-20, max_value=20, places=3)
crowd = st.lists(
    st.builds(Closer, st.uuids().map(str), st.sampled_from((BUY, SELL)), sizes, st.booleans(), st.sampled_from("..pq")),
    max_size=8,
).map(
    lambda found: [
        one if one.alternatives != "." else Closer(one.client_id, one.side, one.quantity, one.rests) for one in found
    ]
)


@given(signed, crowd)
def test_what_is_allotted_never_adds_up_to_more_than_the_position(held: Decimal, closers: list[Closer]) -> None:
    """The oracle: one closer at a time, in any order of arrival, the sum over groups within the position."""
    given_ = exits.allotted(held, closers)
    shared = [Closer(one.client_id, one.side, given_[one.client_id], one.rests, one.alternatives) for one in closers]
    assert exits.reserved(shared) <= abs(held)
    assert all(given_[one.client_id] <= one.quantity for one in closers)
    wrong = [given_[one.client_id] for one in closers if held and one.side is not exits.closing_side(held)]
    assert not any(wrong), "nothing on the side that would enlarge the position"


@given(signed, st.lists(st.tuples(sizes, st.booleans()), max_size=12))
def test_orders_let_through_one_by_one_never_close_more_than_there_is(
    held: Decimal, asked: list[tuple[Decimal, bool]]
) -> None:
    side = exits.closing_side(held)
    standing: list[Closer] = []
    for number, (quantity, rests) in enumerate(asked):
        if 0 < quantity <= exits.closable(held, side, standing):
            standing.append(Closer(str(number), side, quantity, rests))
    assert sum(one.quantity for one in standing) <= abs(held)


@given(signed, crowd, sizes)
def test_beside_what_an_immediate_exit_takes_over_all_still_fits(
    held: Decimal, closers: list[Closer], quantity: Decimal
) -> None:
    under_way = exits.reserved(one for one in closers if not one.rests or one.alternatives)
    leaving = min(quantity, max(abs(held) - under_way, D(0)))
    given_ = exits.allotted(held, closers, leaving)
    left = [Closer(one.client_id, one.side, given_[one.client_id], one.rests, one.alternatives) for one in closers]
    resting = any(one.rests and one.side is exits.closing_side(held) for one in closers)
    assert exits.reserved(left) + (leaving if resting else D(0)) <= abs(held)


# --- the flag -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "books, quantity, rests, flagged, expected",
    [
        ({"a": "10"}, "10", True, "0", Form.FLAGGED),
        ({"a": "10", "b": "5"}, "10", True, "0", Form.FLAGGED),
        ({"a": "10", "b": "5", "external": "3"}, "10", True, "0", Form.FLAGGED),
        ({"a": "10", "b": "-1"}, "1", True, "0", Form.UNFLAGGED),  # what rests may find another net
        ({"a": "10", "b": "-4"}, "6", False, "0", Form.FLAGGED),
        ({"a": "10", "b": "-4"}, "6.001", False, "0", Form.UNFLAGGED),
        ({"a": "10", "b": "-4"}, "6", False, "1", Form.UNFLAGGED),
        ({"a": "10", "b": "-10"}, "1", False, "0", Form.UNFLAGGED),
        ({"a": "4", "b": "-10"}, "4", False, "0", Form.UNFLAGGED),
        ({"a": "10", "external": "-1"}, "1", False, "0", Form.FORBIDDEN),
        ({"a": "10", "b": "-5", "external": "3"}, "8", False, "0", Form.FLAGGED),
        ({"a": "10", "b": "-5", "external": "3"}, "8", True, "0", Form.UNFLAGGED),
    ],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_closer_carries_the_flag_while_nothing_stands_opposite_or_the_net_covers_it(
    books: dict[str, str], quantity: str, rests: bool, flagged: str, expected: Form, mirrored: bool
) -> None:
    sign, side = (-1, BUY) if mirrored else (1, SELL)
    signed_books = {name: sign * D(held) for name, held in books.items()}
    assert exits.form("a", side, D(quantity), rests, signed_books, D(flagged)) is expected


@given(st.dictionaries(st.sampled_from(("a", "b", "c")), signed, min_size=1), sizes)
def test_flagged_immediate_exits_together_never_ask_for_more_than_the_net(
    books: dict[str, Decimal], quantity: Decimal
) -> None:
    """Otherwise the venue would refuse or shrink one of them."""
    flagged = {BUY: D(0), SELL: D(0)}
    for name, held in books.items():
        side = exits.closing_side(held)
        wanted = min(quantity, abs(held))
        if wanted and exits.form(name, side, wanted, False, books, flagged[side]) is Form.FLAGGED:
            flagged[side] += wanted
    net = sum(books.values(), D(0))
    assert flagged[SELL] <= max(net, D(0))
    assert flagged[BUY] <= max(-net, D(0))


# --- what waits at the venue --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "held, claims, expected",
    [
        ("10", [("10", "0")], ["10"]),
        ("10", [("6", "0"), ("10", "0")], ["6", "4"]),
        ("10", [("6", "6"), ("10", "4")], ["6", "4"]),
        ("10", [("10", "0"), ("10", "10")], ["0", "0"]),  # the later one leaves, then the earlier may come
        ("10", [("10", "0"), ("10", "4")], ["6", "0"]),
        ("10", [("10", "10"), ("10", "10")], ["10", "0"]),  # others came to the side of two that the flag had bounded
        ("10", [("0", "10"), ("10", "0")], ["0", "0"]),  # what is leaving still counts
        ("4", [("10", "0"), ("10", "0")], ["4", "0"]),
        ("0", [("10", "10")], ["0"]),
    ],
)
def test_the_earlier_comes_first_and_waits_for_what_a_later_one_still_has(
    held: str, claims: list[tuple[str, str]], expected: list[str]
) -> None:
    asked = [Claim(str(at), D(wants), D(stands)) for at, (wants, stands) in enumerate(claims)]
    assert list(exits.rooms(D(held), asked).values()) == [D(room) for room in expected]


@given(sizes, st.lists(st.tuples(sizes, sizes), max_size=5), st.data())
def test_nothing_that_is_placed_within_its_room_brings_the_sum_above_the_position(
    held: Decimal, claims: list[tuple[Decimal, Decimal]], data: st.DataObject
) -> None:
    """One after the other, in any order, each told anew; and in the end all that can be had is had."""
    asked = [Claim(str(at), wants, min(stands, held)) for at, (wants, stands) in enumerate(claims)]
    for _ in range(3 * len(asked)):
        at = data.draw(st.integers(0, len(asked) - 1))
        room = exits.rooms(held, asked)[str(at)]
        before = sum(one.stands for one in asked)
        asked[at] = msgspec.structs.replace(asked[at], stands=room)
        assert sum(one.stands for one in asked) <= max(before, held)
    for at in [*range(len(asked))] * (len(asked) + 1):
        asked[at] = msgspec.structs.replace(asked[at], stands=exits.rooms(held, asked)[str(at)])
    assert sum(one.stands for one in asked) == min(held, sum(one.wants for one in asked))


@pytest.mark.parametrize(
    "books, wants, expected",
    [
        ({"a": "10"}, ["10", "10"], False),  # alone: the flag bounds them together
        ({"a": "10", "b": "1"}, ["10"], True),
        ({"a": "10", "external": "1"}, ["10"], True),
        ({"a": "10", "b": "-4"}, ["6", "6"], False),  # both have the flag, and the net is less than the position
        ({"a": "10", "b": "-4"}, ["6", "6.001"], True),  # this one can't have it
        ({"a": "10", "b": "5", "c": "-5"}, ["10", "10"], False),
    ],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_flag_does_not_bound_what_others_have_a_part_of_or_what_it_does_not_cover(
    books: dict[str, str], wants: list[str], expected: bool, mirrored: bool
) -> None:
    sign, side = (-1, BUY) if mirrored else (1, SELL)
    signed_books = {name: sign * D(held) for name, held in books.items()}
    claims = [Claim(str(at), D(want), D(0)) for at, want in enumerate(wants)]
    assert exits.crowded(side, D(books["a"]), signed_books, claims) is expected
