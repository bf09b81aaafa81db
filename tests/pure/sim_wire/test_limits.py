"""Weight, order counts and bans on clock-aligned windows; listen keys by the hour."""

from __future__ import annotations

import pytest

from pms.sim.limits import Limited, Limits, Meter
from pms.sim.listenkeys import VALID_MS, ListenKeys
from pms.sim.model import VenueError

MINUTE = 1_790_526_540_000  # a whole minute
LIMITS = Limits(weight_1m=10, orders_10s=3, orders_1m=5, connects_5m=2, refusals_before_ban=2, first_ban_ms=120_000)


def _limited(act, *args) -> Limited:
    with pytest.raises(Limited) as refused:
        act(*args)
    return refused.value


def test_weight_adds_up_within_the_clock_minute_and_starts_again_with_the_next() -> None:
    meter = Meter(LIMITS)
    assert meter.charge("a", 4, MINUTE + 59_999) == 4
    assert meter.charge("a", 4, MINUTE + 60_000) == 4
    assert meter.charge("b", 1, MINUTE + 60_000) == 1
    assert meter.used("a", MINUTE + 60_001) == 4


def test_over_the_weight_limit_the_answer_is_429_until_the_minute_ends() -> None:
    meter = Meter(LIMITS)
    meter.charge("a", 10, MINUTE)
    refused = _limited(meter.charge, "a", 1, MINUTE + 15_500)
    assert (refused.status, refused.code, refused.retry_after) == (429, -1003, 45)
    assert meter.charge("a", 1, MINUTE + 60_000) == 1


def test_going_on_after_429_is_a_ban_that_doubles_for_the_next_offence() -> None:
    meter = Meter(LIMITS)
    meter.charge("a", 10, MINUTE)
    for _ in range(LIMITS.refusals_before_ban):
        assert _limited(meter.charge, "a", 1, MINUTE).status == 429
    banned = _limited(meter.charge, "a", 1, MINUTE)
    assert (banned.status, banned.code, banned.retry_after) == (418, -1003, 120)
    assert f"banned until {MINUTE + 120_000}" in banned.message
    assert _limited(meter.charge, "a", 0, MINUTE + 119_999).retry_after == 1
    later = MINUTE + 120_000
    meter.charge("a", 10, later)
    for _ in range(LIMITS.refusals_before_ban):
        _limited(meter.charge, "a", 1, later)
    assert _limited(meter.charge, "a", 1, later).retry_after == 240


def test_orders_are_counted_per_account_on_two_aligned_windows() -> None:
    meter = Meter(LIMITS)
    assert meter.count_orders("x", 1, 1, MINUTE) == (1, 1)
    assert meter.count_orders("x", 2, 1, MINUTE + 9_999) == (3, 2)
    assert meter.count_orders("y", 1, 1, MINUTE) == (1, 1)
    refused = _limited(meter.count_orders, "x", 1, 1, MINUTE + 9_999)
    assert (refused.status, refused.code, refused.retry_after) == (429, -1015, 1)
    assert meter.count_orders("x", 1, 1, MINUTE + 10_000) == (1, 4)


def test_the_minutes_order_limit_names_its_own_wait() -> None:
    meter = Meter(LIMITS)
    for slot in range(5):
        meter.count_orders("x", 1, 1, MINUTE + slot * 10_000)
    refused = _limited(meter.count_orders, "x", 1, 1, MINUTE + 50_000)
    assert (refused.code, refused.retry_after) == (-1015, 10)


def test_connections_are_counted_on_five_minutes() -> None:
    meter = Meter(LIMITS)
    start = MINUTE - MINUTE % 300_000
    meter.connect("a", start)
    meter.connect("a", start)
    assert _limited(meter.connect, "a", start + 299_000).retry_after == 1
    meter.connect("a", start + 300_000)


def test_a_listen_key_stays_the_same_while_active_and_lives_an_hour_from_the_last_sign() -> None:
    keys = ListenKeys("seed")
    key = keys.issue("acct", 0)
    assert len(key) == 64
    assert keys.issue("acct", 1_000) == key
    assert keys.keep_alive("acct", 2_000) == key
    assert keys.next_due() == 2_000 + VALID_MS
    assert keys.expire(2_000 + VALID_MS - 1) == []
    assert keys.account_of(key) == "acct"
    assert keys.expire(2_000 + VALID_MS) == [key]
    assert keys.account_of(key) is None
    assert keys.next_due() is None


def test_a_key_that_ended_never_comes_back_and_cannot_be_kept_alive() -> None:
    keys = ListenKeys("seed")
    first = keys.issue("acct", 0)
    keys.close("acct")
    with pytest.raises(VenueError) as refused:
        keys.keep_alive("acct", 1)
    assert refused.value.code == -1125
    assert keys.issue("acct", 2) != first
    assert keys.key_of("acct") != first


def test_two_accounts_have_two_keys_and_another_seed_other_ones() -> None:
    keys = ListenKeys("seed")
    made = {keys.issue("a", 0), keys.issue("b", 0), ListenKeys("other").issue("a", 0)}
    assert len(made) == 3


def test_closing_without_a_key_changes_nothing() -> None:
    keys = ListenKeys("seed")
    keys.close("nobody")
    assert keys.key_of("nobody") is None
