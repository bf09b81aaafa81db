"""A plug-in's algo after a restart, with its plug-in and without it (algos.md, law 8; execution.md 19 and 25)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from algos import step
from algos.plugin_kind import kind_of, parked, revived
from algos.step import CancelChild, PlaceChild
from schemas import codec
from schemas.chase import AlgoStatus
from schemas.errors import ErrorCode, Invalid
from schemas.plugin import ParkedState
from tests.data.iceberg.pms_iceberg import ICEBERG
from tests.pure.algos.plugin_stage import LINE, MAKER, WHO, iceberg_params, quoting, reducing, resting
from tests.pure.algos.stage import EPOCH, RULES, T0, quote

D = Decimal
_replace = msgspec.structs.replace


def test_after_a_restart_the_rest_goes_on_under_a_new_epoch() -> None:
    stage = resting()
    stage.fill("0.2")
    stage.restart()
    assert stage.asks() == [("BUY", D(100), D("0.5"))]
    stage.fill("0.3")
    placed = stage.asked(PlaceChild)[-1]
    assert placed.client_order_id.split("-")[3:5] == [stage.child.client_order_id.split("-")[3], "000"]
    assert (stage.state.id_epoch, stage.state.attempt, placed.quantity) == (EPOCH + 1, 1, D("0.5"))


def test_after_a_long_absence_an_entry_comes_back_paused_and_a_closer_does_not() -> None:
    stage = resting()
    stage.restart(pause="down_too_long")
    assert (stage.state.paused, stage.child.request) == ("down_too_long", "cancel")
    closer = reducing()
    closer.restart(pause="down_too_long")
    assert (closer.state.paused, closer.child.request) == ("", "")


def test_a_stop_is_a_checkpoint() -> None:
    stage = resting()
    stage.give(step.StopRequest(stage.now))
    stage.accept()
    assert stage.move(1001, 1011) == ()
    (placed,) = stage.restart()
    assert isinstance(placed, PlaceChild)


def test_a_resting_order_that_the_record_misses_is_taken_into_its_free_slot() -> None:
    stage = resting()
    order = stage.order
    stage.state = _replace(stage.state, orders=())
    update = step.OrderUpdate(stage.now, order, while_down=True, adopt=True)
    stage.give(update)
    assert [one.client_order_id for one in stage.state.orders] == [order.client_order_id]
    assert stage.give(update) == (), "its slot is taken"
    other = _replace(order, client_order_id="not-ours")
    before = stage.state
    stage.give(step.OrderUpdate(stage.now, other, adopt=True))
    stage.give(step.OrderUpdate(stage.now, other))
    assert stage.state is before


# --- without its plug-in ------------------------------------------------------------------------------


def test_parked_an_entry_leaves_and_what_is_the_plug_ins_own_comes_back_as_it_was() -> None:
    stage = quoting(minutes=5)
    stage.move(1001, 1010)
    stage.accept()
    own = stage.state.own
    stage.park()
    assert len(stage.asked(CancelChild)) == 2
    assert stage.state.paused == "plugin_missing"
    stage.fill("0.4")
    stage.accept()
    stage.slot = 1
    stage.accept()
    for given in (
        step.ResumeRequest(stage.now, stage.touch),
        step.ReplaceRequest(stage.now),
        quote(1002, 1010, stage.now),
    ):
        assert stage.give(given) == ()
    back = revived(MAKER, "maker==2 sha256:1", codec.decode(ParkedState, codec.encode(stage.state)))
    assert (back.own, back.made_by, back.paused) == (own, "maker==2 sha256:1", "plugin_missing")
    assert back.legs[0].filled == D("0.4")
    stage.state, stage.kind = back, kind_of(MAKER, LINE)
    stage.restart(epoch=EPOCH + 2)
    assert stage.state.orders == (), "what adds risk waits for a resume"
    stage.give(step.ResumeRequest(stage.now, stage.touch))
    assert [quantity for _, _, quantity in stage.asks()] == [D("0.6"), D(1)]


def test_parked_a_closer_rests_on_and_goes_on_by_itself_later() -> None:
    stage = reducing()
    assert stage.park() == ()
    stage.fill("0.5")
    assert (stage.state.orders, stage.state.legs[0].filled) == ((), D("0.5"))
    stage.state = revived(ICEBERG, LINE, codec.decode(ParkedState, codec.encode(stage.state)))
    stage.kind = kind_of(ICEBERG, LINE)
    (placed,) = stage.restart(epoch=EPOCH + 2)
    assert isinstance(placed, PlaceChild)


def test_parked_it_can_be_cancelled_and_books_late_fills() -> None:
    stage = resting()
    order = stage.order
    stage.park()
    stage.give(step.CancelRequest(stage.now, "asked"))
    stage.accept()
    assert stage.state.status is AlgoStatus.CANCELLED
    stage.fill("0.1", order=order)
    assert stage.state.legs[0].filled == D("0.1")
    assert stage.kind.event("iceberg_cancelled", stage.state, stage.now).state["own"] == msgspec.Raw(b"{}")


def test_parked_a_record_is_written_without_an_exponent_and_reads_back_the_same() -> None:
    stage = quoting(minutes=5)
    state = _replace(stage.state, fees={"USDT": D("1E-7")})
    written = codec.encode(codec.decode(ParkedState, codec.encode(state)))
    assert b"0.0000001" in written
    assert codec.decode(stage.kind.record, written) == state


def test_a_parked_kind_starts_nothing() -> None:
    with pytest.raises(Invalid) as refused:
        parked("iceberg").start(WHO, iceberg_params(), RULES, quote(1000, 1010), T0)
    assert refused.value.code is ErrorCode.PLUGIN_NOT_APPROVED
