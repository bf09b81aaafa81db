"""User events: the captured order, the keys and the number forms (binance.md 7.2-7.4)."""

from __future__ import annotations

from typing import Any

from tests.pure.sim.rig import SYMBOL, D, usual

# Key by key as in the capture of 2026-09-19.
ORDER_KEYS = "s c S o f q p ap sp x X i l z L n N T t b a m R wt ot ps cp rp pP si ss V pm gtd er".split()
LITE_KEYS = "e E T s q p m c S L l t i".split()
POSITION_KEYS = "s pa ep cr up mt iw ps ma bep".split()


def orders(rig: Any) -> list[dict[str, Any]]:
    return [event["o"] for _, event in rig.users if event["e"] == "ORDER_TRADE_UPDATE"]


def test_a_market_order_tells_the_hint_first_and_the_account_before_the_trade() -> None:
    rig = usual()
    rig.buy(1)
    assert rig.told() == ["TRADE_LITE", "NEW/NEW", "ACCOUNT_UPDATE", "TRADE/FILLED"]
    times = {event[key] for _, event in rig.users for key in ("E", "T")}
    assert times == {rig.time}


def test_a_market_order_over_two_levels_is_new_once() -> None:
    rig = usual()
    rig.buy(12)
    assert rig.told() == [
        *("TRADE_LITE", "NEW/NEW", "ACCOUNT_UPDATE", "TRADE/PARTIALLY_FILLED"),
        *("TRADE_LITE", "ACCOUNT_UPDATE", "TRADE/FILLED"),
    ]
    last = orders(rig)[-1]
    assert (last["ap"], last["z"], last["l"], last["L"]) == ("1000.11666667", "12", "2", "1000.2")


def test_a_resting_order_is_new_and_then_told_per_fill() -> None:
    rig = usual()
    order = rig.buy(1, 1000.0)
    rig.sell("0.4", 1000.0, account="b")
    rig.cancel(order)
    assert rig.told() == ["NEW/NEW", "TRADE_LITE", "ACCOUNT_UPDATE", "TRADE/PARTIALLY_FILLED", "CANCELED/CANCELED"]
    new, trade, canceled = orders(rig)[0], orders(rig)[-3], orders(rig)[-1]
    assert (new["b"], new["a"], new["n"], new["N"], new["t"]) == ("1000", "0", "0", "USDT", 0)
    assert (canceled["z"], canceled["l"], canceled["b"], canceled["c"]) == ("0.4", "0", "0", order.client_id)
    assert trade["s"] == SYMBOL


def test_the_keys_stand_as_captured() -> None:
    rig = usual()
    rig.buy(1)
    lite, new, account, trade = (event for _, event in rig.users)
    assert list(lite) == LITE_KEYS
    assert list(new["o"]) == list(trade["o"]) == ORDER_KEYS
    assert list(new) == ["e", "T", "E", "o"]
    assert list(account) == ["e", "T", "E", "a"]
    assert list(account["a"]) == ["B", "P", "m"]
    assert list(account["a"]["B"][0]) == ["a", "wb", "cw", "bc"]
    assert list(account["a"]["P"][0]) == POSITION_KEYS


def test_the_hint_pads_its_numbers_and_the_others_trim_them() -> None:
    rig = usual()
    order = rig.buy(1)
    lite, new, account, trade = (event for _, event in rig.users)
    assert (lite["q"], lite["p"], lite["L"], lite["l"]) == ("1.000", "0.00", "1000.10", "1.000")
    assert (lite["t"], lite["i"], lite["m"]) == (1, order.order_id, False)
    assert (new["o"]["ap"], new["o"]["z"], new["o"]["b"]) == ("0", "0", "0")
    assert (trade["o"]["q"], trade["o"]["p"], trade["o"]["L"], trade["o"]["n"]) == ("1", "0", "1000.1", "0.50005")
    (balance,), (position,) = account["a"]["B"], account["a"]["P"]
    assert balance == {"a": "USDT", "wb": "999999.49995", "cw": "999999.49995", "bc": "0"}
    assert (position["pa"], position["ep"], position["up"], position["mt"]) == ("1", "1000.1", "-0.1", "cross")
    assert position["bep"] == "1000.60005"
    assert account["a"]["m"] == "ORDER"


def test_realized_profit_is_told_with_the_trade_and_accumulated_in_the_account() -> None:
    rig = usual()
    rig.buy(1)
    rig.sell(1)
    trade, account = rig.users[-1][1]["o"], rig.users[-2][1]["a"]
    assert (trade["rp"], account["P"][0]["cr"], account["P"][0]["pa"], account["P"][0]["bep"]) == (
        "-0.2",
        "-0.2",
        "0",
        "0",
    )


def test_maker_and_taker_hear_the_same_trade_each_from_their_side() -> None:
    rig = usual()
    rig.sell(1, 1000.0, account="b")
    rig.buy(1, 1000.0)
    assert rig.told("b") == ["NEW/NEW", "TRADE_LITE", "ACCOUNT_UPDATE", "TRADE/FILLED"]
    taken, made = orders(rig)[-2], orders(rig)[-1]
    assert (taken["t"], taken["m"], made["t"], made["m"]) == (made["t"], False, taken["t"], True)


def test_the_book_and_the_tape_are_told_with_our_orders_in_them() -> None:
    rig = usual()
    order = rig.buy(1, 1000.0)
    assert rig.changes[-1].bids == ((D(1000), D(1)),)
    assert (rig.touches[-1].bid, rig.touches[-1].bid_qty) == (D(1000), D(1))
    rig.cancel(order)
    assert rig.changes[-1].bids == ((D(1000), D(0)),)
    assert rig.touches[-1].bid == D("999.9")
    rig.buy(1)
    assert (rig.prints[-1].price, rig.prints[-1].quantity, rig.prints[-1].buyer_is_maker) == (D("1000.1"), D(1), False)


def test_what_changes_nothing_says_nothing() -> None:
    rig = usual()
    rig.exchange.tick(rig.time)
    rig.exchange.depth(SYMBOL)
    rig.exchange.open_account("z")
    assert (rig.changes, rig.touches, rig.users) == ([], [], [])
