"""The rows that a whole run of the daemon makes agree with the state that it kept (pms/records/rows.py)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import msgspec
import pytest

from pms.records import rows, rows_market
from pms.records.columns import instant
from pms.records.draft import Draft
from pms.records.tables import (
    AlgoRun,
    ArrivalDepth,
    Command,
    Event,
    Fill,
    Funding,
    MarketSecond,
    Order,
    Position,
    PositionChange,
    RiskRejection,
    SubAccount,
)
from schemas import books, codec, orders
from tests.world import diary
from tests.world.diary import Diary

D = Decimal


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Diary:
    return diary.write(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def made(lived: Diary) -> Draft:
    """Every row of it, made event by event."""
    draft = Draft()
    for body in lived.events:
        rows.apply(draft, rows.read(body))
    for body in lived.market:
        rows_market.apply(draft, body)
    return draft


def test_every_event_is_in_the_log_whole_and_readable(lived: Diary, made: Draft) -> None:
    log = made.added[Event]
    assert [row["payload"].encode() for row in log.values()] == lived.events
    assert len(log) > 60
    assert all(rows.read(body).event is not None for body in lived.events)


def test_an_orders_row_is_its_record(lived: Diary, made: Draft) -> None:
    told = made.changed[Order]
    kept = [codec.decode_record(orders.Order, body)[0] for body in lived.orders]
    assert {(order.client_order_id,) for order in kept} == set(told)
    same = ("state", "filled_qty", "avg_fill_price", "commission", "price", "quantity", "origin", "root_id")
    for order in kept:
        row = told[(order.client_order_id,)]
        assert {name: row[name] for name in same} == {name: getattr(order, name) for name in same}
        assert (row["ended_at"] is not None) == order.state.terminal


def test_fills_add_up_to_the_orders_and_each_has_its_own_commission(made: Draft) -> None:
    sums: Counter[str] = Counter()
    for fill in made.added[Fill].values():
        sums[f"{fill['client_order_id']} quantity"] += fill["quantity"]
        sums[f"{fill['client_order_id']} commission"] += fill["commission"]
    for (client_id,), order in made.changed[Order].items():
        assert sums[f"{client_id} quantity"] == order["filled_qty"]
        assert sums[f"{client_id} commission"] == order["commission"]
    assert len({row["client_order_id"] for row in made.added[Fill].values()}) < len(made.added[Fill])


def test_positions_are_the_books_and_every_change_is_kept(lived: Diary, made: Draft) -> None:
    told = made.changed[Position]
    for body in lived.positions:
        position = codec.decode_record(books.Position, body)[0]
        row = told[(position.position_id,)]
        assert row["quantity"] == position.quantity
        assert row["realized_pnl"] == position.realized_pnl
        assert (row["closed_at"] is not None) == (position.quantity == 0)
    changes = made.added[PositionChange].values()
    assert {row["type"] for row in changes} == {"position_updated", "position_reduced", "position_closed"}


def test_a_funding_has_a_row_for_each_that_held_something_as_the_position_of_that_time(made: Draft) -> None:
    rows = {row["sub_account_id"]: row for row in made.added.get(Funding, {}).values()}
    assert set(rows) == {"main", "desk-2"}
    assert {row["due_at"] for row in rows.values()} == {instant(diary.BEGINS_MS + 15_000)}
    main = rows["main"]  # its position is closed when it is paid
    assert (main["position_id"], main["quantity"]) == ("main:BTCUSDT:1", D("0.007"))
    assert main["amount"] == -main["quantity"] * main["mark_price"] * main["rate"] != 0
    assert made.changed[Position][(main["position_id"],)]["closed_at"] < main["ts"]


def test_a_run_of_an_algo_is_one_row_with_its_command_and_its_end(made: Draft) -> None:
    first, last = made.changed[AlgoRun].values()
    assert (first["kind"], first["status"], first["filled_quantity"]) == ("chase", "filled", D("0.010"))
    assert first["request_id"]
    assert first["started_at"] < first["ended_at"]
    assert (last["status"], last["filled_quantity"], last["side"]) == ("cancelled", D("0"), "BUY")


def test_commands_refusals_and_sub_accounts_have_their_rows(made: Draft) -> None:
    commands = {row["command_type"]: row for row in made.added[Command].values()}
    assert commands["nonsense"]["error_code"] == "UNKNOWN_COMMAND"
    assert commands["amend"]["success"] is True
    assert msgspec.json.decode(commands["trade"]["reply"])["clientOrderId"]
    for refusal in made.added[RiskRejection].values():
        assert (refusal["reason_code"], refusal["limit_value"]) == ("MAX_ORDER_NOTIONAL", D("100"))
    assert [row["side"] for row in made.added[RiskRejection].values()] == ["BUY", "SELL"]
    second = made.changed[SubAccount][("desk-2",)]
    assert (second["name"], second["initial_balance"]) == ("Second desk", D("5000.5"))
    assert second["balance"] is not None
    main = made.changed[SubAccount][("main",)]
    assert msgspec.json.decode(main["limits"])["maxOpenOrders"] == 1000


def test_the_market_is_kept_by_the_second_and_the_book_at_each_arrival(made: Draft) -> None:
    seconds = made.added[MarketSecond].values()
    assert {row["symbol"] for row in seconds} == {"BTCUSDT"}
    assert len({row["ts"] for row in seconds}) == len(seconds) > 5
    books_met = made.added[ArrivalDepth]
    assert {algo for (algo,) in made.changed[AlgoRun]} <= {parent for parent, *_ in books_met}
    bid, ask = (msgspec.json.decode(next(iter(books_met.values()))[side])[0] for side in ("bids", "asks"))
    assert bid[0] < ask[0]
