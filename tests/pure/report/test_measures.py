"""What execution is measured by: every figure beside the plain arithmetic that it stands for."""

from __future__ import annotations

from decimal import Decimal

from pms.report import facts, text, totals
from pms.report.facts import Depth, Fill, Parent, Second, Tape
from pms.report.measures import Measures, measure, walk
from schemas.market import Side

D = Decimal
T0 = 1_790_000_000_000
CLOSE = D("0.0001")
TAKER = D(5)


def fill(after_ms: int, side: Side, price: str, quantity: str, fee: str = "0", maker: bool = True) -> Fill:
    return Fill(T0 + after_ms, side, D(price), D(quantity), D(fee), "USDT", maker)


def tape(*mids: str) -> Tape:
    """A mid at each full second after T0, and one unit traded at it in the second."""
    return Tape([Second(T0 + 1000 * n, D(mid), D(n), D(mid) * n) for n, mid in enumerate(mids)])


def parent(*fills: Fill, depth: Depth | None = None, **other: object) -> Parent:
    told: dict[str, object] = {
        "id": "c1",
        "kind": "chase",
        "sub_account_id": "main",
        "symbol": "BTCUSDT",
        "started_at": T0,
        "ended_at": T0 + 5000,
        "status": "filled",
        "quantity": D(3),
        "placed": 2,
        "reprices": 4,
        "rejects": 1,
        "arrival": D(100),
        "depth": depth,
        "fills": fills,
    }
    return Parent(**(told | other))  # type: ignore[arg-type]


BOOK = Depth(T0, bids=((D(99), D(1)), (D(98), D(4))), asks=((D(101), D(1)), (D(102), D(1)), (D(104), D(2))))
BUYS = (fill(500, Side.BUY, "100.5", "1", "0.02"), fill(2500, Side.BUY, "101", "2", "0.1", maker=False))
MOVES = tape("100", "101", "102", "103", "104", "105", "106", "107", "108", "109")


def bought() -> Measures:
    return measure(parent(*BUYS, depth=BOOK), MOVES, TAKER)


def test_slippage_is_what_was_paid_above_the_mid_at_arrival() -> None:
    one = bought()
    assert one.avg_price == D("302.5") / 3
    assert one.arrival_mid == 100  # (99 + 101) / 2, of the book rather than of the first order
    assert abs(one.slippage_bps - (D("302.5") - 300) / 300 * 10_000) < CLOSE


def test_the_interval_is_that_from_the_start_to_the_second_of_the_last_fill() -> None:
    one = bought()
    twap = D(101 + 102 + 103) / 3  # the seconds that end 1, 2 and 3 s after the start
    vwap = D(101 * 1 + 102 * 2 + 103 * 3) / 6
    assert abs(one.twap_bps - (D("302.5") - 3 * twap) / (3 * twap) * 10_000) < CLOSE
    assert abs(one.vwap_bps - (D("302.5") - 3 * vwap) / (3 * vwap) * 10_000) < CLOSE


def test_the_spread_is_earned_against_the_last_mid_before_each_fill() -> None:
    one = bought()
    earned = (100 - D("100.5")) * 1 + (102 - D(101)) * 2
    assert abs(one.spread_bps - earned / (100 * 1 + 102 * 2) * 10_000) < CLOSE


def test_markouts_are_the_first_mids_that_much_later_and_unknown_beyond_the_tape() -> None:
    one = bought()
    after_1s = (102 - D("100.5")) * 1 + (104 - D(101)) * 2  # at 1.5 s the next second ends at 2 s; at 3.5 s at 4 s
    after_5s = (106 - D("100.5")) * 1 + (108 - D(101)) * 2
    assert abs(one.markout_bps["1s"] - after_1s / D("302.5") * 10_000) < CLOSE
    assert abs(one.markout_bps["5s"] - after_5s / D("302.5") * 10_000) < CLOSE
    assert one.markout_bps["30s"] is None


def test_fees_maker_share_times_and_counts() -> None:
    one = bought()
    assert one.fees == {"USDT": D("0.12")}
    assert abs(one.fees_bps - D("0.12") / D("302.5") * 10_000) < CLOSE
    assert abs(one.maker_pct - D("100.5") / D("302.5") * 100) < CLOSE
    assert (one.first_fill_ms, one.time_to_fill_ms) == (500, 2500)
    assert (one.placed, one.reprices, one.rejects) == (2, 4, 1)


