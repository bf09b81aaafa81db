"""What follows from what a `scalper` command leaves out (algos.md, scalper)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.commands import decode_command
from schemas.market import PositionSide, Side
from schemas.scalper import ScalperParams

D = Decimal


def asked(**fields: object) -> ScalperParams:
    body = '{"requestId": "r-1", "subAccountId": "main", "symbol": "BTCUSDT", "longSizeUsd": 100%s}'
    more = "".join(f', "{name}": {value}' for name, value in fields.items())
    command = decode_command("scalper", (body % more).encode(), strict=True).command
    params: ScalperParams = command.params()  # type: ignore[attr-defined]
    return params


def test_the_short_side_is_as_the_long_one_unless_it_is_named() -> None:
    params = asked(longOffsetPct=0.3)
    assert (params.short_offset_pct, params.short_size_usd) == (D("0.3"), D(100))
    params = asked(shortOffsetPct=0.2, shortSizeUsd=50)
    assert (params.long_offset_pct, params.short_offset_pct, params.short_size_usd) == (D("0.1"), D("0.2"), D(50))


def test_prices_and_the_cap_that_are_left_out_bound_nothing() -> None:
    params = asked()
    assert (params.long_max_price, params.short_min_price, params.max_position_usd) == (0, 0, 0)
    assert asked(longMaxPrice=7, maxPositionUsd=8).long_max_price == 7


@pytest.mark.parametrize(
    "fields, allowed",
    [
        ({}, True),
        ({"neutralMode": "true"}, False),
        ({"neutralMode": "true", "allowLoss": "true"}, True),
        ({"allowLoss": "false"}, False),
    ],
)
def test_a_loss_is_allowed_unless_it_is_neutral_or_told_otherwise(fields: dict[str, str], allowed: bool) -> None:
    assert asked(**fields).allow_loss is allowed


def test_without_a_word_each_leg_has_its_own_way_at_a_stop() -> None:
    assert asked().on_stop is None
    assert asked(onStop='"leave"').on_stop == "leave"


@pytest.mark.parametrize("start, opens", [("LONG", Side.BUY), ("SHORT", Side.SELL)])
def test_only_the_leg_against_the_start_side_reduces(start: str, opens: Side) -> None:
    params = asked(startSide=f'"{start}"')
    assert params.start_side is PositionSide(start)
    assert params.opening_side is opens
    assert (params.reduces(opens), params.reduces(opens.opposite)) == (False, True)
    assert not any(asked(neutralMode="true").reduces(side) for side in Side)
