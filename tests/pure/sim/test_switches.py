"""Hedge mode and multi-assets mode: when an account may be switched, what is told and what is kept (binance.md 3.5)."""

from __future__ import annotations

import pytest

from pms.sim.journal import MemoryJournal
from pms.sim.model import VenueError
from tests.pure.sim.rig import SYMBOL, Rig, usual


def refused(act, *given, **named) -> int:
    with pytest.raises(VenueError) as error:
        act(*given, **named)
    return error.value.code


def test_hedge_mode_is_told_by_no_event_and_takes_no_order_of_one_way_mode() -> None:
    rig = usual()
    rig.exchange.set_dual_side("a", True)
    assert rig.users == []
    assert rig.exchange.dual_side("a") is True
    assert rig.exchange.dual_side("b") is False
    assert refused(rig.buy, 1) == -4061
    assert refused(rig.buy, 1, position_side="LONG") == -4084
    assert refused(rig.buy, 1, position_side="LONG", reduce_only=True) == -1106
    assert rig.exchange.all_orders("a", SYMBOL) == []
    rig.exchange.set_dual_side("a", False)
    assert rig.buy(1).status == "FILLED"
    assert refused(rig.buy, 1, position_side="LONG") == -4061


@pytest.mark.parametrize("dual", [True, False])
def test_a_mode_that_is_set_already_is_refused_whatever_stands(dual: bool) -> None:
    rig = usual()
    if dual:
        rig.exchange.set_dual_side("a", True)
    else:
        rig.buy(1)
    assert refused(rig.exchange.set_dual_side, "a", dual) == -4059


def test_orders_and_then_positions_of_any_symbol_keep_the_position_mode() -> None:
    rig = usual()
    order = rig.buy(1, 999)
    assert refused(rig.exchange.set_dual_side, "a", True) == -4067
    rig.cancel(order)
    rig.buy(1)
    assert refused(rig.exchange.set_dual_side, "a", True) == -4068
    rig.sell(1)
    rig.exchange.set_dual_side("a", True)
    assert rig.exchange.dual_side("a") is True


def test_the_asset_mode_is_told_and_excludes_isolated_margin_both_ways() -> None:
    rig = usual()
    rig.exchange.set_margin_type("a", SYMBOL, "ISOLATED")
    assert refused(rig.exchange.set_multi_assets, "a", True) == -4167
    rig.exchange.set_margin_type("a", SYMBOL, "CROSSED")
    order = rig.buy(1, 999)
    assert refused(rig.exchange.set_multi_assets, "a", True) == -4170
    rig.cancel(order)
    rig.users.clear()
    rig.exchange.set_multi_assets("a", True)
    ((account, event),) = rig.users
    assert (account, event["e"], event["ai"]) == ("a", "ACCOUNT_CONFIG_UPDATE", {"j": True})
    assert refused(rig.exchange.set_multi_assets, "a", True) == -4171
    assert refused(rig.exchange.set_margin_type, "a", SYMBOL, "ISOLATED") == -4168


def test_both_modes_outlive_the_venue() -> None:
    journal = MemoryJournal()
    rig = Rig(journal)
    rig.exchange.set_dual_side("a", True)
    rig.exchange.set_multi_assets("b", True)
    again = Rig(journal).exchange
    assert [again.dual_side(name) for name in ("a", "b")] == [True, False]
    assert [again.multi_assets(name) for name in ("a", "b")] == [False, True]