def test_the_same_at_once_at_market_takes_the_book_level_by_level_with_its_fee() -> None:
    one = bought().at_market
    assert one is not None
    taken = D(101 + 102 + 104)
    fee = taken * D("0.0005")
    assert (one.avg_price, one.fees, one.beyond) == (taken / 3, fee, 0)
    assert abs(one.cost_bps - (taken - 300) / 300 * 10_000) < CLOSE
    assert one.saved == taken + fee - D("302.5") - D("0.12")
    assert abs(one.saved_bps - one.saved / 300 * 10_000) < CLOSE


def test_a_sell_is_judged_the_other_way_round() -> None:
    one = measure(parent(fill(500, Side.SELL, "99.5", "3"), depth=BOOK), MOVES, TAKER)
    assert one.at_market is not None
    assert abs(one.slippage_bps - D("1.5") / 300 * 10_000) < CLOSE
    assert abs(one.spread_bps - D("-0.5") / 100 * 10_000) < CLOSE
    assert abs(one.markout_bps["1s"] - D("-2.5") / D("99.5") * 10_000) < CLOSE
    taken = D(99 + 98 + 98)
    assert one.at_market.saved == D("298.5") - taken + taken * D("0.0005")


def test_what_lies_beyond_the_recorded_book_is_said_and_counted_at_its_last_level() -> None:
    assert walk(BOOK.asks, D(6)) == (101 + 102 + 2 * 104 + 2 * 104, 2)
    one = measure(parent(fill(500, Side.BUY, "100", "6"), depth=BOOK), MOVES, TAKER)
    assert one.at_market is not None
    assert one.at_market.beyond == 2


def test_what_the_records_do_not_hold_is_unknown_rather_than_guessed() -> None:
    one = measure(parent(*BUYS, arrival=None), facts.Tape([]), TAKER)
    assert (one.slippage_bps, one.twap_bps, one.vwap_bps, one.spread_bps, one.at_market) == (None,) * 5
    assert set(one.markout_bps.values()) == {None}
    none = measure(parent(depth=BOOK), MOVES, TAKER)
    assert (none.filled, none.avg_price, none.slippage_bps, none.maker_pct, none.time_to_fill_ms) == (0, *[None] * 4)


def test_a_run_that_trades_both_ways_has_slippage_and_no_counterfactual() -> None:
    one = measure(parent(fill(1, Side.BUY, "99", "1"), fill(2, Side.SELL, "102", "1"), depth=BOOK), MOVES, TAKER)
    assert one.side == "BUY/SELL"
    assert one.slippage_bps == D(-1 - 2) / 200 * 10_000
    assert one.at_market is None


def test_an_older_mid_than_five_seconds_is_not_what_a_fill_met() -> None:
    one = measure(parent(fill(30_000, Side.BUY, "100", "1")), MOVES, TAKER)
    assert one.spread_bps is None


def test_totals_are_weighted_by_what_was_traded_and_go_by_day_and_week() -> None:
    day = 86_400_000
    first = measure(parent(fill(500, Side.BUY, "101", "1", "0.1"), depth=BOOK), MOVES, TAKER)
    later = parent(fill(500, Side.BUY, "103", "3", "0.3"), depth=BOOK, started_at=T0 - day)
    second = measure(later, MOVES, TAKER)
    every = totals.together("all", [first, second])
    assert every.notional == 101 + 309
    assert abs(every.slippage_bps - (100 * D(101) + 300 * D(309)) / 410) < CLOSE
    assert every.fees == {"USDT": D("0.4")}
    assert (every.parents, every.placed, every.reprices, every.rejects) == (2, 4, 8, 2)
    assert every.saved == first.at_market.saved + second.at_market.saved
    assert [one.name for one in totals.by_day([first, second])] == ["2026-09-20", "2026-09-21"]
    assert [(one.name, one.parents) for one in totals.by_week([first, second])] == [("2026-W38", 1), ("2026-W39", 1)]


def test_what_was_refused_before_there_was_a_parent_counts_in_its_day_by_code() -> None:
    day = 86_400_000
    one = measure(parent(rejects=3, refusals={"DAILY_LOSS": 2}), MOVES, TAKER)
    refused = [facts.Refusal(T0, "DAILY_LOSS", 4), facts.Refusal(T0 - 2 * day, "HALTED", 1)]
    first, last = totals.by_day([one], refused)
    assert (first.name, first.parents, first.rejects, first.refusals) == ("2026-09-19", 0, 1, {"HALTED": 1})
    assert (last.parents, last.rejects, last.refusals) == (1, 7, {"DAILY_LOSS": 6})
    assert totals.together("all", [one], refused).refusals == {"DAILY_LOSS": 6, "HALTED": 1}
    assert text.report([], [first], [], first) == "No orders in this time.\nRefused by the gate: HALTED 1."
