"""The daemon as a real process on a real Redis and a real venue: killed, stopped, doubled, watched."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from pms import exits
from tests.process import stack
from tests.process.stack import KEYS, START_LIMIT_S, SYMBOL, Stack
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


def test_of_two_started_at_once_one_holds_the_account_and_the_other_leaves(still) -> None:
    both = [still.daemon(name) for name in ("one", "another")]
    until(lambda: any(daemon.process.poll() is not None for daemon in both), START_LIMIT_S, "one of them leaves")
    (loser,) = [daemon for daemon in both if daemon.process.poll() is not None]
    (winner,) = [daemon for daemon in both if daemon is not loser]
    winner.opened()
    left = loser.ended()
    assert left.code == exits.LEASE_HELD
    assert f"pid {winner.process.pid} on " in left.said
    assert still.chase("0.010")["success"]
    assert len(still.venue.orders()) == 1


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
def test_one_that_stood_still_for_30_s_does_nothing_any_more_where_another_has_taken_over(still) -> None:
    first = still.daemon()
    first.opened()
    reply = still.chase("0.010")
    order = still.resting()
    first.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    until(lambda: not still.redis.exists(KEYS.lease), 15, "its lease has run out")
    second = still.daemon("elsewhere")
    second.opened()
    still.until_state(reply, status="active")
    until(lambda: time.monotonic() - began > 30, 31, "30 s")
    price, size = still.venue.book()[1][0]
    still.venue.order("maker", "BUY", 2 * size, price, "GTC")  # a higher bid, which both would follow
    until(lambda: Decimal(still.resting()["price"]) == price, 10, "the other one follows")
    first.process.send_signal(signal.SIGCONT)
    assert first.ended().code == exits.LEASE_LOST
    (resting,) = still.venue.orders()
    assert (resting["clientOrderId"], resting["status"]) == (order["clientOrderId"], "NEW")
    assert second.process.poll() is None
    still.venue.hit(resting, "0.010")
    still.until_state(reply, status="filled", filledQuantity=Decimal("0.010"))
    still.check_books()
