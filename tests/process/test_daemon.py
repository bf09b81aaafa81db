"""The daemon as a real process on a real Redis and a real venue: killed, stopped, doubled, watched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from pms import exits
from tests.process import stack
from tests.process.stack import KEYS, SYMBOL, Stack
from tests.waiting import until

STOP_S = 5  # a supervisor's patience


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Stack]:
    """Redis and a venue whose market does not move."""
    with stack.running(tmp_path, "--profile", "still", "--symbols", SYMBOL) as standing:
        yield standing


@pytest.mark.crash
def test_a_chase_killed_in_the_middle_goes_on_with_one_order_for_the_exact_rest(still) -> None:
    first = still.daemon()
    first.opened()
    reply = still.chase("0.010", stalkMode="none")
    order = still.resting()
    still.venue.hit(order, "0.004")
    still.until_state(reply, filledQuantity=Decimal("0.004"))
    first.kill()
    still.venue.hit(still.resting(), "0.001")  # while nobody watches

    still.daemon().opened()
    still.until_state(reply, status="active", filledQuantity=Decimal("0.005"))
    (resting,) = still.venue.open_orders()
    assert resting["clientOrderId"] == order["clientOrderId"]
    assert resting["executedQty"] == "0.005"
    still.venue.hit(resting, "0.005")
    still.until_state(reply, status="filled", filledQuantity=Decimal("0.010"))
    assert [order["clientOrderId"] for order in still.venue.orders()] == [order["clientOrderId"]]
    assert still.venue.filled() == Decimal("0.010")
    still.check_books()


@pytest.mark.crash
def test_a_stop_takes_entries_out_of_the_market_leaves_exits_and_resumes_exactly(still) -> None:
    first = still.daemon()
    first.opened()
    bought = still.chase("0.010", stalkMode="none")
    still.venue.hit(still.resting(), "0.010")
    still.until_state(bought, status="filled")
    leaving = still.chase("0.006", side="SELL", reduceOnly=True, stalkMode="none")
    exit_order = still.resting()
    entering = still.chase("0.010", stalkMode="none")
    until(lambda: len(still.venue.open_orders()) == 2, 5, "both orders rest")
    (entry,) = [order for order in still.venue.open_orders() if order["side"] == "BUY"]
    still.venue.hit(entry, "0.003")
    still.until_state(entering, filledQuantity=Decimal("0.003"))

    assert first.stop() < STOP_S
    assert first.process.returncode == exits.OK
    assert [order["clientOrderId"] for order in still.venue.open_orders()] == [exit_order["clientOrderId"]]
    assert still.read(KEYS.lease)["released"]

    still.daemon().opened()
    until(lambda: len(still.venue.open_orders()) == 2, 10, "the entry is back")
    (again,) = [order for order in still.venue.open_orders() if order["side"] == "BUY"]
    assert (again["origQty"], again["executedQty"]) == ("0.007", "0.000")
    assert exit_order["clientOrderId"] in {order["clientOrderId"] for order in still.venue.open_orders()}
    still.venue.hit(again, "0.007")
    still.until_state(entering, status="filled", filledQuantity=Decimal("0.010"))
    assert still.command("chase_cancel", chaseId=leaving["chaseId"])["success"]
    still.check_books()


def test_a_second_daemon_says_who_holds_the_account_and_leaves(still) -> None:
    first = still.daemon()
    first.opened()
    second = still.daemon("elsewhere").ended()
    assert second.code == exits.LEASE_HELD
    assert f"pid {first.process.pid} on " in second.said
    same_data = still.daemon().ended()
    assert same_data.code == exits.DATA_DIR_IN_USE
    assert f"process {first.process.pid}" in same_data.said
    assert first.process.poll() is None
    assert still.chase("0.010")["success"]


@pytest.mark.parametrize("path, name", [("positionSide/dual", "dualSidePosition"), ("multiAssetsMargin",) * 2])
def test_an_account_in_a_mode_that_is_not_served_is_refused_with_the_way_out(still, path, name) -> None:
    still.venue.ask("paper", "POST", f"/fapi/v1/{path}", **{name: "true"})
    code, _, said = still.daemon().ended()
    assert code == exits.AUTH
    assert "No order was sent" in said
    assert f"/fapi/v1/{path}, {name}=false" in said
    still.venue.ask("paper", "POST", f"/fapi/v1/{path}", **{name: "false"})
    still.daemon("again").opened()


def test_a_start_and_a_chase_never_scan_by_keys_and_never_flush(still) -> None:
    with still.redis.monitor() as monitor:
        still.daemon().opened()
        reply = still.chase("0.010")
        still.venue.hit(still.resting(), "0.010")
        still.until_state(reply, status="filled")
        still.redis.echo("enough")
        seen = []
        while (command := monitor.next_command()["command"]) != "ECHO enough":
            seen.append(command.partition(" ")[0].upper())
    assert {"SCAN", "EVALSHA", "XREADGROUP"} <= set(seen)
    assert not {"KEYS", "FLUSHDB", "FLUSHALL"} & set(seen)


@pytest.mark.crash
def test_a_start_removes_stale_prices_and_nothing_else(still) -> None:
    first = still.daemon()
    first.opened()
    done = still.chase("0.010", stalkMode="none")
    still.venue.hit(still.resting(), "0.010")
    still.until_state(done, status="filled")
    running = still.chase("0.010", stalkMode="none")
    still.resting()
    first.kill()
    stale = [KEYS.price(f"OLD{number}USDT") for number in range(2_500)]  # several pages of a SCAN
    foreign = dict.fromkeys(("price:BTCUSDT", "another:price:X", "pm", f"{KEYS.namespace}x:price:Y"), "theirs")
    ours = {f"{KEYS.namespace}:later:t1": "of later work", KEYS.quarantine("q"): "{}", KEYS.records: "{}"}
    still.redis.mset(dict.fromkeys(stale, "{}") | foreign | ours)
    before = set(still.redis.scan_iter(count=1000))

    still.daemon().opened()
    still.until_state(running, status="active")
    after = set(still.redis.scan_iter(count=1000))
    assert before - after - {KEYS.price("BTCUSDT")} == set(stale)  # that one is written anew, sooner or later
    assert still.redis.mget(foreign | ours) == list((foreign | ours).values())
    assert still.state(done)["filledQuantity"] == Decimal("0.010")


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("gone, back", [("freeze", "thaw"), ("kill_redis", "start_redis")])
def test_without_redis_a_chase_holds_then_leaves_and_comes_back_for_the_exact_rest(still, gone, back) -> None:
    still.daemon().opened()
    reply = still.chase("0.010")
    order = still.resting()
    still.venue.hit(order, "0.002")
    still.until_state(reply, filledQuantity=Decimal("0.002"))

    getattr(still, gone)()
    began = time.monotonic()
    still.venue.hit(still.venue.open_orders()[0], "0.003")
    still.venue.raise_bid()  # the chase would follow
    until(lambda: not still.venue.open_orders(), 15, "the entry leaves the market")
    assert 10 <= time.monotonic() - began <= 11
    until(lambda: time.monotonic() - began > 20, 15, "20 s without Redis")
    (cancelled,) = still.venue.orders()
    assert (cancelled["price"], cancelled["status"]) == (order["price"], "CANCELED")

    getattr(still, back)()
    again = still.resting()
    assert (again["origQty"], again["price"]) == ("0.005", str(still.venue.book()[0][0][0]))
    still.venue.hit(again, "0.005")
    still.until_state(reply, status="filled", filledQuantity=Decimal("0.010"))
    assert len(still.venue.orders()) == 2
    still.check_books()


@pytest.mark.slow
@pytest.mark.crash
def test_killed_again_and_again_under_load_the_daemon_keeps_every_book_true(tmp_path) -> None:
    terms = [{"aggressive": True}, {"stalkOffsetTicks": 50}, {"stalkMode": "trail"}, {"stalkMode": "none"}]
    asked = Decimal("0.500")
    with stack.running(tmp_path, "--profile", "busy", "--symbols", SYMBOL, "--speed", "3") as busy:
        busy.daemon().opened()
        started = []
        for life in range(8):
            for side in ("BUY", "SELL"):
                started += [busy.chase(str(asked), side=side, leverage=20, **term) for term in terms]
            least = busy.redis.xlen(KEYS.event_stream) + 5 * life  # in another moment each time
            until(lambda least=least: busy.redis.xlen(KEYS.event_stream) >= least, 60, "a market that moves")
            busy.daemons[-1].kill()
            busy.daemon().opened()
        assert busy.command("cancel_all")["success"]
        until(lambda: not busy.redis.exists(KEYS.active("chase", "main")), 10, "all chases have ended")
        assert not busy.venue.open_orders()
        ids = {order["clientOrderId"]: Decimal(order["executedQty"]) for order in busy.venue.orders()}
        for reply in started:
            record = busy.state(reply)
            assert record["status"] in ("filled", "cancelled"), record
            assert record["filledQuantity"] <= asked
            assert record["filledQuantity"] == sum(filled for name, filled in ids.items() if reply["chaseId"] in name)
        busy.check_books()
