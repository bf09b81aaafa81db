"""The commands against a running stack, as people type them: what they print, what they do, how they end."""

from __future__ import annotations

import json
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pms import exits
from tests.process.typed import KEYS, Up, pms, spawn
from tests.waiting import until

QUICK_S = 0.15  # a command's start, heavy imports left out


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    stack = Up(tmp_path_factory.mktemp("cli") / "data")
    yield stack
    assert stack.end(signal.SIGTERM) == exits.OK


def _chase(up: Up, *words: str) -> dict[str, object]:
    done = up.pms("chase", "BTCUSDT", "BUY", "0.010", "--json", *words)
    assert done.returncode == exits.OK, done.stderr
    return json.loads(done.stdout)


def test_up_says_in_one_line_where_everything_is(up: Up) -> None:
    assert up.told["mode"] == "paper"
    assert up.told["venue"]["symbols"] == ["BTCUSDT"]
    assert up.told["dataDir"] == str(up.data)
    assert up.told["doorsOpenAfterS"] < 5
    with up.redis() as client:
        assert client.info("server")["redis_version"] == up.told["redis"]["version"]


def test_what_protects_is_listed_from_the_records_and_without_a_position_it_is_said(up: Up) -> None:
    shown = up.pms("protection")
    assert shown.returncode == exits.OK, shown.stderr
    assert shown.stdout.startswith("No open position.")
    assert "The daemon runs (" in shown.stdout
    assert json.loads(up.pms("protection", "--json").stdout) == []


def test_a_chase_is_seen_among_algos_and_orders_until_it_is_cancelled(up: Up) -> None:
    chase_id = str(_chase(up)["chaseId"])
    shown = up.pms("algos").stdout
    assert chase_id in shown
    assert "BTCUSDT" in shown
    (algo,) = [record for record in json.loads(up.pms("algos", "--json").stdout) if record["chaseId"] == chase_id]
    assert algo["quantity"] == 0.01
    until(lambda: json.loads(up.pms("orders", "--json").stdout), 5, "an open order")
    (order,) = [row for row in json.loads(up.pms("orders", "--json").stdout) if row["parentId"] == chase_id]
    assert order["clientOrderId"] in up.pms("orders").stdout
    done = up.pms("cancel", chase_id)
    assert (done.returncode, done.stdout) == (exits.OK, f"{chase_id} is cancelled.\n")
    assert chase_id not in up.pms("algos").stdout
    again = up.pms("cancel", chase_id)
    assert again.returncode == exits.NO
    assert "ALGO_NOT_FOUND" in again.stderr


def test_an_order_id_cancels_the_chase_that_has_no_other_child(up: Up) -> None:
    chase_id = _chase(up)["chaseId"]
    orders = json.loads(up.pms("orders", "--json").stdout)
    (client_id,) = [row["clientOrderId"] for row in orders if row["parentId"] == chase_id]
    assert up.pms("cancel", client_id).returncode == exits.OK
    assert json.loads(up.pms("algos", "--json").stdout) == []


def test_the_same_request_id_starts_one_chase(up: Up) -> None:
    first, second = (_chase(up, "--request-id", "cli-once") for _ in range(2))
    assert first["chaseId"] == second["chaseId"]
    assert len(json.loads(up.pms("algos", "--json").stdout)) == 1
    up.pms("cancel", str(first["chaseId"]))


def test_a_refused_chase_ends_with_one_and_says_why(up: Up) -> None:
    done = up.pms("chase", "BTCUSDT", "BUY", "0.0101234")
    assert done.returncode == exits.NO
    assert done.stderr.startswith("Refused (QUANTITY_OFF_GRID): ")


def test_a_size_in_usdt_is_sent_with_the_steps_digits(up: Up) -> None:
    done = up.pms("chase", "BTCUSDT", "BUY", "--size-usdt", "1000", "--json")
    reply = json.loads(done.stdout)
    until(lambda: json.loads(up.pms("orders", "--json").stdout), 5, "the venue took it")
    assert f'"quantity":{reply["quantity"]}' in done.stdout
    assert len(str(reply["quantity"])) <= len("0.016")
    up.pms("cancel", reply["chaseId"])


