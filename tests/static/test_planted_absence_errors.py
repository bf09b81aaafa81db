"""What a start makes of a long absence, an older Redis, other versions and missing prices has tests that bite: one
error planted turns its test red (execution.md 11, 19, 22-26, 32; contract.md, versions and events out)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

GONE = "tests/world/test_long_gone.py::"
MONTHS = GONE + "test_all_that_traded_in_a_long_absence_is_booked_once_with_its_time[80-10]"
WEEK = GONE + "test_all_that_traded_in_a_long_absence_is_booked_once_with_its_time[8-1100]"
OLDER = GONE + "test_a_redis_of_a_minute_ago_is_noticed_and_the_venue_is_believed"
NO_BOOK = GONE + "test_a_price_that_moved_too_far_pauses_although_no_book_tells_it"
POWER = GONE + "test_after_a_host_lost_power_a_redis_beside_us_can_not_be_shown_to_be_whole"
HISTORY, RECOVER = "pms/binance/history.py", "pms/recover.py"

ERRORS = {
    "only the first week is asked for": Planted(26, HISTORY, "start = end + 1\n            continue", "break", MONTHS),
    "a window is a day": Planted(26, HISTORY, "WINDOW_MS = 7 *", "WINDOW_MS = 1 *", MONTHS),
    "what is older than a month is not asked for": Planted(26, HISTORY, "KEPT_MS = 89 *", "KEPT_MS = 29 *", MONTHS),
    "a millisecond has a page at most": Planted(
        26, HISTORY, "rows = await page(None, None, rows[-1].trade_id + 1)", "rows = []", WEEK
    ),
    "a position begins when it is booked": Planted(
        11, "pms/core/positions.py", "opened_at=trade.time,", "opened_at=now,", MONTHS
    ),
    "trades found at a start move no book": Planted(
        13, "pms/hands.py", "        self._outcomes.book(name, fill)\n", "", MONTHS
    ),
    "a funding is booked by the hour it is read in": Planted(
        16,
        "pms/income.py",
        "    paid[row.symbol, row.time // HOUR_MS] += row.amount",
        "    paid[row.symbol, 0] += row.amount",
        MONTHS,
    ),
    "an absence of any length goes on by itself": Planted(
        25, RECOVER, "away.down_ms > self._max_age_ms", "away.down_ms < 0", MONTHS
    ),
    "an older Redis is believed": Planted(
        32,
        "pms/bus/store.py",
        "max(taken.seq, known_seq, self._outbox.noted_seq())",
        "max(taken.seq, known_seq)",
        OLDER,
    ),
    "numbers go on where the older Redis stood": Planted(
        20,
        "pms/bus/store.py",
        "standing.stream_last)\n        self._seq = await self._fence.jump(before)",
        "0)\n        self._seq = before = standing.seq",
        OLDER,
    ),
    "a host that lost power has lost nothing": Planted(
        32, "pms/bus/store.py", "not in_doubt and 0 < standing.seq", "0 < standing.seq", POWER + "[kill]"
    ),
    "after a clean end, too, numbering jumps": Planted(
        32, "pms/bus/lease.py", "not _RELEASED.match(answer.lease)", "True", POWER + "[stop]"
    ),
    "an older Redis trades on": Planted(32, "pms/daemon.py", "if not whole:", "if False:", OLDER),
    "nobody's order goes on resting": Planted(
        24, "recovery/plan.py", 'return f"our id, owner {owner} is not a live algo"', 'return ""', OLDER
    ),
    "what an order without a record filled is nobody's": Planted(
        23,
        "pms/hands.py",
        "account, origin = self._outcomes.account_of(whose), Origin.RECOVERED",
        "origin = Origin.RECOVERED",
        OLDER,
    ),
    "a newer record is damaged": Planted(
        0,
        "schemas/codec.py",
        "    if meta.v > VERSION:\n",
        '    if meta.v > VERSION:\n        raise Invalid(ErrorCode.MALFORMED, "newer")\n    if meta.v < 0:\n',
        GONE + "test_a_downgrade_beside_a_live_algo_is_refused_untouched_and_the_newer_one_goes_on",
    ),
    "an older record lacks what came later": Planted(
        0,
        "schemas/chase.py",
        "    reprice_count: int = 0\n",
        "    reprice_count: int\n",
        GONE + "test_a_record_of_an_older_version_without_later_fields_goes_on",
    ),
    "two hold the account": Planted(
        19,
        "pms/bus/lease.lua",
        "if lease ~= '' and not released and lease ~= ARGV[6] then",
        "if lease == ' ' then",
        GONE + "test_of_two_starts_at_once_one_gets_the_account_and_the_other_touches_nothing",
    ),
    "a start waits for the weight that others used": Planted(
        18,
        "pms/binance/rates.py",
        '*("/fapi/v1/leverageBracket", "/fapi/v1/countdownCancelAll"),',
        '"/fapi/v1/countdownCancelAll",',
        "tests/world/test_rate.py::test_with_a_neighbour_at_85_percent_a_start_waits_for_no_window",
    ),
    "books are joined one after the other": Planted(
        27,
        RECOVER,
        "        await self._expect(runners)\n",
        "",
        GONE + "test_the_books_of_all_algos_are_joined_at_once_at_a_start",
    ),
    "each algo waits for a price of its own": Planted(
        25,
        RECOVER,
        "self._quote(view.symbol, away.give_up)",
        "self._quote(view.symbol, self._clock.monotonic() + QUOTE_WAIT_S)",
        GONE + "test_a_start_waits_for_missing_prices_once_and_not_for_each_algo",
    ),
    "without a book nothing has moved": Planted(
        25,
        RECOVER,
        "await self._marked(view.symbol, away) if quote is None",
        "view.mid if quote is None",
        NO_BOOK + "[200-price_moved_too_far]",
    ),
    "an unknown price is as it was": Planted(
        25, RECOVER, 'return "price_unknown"', 'return ""', NO_BOOK + "[503-price_unknown]"
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
