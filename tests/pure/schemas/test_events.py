"""Every event begins with its type, reads back equal and has the contract's fields."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec, events
from schemas.chase import AlgoStatus, ChaseParams, ChaseState
from schemas.errors import ErrorCode, Failure, Invalid
from schemas.events_algos import ChaseEvent
from schemas.events_orders import OrderEvent
from schemas.market import Instrument, Side
from schemas.orders import Order, OrderState, Origin
from tests.pure.schemas.strategies import structs

SPLICED = b'{"seq":7,"prevSeq":5,"epoch":3,'
ORDER = Order(
    client_order_id="c",
    sub_account_id="main",
    symbol="BTCUSDT",
    side=Side.BUY,
    order_type="LIMIT",
    time_in_force="GTX",
    quantity=Decimal("0.01"),
    price=Decimal("60000.1"),
    reduce_only=False,
    state=OrderState.ACTIVE,
    origin=Origin.CHASE,
    parent_id="a1",
    root_id="a1",
    created_at=1,
    updated_at=2,
    request_id="r-1",
)


@settings(max_examples=200)
@given(st.sampled_from(events.FAMILIES).flatmap(structs))
def test_an_event_begins_with_its_type_and_reads_back_equal_after_the_splice(event) -> None:
    body = codec.encode(event)
    assert body.startswith(b'{"type":"' + event.type.encode() + b'"')
    again, numbered = events.decode_event(SPLICED + body[1:])
    assert again == event
    assert (numbered.seq, numbered.prev_seq, numbered.epoch) == (7, 5, 3)
    assert (numbered.type, numbered.ts, numbered.sub_account_id) == (event.type, event.ts, event.sub_account_id)


def test_a_type_word_belongs_to_one_struct() -> None:
    words = [word for family in events.FAMILIES for word in events.types_of(family)]
    assert len(words) == len(set(words)) == len(events.EVENTS)


def test_an_unheard_of_event_is_malformed() -> None:
    with pytest.raises(Invalid) as caught:
        events.decode_event(SPLICED + b'"type":"order_lost","v":1,"ts":1,"subAccountId":"main"}')
    assert caught.value.code is ErrorCode.MALFORMED
    assert "order_lost" in caught.value.message


def test_an_orders_event_carries_the_order_and_its_request() -> None:
    event = OrderEvent.of("order_active", ORDER, ts=9)
    told = json.loads(codec.encode(event))
    assert told["clientOrderId"] == "c"
    assert told["requestId"] == "r-1"
    assert (told["ts"], told["updatedAt"], told["type"]) == (9, 2, "order_active")
    assert told["price"] == 60000.1


def test_a_chases_event_carries_its_state_and_how_it_stalks() -> None:
    instrument = Instrument(
        "BTCUSDT", *map(Decimal, ("0.1", "0.001", "0.001", "100", "5", "0.1", "1000000", "2", "0.5"))
    )
    params = ChaseParams(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal(1), stalk_mode="trail", stalk_offset_ticks=3)
    state = ChaseState(
        chase_id="a1",
        sub_account_id="alpha",
        tag="abcd",
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal(1),
        params=params,
        instrument=instrument,
        id_epoch=1,
        started_at=1,
        updated_at=1,
        request_id="r-2",
        status=AlgoStatus.ACTIVE,
        reprice_count=4,
    )
    event = ChaseEvent.of("chase_progress", state, ts=5)
    assert (event.sub_account_id, event.request_id, event.chase_id) == ("alpha", "r-2", "a1")
    assert (event.stalk_mode, event.stalk_offset_ticks, event.reprice_count) == ("trail", 3, 4)


def test_a_commands_result_joins_the_replys_own_fields() -> None:
    reply = codec.encode({"success": True, "chaseId": "a1", "currentOrderPrice": Decimal("1E-7")})
    body = events.command_result("chase", reply, ts=4, sub_account_id="main", request_id="r-1")
    assert body == (
        b'{"type":"command_result","v":1,"ts":4,"subAccountId":"main","requestId":"r-1","commandType":"chase",'
        b'"success":true,"chaseId":"a1","currentOrderPrice":0.0000001}'
    )


def test_a_refusals_result_reads_back_with_its_code() -> None:
    reply = codec.encode(Failure.of(ErrorCode.NOT_AVAILABLE, "later"))
    event, _ = events.decode_event(SPLICED + events.command_result("twap", reply, ts=4)[1:])
    assert (event.error_code, event.retryable, event.sub_account_id) == (ErrorCode.NOT_AVAILABLE, False, "system")


def _words(row: str) -> set[str]:
    """`a_started` `_progress` stand for a_started and a_progress."""
    found: set[str] = set()
    stem = ""
    for word in re.findall(r"`([a-z_]+)`", row):
        stem = stem if word.startswith("_") else word.rsplit("_", 1)[0]
        found.add(stem + word if word.startswith("_") else word)
    return found


def _rows(text: str) -> list[tuple[str, str]]:
    table = text.split("| types | fields |")[1].split("\n\n", maxsplit=1)[0]
    return re.findall(r"^\| (.*?) \| (.*) \|$", table, re.MULTILINE)


# What the contract's table does not name: without it nobody could tell how balances moved, and SQL had no `funding`.
BEYOND_THE_CONTRACT = {"funding_paid"}


def test_every_event_of_the_contract_exists_and_no_other_unless_named_here(shared) -> None:
    named = {word for types, _ in _rows((shared / "contract.md").read_text()) for word in _words(types)}
    baskets = {word.replace("twap_", "twap_basket_") for word in named if re.match("twap_(?!basket)", word)}
    named |= baskets
    assert len(named) > 50
    assert named - set(events.EVENTS) == set()
    assert {word for word in set(events.EVENTS) - named if not word.startswith("algo_")} == BEYOND_THE_CONTRACT


@pytest.mark.parametrize(
    "first", ["order_placed", "chase_started", "twap_started", "scalper_started", "position_reduced"]
)
def test_an_event_has_every_field_the_contract_lists(shared, first) -> None:
    rows = _rows((shared / "contract.md").read_text())
    fields = next(fields for types, fields in rows if first in _words(types))
    fields = re.sub(r"\(.*?\)|filled: .*|baskets: .*|the order: ", "", fields)
    names = {name.strip(" []") for name in re.split("[,;]", fields)} - {""}
    told = {field.encode_name for field in msgspec.inspect.type_info(events.EVENTS[first]).fields}
    assert len(names) >= 8
    assert names - told == set()
