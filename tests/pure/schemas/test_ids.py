"""Every id has one verdict: ours, ours but damaged, the venue's own, or foreign."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas import ids
from schemas.ids import Damaged, Foreign, OrderId, VenueOrder, make, parse

LETTERS = st.sampled_from(ids.DIGITS)
IDS = st.builds(
    OrderId,
    st.text(LETTERS, min_size=4, max_size=4),
    st.text(LETTERS, min_size=10, max_size=10),
    st.integers(0, ids.EPOCH_MAX),
    st.integers(0, ids.SLOT_MAX),
    st.integers(0, ids.ATTEMPT_MAX),
)
ONE = OrderId("main", "0123456789", 1_800_000_000, 0, 7)


@given(IDS)
def test_an_id_is_read_back_as_it_was_made(order_id) -> None:
    text = make(order_id)
    assert parse(text) == order_id
    assert str(order_id) == text
    assert len(text) == 36


@given(IDS, st.integers(4, 35), LETTERS)
def test_one_wrong_character_makes_an_id_damaged_never_foreign(order_id, at, letter) -> None:
    text = make(order_id)
    assume(text[at] not in ("-", letter))
    assert parse(text[:at] + letter + text[at + 1 :]) == Damaged(text[:at] + letter + text[at + 1 :])


def test_nearly_every_swap_of_two_neighbours_makes_an_id_damaged() -> None:
    pairs = [(one, other) for one in ids.DIGITS for other in ids.DIGITS if one != other]
    missed = 0
    for one, other in pairs:
        text = make(OrderId(f"a{one}{other}z", "0123456789", 1, 0, 0))
        missed += not isinstance(parse(text.replace(one + other, other + one, 1)), Damaged)
    assert missed <= len(pairs) // 100


@given(st.text(max_size=40))
def test_every_text_has_a_verdict(text) -> None:
    assert isinstance(parse(text), OrderId | Damaged | VenueOrder | Foreign)


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("autoclose-1691219500338", VenueOrder),
        ("adl_autoclose", VenueOrder),
        ("settlement_autoclose-1", VenueOrder),
        ("delivery_autoclose-1", VenueOrder),
        ("web_Ab12", Foreign),
        ("", Foreign),
        ("pms", Damaged),
        ("PMS-main", Damaged),
        (make(ONE).upper(), Damaged),
        (make(ONE) + "0", Damaged),
        (make(ONE)[:-1], Damaged),
        (" " + make(ONE), Foreign),
    ],
)
def test_what_is_not_ours_is_told_apart(text, verdict) -> None:
    assert isinstance(parse(text), verdict)


@pytest.mark.parametrize(
    "parts",
    [
        ("ABCD", "0123456789", 1, 0, 0),
        ("main", "0123-56789", 1, 0, 0),
        ("main", "0123456789", ids.EPOCH_MAX + 1, 0, 0),
        ("main", "0123456789", 1, ids.SLOT_MAX + 1, 0),
        ("main", "0123456789", 1, 0, ids.ATTEMPT_MAX + 1),
        ("main", "0123456789", -1, 0, 0),
    ],
)
def test_a_part_out_of_its_range_is_refused(parts) -> None:
    with pytest.raises(ValueError):
        make(OrderId(*parts))


@pytest.mark.parametrize("tag, owner", [("abc", "0123456789"), ("abcde", "0123456789"), ("main", "012345678")])
def test_a_tag_or_an_owner_of_another_length_is_refused(tag, owner) -> None:
    with pytest.raises(ValueError, match="characters"):
        make(OrderId(tag, owner, 1, 0, 0))


def test_a_tag_is_four_characters_and_always_the_same() -> None:
    assert ids.tag_of("main") == ids.tag_of("main")
    assert len({ids.tag_of(f"account-{number}") for number in range(1000)}) > 995
    assert parse(make(OrderId(ids.tag_of("main"), "0" * 10, 0, 0, 0))).tag == ids.tag_of("main")
