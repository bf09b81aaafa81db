"""What the venue says on its sockets while its exchange works: markets, own orders, user events, timers."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import pytest

from pms.sim.journal import MemoryJournal
from pms.sim.model import DepthDiff, Mark, Print, VenueError
from tests.contract.sim_wire.client import KEYS, START, Desk, sign

D = Decimal
DEPTH = "/public/ws/btcusdt@depth@100ms"


def _snapshot(desk: Desk, limit: int = 1000):
    return desk.ok("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit=str(limit))


def _print(desk: Desk, price: str, quantity: str, sold: bool = False) -> None:
    desk.apply(Print("BTCUSDT", desk.now, D(price), D(quantity), sold))


def _follow(frames: list[dict], snapshot: dict) -> tuple[dict, dict]:
    """The local book by the strict rule of binance.md 6.3; asserts the chain."""
    book = {side: {D(price): D(size) for price, size in snapshot[side]} for side in ("bids", "asks")}
    used = [frame for frame in frames if frame["u"] >= snapshot["lastUpdateId"]]
    assert used, "no frame reaches the snapshot"
    assert used[0]["U"] <= snapshot["lastUpdateId"] <= used[0]["u"]
    for before, after in zip([None, *used], used, strict=False):
        assert before is None or after["pu"] == before["u"]
        for side, key in (("bids", "b"), ("asks", "a")):
            for price, size in after[key]:
                book[side].pop(D(price), None)
                if D(size):
                    book[side][D(price)] = D(size)
    return book["bids"], book["asks"]


@pytest.mark.parametrize("suffix", ["@0ms", "@100ms", "", "@500ms"])
def test_a_local_book_by_the_strict_rule_is_the_venues_book(suffix) -> None:
    desk, chance = Desk(), random.Random(7)
    wire = desk.stream(f"/public/ws/btcusdt@depth{suffix}")
    snapshot = None
    for step in range(300):
        level = D(84551) - chance.randrange(60) * D("0.1")
        desk.apply(DepthDiff("BTCUSDT", desk.now, ((level, D(chance.randrange(4))),), ()))
        if step % 7 == 0:
            desk.order(newClientOrderId=f"o{step}", price=str(84540 + step % 5))
        if step % 11 == 0 and step > 20:
            desk.ok("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
        desk.wait(chance.randrange(60))
        if snapshot is None and len(wire.frames) > 3:
            snapshot = _snapshot(desk)
    desk.wait(1_000)
    assert snapshot is not None
    bids, asks = _follow(wire.frames, snapshot)
    now = _snapshot(desk)
    assert bids == {D(price): D(size) for price, size in now["bids"]}
    assert asks == {D(price): D(size) for price, size in now["asks"]}
    assert desk.now - START < 60_000  # no minute of weight or orders was exceeded on the way


def test_our_own_order_shows_in_depth_and_touch() -> None:
    desk = Desk()
    depth, ticker, every = (
        desk.stream(DEPTH),
        desk.stream("/public/ws/btcusdt@bookTicker"),
        desk.stream("/public/stream?streams=!bookTicker"),
    )
    desk.order(price="84551.00", quantity="0.500")
    assert ticker.frames[-1]["b"] == "84551.00"
    assert D(ticker.frames[-1]["B"]) == D("1.682")
    assert every.frames[-1] == {"stream": "!bookTicker", "data": ticker.frames[-1]}
    assert depth.frames == []
    desk.wait(100)
    assert depth.frames[-1]["b"] == [["84551.00", "1.682"]]
    assert depth.frames[-1]["u"] == ticker.frames[-1]["u"]


def test_a_best_price_is_pushed_at_every_change_and_only_then() -> None:
    desk = Desk()
    wire = desk.stream("/public/ws/btcusdt@bookTicker")
    desk.order(price="84000.00")
    assert wire.frames == []
    desk.apply(*desk.markets["BTCUSDT"].quote(desk.now, D("84560.0")))
    desk.apply(*desk.markets["BTCUSDT"].quote(desk.now, D("84560.0")))
    assert {(frame["b"], frame["a"]) for frame in wire.frames[-1:]} == {("84560.00", "84560.10")}
    assert len({json.dumps(frame) for frame in wire.frames}) == len(wire.frames)


def test_prints_of_one_side_and_price_within_100_ms_are_one_aggregate() -> None:
    desk = Desk()
    agg, trades = desk.stream("/market/ws/btcusdt@aggTrade"), desk.stream("/public/ws/btcusdt@trade")
    _print(desk, "84551.1", "0.010")
    desk.wait(60)
    _print(desk, "84551.1", "0.020")
    assert agg.frames == []
    desk.wait(100)
    assert [(frame["q"], frame["T"]) for frame in agg.frames] == [("0.030", START)]
    _print(desk, "84551.1", "0.001")
    _print(desk, "84551.2", "0.001")
    assert [frame["E"] - frame["T"] for frame in agg.frames[1:]] == [0]
    assert [frame["q"] for frame in trades.frames] == ["0.010", "0.020", "0.001", "0.001"]
    assert desk.ok("GET", "/fapi/v1/aggTrades", symbol="BTCUSDT")[0]["a"] == agg.frames[0]["a"]


def test_marks_are_pushed_each_second_or_each_third() -> None:
    desk = Desk()
    fast, slow = desk.stream("/market/ws/btcusdt@markPrice@1s"), desk.stream("/market/ws/btcusdt@markPrice")
    every = desk.stream("/market/stream?streams=!markPrice@arr@1s")
    desk.apply(Mark("BTCUSDT", desk.now, D("84551.10762319"), D("84590.87304348"), D("0.00000801"), START + 1))
    desk.wait(6_000)
    assert [frame["E"] - START for frame in fast.frames] == [1_000, 2_000, 3_000, 4_000, 5_000, 6_000]
    assert [(frame["E"] - START) % 3_000 for frame in slow.frames] == [0, 0]
    assert [frame["s"] for frame in every.frames[0]["data"]] == ["BTCUSDT", "ETHUSDT"]
    assert fast.frames[0]["p"] == "84551.10762319"


def test_a_candle_is_pushed_while_it_moves_and_once_more_when_it_closes() -> None:
    desk = Desk()
    wire = desk.stream("/market/ws/btcusdt@kline_1m")
    for price in ("84551.1", "84552.0", "84550.0"):
        _print(desk, price, "1.5")
        desk.wait(300)
    assert [frame["k"]["c"] for frame in wire.frames] == ["84551.10", "84552.00", "84550.00"]
    desk.wait(60_000)
    last = wire.frames[-1]["k"]
    assert (last["x"], last["o"], last["h"], last["l"], last["v"], last["n"]) == (
        True, "84551.10", "84552.00", "84550.00", "4.500", 3,
    )  # fmt: skip
    assert last["T"] - last["t"] == 59_999
    (row,) = desk.ok("GET", "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit="2")
    assert row[4] == last["c"]


def test_klines_of_longer_intervals_hold_their_minutes() -> None:
    desk = Desk()
    for minute in range(12):
        _print(desk, str(84551 + minute), "1")
        desk.wait(60_000)
    rows = desk.ok("GET", "/fapi/v1/klines", symbol="BTCUSDT", interval="5m")
    assert [row[0] % 300_000 for row in rows] == [0] * len(rows)
    assert sum(row[8] for row in rows) == 12
    assert len(desk.ok("GET", "/fapi/v1/klines", symbol="BTCUSDT", interval="5m", limit="2")) == 2
    first = desk.ok("GET", "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", startTime=str(START), limit="3")
    assert [row[1] for row in first] == ["84551.00", "84552.00", "84553.00"]


def test_mark_price_klines_hold_what_the_mark_reached() -> None:
    desk = Desk()
    for price in ("84551.1", "84560.0", "84540.0", "84550.0"):
        desk.apply(Mark("BTCUSDT", desk.now, D(price), D(price)))
    desk.wait(60_000)
    desk.apply(Mark("BTCUSDT", desk.now, D("84555.0"), D("84555.0")))
    rows = desk.ok("GET", "/fapi/v1/markPriceKlines", symbol="BTCUSDT", interval="1m", limit="2")
    assert [row[1:5] for row in rows] == [
        ["84551.10", "84560.00", "84540.00", "84550.00"],
        ["84555.00", "84555.00", "84555.00", "84555.00"],
    ]
    assert rows[0][0] % 60_000 == 0


def test_a_market_fill_tells_its_four_events_in_the_captured_order() -> None:
    desk = Desk()
    wire = desk.private()
    desk.ok("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010")
    names = [(frame["e"], frame.get("o", {}).get("x")) for frame in wire.frames]
    assert names == [
        ("TRADE_LITE", None),
        ("ORDER_TRADE_UPDATE", "NEW"),
        ("ACCOUNT_UPDATE", None),
        ("ORDER_TRADE_UPDATE", "TRADE"),
    ]
    assert {frame["T"] for frame in wire.frames} == {START}
    (trade,) = desk.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert trade["id"] == wire.frames[0]["t"] == wire.frames[3]["o"]["t"]


def test_a_resting_order_tells_new_then_three_events_a_fill_and_a_cancel_one() -> None:
    desk = Desk()
    wire = desk.private()
    order = desk.order(price="84551.10", quantity="0.010", side="SELL", timeInForce="GTX")
    assert [frame["o"]["x"] for frame in wire.frames] == ["NEW"]
    _print(desk, "84551.2", "5")
    assert [frame["e"] for frame in wire.frames[1:]] == ["TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
    row = desk.ok("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(order["orderId"]))
    assert (row["status"], row["avgPrice"], row["executedQty"]) == ("FILLED", "84551.10000", "0.010")
    desk.order(newClientOrderId="x")
    desk.ok("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="x")
    assert [frame["o"]["x"] for frame in wire.frames[4:]] == ["NEW", "CANCELED"]


def test_ack_says_new_and_nothing_filled_where_result_says_all_and_neither_gives_a_price() -> None:
    desk = Desk()
    market = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
    ack = desk.ok("POST", "/fapi/v1/order", **market)
    result = desk.ok("POST", "/fapi/v1/order", **market, newOrderRespType="RESULT")
    assert (ack["status"], ack["executedQty"]) == ("NEW", "0.000")
    assert (result["status"], result["executedQty"], result["cumQty"]) == ("FILLED", "0.010", "0.010")
    assert {"avgPrice", "cumQuote"}.isdisjoint(ack.keys() | result.keys())
    row = desk.ok("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(result["orderId"]))
    assert {"avgPrice", "cumQuote", "time"} <= row.keys()
    assert "cumQty" not in row


def test_an_amend_answers_with_its_pair_and_modify_id_and_says_so_on_the_stream() -> None:
    desk = Desk()
    wire = desk.private()
    desk.order(newClientOrderId="a")
    answer = desk.ok(
        "PUT", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", quantity="0.020", price="84001", origClientOrderId="a",
        modifyId="7",
    )  # fmt: skip
    assert (answer["pair"], answer["modifyId"], answer["origQty"], answer["price"]) == (
        "BTCUSDT",
        7,
        "0.020",
        "84001.00",
    )
    assert (wire.frames[-1]["o"]["x"], wire.frames[-1]["o"]["M"]) == ("AMENDMENT", "7")


def test_a_batch_answers_each_element_in_its_place() -> None:
    desk = Desk()
    good = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "1",
        "price": "84000",
    }
    bad = {**good, "quantity": "0.0001"}
    named = [{**good, "newClientOrderId": name} for name in ("a", "b")]
    answer = desk.ok("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps([named[0], bad, named[1]]))
    assert [row.get("clientOrderId", row.get("code")) for row in answer] == ["a", -1111, "b"]
    gone = desk.ok("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", origClientOrderIdList='["b","c","a"]')
    assert [row.get("status", row.get("code")) for row in gone] == ["CANCELED", -2011, "CANCELED"]


def test_numbers_are_trimmed_on_the_user_stream_and_padded_in_rest() -> None:
    desk = Desk()
    wire = desk.private()
    answer = desk.order(price="84000.0", quantity="0.01")
    assert (answer["price"], answer["origQty"]) == ("84000.00", "0.010")
    assert (wire.frames[0]["o"]["p"], wire.frames[0]["o"]["q"]) == ("84000", "0.01")


def test_a_listen_key_that_expires_says_so_once_and_its_open_socket_falls_silent() -> None:
    desk = Desk()
    wire = desk.private()
    desk.wait(3_599_000)
    desk.order(newClientOrderId="a")
    desk.wait(2_000)
    expired = wire.events("listenKeyExpired")
    assert [event["E"] - START for event in expired] == [3_600_000]
    desk.order(newClientOrderId="b")
    assert len(wire.events("ORDER_TRADE_UPDATE")) == 1
    assert wire.closed == []
    assert json.loads(desk.raw("PUT", "/fapi/v1/listenKey").body)["code"] == -1125
    fresh = desk.private()
    desk.order(newClientOrderId="c")
    assert len(fresh.frames) == 1


def test_keeping_alive_keeps_the_key_and_posting_gives_the_same() -> None:
    desk = Desk()
    wire = desk.private()
    first = json.loads(desk.raw("POST", "/fapi/v1/listenKey").body)
    for _ in range(4):
        desk.wait(1_800_000)
        assert json.loads(desk.raw("PUT", "/fapi/v1/listenKey").body) == first
    desk.order()
    assert wire.events("listenKeyExpired") == []
    assert len(wire.frames) == 1


def test_deleting_the_key_blinds_every_socket_of_the_account() -> None:
    desk = Desk()
    wires = desk.private(), desk.private()
    assert desk.raw("DELETE", "/fapi/v1/listenKey").body == b"{}"
    desk.order()
    assert [wire.frames for wire in wires] == [[], []]


def test_a_bogus_key_opens_and_stays_silent_and_accounts_hear_only_their_own() -> None:
    desk = Desk()
    bogus, alice, bob = desk.stream(f"/private/ws/{'0' * 64}"), desk.private("alice"), desk.private("bob")
    desk.order("bob")
    assert (len(bogus.frames), len(alice.frames), len(bob.frames)) == (0, 0, 1)


def test_the_countdown_cancels_and_is_put_off_by_asking_again() -> None:
    desk = Desk()
    wire = desk.private()
    desk.order()
    ask = {"symbol": "BTCUSDT", "countdownTime": "1000"}
    assert desk.ok("POST", "/fapi/v1/countdownCancelAll", **ask) == ask
    desk.wait(900)
    desk.ok("POST", "/fapi/v1/countdownCancelAll", **ask)
    desk.wait(900)
    assert len(desk.ok("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")) == 1
    desk.wait(200)
    assert desk.ok("GET", "/fapi/v1/openOrders", symbol="BTCUSDT") == []
    assert wire.frames[-1]["o"]["T"] - START == 1_900


def test_leverage_changes_the_account_and_is_told() -> None:
    desk = Desk()
    wire = desk.private()
    assert desk.ok("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="10")["leverage"] == 10
    assert wire.frames[-1]["ac"] == {"s": "BTCUSDT", "l": 10}
    (row,) = desk.ok("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")
    assert (row["leverage"], row["marginType"], row["isAutoAddMargin"]) == ("10", "cross", "false")


def test_positions_of_version_3_are_those_in_use_and_of_version_2_all() -> None:
    desk = Desk()
    assert desk.ok("GET", "/fapi/v3/positionRisk") == []
    assert len(desk.ok("GET", "/fapi/v2/positionRisk")) == 2
    desk.order(symbol="ETHUSDT", price="2600.00", quantity="1")
    assert [row["symbol"] for row in desk.ok("GET", "/fapi/v3/positionRisk")] == ["ETHUSDT"]
    account = desk.ok("GET", "/fapi/v3/account")
    assert [row["symbol"] for row in account["positions"]] == ["ETHUSDT"]
    assert account["totalMarginBalance"] == account["assets"][0]["marginBalance"] == "1000000.00000000"
    assert desk.ok("GET", "/fapi/v3/balance")[0]["balance"] == "1000000.00000000"


def test_a_stream_of_a_symbol_that_the_venue_lacks_is_silent() -> None:
    desk = Desk()
    wire = desk.stream("/market/ws/xyzusdt@kline_1m/xyzusdt@markPrice@1s/xyzusdt@aggTrade")
    _print(desk, "84551.1", "1")
    desk.wait(4_000)
    assert wire.frames == []


def test_user_events_of_an_account_that_nobody_listens_to_are_lost() -> None:
    desk = Desk()
    desk.order()
    assert desk.private().frames == []


def test_income_is_filtered_by_symbol_kind_and_time() -> None:
    desk = Desk()
    for side in ("BUY", "SELL"):
        desk.ok("POST", "/fapi/v1/order", symbol="BTCUSDT", side=side, type="MARKET", quantity="0.010")
        desk.wait(1_000)
    fees = desk.ok("GET", "/fapi/v1/income", incomeType="COMMISSION")
    assert [row["time"] - START for row in fees] == [0, 1_000]
    assert [row["incomeType"] for row in desk.ok("GET", "/fapi/v1/income", incomeType="REALIZED_PNL")] == [
        "REALIZED_PNL"
    ]
    assert desk.ok("GET", "/fapi/v1/income", symbol="ETHUSDT") == []
    assert len(desk.ok("GET", "/fapi/v1/income", incomeType="COMMISSION", endTime=str(START))) == 1
    assert len(desk.ok("GET", "/fapi/v1/income", incomeType="COMMISSION", startTime=str(START + 1))) == 1


def test_histories_are_bounded_by_seven_days_where_nothing_else_bounds_them() -> None:
    desk = Desk()
    first = desk.order(newClientOrderId="old")
    desk.ok("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010")
    week = 7 * 86_400_000
    desk.now += week + 1_000
    symbol = {"symbol": "BTCUSDT"}
    assert desk.ok("GET", "/fapi/v1/allOrders", **symbol) == []
    assert desk.ok("GET", "/fapi/v1/userTrades", **symbol) == []
    assert len(desk.ok("GET", "/fapi/v1/allOrders", **symbol, orderId=str(first["orderId"]))) == 2
    assert len(desk.ok("GET", "/fapi/v1/allOrders", **symbol, startTime=str(START))) == 2
    assert len(desk.ok("GET", "/fapi/v1/userTrades", **symbol, endTime=str(START))) == 1
    assert len(desk.ok("GET", "/fapi/v1/userTrades", **symbol, fromId="1")) == 1


def test_a_connection_lives_for_a_day() -> None:
    desk = Desk()
    wire = desk.stream(DEPTH)
    desk.now += 86_400_000 - 100
    desk.venue.tick(desk.now)
    assert wire.closed == []
    desk.wait(100)
    assert wire.closed == [(1001, "24 hours are over")]
    assert desk.venue.sessions == {}


def test_the_301st_connection_in_five_minutes_is_refused() -> None:
    desk = Desk()
    for _ in range(300):
        desk.stream(DEPTH).session.on_close()
    with pytest.raises(VenueError) as refused:
        desk.stream(DEPTH)
    assert refused.value.status == 429


def test_what_was_answered_is_there_after_the_venue_comes_back() -> None:
    journal = MemoryJournal()
    desk = Desk(journal=journal)
    desk.order(newClientOrderId="rests")
    desk.ok("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010")
    before = [desk.ok("GET", path) for path in ("/fapi/v1/openOrders", "/fapi/v1/allOrders", "/fapi/v3/balance")]
    again = Desk(journal=journal)
    assert [
        again.ok("GET", path) for path in ("/fapi/v1/openOrders", "/fapi/v1/allOrders", "/fapi/v3/balance")
    ] == before
    wire = again.stream("/public/ws/btcusdt@depth@0ms")
    again.ok("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="rests")
    assert wire.frames[-1]["b"] == [["84000.00", "0.000"]]


def test_a_symbol_of_other_letters_is_signed_over_its_encoded_bytes() -> None:
    desk = Desk()
    query = f"symbol=%E7%89%9B%E6%9D%A5USDT&timestamp={START}"
    answer = desk.raw("GET", "/fapi/v1/openOrders", f"{query}&signature={sign(query, KEYS['alice'])}")
    assert json.loads(answer.body)["code"] == -1121
