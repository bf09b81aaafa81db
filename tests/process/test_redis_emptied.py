"""A real Redis emptied under a living daemon, which keeps its connections: all that stands is written anew, and
numbering jumps (execution.md 20; contract.md, events out)."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path

import pytest

from tests.process import stack
from tests.process.stack import KEYS, SYMBOL, Stack
from tests.waiting import until


@pytest.mark.faults
def test_an_emptied_redis_is_written_anew_by_the_daemon_that_lives(tmp_path: Path) -> None:
    with stack.running(tmp_path, "--profile", "still", "--symbols", SYMBOL) as still:
        living = still.daemon()
        living.opened()
        reply = still.chase("0.010", stalkMode="none")
        still.venue.hit(still.resting(), "0.004")
        still.until_state(reply, filledQuantity=Decimal("0.004"))
        before = still.last_seq()
        still.redis.flushall()
        _is_there_again(still, before)
        until(lambda: still.redis.exists(KEYS.algo("chase", reply["chaseId"])), 10, "the record is back")
        still.until_state(reply, status="active", filledQuantity=Decimal("0.004"))
        assert living.process.poll() is None
        (order,) = still.venue.open_orders()
        assert still.read(KEYS.order(order["clientOrderId"]))["filledQty"] == Decimal("0.004")
        assert still.redis.hexists(KEYS.position("main"), SYMBOL)
        assert still.redis.hexists(KEYS.open_orders("main"), order["clientOrderId"])
        for push in (_by_list, _by_stream):
            push(still, push.__name__)
            until(lambda push=push: still.redis.exists(KEYS.result(push.__name__)), 10, "both doors are open")
            assert still.read(KEYS.result(push.__name__))["errorCode"] == "ORDER_NOT_FOUND"
        still.venue.hit(order, "0.006")
        still.until_state(reply, status="filled", filledQuantity=Decimal("0.010"))
        assert len(still.venue.orders()) == 1
        assert still.venue.filled() == Decimal("0.010")


def _by_list(still: Stack, request: str) -> None:
    still.redis.lpush(KEYS.command_list("cancel"), _cancel(request))


def _by_stream(still: Stack, request: str) -> None:
    still.redis.xadd(KEYS.commands, {"type": "cancel", "body": _cancel(request)})


def _cancel(request: str) -> str:
    body = {"requestId": request, "subAccountId": "main", "clientOrderId": "none"}
    return json.dumps(body | {"issuedAt": time.time_ns() // 1_000_000})


def _is_there_again(still: Stack, before: int) -> None:
    until(lambda: still.redis.exists(KEYS.lease, KEYS.epoch, KEYS.seq) == 3, 10, "lease, epoch and counter are back")
    until(lambda: still.redis.xlen(KEYS.event_stream) > 0, 10, "events are told again")
    told = [event for event in still.events() if event["type"] == "seq_jump"]
    assert [event["seq"] > before for event in told] == [True]
