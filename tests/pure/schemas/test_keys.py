"""Every name of contract.md, under any namespace."""

from __future__ import annotations

import re

import pytest

from schemas.keys import Keys, ListDoor

KEYS = Keys()
ALL = {
    "commands": KEYS.commands,
    "admin": KEYS.admin,
    "cmd:chase": KEYS.command_list("chase"),
    "cmd:admin:resume": KEYS.command_list("resume", admin=True),
    "cmd:*": KEYS.command_lists,
    "cmd:dead": KEYS.dead,
    "request:main:r-1": KEYS.request("main", "r-1"),
    "result:r-1": KEYS.result("r-1"),
    "nonce:k:n": KEYS.nonce("k", "n"),
    "chase:1": KEYS.algo("chase", "1"),
    "twap:1": KEYS.algo("twap", "1"),
    "trailstop:1": KEYS.algo("trail_stop", "1"),
    "scalper:1": KEYS.algo("scalper", "1"),
    "twap_basket:1": KEYS.algo("twap_basket", "1"),
    "chase:*": KEYS.algos("chase"),
    "algo:mine:1": KEYS.plugin("mine", "1"),
    "active_chase:main": KEYS.active("chase", "main"),
    "active_twap:main": KEYS.active("twap", "main"),
    "active_trail_stop:main": KEYS.active("trail_stop", "main"),
    "active_scalper:main": KEYS.active("scalper", "main"),
    "active_twap_basket:main": KEYS.active("twap_basket", "main"),
    "active_algo:main": KEYS.active_plugins("main"),
    "open_orders:main": KEYS.open_orders("main"),
    "order:c": KEYS.order("c"),
    "position:main": KEYS.position("main"),
    "risk:main": KEYS.risk("main"),
    "subaccount:main": KEYS.subaccount("main"),
    "price:BTCUSDT": KEYS.price("BTCUSDT"),
    "price:*": KEYS.prices,
    "mode": KEYS.mode,
    "watermark": KEYS.watermark,
    "lease": KEYS.lease,
    "epoch": KEYS.epoch,
    "seq": KEYS.seq,
    "seq:acct": KEYS.seq_by_sub_account,
    "alarms": KEYS.alarms,
    "records": KEYS.records,
    "health": KEYS.health,
    "quarantine:pms:order:c": KEYS.quarantine(KEYS.order("c")),
    "recovery:last": KEYS.recovery_last,
    "stream:events": KEYS.event_stream,
    "stream:market": KEYS.market_stream,
    "events:order_filled": KEYS.event_channel("order_filled"),
    "events:*": KEYS.event_channels,
}


@pytest.mark.parametrize("name", ALL)
def test_a_name_is_spelled_as_in_the_contract(name) -> None:
    assert ALL[name] == f"pms:{name}"


def test_a_second_daemon_shares_no_name() -> None:
    other = Keys("two")
    assert other.order("c") == "two:order:c"
    assert other.event_channels == "two:events:*"


@pytest.mark.parametrize(
    "key, door",
    [
        ("pms:cmd:chase", ListDoor("chase", False)),
        ("pms:cmd:admin:resume", ListDoor("resume", True)),
        ("pms:cmd:admin", ListDoor("admin", False)),
        ("pms:cmd:no:such", ListDoor("no:such", False)),
        ("pms:cmd:dead", None),
        ("pms:commands", None),
        ("other:cmd:chase", None),
    ],
)
def test_a_command_list_is_told_apart(key, door) -> None:
    assert KEYS.list_door(key) == door


def test_the_contract_names_no_key_that_is_missing_here(shared) -> None:
    text = (shared / "contract.md").read_text()
    named = set(re.findall(r"`pms:([\w:*{}-]+)(?=[`\s])", text))
    missing = {name for name in named if not any(re.fullmatch(re.sub(r"{\w+}|\*", ".+", name), own) for own in ALL)}
    assert len(named) > 30
    assert not missing
