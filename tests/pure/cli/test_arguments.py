"""What typed words become: a command's body, redis-cli's arguments, the simulator's."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from pms.cli import COMMANDS, console, serve, start
from schemas import codec
from schemas.commands import decode_command
from schemas.errors import Invalid


def _parsed(module: Any, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return parser.parse_args(words)


def _started(word: str, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    start.add_algo(parser, word)
    return parser.parse_args(words)


@pytest.mark.parametrize("word", start.ALGOS)
def test_every_parameter_of_an_algo_can_be_typed(word: str) -> None:
    algo = start.ALGOS[word]
    given = vars(_started(word, *("1" for _ in algo.words)))
    assert set(algo.command.__struct_fields__) <= set(given)


def test_flags_become_the_commands_own_fields_and_defaults_stay_the_daemons() -> None:
    words = "BTCUSDT SELL 0.5 --stalk-mode trail --stalk-offset-ticks 3 --no-post-only --max-distance-pct 0.5".split()
    body = start.body_of("chase", _started("chase", *words, "--sub-account", "a", "--request-id", "r"))
    assert body == {
        "requestId": "r",
        "subAccountId": "a",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.5",
        "stalkMode": "trail",
        "stalkOffsetTicks": 3,
        "postOnly": False,
        "maxDistancePct": "0.5",
    }


def test_legs_are_typed_in_a_row() -> None:
    words = ("pair", "BTCUSDT:BUY:0.5", "ETHUSDT:sell:100usdt:3", "--lots", "4")
    body = start.body_of("twap-basket", _started("twap-basket", *words))
    assert body["legs"] == [
        {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.5"},
        {"symbol": "ETHUSDT", "side": "sell", "sizeUsdt": "100", "leverage": 3},
    ]
    assert (body["basketName"], body["lots"]) == ("pair", 4)


def test_a_body_without_ids_gets_the_main_account_and_a_request_id_of_its_own() -> None:
    one, two = (start.body_of("chase", _started("chase", "BTCUSDT", "BUY", "1")) for _ in range(2))
    assert one["subAccountId"] == "main"
    assert one["requestId"] != two["requestId"]
    assert decode_command("chase", codec.encode(one), True).command.type == "chase"


@pytest.mark.parametrize(
    "word, words, path",
    [
        ("chase", ("BTCUSDT", "BUY", "1e5"), "quantity"),
        ("twap", ("BTCUSDT", "BUY"), "quantity"),
        ("twap-basket", ("pair", "BTCUSDT"), "legs"),
        ("trail-stop", (), "positionId"),
        ("scalper", ("BTCUSDT", "much"), "longSizeUsd"),
    ],
)
def test_what_the_daemon_would_refuse_by_form_is_refused_at_once(word, words, path) -> None:
    with pytest.raises(Invalid, match=path):
        start.body_of(word, _started(word, *words))


@pytest.mark.parametrize(
    "url, arguments, secrets",
    [
        ("redis://127.0.0.1:16379/0", ["-h", "127.0.0.1", "-p", "16379", "-n", "0"], {}),
        ("redis://:pa%40ss@h:1", ["-h", "h", "-p", "1"], {"REDISCLI_AUTH": "pa@ss"}),
        ("rediss://me:pw@h", ["-h", "h", "-p", "6379", "--tls", "--user", "me"], {"REDISCLI_AUTH": "pw"}),
        ("unix://:pw@/run/a%20b.sock", ["-s", "/run/a b.sock"], {"REDISCLI_AUTH": "pw"}),
    ],
)
def test_an_address_becomes_redis_clis_arguments_with_the_password_apart(url, arguments, secrets) -> None:
    assert console.connection(url) == (arguments, secrets)


def test_the_market_is_chosen_with_the_simulators_own_words(tmp_path) -> None:
    given = serve.market_arguments(_parsed(serve, "--replay", str(tmp_path / "a.gz"), "--speed", "2", "--seed", "3"))
    words = ["--speed", "2.0", "--profile", "busy", "--seed", "3", "--replay", str(tmp_path / "a.gz")]
    assert given == words
    spoilt = serve.fault_arguments(_parsed(serve, "--faults", str(tmp_path / "f.json"), "--control-port", "0"))
    assert spoilt[-4:] == ["--faults", str(tmp_path / "f.json"), "--control-port", "0"]


def test_every_command_of_the_issue_is_listed_with_its_purpose() -> None:
    wanted = (
        "up run sim demo chase twap twap-basket trail-stop stop take-profit scalper preview pause cancel halt".split()
    )
    wanted += "resume drain algos orders protection why tail recover plugins records rebuild report backup".split()
    wanted += "redis-cli bench test".split()
    assert list(COMMANDS) == wanted
    assert all(command.purpose for command in COMMANDS.values())
