"""`pms up` and `pms recover` as process trees: how they end, what comes back, what they refuse to start on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from pms import exits
from tests.process.stack import ROOT, Venue
from tests.process.typed import KEYS, STILL, Up, pms, spawn, until_gone
from tests.waiting import until

STOP_S = 5.0


FREE = ("--rest-port", "0", "--stream-port", "0")  # other tests may hold the usual ports


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_of_it_in_time(data: Path, number: int) -> None:
    stack = Up(data)
    children = stack.children()
    assert len(children) == 2
    began = time.monotonic()
    assert stack.end(number) == exits.OK
    assert time.monotonic() - began < STOP_S
    until_gone(children)


@pytest.mark.crash
def test_a_killed_one_takes_its_children_along_and_the_next_goes_on_from_there(data: Path) -> None:
    stack = Up(data)
    children = stack.children()
    reply = json.loads(stack.pms("chase", "BTCUSDT", "BUY", "0.010", "--json").stdout)
    stack.end(signal.SIGKILL)
    until_gone(children)
    again = Up(data)
    (algo,) = json.loads(again.pms("algos", "--json").stdout)
    assert algo["chaseId"] == reply["chaseId"]
    until(lambda: json.loads(again.pms("orders", "--json").stdout), 10, "its order")
    assert again.end(signal.SIGTERM) == exits.OK


@pytest.mark.crash
@pytest.mark.parametrize("name", ["redis-server", "python"])
def test_a_child_that_was_killed_comes_back_at_its_address(data: Path, name: str) -> None:
    stack = Up(data)
    (victim,) = [pid for pid in stack.children() if name in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(stack.children()) == 2 and victim not in stack.children(), 10, f"another {name}")

    def works() -> bool:
        done = stack.pms("chase", "BTCUSDT", "BUY", "0.010", "--json")
        return done.returncode == exits.OK

    until(works, 20, "a chase is accepted again")
    assert stack.end(signal.SIGTERM) == exits.OK


def test_taken_ports_fall_back_to_free_ones(data: Path, tmp_path: Path) -> None:
    one, two = Up(data), Up(tmp_path / "other")
    assert one.told["redis"]["address"] != two.told["redis"]["address"]
    assert one.told["venue"]["rest"] != two.told["venue"]["rest"]
    assert two.pms("chase", "BTCUSDT", "BUY", "0.010").returncode == exits.OK
    assert [one.end(signal.SIGTERM), two.end(signal.SIGTERM)] == [exits.OK, exits.OK]


def test_live_without_its_two_words_is_refused_and_nothing_is_started(data: Path) -> None:
    done = pms(data, "up", PMS_MODE="live")
    assert done.returncode == exits.CONFIG
    assert "Nothing was started" in done.stderr
    assert not data.exists()


def test_shadow_trades_on_the_market_that_it_follows_and_never_there(data: Path, tmp_path: Path) -> None:
    venue = Venue(tmp_path, *STILL)
    followed = {"PMS_MODE": "shadow", "PMS_REST_URL": venue.rest, "PMS_STREAM_URL": venue.streams}
    stack = Up(data, "--symbols", "BTCUSDT", **followed | {"PMS_API_KEY": "paper", "PMS_API_SECRET": "real"})
    assert (stack.told["mode"], stack.told["venue"]["market"]) == ("shadow", "followed")

    def rests_at(price: float) -> bool:
        return [order["price"] for order in json.loads(stack.pms("orders", "--json").stdout)] == [price]

    assert stack.pms("chase", "BTCUSDT", "BUY", "0.010").returncode == exits.OK
    until(lambda: rests_at(61800), 10, "its order at the real best bid")
    venue.raise_bid()
    until(lambda: rests_at(61800.1), 10, "its order at the real best bid, which went up")
    assert (venue.orders(), venue.trades()) == ([], [])
    assert stack.end(signal.SIGTERM) == exits.OK
    venue.stop()


def test_a_market_that_can_not_be_followed_is_named_and_nothing_is_started(data: Path) -> None:
    done = pms(data, "run", PMS_MODE="shadow", PMS_REST_URL="http://127.0.0.1:1", PMS_STREAM_URL="ws://127.0.0.1:1")
    assert done.returncode == exits.UNAVAILABLE
    assert "the venue to follow does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_redis_or_a_venue_that_is_not_there_is_named(data: Path) -> None:
    done = pms(data, "run", *STILL, PMS_REDIS_URL="redis://127.0.0.1:1")
    assert done.returncode == exits.UNAVAILABLE
    assert "PMS_REDIS_URL" in done.stderr
    done = pms(data, "run", PMS_REST_URL="http://127.0.0.1:1", PMS_STREAM_URL="ws://127.0.0.1:1")
    assert done.returncode == exits.UNAVAILABLE
    assert "the venue can't be read" in done.stderr


def test_a_market_that_can_not_be_opened_is_named(data: Path) -> None:
    done = pms(data, "up", "--replay", str(data / "none.gz"))
    assert done.returncode == exits.UNAVAILABLE
    assert "The simulator did not start" in done.stderr
    assert "none.gz" in done.stderr


def test_records_of_a_newer_version_are_left_alone(data: Path, real_redis) -> None:
    with redis.Redis.from_url(real_redis.url_tcp, decode_responses=True) as client:
        client.set(KEYS.order("pms-new"), '{"v":99}')
        done = pms(data, "run", *STILL, PMS_REDIS_URL=real_redis.url_tcp)
        assert done.returncode == exits.NEWER_DATA
        assert "newer version" in done.stderr
        assert client.get(KEYS.order("pms-new")) == '{"v":99}'


@pytest.mark.crash
def test_recovery_by_itself_plans_by_reading_only_then_carries_it_out_and_resumes_nothing(data: Path) -> None:
    stack = Up(data)
    reply = json.loads(stack.pms("chase", "BTCUSDT", "BUY", "0.010", "--json").stdout)
    with stack.redis() as client:
        until(lambda: client.hlen(KEYS.open_orders("main")), 5, "its order rests")
        (client_id,) = client.hkeys(KEYS.open_orders("main"))
        client.delete(KEYS.order(client_id), KEYS.open_orders("main"), KEYS.algo("chase", reply["chaseId"]))
        client.delete(KEYS.active("chase", "main"))
        stack.end(signal.SIGKILL)
    for _ in range(2):  # the first changes nothing
        planned = pms(data, "recover", "--dry-run", "--json")
        assert planned.returncode == exits.ACTED, planned.stderr
        (step,) = json.loads(planned.stdout)["steps"]
        assert (step["action"], step["subject"], step["outcome"]) == ("cancelorder", client_id, "planned")
    done = pms(data, "recover", "--apply", "--json")
    assert done.returncode == exits.ACTED, done.stderr
    (step,) = json.loads(done.stdout)["steps"]
    assert step["outcome"].startswith("cancelled")
    again = pms(data, "recover", "--dry-run", "--json")
    assert (again.returncode, json.loads(again.stdout)["steps"]) == (exits.OK, [])


def test_a_daemon_whose_account_was_taken_stops_by_itself(data: Path) -> None:
    stack = Up(data)
    with stack.redis() as client:
        client.set(KEYS.epoch, int(client.get(KEYS.epoch)) + 1)
        client.set(KEYS.lease, '{"epoch":0,"host":"other","bootId":"b","pidNamespace":"n","pid":1,"started":1}')
    assert stack.process.wait(15) == exits.LEASE_LOST
    assert "another daemon holds the account now" in data.with_name("data.log").read_text()
    stack.end(signal.SIGTERM)


def test_a_reset_forgets_venue_and_state_together_after_asking(data: Path) -> None:
    stack = Up(data)
    stack.pms("chase", "BTCUSDT", "BUY", "0.010")
    assert stack.end(signal.SIGTERM) == exits.OK
    kept = pms(data, "sim", "--data", str(data / "venue"), "--reset")  # no answer is no
    assert kept.returncode == exits.NO
    assert kept.stdout.endswith("Nothing was forgotten and nothing was started.\n")
    again = Up(data)
    assert len(json.loads(again.pms("algos", "--json").stdout)) == 1
    refused = pms(data, "sim", "--data", str(data / "venue"), "--reset", "--yes")
    assert refused.returncode == exits.DATA_DIR_IN_USE
    assert again.end(signal.SIGTERM) == exits.OK
    venue = spawn(data, "sim", "--data", str(data / "venue"), "--reset", "--yes", "--json", *FREE, *STILL)
    assert venue.stdout is not None
    assert venue.stdout.readline().startswith("The venue in ")
    assert venue.stdout.readline().startswith("{")
    venue.terminate()
    assert venue.wait(5) == exits.OK
    venue.stdout.close()
    fresh = Up(data)
    assert json.loads(fresh.pms("algos", "--json").stdout) == []
    assert fresh.events()[0]["type"] == "seq_jump"
    assert fresh.end(signal.SIGTERM) == exits.OK


def test_a_reset_leaves_a_redis_of_ones_own_alone(data: Path, real_redis) -> None:
    data.mkdir()
    done = pms(data, "sim", "--data", str(data / "venue"), "--reset", "--yes", PMS_REDIS_URL=real_redis.url_tcp)
    assert done.returncode == exits.CONFIG
    assert "nothing was forgotten" in done.stderr


def test_a_data_directory_that_is_none_is_refused(data: Path) -> None:
    data.write_text("no directory")
    for words in (("up",), ("recover", "--apply")):
        done = pms(data, *words)
        assert done.returncode == exits.CONFIG
        assert "can't be used" in done.stderr


def test_an_error_of_ours_has_a_code_of_its_own() -> None:
    broken = (
        "import pms.cli, sys; from pms import __main__; pms.cli.main = lambda words: 1 / 0; sys.exit(__main__.main())"
    )
    done = subprocess.run([sys.executable, "-c", broken], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == exits.BROKEN
    assert "ZeroDivisionError" in done.stderr


def test_a_service_manager_hears_that_it_is_ready_and_that_it_stops(data: Path) -> None:
    data.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(data.parent / "notify"))
        manager.settimeout(10)
        up = Up(data, NOTIFY_SOCKET=str(data.parent / "notify"), WATCHDOG_USEC="200000")
        assert [manager.recv(100), manager.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
        assert manager.recv(100) == b"WATCHDOG=1"
        assert up.end(signal.SIGTERM) == exits.OK
        told = b""
        while told != b"STOPPING=1":
            told = manager.recv(100)
            assert told in (b"WATCHDOG=1", b"STOPPING=1")
