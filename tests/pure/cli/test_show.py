"""The rows of `pms algos`."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.cli import show
from pms.cli.feed import read
from schemas import codec
from tests.data.iceberg.pms_iceberg import ICEBERG
from tests.pure.algos.plugin_stage import PluginStage, iceberg_params
from tests.pure.algos.protection_stage import ProtectionStage, leg

D = Decimal


@pytest.mark.parametrize(
    "asked, price", [({"stop": leg("90")}, "90"), ({"stop": None, "take_profit": leg("110")}, "110")]
)
def test_a_stop_or_a_take_profit_is_a_row_like_any_with_its_trigger(asked: dict[str, object], price: str) -> None:
    stage = ProtectionStage(**asked)
    stage.settle()
    kind, record = show.in_common_keys(read(codec.encode(stage.state)))
    row = show.algo_row(kind, record)
    assert row == [
        *("protection", stage.state.protection_id, "main", "BTCUSDT", "SELL"),
        *("0", "1", "0", price, "", "active", ""),
    ]


def test_an_algo_of_a_plug_in_stands_beside_it_under_its_own_name() -> None:
    stage = PluginStage(ICEBERG, iceberg_params(quantity=D("0.5")))
    kind, record = show.in_common_keys(read(codec.encode(stage.state)))
    row = show.algo_row(kind, record)
    assert (row[0], row[1], row[4], row[6]) == ("iceberg", stage.state.algo_id, "BUY", "0.5")
