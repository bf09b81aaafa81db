"""Commands as they come through a door: what is taken, what is refused with which code and path, what is made of it."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec, commands, replies
from schemas.chase import ChaseParams
from schemas.commands import decode_command
from schemas.commands_algos import Chase
from schemas.door import Visit, read
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Part
from schemas.market import PositionSide, Side

CHASE = {"requestId": "r-1", "subAccountId": "main", "symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01}
TWAP = {"subAccountId": "main", "symbol": "BTCUSDT", "side": "SELL", "sizeUsdt": 1000}
STOP = {"subAccountId": "main", "symbol": "BTCUSDT", "positionSide": "LONG"}
SCALPER = {"subAccountId": "main", "symbol": "BTCUSDT", "longSizeUsd": 500}
LEG = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 1}

# One lawful body of every command: type -> body
LAWFUL = {
    "trade": CHASE,
    "limit": CHASE | {"price": 60000.1, "timeInForce": "GTX"},
    "scale": {k: CHASE[k] for k in ("subAccountId", "symbol", "side")} | {"levels": [{"price": 1, "quantity": 2}]},
    "amend": {"clientOrderId": "c", "price": 1},
    "stop": STOP | {"triggerPrice": 50000},
    "take_profit": {"positionId": "main:BTCUSDT:3", "triggerPrice": 70000, "workingType": "CONTRACT_PRICE"},
    "close": {"subAccountId": "main", "symbol": "BTCUSDT", "side": "SELL"},
    "close_all": {"subAccountId": "main"},
    "cancel": {"clientOrderId": "pms-0001-0000000001-000001-000-000-0"},
    "cancel_all": {"subAccountId": "main", "symbol": "BTCUSDT", "includeProtection": True},
    "twap_basket": {"subAccountId": "main", "basketName": "b", "legs": [LEG], "lots": 3, "durationMinutes": 1.5},
    "basket": {"subAccountId": "main", "items": [LEG, LEG | {"side": "short"}]},
    "chase": CHASE,
    "twap": TWAP,
    "trail_stop": STOP | {"trailPct": 1.5, "activationPrice": 60000},
    "scalper": SCALPER,
    "chase_cancel": {"chaseId": "a"},
    "twap_cancel": {"twapId": "a"},
    "twap_basket_cancel": {"twapBasketId": "a"},
    "trail_stop_cancel": {"trailStopId": "a"},
    "scalper_cancel": {"scalperId": "a", "closePositions": True},
    "chase_amend": {"chaseId": "a", "quantity": "2.5"},
    "twap_pause": {"twapId": "a"},
    "twap_resume": {"twapId": "a"},
    "algo_pause": {"chaseId": "a"},
    "algo_resume": {"algoId": "a"},
    "algo_start": {"subAccountId": "main", "algo": "mine", "params": {"deep": [1, {"x": "y"}]}},
    "algo_cancel": {"algoId": "a"},
    "validate": {
        "subAccountId": "main",
        "command": {"type": "chase", "symbol": "BTCUSDT", "side": "BUY", "quantity": 1},
    },
    "subaccount_put": {"id": "alpha", "name": "Alpha", "initialBalance": 1000},
    "limits_put": {"subAccountId": "main", "limits": {"maxLeverage": 5, "maxPosition": "1000.5"}},
    "freeze": {"subAccountId": "main"},
    "unfreeze": {"subAccountId": "main"},
    "halt": {},
    "resume": {"scope": "symbol", "symbol": "BTCUSDT"},
    "admin_close": {"positionId": "p"},
    "position_assign": {"symbol": "BTCUSDT", "quantity": 1, "from": "external", "to": "main", "price": 60000},
    "drift_accept": {"symbol": "BTCUSDT"},
}

C, V, M, U = ErrorCode, ErrorCode.INVALID_FIELD, ErrorCode.MISSING_FIELD, ErrorCode.UNKNOWN_FIELD
# What is changed in a lawful body, and the answer: type, changes (None takes a field away), code, path
REFUSED = [
    ("chase", {"quantity": 0}, V, "quantity"),
    ("chase", {"quantity": -0.01}, V, "quantity"),
    ("chase", {"quantity": "-1"}, V, "quantity"),
    ("chase", {"quantity": "NaN"}, V, "quantity"),
    ("chase", {"quantity": "Infinity"}, V, "quantity"),
    ("chase", {"quantity": "1e5"}, V, "quantity"),
    ("chase", {"quantity": "1_000"}, V, "quantity"),
    ("chase", {"quantity": " 1"}, V, "quantity"),
    ("chase", {"quantity": "1 "}, V, "quantity"),
    ("chase", {"quantity": "1\n"}, V, "quantity"),
    ("chase", {"quantity": "+1"}, V, "quantity"),
    ("chase", {"quantity": ".5"}, V, "quantity"),
    ("chase", {"quantity": "0x10"}, V, "quantity"),
    ("chase", {"quantity": "\u0661"}, V, "quantity"),
    ("chase", {"quantity": "1" * 29}, V, "quantity"),
    ("chase", {"quantity": "0.0000000000000000001"}, V, "quantity"),
    ("chase", {"quantity": "9" * 100}, V, "quantity"),
    ("chase", {"quantity": True}, V, "quantity"),
    ("chase", {"quantity": [1]}, V, "quantity"),
    ("chase", {"quantity": None}, M, "quantity"),
    ("chase", {"sizeUsdt": 100}, V, "sizeUsdt"),
    ("chase", {"symbol": None}, M, "symbol"),
    ("chase", {"symbol": "BTC USDT"}, V, "symbol"),
    ("chase", {"symbol": 7}, V, "symbol"),
    ("chase", {"symbol": "../pms:mode"}, V, "symbol"),
    ("chase", {"side": "HOLD"}, V, "side"),
    ("chase", {"side": 1}, V, "side"),
    ("chase", {"leverage": 0}, V, "leverage"),
    ("chase", {"leverage": 126}, V, "leverage"),
    ("chase", {"leverage": 5.0}, V, "leverage"),
    ("chase", {"leverage": "5"}, V, "leverage"),
    ("chase", {"leverage": True}, V, "leverage"),
    ("chase", {"reduceOnly": "false"}, V, "reduceOnly"),
    ("chase", {"reduceOnly": 0}, V, "reduceOnly"),
    ("chase", {"stalkMode": "Trail"}, V, "stalkMode"),
    ("chase", {"stalkMode": ["trail"]}, V, "stalkMode"),
    ("chase", {"stalkOffsetPct": 10.1}, V, "stalkOffsetPct"),
    ("chase", {"stalkOffsetPct": -0.1}, V, "stalkOffsetPct"),
    ("chase", {"stalkOffsetTicks": -1}, V, "stalkOffsetTicks"),
    ("chase", {"aggressive": True, "stalkOffsetTicks": 1}, V, "aggressive"),
    ("chase", {"aggressive": True, "stalkOffsetPct": 0.1}, V, "aggressive"),
    ("chase", {"onLimit": "panic"}, V, "onLimit"),
    ("chase", {"repriceMinTicks": 0}, V, "repriceMinTicks"),
    ("chase", {"requestId": "a b"}, V, "requestId"),
    ("chase", {"requestId": "x" * 65}, V, "requestId"),
    ("chase", {"requestId": ""}, V, "requestId"),
    ("chase", {"issuedAt": 1.5}, V, "issuedAt"),
    ("chase", {"issuedAt": "1700000000000"}, V, "issuedAt"),
    ("chase", {"issuedAt": -1}, V, "issuedAt"),
    ("chase", {"subAccountId": "a:b"}, V, "subAccountId"),
    ("chase", {"subAccountId": "external"}, C.NOT_ALLOWED, "subAccountId"),
    ("chase", {"subAccountId": None}, M, "subAccountId"),
    ("chase", {"display": "x"}, U, "display"),
    ("chase", {"type": "trade"}, V, "type"),
    ("chase_amend", {"quantity": None}, M, "quantity"),
    ("amend", {"price": None}, M, "price"),
    ("limit", {"price": 0}, V, "price"),
    ("limit", {"timeInForce": "DAY"}, V, "timeInForce"),
    ("scale", {"levels": []}, V, "levels"),
    ("scale", {"levels": [LEG] * 181}, V, "levels"),
    ("scale", {"levels": {"price": 1}}, V, "levels"),
    ("scale", {"levels": [{"price": 1, "quantity": 0}]}, V, "levels[0].quantity"),
    ("scale", {"levels": [{"price": 1, "quantity": 1}, {"price": 1}]}, M, "levels[1].quantity"),
    ("scale", {"levels": [{"price": 1, "quantity": 1, "x": 1}]}, U, "levels[0].x"),
    ("scale", {"levels": ["x"]}, V, "levels[0]"),
    ("basket", {"legs": [LEG]}, V, "items"),
    ("basket", {"items": [LEG | {"sizeUsdt": 5}]}, V, "legs[0].sizeUsdt"),
    ("twap", {"durationMinutes": 5, "intervalSeconds": 5}, V, "intervalSeconds"),
    ("twap", {"totalSize": 5}, V, "totalSize"),
    ("twap", {"jitter": "yes"}, V, "jitter"),
    ("twap", {"jitter": True, "jitterPct": 5}, V, "jitter"),
    ("twap", {"jitterPct": 51}, V, "jitterPct"),
    ("twap", {"numLots": 0}, V, "lots"),
    ("trail_stop", {"trailPct": 0.04}, V, "callbackPct"),
    ("trail_stop", {"trailPct": 50.1}, V, "callbackPct"),
    ("trail_stop", {"callbackTicks": 5}, V, "callbackTicks"),
    ("trail_stop", {"positionSide": None}, M, "positionSide"),
    ("trail_stop", {"positionId": "p"}, V, "symbol"),
    ("close", {"side": None}, M, "side"),
    ("take_profit", {"symbol": "BTCUSDT"}, V, "symbol"),
    ("take_profit", {"positionId": None, "symbol": "BTCUSDT"}, M, "positionSide"),
    ("stop", {"positionSide": None}, M, "positionSide"),
    ("scalper", {"childCount": 11}, V, "childCount"),
    ("scalper", {"skew": -101}, V, "skew"),
    ("halt", {"scope": "symbol"}, M, "symbol"),
    ("halt", {"symbol": "BTCUSDT"}, V, "symbol"),
    ("halt", {"scope": "subAccountId"}, M, "subAccountId"),
    ("resume", {"scope": None}, M, "scope"),
    ("validate", {"command": None}, M, "command"),
    ("validate", {"command": "chase"}, V, "command"),
    ("validate", {"command": {"type": "halt"}}, V, "command.type"),
    ("validate", {"command": {"type": 5}}, V, "command.type"),
    ("validate", {"command": {"type": "chase", "symbol": "B", "side": "BUY"}}, M, "command.quantity"),
    ("limits_put", {"limits": {"maxBeers": 1}}, U, "limits.maxBeers"),
    ("subaccount_put", {"name": "a\u202eb"}, V, "name"),
    ("subaccount_put", {"name": "a" * 65}, V, "name"),
    ("subaccount_put", {"name": 5}, V, "name"),
    ("algo_start", {"params": [1]}, V, "params"),
    ("validate", {"command": None, "symbol": "B", "side": "BUY"}, M, "command.quantity"),
    ("sell_everything", {}, C.UNKNOWN_COMMAND, None),
]


def body(command_type: str, changes: dict) -> bytes:
    merged = LAWFUL.get(command_type, {}) | changes
    return json.dumps({name: value for name, value in merged.items() if value is not None or name == "x"}).encode()


def test_every_command_has_a_lawful_body_here() -> None:
    assert set(LAWFUL) == set(commands.COMMANDS)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("command_type", LAWFUL)
def test_a_lawful_command_is_taken_at_both_doors(command_type, strict) -> None:
    decoded = decode_command(command_type, body(command_type, {}), strict)
    assert decoded.command.type == command_type
    assert decoded.ignored == ()


@pytest.mark.parametrize("command_type", LAWFUL)
def test_a_command_written_by_us_is_read_back_equal(command_type) -> None:
    command = decode_command(command_type, body(command_type, {}), strict=True).command
    written = codec.encode(command)[:-1] + b',"subAccountId":"main"}'
    assert decode_command(command_type, written, strict=True).command == command


@pytest.mark.parametrize("command_type, changes, code, path", REFUSED)
def test_bad_input_is_refused_with_its_code_and_path(command_type, changes, code, path) -> None:
    with pytest.raises(Invalid) as caught:
        decode_command(command_type, body(command_type, changes), strict=True)
    assert (caught.value.code, caught.value.details.get("path")) == (code, path)
    assert caught.value.message.endswith(".")
    assert caught.value.message.isascii()


@pytest.mark.parametrize("command_type, changes, code, path", [row for row in REFUSED if row[2] is not U])
def test_known_fields_are_strict_at_the_list_door_too(command_type, changes, code, path) -> None:
    with pytest.raises(Invalid) as caught:
        decode_command(command_type, body(command_type, changes), strict=False)
    assert (caught.value.code, caught.value.details.get("path")) == (code, path)


@pytest.mark.parametrize("command_type", ["stop", "trail_stop", "close"])
def test_a_position_id_alone_names_the_position_and_its_owner(command_type) -> None:
    changes = {"positionId": "p-1", "symbol": None, "positionSide": None, "side": None, "subAccountId": None}
    command = decode_command(command_type, body(command_type, changes), strict=True).command
    assert command.position_id == "p-1"


def test_a_type_that_no_reader_knows_is_our_own_mistake() -> None:
    class Odd(Part, frozen=True, kw_only=True):
        blob: bytes

    with pytest.raises(TypeError, match="no field of a command"):
        read(Odd, {}, Visit(True))


def test_the_list_door_ignores_unknown_fields_and_names_their_paths() -> None:
    told = CHASE | {"label": "x", "colour": 0.1 + 0.2, "\u00e9\ud800": {"deep": 1}, "type": "chase"}
    decoded = decode_command("chase", json.dumps(told).encode(), strict=False)
    assert decoded.ignored == ("label", "colour", "'\\xe9\\ud800'")
    nested = {"subAccountId": "main", "legs": [LEG | {"hint": 1}]}
    assert decode_command("basket", json.dumps(nested).encode(), strict=False).ignored == ("legs[0].hint",)


def test_the_answer_names_no_more_ignored_fields_than_a_person_reads() -> None:
    told = CHASE | {f"f{number}": 1 for number in range(500)}
    assert len(decode_command("chase", json.dumps(told).encode(), strict=False).ignored) == 100


def test_a_refusal_carries_what_could_be_read_of_request_and_account() -> None:
    with pytest.raises(Invalid) as caught:
        decode_command("chase", body("chase", {"quantity": 0}), strict=True)
    assert (caught.value.request_id, caught.value.sub_account_id) == ("r-1", "main")
    with pytest.raises(Invalid) as caught:
        decode_command("chase", body("chase", {"requestId": "no good", "subAccountId": 5}), strict=True)
    assert (caught.value.request_id, caught.value.sub_account_id) == ("", "")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"quantity":NaN}',
        b'{"quantity":-Infinity}',
        b'{"quantity":01}',
        b'{"quantity":1e99999999999999999999999}',
        b'{"quantity":' + b"1" * 5000 + b"}",
        b'{"quantity":1,"quantity":2}',
        b'{"x":{"y":1,"y":1}}',
        b'{"x":' + b"[" * 20 + b"]" * 20 + b"}",
        b'{"x":' + b'{"x":' * 20 + b"1" + b"}" * 21,
        b"[" * 60_000,
        b'{"x":"' + b"a" * 70_000 + b'"}',
    ],
    ids=lambda text: text[:24].decode(errors="replace"),
)
def test_what_is_no_lawful_json_object_is_malformed(text) -> None:
    with pytest.raises(Invalid) as caught:
        decode_command("chase", text, strict=False)
    assert caught.value.code is ErrorCode.MALFORMED


@pytest.mark.parametrize(
    "text, number",
    [
        ("1e-3", "0.001"),
        ("1E+2", "100"),
        ("2.50e1", "25.0"),
        ("0.1", "0.1"),
        ('"0.10"', "0.10"),
        ("1e18", "1" + "0" * 18),
    ],
)
def test_a_number_is_read_exactly_and_kept_in_plain_digits(text, number) -> None:
    raw = json.dumps(CHASE | {"quantity": "?"}).replace('"?"', text).encode()
    assert str(decode_command("chase", raw, strict=True).command.quantity) == number


@pytest.mark.parametrize("text", ["1e19", "1e-19", "0." + "1" * 19])
def test_an_exponent_beyond_the_bound_is_refused_as_a_number_too(text) -> None:
    raw = json.dumps(CHASE | {"quantity": "?"}).replace('"?"', text).encode()
    with pytest.raises(Invalid) as caught:
        decode_command("chase", raw, strict=True)
    assert caught.value.code is ErrorCode.INVALID_FIELD


@given(st.decimals(min_value=Decimal("1e-18"), max_value=Decimal(9999999999), places=18))
def test_number_and_plain_text_mean_the_same(number) -> None:
    text = format(number, "f")
    for wire in (text, f'"{text}"'):
        raw = json.dumps(CHASE | {"quantity": "?"}).replace('"?"', wire).encode()
        assert decode_command("chase", raw, strict=True).command.quantity == number


@pytest.mark.parametrize("before, after", [(b" ", b""), (b"", b"\r\n"), (b"\n\t", b" ")])
def test_white_space_around_a_body_and_an_id_of_digits_only_mean_nothing(before, after) -> None:
    lawful = body("chase", {"requestId": "0" * 64})
    spaced = decode_command("chase", before + lawful + after, strict=True)
    assert spaced == decode_command("chase", lawful, strict=True)
    assert spaced.envelope.request_id == "0" * 64


@pytest.mark.parametrize("word, side", [("buy", "BUY"), ("Long", "BUY"), ("SELL", "SELL"), ("short", "SELL")])
def test_a_side_is_taken_in_any_case_and_as_a_direction(word, side) -> None:
    assert decode_command("chase", body("chase", {"side": word}), strict=True).command.side is Side(side)
    started = decode_command("scalper", body("scalper", {"startSide": word}), strict=True).command.start_side
    assert started is (PositionSide.LONG if side == "BUY" else PositionSide.SHORT)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "btcusdt", "BTC/USDT", "BTC/USDT:USDT"])
def test_a_symbol_is_normalised_at_the_door(symbol) -> None:
    assert decode_command("chase", body("chase", {"symbol": symbol}), strict=True).command.symbol == "BTCUSDT"


def test_aliases_become_todays_names() -> None:
    sent = {"subAccountId": "main", "symbol": "B", "side": "BUY", "totalSize": 100, "numLots": 4, "jitter": True}
    twap = decode_command("twap", json.dumps(sent).encode(), strict=True).command
    assert (twap.size_usdt, twap.lots, twap.jitter_pct) == (100, 4, 30)
    still = decode_command("twap", json.dumps(sent | {"jitter": False}).encode(), strict=True).command
    assert still.jitter_pct == 0
    stop = decode_command("trail_stop", body("trail_stop", {}), strict=True).command
    assert stop.callback_pct == Decimal("1.5")


def test_null_means_not_given_where_nothing_is_the_default() -> None:
    raw = json.dumps(CHASE | {"stopLoss": None, "sizeUsdt": None}).encode()
    assert decode_command("chase", raw, strict=True).command.stop_loss is None
    with pytest.raises(Invalid):
        decode_command("chase", json.dumps(CHASE | {"leverage": None}).encode(), strict=True)


def test_a_bare_validate_means_a_trade() -> None:
    sent = {"subAccountId": "main", "symbol": "btcusdt", "side": "BUY", "quantity": 1, "leverage": 3}
    command = decode_command("validate", json.dumps(sent).encode(), strict=True).command.command
    assert (command.type, command.symbol, command.leverage) == ("trade", "BTCUSDT", 3)
    with pytest.raises(Invalid) as caught:
        decode_command("validate", json.dumps(sent | {"colour": 1}).encode(), strict=True)
    assert caught.value.code is ErrorCode.UNKNOWN_FIELD


def test_a_chase_has_exactly_the_algos_parameters() -> None:
    own = set(Chase.__struct_fields__)
    assert set(ChaseParams.__struct_fields__) - own == {"limit_price"}, "asked by parents only"
    assert own - set(ChaseParams.__struct_fields__) == {"size_usdt", "stop_loss", "take_profit"}
    for field in ChaseParams.__struct_fields__:
        default = dict(zip(ChaseParams.__struct_fields__[::-1], ChaseParams.__struct_defaults__[::-1], strict=False))
        if field in default and field not in ("on_stop", "limit_price"):
            command = decode_command("chase", body("chase", {}), strict=True).command
            assert getattr(command, field) == default[field], field


@pytest.mark.parametrize(
    "changes, on_stop",
    [({}, "cancel"), ({"reduceOnly": True}, "leave"), ({"reduceOnly": True, "onStop": "cancel"}, "cancel")],
)
def test_a_reduce_only_chase_stays_at_a_stop_unless_told_otherwise(changes, on_stop) -> None:
    command = decode_command("chase", body("chase", changes), strict=True).command
    params = command.params(Decimal("0.02"))
    assert (params.on_stop, params.quantity, params.symbol) == (on_stop, Decimal("0.02"), "BTCUSDT")


def test_the_envelope_is_read_apart_from_the_command() -> None:
    sent = CHASE | {"issuedAt": 5, "maxAgeMs": 7, "keyId": "k", "timestamp": 6, "nonce": "n", "signature": "s"}
    envelope = decode_command("chase", json.dumps(sent).encode(), strict=True).envelope
    assert (envelope.request_id, envelope.sub_account_id, envelope.issued_at, envelope.max_age_ms) == (
        "r-1",
        "main",
        5,
        7,
    )
    assert (envelope.key_id, envelope.timestamp, envelope.nonce, envelope.signature) == ("k", 6, "n", "s")
    assert decode_command("halt", b"{}", strict=True).envelope.max_age_ms == 30_000


def test_the_sets_of_types_name_commands_only() -> None:
    for words in (commands.PRIVILEGED, commands.REDUCING, commands.SUPERSEDING, set(replies.REPLIES)):
        assert words <= set(commands.COMMANDS)
    assert commands.SUPERSEDING <= commands.REDUCING


def test_a_command_without_an_answer_of_its_own_is_answered_success() -> None:
    assert replies.reply_of("freeze") is replies.Success
    assert replies.reply_of("chase") is replies.ChaseReply


def test_every_command_of_the_contract_exists_and_no_other(shared) -> None:
    text = (shared / "contract.md").read_text()
    table = text.split("| type | body (besides requestId, subAccountId) | answer |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
    assert {word for row in rows for word in re.findall(r"`(\w+)`", row)} == set(commands.COMMANDS)
    privileged = re.search(r"Privileged types \((.*?)\)", text, re.DOTALL)[1]
    assert set(re.findall(r"\w+", privileged)) == commands.PRIVILEGED


def test_the_chases_defaults_are_those_of_the_table(shared) -> None:
    text = (shared / "algos.md").read_text().split("## chase")[1].split("## twap")[0]
    names = {name for row in re.findall(r"^\| (\w[^|]*) \|", text, re.MULTILINE) for name in re.findall(r"\w+", row)}
    names -= {"parameter", "or", "0", "10"}
    told = {re.sub(r"_(\w)", lambda found: found[1].upper(), name) for name in Chase.__struct_fields__}
    assert len(names) > 15
    assert names <= told
