"""Every rule of the trailing stop has a test that bites: one error planted turns it red (algos.md; execution.md 14, 27,
28)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

PRICES, EXITS = "tests/pure/algos/test_trail_stop.py::", "tests/pure/algos/test_trail_exit.py::"
WORLD, BLIND, KILLS = (f"tests/world/test_trail_{name}.py::" for name in ("stop", "blind", "kills"))
MARKET = "tests/contract/test_market.py::"

ERRORS = {
    "an extreme that goes back is not seen": Planted(
        4,
        "algos/trail_laws.py",
        '        require(towards * after.extreme2 >= towards * before.extreme2, 4, "the extreme gets worse")\n',
        "",
        EXITS + "test_a_step_that_breaks_a_law_is_seen",
    ),
    "asking for more than is left is not seen": Planted(
        2,
        "algos/trail_laws.py",
        'require(0 < action.quantity <= after.rest, 2, f"asks {action.quantity} of a rest of {after.rest}")',
        "pass",
        EXITS + "test_a_step_that_breaks_a_law_is_seen",
    ),
    "the trigger is rounded towards the price": Planted(
        6,
        "algos/trail_price.py",
        "exact = extreme - 2 * params.callback_abs / instrument.tick\n",
        "exact = extreme - 2 * params.callback_abs / instrument.tick + 1\n",
        PRICES + "test_a_stop_follows_its_best_price_and_fires_at_its_distance",
    ),
    "conflation hides a touch": Planted(
        27,
        "algos/trail_price.py",
        "if state.activated and seen.worst <= towards * state.trigger2:",
        "if state.activated and seen.last <= towards * state.trigger2:",
        PRICES + "test_a_touch_of_the_trigger_that_only_a_step_saw_fires",
    ),
    "conflation hides an extreme": Planted(
        27,
        "algos/trail_price.py",
        "return Seen(max(ends), min(ends), sign(state.side) * quote.mid2)",
        "return Seen(sign(state.side) * quote.mid2, min(ends), sign(state.side) * quote.mid2)",
        PRICES + "test_the_highest_mid_of_a_step_counts_though_the_quote_is_lower",
    ),
    "what may have come before the extreme fires": Planted(
        27,
        "algos/trail_price.py",
        "reached = state.activated and seen.last <= towards * state.trigger2",
        "reached = state.activated and seen.worst <= towards * state.trigger2",
        PRICES + "test_what_may_have_come_before_the_extreme_of_the_same_step_does_not_fire",
    ),
    "prices from before the stop count": Planted(
        27,
        "algos/trail_price.py",
        "min(seen.best, seen.last) if first else seen.best",
        "seen.best",
        PRICES + "test_it_works_from_the_first_price_whenever_that_comes",
    ),
    "it follows before its activation": Planted(
        0,
        "algos/trail_price.py",
        "if state.params.activation_price and best < _activation(state):",
        "if False:",
        PRICES + "test_with_an_activation_price_it_follows_from_when_that_is_reached",
    ),
    "the mid instead of the touch": Planted(
        0,
        "algos/trail_price.py",
        'if state.params.trigger != "touch":',
        "if True:",
        PRICES + "test_a_stop_on_the_touch_follows_the_side_it_would_trade_with",
    ),
    "every rise is written": Planted(
        0,
        "algos/trail_stop.py",
        "if now < due and _moved_only(before, after):",
        "if False:",
        PRICES + "test_an_extreme_that_moves_is_written_four_times_a_second_at_most",
    ),
    "a minute in which it began counts": Planted(
        27,
        "algos/trail_stop.py",
        "if candle.time >= since and",
        "if candle.time + MINUTE_MS > since and",
        PRICES + "test_a_minute_in_which_the_stop_began_does_not_count",
    ),
    "a paused stop fires": Planted(
        0,
        "algos/trail_stop.py",
        "if reached is None or state.paused:",
        "if reached is None:",
        PRICES + "test_a_paused_stop_follows_and_does_not_fire_until_it_goes_on",
    ),
    "a blind stop holds whatever was asked": Planted(
        27,
        "algos/trail_stop.py",
        'if given.blind and state.params.on_blind == "close"',
        'if given.blind and state.params.on_blind == "hold"',
        BLIND + "test_blind_for_ten_seconds_it_is_told_and_holds_or_closes",
    ),
    "its quantity grows": Planted(
        14,
        "algos/trail_exit.py",
        "return _replace(state, quantity=most) if most < state.quantity else state",
        "return state",
        EXITS + "test_the_quantity_shrinks_with_the_position_and_never_grows",
    ),
    "a share of nothing ends it": Planted(
        14,
        "algos/trail_exit.py",
        "held = given.held if given.position is None else given.position",
        "held = given.held",
        EXITS + "test_a_share_of_nothing_is_no_position_that_is_gone",
    ),
    "it gives up": Planted(
        28,
        "algos/trail_exit.py",
        "    if not given.reason:\n        return _replace(state, gone=True)\n",
        "    if True:\n        return _replace(state, gone=True)\n",
        EXITS + "test_an_exit_that_ends_undone_is_tried_again_for_ever",
    ),
    "it waits for minutes": Planted(
        28,
        "algos/trail_exit.py",
        "AGAIN_MAX_MS = 2_000",
        "AGAIN_MAX_MS = 60_000",
        EXITS + "test_an_exit_that_ends_undone_is_tried_again_for_ever",
    ),
    "the chase's rest is forgotten": Planted(
        0,
        "algos/trail_exit.py",
        'return _finish(state, AlgoStatus.COMPLETED, "position_closed" if state.rest else by_backstop)',
        'return _finish(state, AlgoStatus.COMPLETED, "position_closed")',
        EXITS + "test_a_chase_that_fills_it_all_ends_it",
    ),
    "a late fill is lost": Planted(
        4,
        "algos/trail_stop.py",
        "            return trail_exit.book(state, given), NOTHING\n",
        "            return state, NOTHING\n",
        EXITS + "test_late_fills_are_booked_and_nothing_else_happens",
    ),
    "sums are added up": Planted(
        2,
        "algos/trail_exit.py",
        "filled_quantity=report.filled_quantity,",
        "filled_quantity=chase.filled_quantity + report.filled_quantity,",
        EXITS + "test_an_exit_by_chase_rests_until_its_deadline_and_the_rest_goes_at_the_market",
    ),
    "one side's reach is not kept": Planted(
        27,
        "pms/line.py",
        "reaching(quote) if self.touched else quote",
        "quote",
        MARKET + "test_who_asks_for_touches_hears_how_far_each_side_reached_between_two_quotes",
    ),
    "without a book it is blind": Planted(
        27,
        "pms/sight.py",
        "return gone and now - self._book_at.get(symbol, now) >= STALE_S",
        "return False",
        BLIND + "test_with_the_book_stale_in_the_fall_it_fires_by_the_mark_stream",
    ),
    "a crossed ticker triggers": Planted(
        27,
        "pms/sight.py",
        "and 0 < frame.bid < frame.ask):",
        "):",
        BLIND + "test_with_the_depth_gone_it_goes_on_with_the_best_bid_and_ask",
    ),
    "best bid and ask are not looked at": Planted(
        27,
        "pms/market.py",
        "            self._on_ticker(line.instrument, frame)\n",
        "            return\n",
        BLIND + "test_with_the_depth_gone_it_goes_on_with_the_best_bid_and_ask",
    ),
    "the mark replaces a book that is there": Planted(
        27,
        "pms/sight.py",
        "return gone and now - self._book_at.get(symbol, now) >= STALE_S",
        "return True",
        BLIND + "test_a_book_that_is_joined_again_within_a_second_is_never_replaced_by_the_mark",
    ),
    "nobody is asked": Planted(
        27,
        "pms/sight.py",
        "            price = await self._venue.mark(symbol)\n",
        "            raise Unavailable(symbol)\n",
        BLIND + "test_with_the_mark_stream_silent_too_it_asks_each_second",
    ),
    "blindness is told late": Planted(
        27,
        "pms/sight.py",
        "(mark_at if marks_only else max(book_at, mark_at)) >= BLIND_S",
        "(mark_at if marks_only else max(book_at, mark_at)) >= 3 * BLIND_S",
        BLIND + "test_blind_for_ten_seconds_it_is_told_and_holds_or_closes",
    ),
    "what was missed is not read": Planted(
        27,
        "pms/recover.py",
        "            await away.missed.tell(runner)\n",
        "",
        KILLS + "test_an_hour_down_counts_the_extreme_that_was_reached_meanwhile",
    ),
    "a fill of nobody": Planted(
        23,
        "pms/exit_orders.py",
        "        if algo:\n",
        "        if False:\n",
        KILLS + "test_a_fill_of_an_exit_that_was_never_recorded_is_the_stops",
    ),
    "trades are looked for by our own clock": Planted(
        2,
        "pms/execution.py",
        "self._venue.trades(symbol, created_at - CLOCKS_MS, order_id)",
        "self._venue.trades(symbol, created_at, order_id)",
        BLIND + "test_without_the_user_stream_the_exit_leaves_and_its_fate_is_looked_up",
    ),
    "a trigger is not told": Planted(
        0,
        "pms/algo_news.py",
        "        runner.milestone = word = view.milestone\n",
        "        runner.milestone = view.milestone\n",
        WORLD + "test_it_follows_the_best_price_and_closes_at_its_distance",
    ),
    "a record in memory is written at once": Planted(
        0,
        "pms/runner.py",
        "if self._waits is not None and not actions and self._waits(state):",
        "if False:",
        WORLD + "test_a_rally_writes_its_extreme_four_times_a_second_and_tells_of_it_once",
    ),
    "somebody else's position": Planted(
        0,
        "pms/commands/held.py",
        "    if owner != sub_account:\n",
        "    if False:\n",
        WORLD + "test_what_can_not_be_meant_is_refused",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(ERRORS[name])
