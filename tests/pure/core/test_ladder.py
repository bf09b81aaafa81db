"""Where a sub-account or the account stands by its margin ratio, and what is closed then (contract.md, margin_warning).

The invariants: no more is closed than is needed, nothing while an exit is under way, nothing at all with `notify`."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.core import guard, ladder, margin
from pms.core.guard import Holding, Level
from pms.core.ladder import CLOSE, REDUCE, SLACK, WARN, Action, Close, Rung
from pms.core.margin import Bracket, Stake
from schemas.market import Instrument
from schemas.records import EXTERNAL

D = Decimal
ROWS = (("0", "50000", 125, "0.004", "0"), ("50000", "600000", 100, "0.005", "50"))
ROWS += (("600000", "3000000", 75, "0.0065", "950"), ("3000000", "12000000", 50, "0.01", "11450"))
TABLE = tuple(Bracket(D(low), D(high), most, D(share), D(cum)) for low, high, most, share, cum in ROWS)
FLAT = (Bracket(D(0), D(10**9), 50, D("0.01"), D(0)),)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


def rules(symbol: str = "BTCUSDT", step: str = "0.001", min_notional: str = "0") -> Instrument:
    return Instrument(
        symbol=symbol, tick=D("0.1"), step=D(step), min_qty=D(step), max_qty=D(1000), min_notional=D(min_notional),
        min_price=D(0), max_price=D(0), multiplier_up=D("1.05"), multiplier_down=D("0.95"),
    )  # fmt: skip


RULES = {symbol: rules(symbol) for symbol in SYMBOLS}


def stake(quantity: str, mark: str = "100", symbol: str = "BTCUSDT", table: tuple[Bracket, ...] = FLAT) -> Stake:
    return Stake(symbol, D(quantity), D(mark), D(mark), 10, table)


def closes(
    rung: Rung, *stakes: Stake, equity: str, action: Action = "reduce", locked: tuple[str, ...] = ()
) -> tuple[Close, ...]:
    return ladder.closes(rung, stakes, D(equity), RULES, action, locked)


# --- where it stands ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before, equity, action, rung",
    [
        (Rung.CALM, "16.67", "reduce", Rung.CALM),
        (Rung.CALM, "16.66", "reduce", Rung.WARNED),
        (Rung.WARNED, "18.1", "reduce", Rung.WARNED),  # 0.552
        (Rung.WARNED, "18.2", "reduce", Rung.CALM),  # 0.549
        (Rung.WARNED, "12.51", "reduce", Rung.WARNED),
        (Rung.WARNED, "12.5", "reduce", Rung.REDUCING),
        (Rung.REDUCING, "13.3", "reduce", Rung.REDUCING),  # 0.752
        (Rung.REDUCING, "13.4", "reduce", Rung.WARNED),
        (Rung.REDUCING, "10.86", "reduce", Rung.CLOSING),
        (Rung.CALM, "10.86", "reduce", Rung.CLOSING),
        (Rung.CLOSING, "11.4", "reduce", Rung.CLOSING),  # 0.877
        (Rung.CLOSING, "11.6", "reduce", Rung.REDUCING),
        (Rung.CLOSING, "100", "reduce", Rung.CALM),
        (Rung.WARNED, "12.5", "close", Rung.CLOSING),
        (Rung.CLOSING, "13.3", "close", Rung.CLOSING),
        (Rung.CLOSING, "13.4", "close", Rung.WARNED),
        (Rung.CALM, "12.5", "notify", Rung.REDUCING),
        (Rung.CALM, "0", "reduce", Rung.CLOSING),
        (Rung.CALM, "-5", "notify", Rung.CLOSING),
    ],
)
def test_a_rung_is_reached_at_its_mark_and_left_below_its_slack(
    before: Rung, equity: str, action: Action, rung: Rung
) -> None:
    """10 is to be maintained."""
    assert ladder.judge(before, [stake("10")], D(equity), action).rung is rung


def test_who_holds_nothing_is_calm_and_who_holds_with_nothing_left_is_closed_even_without_a_table() -> None:
    assert ladder.judge(Rung.CLOSING, [], D(-3), "reduce").rung is Rung.CALM
    assert ladder.judge(Rung.CALM, [stake("1", table=())], D(0), "reduce").rung is Rung.CLOSING


@given(st.sampled_from(Rung), st.decimals("0.5", "1", places=4), st.decimals("0", "0.0499", places=4))
def test_a_ratio_that_flickers_by_less_than_the_slack_moves_nobody_twice(
    before: Rung, ratio: Decimal, flicker: Decimal
) -> None:
    seen, rung = [], before
    for now in (ratio + flicker, ratio) * 3:
        rung = ladder.judge(rung, [stake("10")], 10 / now, "reduce").rung
        seen.append(rung)
    assert len(set(seen[1:])) == 1


# --- what is closed -----------------------------------------------------------------------------------


def test_of_the_largest_position_so_much_is_closed_that_the_ratio_is_back_at_the_warning() -> None:
    """30 to be maintained of 35 (0.857): 9 is too much, which 9 of the larger position bind."""
    assert closes(Rung.REDUCING, stake("20"), stake("-10", symbol="ETHUSDT"), equity="35") == (
        Close("BTCUSDT", D("9.000")),
    )
    assert closes(Rung.REDUCING, stake("10"), stake("-20", symbol="ETHUSDT"), equity="35") == (
        Close("ETHUSDT", D("9.000")),
    )


def test_where_the_largest_position_is_not_enough_all_of_it_is_closed() -> None:
    one, two = stake("11"), stake("10", symbol="ETHUSDT")
    three = stake("10", symbol="SOLUSDT")
    assert closes(Rung.REDUCING, one, two, three, equity="-1") == (Close("BTCUSDT", D(11)),)


def test_a_rest_that_the_venue_would_not_take_goes_too_and_so_does_what_is_less_than_it_takes() -> None:
    held = stake("0.010", mark="60000")
    small = {"BTCUSDT": rules(min_notional="100")}
    assert ladder.sized(D("0.0001"), D("0.010"), held.mark, small["BTCUSDT"]) == D("0.002")
    assert ladder.sized(D("0.0085"), D("0.010"), held.mark, small["BTCUSDT"]) == D("0.010")
    assert ladder.sized(D("0.005"), D("0.010"), D(0), small["BTCUSDT"]) == D("0.005")


def test_at_the_last_rung_every_position_is_closed_but_where_an_exit_is_under_way() -> None:
    held = [stake("1", symbol=symbol) for symbol in SYMBOLS]
    assert closes(Rung.CLOSING, *held, equity="1") == tuple(Close(symbol, None) for symbol in SYMBOLS)
    assert closes(Rung.CLOSING, *held, equity="1", locked=("ETHUSDT",)) == (
        Close("BTCUSDT", None),
        Close("SOLUSDT", None),
    )


def test_what_may_not_be_closed_now_is_left_out_and_the_next_is_reduced_in_its_stead() -> None:
    held = (stake("20"), stake("10", symbol="ETHUSDT"))
    others = {symbol: one for symbol, one in RULES.items() if symbol != "BTCUSDT"}
    assert ladder.closes(Rung.REDUCING, held, D(35), others, "reduce", ()) == (Close("ETHUSDT", D("9.000")),)
    assert ladder.closes(Rung.CLOSING, held, D(35), others, "reduce", ()) == (Close("ETHUSDT", None),)
    assert ladder.closes(Rung.REDUCING, held, D(35), {}, "reduce", ()) == ()


quantities = st.integers(1, 200_000).map(lambda steps: D(steps) / 1000)


@st.composite
def books(draw: st.DrawFn) -> tuple[Stake, ...]:
    symbols = draw(st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=3, unique=True))
    table = draw(st.sampled_from((TABLE, FLAT)))
    return tuple(
        Stake(symbol, draw(quantities) * draw(st.sampled_from((1, -1))), D(100), draw(prices), 10, table)
        for symbol in symbols
    )


prices = st.decimals("1", "60000", places=1)
ratios = st.decimals("0.75", "0.9199", places=4)


@given(books(), ratios)
def test_a_reduction_is_no_more_than_is_needed_and_brings_the_ratio_back(
    held: tuple[Stake, ...], ratio: Decimal
) -> None:
    """One step less would not have been enough; and afterwards the ratio is at the warning, or the position is gone."""
    equity = sum(one.maintenance for one in held) / ratio
    (close,) = ladder.closes(Rung.REDUCING, held, equity, RULES, "reduce", ())
    (before,) = [one for one in held if one.symbol == close.symbol]
    assert before.maintenance == max(one.maintenance for one in held)
    assert close.quantity is not None
    assert 0 < close.quantity <= abs(before.quantity)
    assert RULES[close.symbol].on_quantity_grid(close.quantity)

    def after(closed: Decimal) -> Decimal:
        kept = margin.maintenance(before.brackets, (abs(before.quantity) - closed) * before.mark)
        return sum(one.maintenance for one in held if one is not before) + kept

    most = WARN * equity * (1 + D("1e-20"))
    assert after(close.quantity) <= most or close.quantity == abs(before.quantity)
    step = RULES[close.symbol].step
    if close.quantity > step:
        assert after(close.quantity - step) > WARN * equity * (1 - D("1e-20"))


@given(books(), st.sampled_from(Rung), st.decimals("-100", "10000", places=2), st.sampled_from(("reduce", "close")))
def test_nothing_is_closed_twice_and_nothing_is_reduced_while_an_exit_is_under_way(
    held: tuple[Stake, ...], rung: Rung, equity: Decimal, action: Action
) -> None:
    locked = (held[0].symbol,)
    found = ladder.closes(rung, held, equity, RULES, action, locked)
    assert locked[0] not in {close.symbol for close in found}
    assert rung is Rung.CLOSING or not found


@given(books(), st.sampled_from(Rung), st.decimals("-100", "10000", places=2))
def test_with_notify_nothing_is_ever_closed(held: tuple[Stake, ...], rung: Rung, equity: Decimal) -> None:
    assert ladder.closes(rung, held, equity, RULES, "notify", ()) == ()


@given(books(), st.sampled_from((Rung.CALM, Rung.WARNED)), st.decimals("0", "10000", places=2))
def test_below_the_second_rung_nothing_is_closed(held: tuple[Stake, ...], rung: Rung, equity: Decimal) -> None:
    assert ladder.closes(rung, held, equity, RULES, "close", ()) == ()


def test_the_rungs_leave_room_before_the_venue_acts() -> None:
    assert WARN < REDUCE < CLOSE < 1
    assert WARN <= REDUCE - 2 * SLACK, "what a reduction leaves is below what holds it at its rung"


@given(st.decimals("0", "12000000", places=2))
def test_the_notional_of_a_maintenance_margin_is_the_one_that_has_it(notional: Decimal) -> None:
    found = margin.notional_of(TABLE, margin.maintenance(TABLE, notional))
    assert abs(found - notional) < D("1e-15")
    assert margin.notional_of((), notional) == 0


# --- the account --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before, ratio, level",
    [
        (Level.CALM, "0.49", Level.CALM),
        (Level.CALM, "0.5", Level.WARNED),
        (Level.WARNED, "0.46", Level.WARNED),
        (Level.WARNED, "0.44", Level.CALM),
        (Level.WARNED, "0.7", Level.REDUCE_ONLY),
        (Level.CALM, "0.85", Level.REDUCING),
        (Level.REDUCING, "0.81", Level.REDUCING),
        (Level.REDUCING, "0.79", Level.REDUCE_ONLY),
        (Level.REDUCING, "10", Level.REDUCING),
    ],
)
def test_the_accounts_levels_are_at_50_70_and_85_percent(before: Level, ratio: str, level: Level) -> None:
    assert guard.judge(before, D(ratio)) is level


def holding(name: str, quantity: str, symbol: str = "BTCUSDT", mark: str = "100") -> Holding:
    return Holding(name, symbol, D(quantity), D(mark))


@pytest.mark.parametrize(
    "held, closed",
    [
        ([holding("a", "4"), holding("b", "8")], ("b", "2")),
        ([holding("a", "-4"), holding("b", "-8")], ("b", "-2")),
        ([holding("a", "4"), holding("b", "1", "ETHUSDT", "1000")], ("b", "0.25")),
        ([holding("a", "8"), holding("b", "-4")], ("a", "1")),  # of the 4 that the venue holds
        ([holding("a", "100"), holding("b", "-100"), holding("c", "1", "ETHUSDT")], ("c", "0.25")),
        ([holding("a", "4"), holding(EXTERNAL, "8")], ("a", "1")),
        ([holding(EXTERNAL, "8")], None),
        ([holding("a", "8"), holding(EXTERNAL, "-4")], None),  # its exit could open
        ([holding("a", "4"), holding("b", "-4")], None),
        ([holding("a", "0.001")], ("a", "0.001")),
        ([holding("a", "0.003")], ("a", "0.001")),
        ([], None),
    ],
)
def test_a_quarter_of_the_largest_position_on_the_nets_side_is_reduced(
    held: list[Holding], closed: tuple[str, str] | None
) -> None:
    found = guard.portion(held, RULES, ())
    assert (found and (found.sub_account_id, found.quantity)) == (closed and (closed[0], D(closed[1])))


def test_what_the_venue_does_not_let_close_is_passed_over() -> None:
    held = [holding("a", "4"), holding("b", "8")]
    found = guard.portion(held, RULES, {("b", "BTCUSDT")})
    assert found is not None
    assert found.owner == ("a", "BTCUSDT")
    assert guard.portion(held, {}, ()) is None


@given(st.lists(st.tuples(st.sampled_from(["a", "b", EXTERNAL]), st.sampled_from(SYMBOLS), quantities, st.booleans())))
def test_the_guard_always_makes_the_venues_position_smaller(given_: list[tuple[str, str, Decimal, bool]]) -> None:
    unique = {(name, symbol): -size if short else size for name, symbol, size, short in given_}
    held = [Holding(name, symbol, quantity, D(100)) for (name, symbol), quantity in unique.items()]
    found = guard.portion(held, RULES, ())
    if found is not None:
        net = sum(one.quantity for one in held if one.symbol == found.symbol)
        assert abs(net - found.quantity) < abs(net)
        assert abs(found.quantity) <= abs(unique[found.owner])
        assert found.quantity * unique[found.owner] > 0
        assert found.sub_account_id != EXTERNAL
