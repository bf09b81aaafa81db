"""Symbols, sides and the grid of an instrument."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.market import Instrument, PositionSide, Quote, Side, normalise_symbol

PRICES = st.decimals("0.1", "100000", places=3)


def instrument(tick: str = "0.1", step: str = "0.001") -> Instrument:
    return Instrument(
        symbol="BTCUSDT",
        tick=Decimal(tick),
        step=Decimal(step),
        min_qty=Decimal("0.001"),
        max_qty=Decimal(100),
        min_notional=Decimal(5),
        min_price=Decimal("0.1"),
        max_price=Decimal(1_000_000),
        multiplier_up=Decimal(2),
        multiplier_down=Decimal("0.5"),
    )


@pytest.mark.parametrize("text", ["", "BTC USDT", "BTC/USD:USDT", "BTC-USDT", "a" * 41, "BTC/USDT:", "B*T", "a:b"])
def test_what_is_no_symbol_is_refused(text) -> None:
    with pytest.raises(ValueError, match="not a symbol"):
        normalise_symbol(text)


@pytest.mark.parametrize("text", ["BTCUSDT_260327", "1000shibusdt"])
def test_digits_and_delivery_suffixes_belong_to_symbols(text) -> None:
    assert normalise_symbol(text) == text.upper()


def test_sides_have_signs_and_opposites() -> None:
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert (Side.BUY.opposite, Side.SELL.opposite) == (Side.SELL, Side.BUY)
    assert list(PositionSide) == ["LONG", "SHORT"]


@given(PRICES, st.sampled_from(["0.1", "0.01", "0.05", "2.5"]))
def test_a_limit_price_never_rounds_through_its_limit(price, tick) -> None:
    rules = instrument(tick=tick)
    bought = rules.price(rules.limit_ticks(Side.BUY, price))
    sold = rules.price(rules.limit_ticks(Side.SELL, price))
    assert bought <= price <= sold
    assert sold - bought <= rules.tick
    assert rules.on_price_grid(bought)
    assert rules.on_price_grid(sold)
    assert rules.on_price_grid(price) == (bought == sold)


@given(PRICES)
def test_a_quantity_rounds_down_to_the_step(quantity) -> None:
    rules = instrument(step="0.01")
    rounded = rules.quantity_down(quantity)
    assert quantity - rules.step < rounded <= quantity
    assert rules.on_quantity_grid(rounded)
    assert rounded.as_tuple().exponent == -2  # the venue refuses 0.1450000000000000000000000000
    assert rules.on_quantity_grid(quantity) == (rounded == quantity)


@pytest.mark.parametrize(
    "quantity, price, reduce_only, sendable",
    [
        ("0.001", "5000", False, True),
        ("0.001", "4999.9", False, False),
        ("0.001", "4999.9", True, True),
        ("0.0009", "60000", True, False),
    ],
)
def test_an_order_is_sendable_from_its_minima_on(quantity, price, reduce_only, sendable) -> None:
    assert instrument().sendable(Decimal(quantity), Decimal(price), reduce_only) is sendable


def test_twice_the_mid_is_whole_where_the_mid_is_half_a_tick() -> None:
    quote = Quote(10, 13, Decimal(1), Decimal(1), 23, 23, ts=1, received=2)
    assert quote.mid2 == 23