def answers(up: Up) -> int:
    """How many commands the daemon has answered."""
    return sum(event["type"] == "command_result" for event in up.events())


@pytest.mark.parametrize(
    "words, told",
    [
        (("chase", "BTCUSDT", "BUY", "1e5"), "quantity"),
        (("chase", "BTCUSDT", "UP", "1"), "side"),
        (("chase", "BTCUSDT", "BUY"), "quantity or sizeUsdt"),
        (("chase", "BTCUSDT", "BUY", "1", "--aggressive", "--stalk-offset-ticks", "3"), "aggressive"),
        (("chase", "BTCUSDT", "BUY", "1", "--reprice-min-ms", "soon"), "repriceMinMs"),
        (("chase", "BTCUSDT"), "required"),
        (("cancel",), "required"),
        (("tail", "--from", "yesterday"), "invalid int value"),
        (("nonsense",), "invalid choice"),
        ((), "required"),
    ],
)
def test_what_can_not_be_meant_is_refused_before_anything_is_sent(up: Up, words, told) -> None:
    before = answers(up)
    done = up.pms(*words)
    assert done.returncode == exits.USAGE
    assert told in done.stderr
    assert "Nothing was" in done.stderr
    assert answers(up) == before


def test_follow_prints_a_chase_to_its_end_and_its_code_says_whether_it_filled(up: Up) -> None:
    done = up.pms("chase", "BTCUSDT", "BUY", "0.010", "--deadline-seconds", "0.5", "--follow")
    assert done.returncode == exits.NO
    kinds = [line.split()[2] for line in done.stdout.splitlines()[1:]]
    assert kinds[0] == "chase_started"
    assert "order_placed" in kinds
    assert kinds[-1] == "chase_cancelled"
    crossing = ("--stalk-mode", "none", "--deadline-seconds", "0.2", "--on-deadline", "take", "--no-post-only")
    done = up.pms("chase", "BTCUSDT", "BUY", "0.010", *crossing, "--follow", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()[1:]]
    assert events[-1]["type"] == "chase_filled"
    assert done.returncode == exits.OK


def test_tail_tells_every_event_once_in_order(up: Up) -> None:
    up.pms("cancel", str(_chase(up)["chaseId"]))
    events = up.events()
    done = up.pms("tail", "--from", "0", "--json", "--count", str(len(events)))
    assert [json.loads(line) for line in done.stdout.splitlines()] == events
    chases = up.pms("tail", "--from", "0", "--type", "chase_started", "--count", "1").stdout
    assert chases.split()[2] == "chase_started"


def test_tail_misses_nothing_when_its_connections_are_cut(up: Up) -> None:
    with up.redis() as client:
        last = up.events()[-1]["seq"]
        before = {row["id"] for row in client.client_list()}
        tail = spawn(up.data, "tail", "--from", str(last), "--json", "--type", "command_result", "--count", "6")
        assert tail.stdout is not None
        up.pms("cancel", "nothing-1")
        assert json.loads(tail.stdout.readline())["type"] == "command_result"
        for row in client.client_list():
            if row["id"] not in before:
                client.client_kill_filter(_id=row["id"])
        for number in range(2, 7):
            up.pms("cancel", f"nothing-{number}")
        told = [json.loads(line)["seq"] for line in tail.stdout]
        assert told == [event["seq"] for event in up.events() if event["type"] == "command_result"][-5:]
        assert tail.wait(5) == exits.OK
        tail.stdout.close()


