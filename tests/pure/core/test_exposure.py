"""The sums kept up with each change are those of a recount."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.core import positions
from pms.core.exposure import Exposure, Stake
from schemas.market import Side
from schemas.orders import Order, OrderState
from tests.pure.core.resting import ORDER

D = Decimal
_replace = msgspec.structs.replace

orders = st.builds(
    lambda **changes: _replace(ORDER, **changes),
    client_order_id=st.sampled_from("abcde"),
    sub_account_id=st.sampled_from(("main", "other")),
    symbol=st.sampled_from(("BTCUSDT", "ETHUSDT")),
    side=st.sampled_from(Side),
    quantity=st.decimals(min_value=1, max_value=9, places=1),
    filled_qty=st.decimals(min_value=0, max_value=1, places=1),
    next_quantity=st.none() | st.decimals(min_value=1, max_value=9, places=1),
    reduce_only=st.booleans(),
    state=st.sampled_from((OrderState.ACTIVE, OrderState.PLACING, OrderState.UNKNOWN, OrderState.CANCELLED)),
)


def recount(known: dict[str, Order], account: str, symbol: str) -> tuple[Decimal, Decimal, int]:
    bids = asks = D(0)
    live = 0
    for order in known.values():
        if order.state.terminal or (order.sub_account_id, order.symbol) != (account, symbol):
            continue
        live += 1
        if not order.reduce_only:
            left = max(order.quantity, order.next_quantity or D(0)) - order.filled_qty
            bids, asks = (bids + left, asks) if order.side is Side.BUY else (bids, asks + left)
    return bids, asks, live


@given(stands=st.lists(orders, max_size=5), tried=st.lists(orders, max_size=5), leverage=st.integers(1, 9))
def test_orders_that_were_only_tried_leave_nothing_behind(
    stands: list[Order], tried: list[Order], leverage: int
) -> None:
    exposure = Exposure()
    for order in stands:
        exposure.order(order)
    before = seen(exposure)
    names = [f"tried-{number}" for number in range(len(tried))]
    for name, order in zip(names, tried, strict=True):
        exposure.order(_replace(order, client_order_id=name, leverage=leverage, price=D(7)))
    for name in reversed(names):
        exposure.forget(name, tried=True)
    assert {key: stake for key, stake in seen(exposure).items() if key in before} == before


def seen(exposure: Exposure) -> dict[tuple[str, str], list[object]]:
    """All that is known of each stake."""
    return {
        (account, symbol): [getattr(stake, name) for name in Stake.__slots__]
        for account in ("main", "other")
        for symbol, stake in exposure.of(account).items()
    }


@given(changes=st.lists(orders | st.sampled_from("abcde"), max_size=30))
@settings(max_examples=300)
def test_after_any_changes_the_sums_are_those_of_a_recount(changes: list[Order | str]) -> None:
    exposure, known = Exposure(), {}
    for change in changes:
        if isinstance(change, str):
            exposure.forget(change)
            known.pop(change, None)
        else:
            exposure.order(change)
            known[change.client_order_id] = change
    for account in ("main", "other"):
        counted = 0
        for symbol in ("BTCUSDT", "ETHUSDT"):
            stake = exposure.of(account).get(symbol)
            found = (D(0), D(0), 0) if stake is None else (stake.bids, stake.asks, stake.live)
            assert found == recount(known, account, symbol)
            counted += found[2]
        assert sum(stake.live for stake in exposure.of(account).values()) == counted


def test_a_position_counts_with_what_may_fill_to_its_worst() -> None:
    exposure = Exposure()
    held = _replace(positions.flat("main", "BTCUSDT"), signed_quantity=D(-2), entry_price=D(100), leverage=3)
    exposure.position(held)
    exposure.order(_replace(ORDER, side=Side.SELL, quantity=D(1)))
    exposure.order(_replace(ORDER, client_order_id="d", quantity=D(5), filled_qty=D(1)))
    stake = exposure.of("main")["BTCUSDT"]
    assert (stake.held, stake.bids, stake.asks, stake.leverage) == (D(-2), D(4), D(1), 3)
    assert stake.worst == 3
    assert stake.live
    exposure.forget("c")
    exposure.forget("d")
    exposure.position(positions.flat("main", "BTCUSDT"))
    assert not stake.held
    assert not stake.live
    assert stake.worst == 0


def test_an_exit_beside_a_position_changes_neither_its_leverage_nor_its_price() -> None:
    exposure = Exposure()
    held = _replace(positions.flat("main", "BTCUSDT"), signed_quantity=D(2), entry_price=D(100), leverage=20)
    exposure.position(held)
    exposure.order(_replace(ORDER, side=Side.SELL, price=D(900), reduce_only=True))
    stake = exposure.of("main")["BTCUSDT"]
    assert (stake.leverage, stake.price, stake.asks, stake.live) == (20, D(100), D(0), 1)


def test_another_opposes_by_what_it_holds_and_by_what_may_fill() -> None:
    exposure = Exposure()

    def opposed(side: Side, owner: str = "main", apart_from: str = "external") -> bool:
        return exposure.opposes(owner, "BTCUSDT", side, apart_from)

    exposure.position(_replace(positions.flat("other", "BTCUSDT"), signed_quantity=D(2), entry_price=D(100)))
    assert (opposed(Side.SELL), opposed(Side.BUY)) == (True, False)
    assert not opposed(Side.SELL, owner="other")
    assert not opposed(Side.SELL, apart_from="other")
    ask = _replace(ORDER, sub_account_id="other", side=Side.SELL, quantity=D(2))
    exposure.order(ask)
    assert not opposed(Side.BUY), "it could close its position, no more"
    exposure.order(_replace(ask, quantity=D(3)))
    assert opposed(Side.BUY), "it could turn its position"


def test_who_never_traded_has_nothing_at_stake() -> None:
    assert Exposure().of("nobody") == {}
