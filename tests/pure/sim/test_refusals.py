"""Every refusal of order entry: one row each, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pms.sim.journal import MemoryJournal
from pms.sim.model import VenueError
from tests.pure.sim.rig import RULES, SYMBOL, D, Rig, usual

PLACING: dict[str, tuple[int, dict[str, Any]]] = {
    "an unknown symbol": (-1121, {"side": "BUY", "quantity": 1, "price": 1000, "symbol": "NOUSDT"}),
    "a price of zero": (-4001, {"side": "BUY", "quantity": 1, "price": "0.0", "type": "LIMIT"}),
    "a negative price": (-4001, {"side": "BUY", "quantity": 1, "price": -1}),
    "a price with too many decimals": (-1111, {"side": "BUY", "quantity": 1, "price": "999.999"}),
    "a price above the highest": (-4002, {"side": "SELL", "quantity": 1, "price": "100000.1"}),
    "a price below the lowest": (-4013, {"side": "BUY", "quantity": 10, "price": "9.9"}),
    "a price between ticks": (-4014, {"side": "BUY", "quantity": 1, "price": "999.95"}),
    "a buy above 105 % of the mark": (-4016, {"side": "BUY", "quantity": 1, "price": "1050.1"}),
    "a sell below 95 % of the mark": (-4024, {"side": "SELL", "quantity": 1, "price": "949.9"}),
    "a quantity of zero": (-4003, {"side": "BUY", "quantity": 0, "price": 1000}),
    "a quantity with too many decimals": (-1111, {"side": "BUY", "quantity": "1.0001", "price": 1000}),
    "a quantity above the most": (-4005, {"side": "BUY", "quantity": "1000.001", "price": 1000}),
    "a market quantity above the most": (-4005, {"side": "BUY", "quantity": "120.001"}),
    "a notional below the least": (-4164, {"side": "BUY", "quantity": "0.049", "price": 1000}),
    "a market notional below the least": (-4164, {"side": "BUY", "quantity": "0.049"}),
    "reduce-only without a position": (-2022, {"side": "SELL", "quantity": 1, "price": 1000, "reduce_only": True}),
    "more margin than there is": (-2019, {"side": "BUY", "quantity": 600, "price": 1000, "account": "poor"}),
    "a post-only that would take": (-5022, {"side": "BUY", "quantity": 1, "price": "1000.1", "time_in_force": "GTX"}),
    "a FOK without enough": (-5021, {"side": "BUY", "quantity": 11, "price": "1000.1", "time_in_force": "FOK"}),
    "a price match that does not exist": (-5037, {"side": "BUY", "quantity": 1, "price": 1, "price_match": "BEST"}),
    "a price match deeper than the book": (-5041, {"side": "BUY", "quantity": 1, "price": 1, "price_match": "QUEUE_5"}),
    "a price match of a market order": (-5038, {"side": "BUY", "quantity": 1, "price_match": "QUEUE"}),
}


@pytest.mark.parametrize("name", PLACING)
def test_placing_is_refused_and_leaves_nothing_behind(name: str) -> None:
    code, fields = PLACING[name]
    rig = usual()
    account = fields.get("account", "a")
    fields = {key: value for key, value in fields.items() if key != "account"}
    if account == "poor":
        rig.exchange.set_leverage("poor", SYMBOL, 1)
        rig.buy(500, 999.9, account="poor")
    rig.users.clear()
    rig.changes.clear()
    before = rig.exchange.account(account)
    count = len(rig.exchange.all_orders(account))
    with pytest.raises(VenueError) as refused:
        rig.exchange.place(account, rig.new(**fields))
    assert refused.value.code == code
    assert refused.value.message
    assert refused.value.status == 400
    assert (rig.users, rig.changes) == ([], [])
    assert rig.exchange.account(account) == before
    assert len(rig.exchange.all_orders(account)) == count


def test_the_step_and_the_least_are_checked_apart() -> None:
    rig = usual(step=D("0.01"), min_qty=D("0.1"))
    with pytest.raises(VenueError) as small:
        rig.buy("0.09", 1000)
    with pytest.raises(VenueError) as uneven:
        rig.buy("0.105", 1000)
    assert (small.value.code, uneven.value.code) == (-4004, -4023)


def test_the_percent_price_bounds_are_one_sided() -> None:
    rig = usual()
    far_bid, far_ask = rig.buy(1, 500), rig.sell(1, 2000)
    assert (far_bid.status, far_ask.status) == ("NEW", "NEW")
    at_bound = rig.buy(1, 1050, time_in_force="IOC")
    assert at_bound.status == "FILLED"


def test_a_market_order_is_refused_when_the_first_price_lies_outside_percent_price() -> None:
    rig = Rig()
    rig.book([(900, 1)], [(1100, 1)])
    rig.mark(1000)
    for side in (rig.buy, rig.sell):
        with pytest.raises(VenueError) as refused:
            side(1)
        assert refused.value.code == -4131


def test_a_client_id_is_unique_among_open_orders_only() -> None:
    rig = usual()
    first = rig.buy(1, 990, client_id="same")
    with pytest.raises(VenueError) as refused:
        rig.sell(1, 1010, client_id="same")
    assert refused.value.code == -4116
    assert rig.buy(1, 990, account="b", client_id="same").is_open
    rig.cancel(first)
    second = rig.buy(1, 991, client_id="same")
    assert rig.exchange.order("a", SYMBOL, client_id="same") is second
    assert rig.exchange.order("a", SYMBOL, order_id=first.order_id) is first


def test_open_orders_are_limited_per_symbol_and_market_orders_are_not() -> None:
    rig = usual()
    for _ in range(RULES.max_orders):
        rig.buy(1, 990)
    with pytest.raises(VenueError) as refused:
        rig.buy(1, 990)
    assert refused.value.code == -2025
    assert rig.buy(1).status == "FILLED"


def test_a_symbol_that_does_not_trade_takes_no_orders_and_no_amendments() -> None:
    journal = MemoryJournal()
    name = Rig(journal).buy(1, 990).order_id
    rig = Rig(journal, status="SETTLING")
    order = rig.exchange.order("a", SYMBOL, order_id=name)
    with pytest.raises(VenueError) as placing:
        rig.buy(1, 990)
    with pytest.raises(VenueError) as amending:
        rig.amend(order, 1, 991)
    assert (placing.value.code, amending.value.code) == (-4140, -5024)
    assert rig.cancel(order).status == "CANCELED"


def test_position_beyond_the_bracket_of_the_leverage_is_refused() -> None:
    rig = usual(max_qty=D(100_000))
    rig.exchange.set_leverage("a", SYMBOL, 50)
    with pytest.raises(VenueError) as refused:
        rig.buy(1_201, 1000)  # the bracket of 50x ends at 1 200 000
    assert refused.value.code == -2027


LOOKING: dict[str, tuple[int, Callable[[Rig], object]]] = {
    "cancelling an unknown order": (-2011, lambda rig: rig.exchange.cancel("a", SYMBOL, order_id=5)),
    "cancelling a filled order": (-2011, lambda rig: rig.cancel(rig.buy(1))),
    "cancelling another's order": (
        -2011,
        lambda rig: rig.exchange.cancel("b", SYMBOL, order_id=rig.buy(1, 990).order_id),
    ),
    "looking up an unknown id": (-2013, lambda rig: rig.exchange.order("a", SYMBOL, order_id=5)),
    "looking up an unknown client id": (-2013, lambda rig: rig.exchange.order("a", SYMBOL, client_id="no")),
    "amending an unknown order": (
        -2013,
        lambda rig: rig.exchange.amend("a", SYMBOL, order_id=5, quantity=D(1), price=D(1000)),
    ),
    "a symbol nobody lists": (-1121, lambda rig: rig.exchange.depth("NOUSDT")),
    "a leverage of zero": (-4028, lambda rig: rig.exchange.set_leverage("a", SYMBOL, 0)),
    "a leverage above the first bracket": (-4028, lambda rig: rig.exchange.set_leverage("a", SYMBOL, 126)),
    "the margin type that already is": (-4046, lambda rig: rig.exchange.set_margin_type("a", SYMBOL, "CROSSED")),
    "the position mode that already is": (-4059, lambda rig: rig.exchange.set_dual_side("a", False)),
    "the asset mode that already is": (-4171, lambda rig: rig.exchange.set_multi_assets("a", False)),
}


@pytest.mark.parametrize("name", LOOKING)
def test_what_does_not_exist_or_cannot_be_is_refused(name: str) -> None:
    code, call = LOOKING[name]
    with pytest.raises(VenueError) as refused:
        call(usual())
    assert refused.value.code == code


def test_modes_do_not_change_under_orders_or_a_position() -> None:
    rig = usual()
    order = rig.buy(1, 990)
    refusals = []
    for _ in range(2):
        for call in (
            lambda: rig.exchange.set_margin_type("a", SYMBOL, "ISOLATED"),
            lambda: rig.exchange.set_dual_side("a", True),
        ):
            with pytest.raises(VenueError) as refused:
                call()
            refusals.append(refused.value.code)
        if order.is_open:
            rig.cancel(order)
            rig.buy(1)
    assert refusals == [-4047, -4067, -4048, -4068]