def test_redis_cli_gets_the_password_by_environment_only(up: Up, tmp_path: Path) -> None:
    program = tmp_path / "redis-cli"
    program.write_text('#!/bin/sh\necho "$REDISCLI_AUTH"\necho "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    done = up.pms("redis-cli", "get", "x", PATH=str(tmp_path))
    password, words = done.stdout.splitlines()
    assert f":{password}@" in (up.data / "redis.url").read_text()
    assert password not in words
    assert words == f"-h 127.0.0.1 -p {up.told['redis']['address'].rpartition(':')[2]} -n 0 get x"


def test_recover_tells_what_the_running_daemon_did_and_does_nothing_beside_it(up: Up) -> None:
    told = json.loads(up.pms("recover", "--json").stdout)
    assert told["cause"] == "start"
    for choice in ("--dry-run", "--apply"):
        done = up.pms("recover", choice)
        assert done.returncode == exits.DATA_DIR_IN_USE
        assert "nothing was done" in done.stderr


def test_a_second_up_in_the_same_directory_says_who_is_there(up: Up) -> None:
    done = up.pms("up")
    assert done.returncode == exits.DATA_DIR_IN_USE
    assert f"process {up.process.pid}" in done.stderr


def test_a_second_up_on_the_same_redis_says_who_holds_the_account(up: Up, tmp_path: Path) -> None:
    url = (up.data / "redis.url").read_text().strip()
    done = pms(tmp_path / "other", "up", PMS_REDIS_URL=url)
    assert done.returncode == exits.LEASE_HELD
    assert f"pid {up.process.pid}" in done.stderr
    assert up.pms("algos").returncode == exits.OK


@pytest.mark.parametrize(
    "words", [("algos",), ("orders",), ("tail",), ("cancel", "x"), ("chase", "BTCUSDT", "BUY", "1")]
)
def test_without_a_daemon_a_command_says_how_to_start_one(tmp_path: Path, words) -> None:
    done = pms(tmp_path / "none", *words)
    assert done.returncode == exits.UNAVAILABLE
    assert "python3 -m pms up" in done.stderr


def test_with_redis_and_no_daemon_nothing_is_sent(tmp_path: Path, real_redis) -> None:
    done = pms(tmp_path / "none", "chase", "BTCUSDT", "BUY", "1", PMS_REDIS_URL=real_redis.url_tcp)
    assert done.returncode == exits.UNAVAILABLE
    assert "no daemon works on it; nothing was sent" in done.stderr


@pytest.mark.parametrize("words", [("--help",), ("algos", "--help"), ("algos",)])
def test_a_command_starts_in_a_moment(up: Up, words) -> None:
    took = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert up.pms(*words).returncode == exits.OK
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < QUICK_S  # of a processor's time: what else the host does is not ours


def test_the_group_of_the_command_stream_is_left_without_pending_entries(up: Up) -> None:
    with up.redis() as client:
        (group,) = client.xinfo_groups(KEYS.commands)
        assert group["pending"] == 0


def test_why_tells_the_way_from_a_command_to_its_order(up: Up) -> None:
    chase_id = str(_chase(up)["chaseId"])
    until(lambda: json.loads(up.pms("orders", "--json").stdout), 5, "an open order")
    done = up.pms("why", chase_id)
    assert done.returncode == exits.OK, done.stderr
    steps = [line.split(maxsplit=4)[3] for line in done.stdout.splitlines()]
    assert {"command", "decision", "intent", "ack", "algo"} <= set(steps)
    assert up.pms("why", "cnobodyhas").returncode == exits.NO
    up.pms("cancel", chase_id)


def test_a_preview_is_what_the_start_then_does_and_sends_nothing(up: Up) -> None:
    words = ("chase", "BTCUSDT", "BUY", "0.010", "--stalk-offset-ticks", "50")
    preview = up.pms("preview", *words, "--json")
    assert preview.returncode == exits.OK, preview.stderr
    (first,) = json.loads(preview.stdout)["computedValues"]["actions"]
    assert json.loads(up.pms("orders", "--json").stdout) == []
    assert (first["side"], first["quantity"], first["timeInForce"]) == ("BUY", 0.01, "GTX")
    assert "actions:" in up.pms("preview", *words).stdout
    refused = up.pms("preview", "chase", "BTCUSDT", "BUY", "0.0101234")
    assert refused.returncode == exits.NO
    assert "QUANTITY_OFF_GRID" in refused.stderr


ENVELOPE = ("requestId", "subAccountId")
PREVIEWED = (
    ("twap BTCUSDT BUY 0.050 --lots 5 --interval-seconds 60", ("symbol", "side", "quantity")),
    ("twap-basket one BTCUSDT:BUY:0.020 --lots 2 --style chase", ()),
    ("trail-stop --symbol BTCUSDT --position-side LONG", ("extremePrice", "triggerPrice", "activated", "quantity")),
    ("scalper BTCUSDT 2000 --child-count 3 --skew 20", ("longLayers", "shortLayers")),
)


def test_each_kinds_preview_tells_what_its_reply_and_its_first_orders_then_are(up: Up) -> None:
    order = {"subAccountId": "main", "requestId": "hold", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}
    with up.redis() as client:
        client.lpush("pms:cmd:trade", json.dumps(order))
    for typed, shown in PREVIEWED:
        words = typed.split()
        done = up.pms("preview", *words, "--json")
        assert done.returncode == exits.OK, done.stderr
        values = json.loads(done.stdout)["computedValues"]
        before = len(up.events())
        done = up.pms(*words, "--json")
        assert done.returncode == exits.OK, done.stderr
        reply = json.loads(done.stdout)
        assert {name: values[name] for name in shown} == {name: reply[name] for name in shown}
        assert [lot["quantity"] for lot in values.get("plan", ())] == [lot["quantity"] for lot in reply.get("plan", ())]
        orders = [(row["price"], row["quantity"]) for row in values["actions"] if row["action"] == "place"]
        told = [event for event in up.events()[before:] if event["type"] == "order_placed"]
        assert [(event["price"], event["quantity"]) for event in told] == orders
        (algo_id,) = [value for name, value in reply.items() if name.endswith("Id") and name not in ENVELOPE]
        assert up.pms("cancel", algo_id).returncode == exits.OK


def test_a_paused_algo_has_no_order_until_it_is_resumed(up: Up) -> None:
    chase_id = str(_chase(up)["chaseId"])
    assert up.pms("pause", chase_id).returncode == exits.OK
    until(lambda: json.loads(up.pms("orders", "--json").stdout) == [], 5, "the order is gone")
    assert up.pms("resume", chase_id).returncode == exits.OK
    until(lambda: json.loads(up.pms("orders", "--json").stdout), 5, "an order again")
    up.pms("cancel", chase_id)


def test_drain_ends_the_daemon_with_zero_when_nothing_runs_any_more(tmp_path: Path) -> None:
    stack = Up(tmp_path / "data")
    chase_id = str(_chase(stack)["chaseId"])
    done = stack.pms("drain")
    assert done.returncode == exits.OK, done.stderr
    assert chase_id in done.stdout
    assert "NOT_READY" in stack.pms("chase", "BTCUSDT", "BUY", "0.010").stderr
    stack.pms("cancel", chase_id)
    assert stack.ended_with() == exits.OK


COMMANDS = (
    ("algos",),
    ("orders",),
    ("tail",),
    ("recover",),
    ("cancel", "cabc"),
    ("halt",),
    ("chase", "BTCUSDT", "BUY", "1"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_password_that_is_wrong_or_missing_is_told_in_a_sentence(up: Up, words: tuple[str, ...]) -> None:
    host = up.told["redis"]["address"]
    for address, said in (
        (f"redis://:not-the-one@{host}", "does not take this user and password"),
        (f"redis://{host}", "wants a password"),
        (f"http://:not-the-one@{host}", "is no Redis address"),
    ):
        done = up.pms(*words, PMS_REDIS_URL=address)
        assert done.returncode == (exits.CONFIG if address.startswith("http") else exits.UNAVAILABLE), done.stderr
        assert said in done.stderr
        assert "PMS_REDIS_URL" in done.stderr
        assert "Traceback" not in done.stderr
        assert "not-the-one" not in done.stderr
        assert done.stdout == ""
