"""A plug-in's algo on the small stage of the chase: the worked example, and a maker on two sides that amends.

Each step is made twice (law 10) and passes the laws' own check.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from algos import step
from algos.plugin import NOTHING, Decided, Plan, Plugin, amend, cancel, end, place
from algos.plugin_kind import kind_of, parked
from algos.registry import Kind
from algos.step import Action, Input
from schemas import codec
from schemas.chase import AlgoStatus
from schemas.fields import Count, Size
from schemas.market import Instrument, Quote, Side
from schemas.orders import OrderState
from schemas.plugin import ParkedState, PluginOrder, PluginParams, PluginState
from tests.data.iceberg.pms_iceberg import ICEBERG, IcebergParams
from tests.pure.algos.stage import EPOCH, RULES, T0, Stage, quote

D = Decimal
LINE = "pms-iceberg==1.0.0 sha256:" + "0" * 64
WHO = step.Identity("p123456789", "main", "main", EPOCH, "request-1")
LOOK_MS = 60_000


class MakerParams(PluginParams, frozen=True, kw_only=True):
    """So much on either side at the touch, for so many minutes."""

    quantity: Size
    minutes: Count = 0


class MakerOwn(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """When its time is up (Unix ms), and how often it moved."""

    until: int = 0
    moves: int = 0


def plan_maker(params: MakerParams, instrument: Instrument, touch: Quote) -> tuple[Plan, ...]:
    prices = {Side.BUY: touch.bid, Side.SELL: touch.ask}
    return tuple(Plan(side, params.quantity, instrument.price(ticks)) for side, ticks in prices.items())


def decide_maker(state: PluginState, now: int, touch: Quote) -> Decided:
    """One order a side at the touch; with its time up first its orders go, then it ends."""
    own = state.own
    if not own.until and state.params.minutes:
        own = MakerOwn(until=now + state.params.minutes * LOOK_MS)
        state = msgspec.structs.replace(state, own=own)
    if own.until and now >= own.until:
        return _over(state)
    state = msgspec.structs.replace(state, wake_at=own.until)
    actions: tuple[Action, ...] = ()
    for slot, (side, ticks) in enumerate(((Side.BUY, touch.bid), (Side.SELL, touch.ask))):
        state, more = _stand(state, slot, side, state.instrument.price(ticks))
        actions += more
    return (state, actions) if state.orders else (end(state, AlgoStatus.COMPLETED, "below_minimum"), NOTHING)


def _over(state: PluginState) -> Decided:
    if not state.orders:
        return end(state, AlgoStatus.COMPLETED, "time_is_up"), NOTHING
    actions: tuple[Action, ...] = ()
    for order in state.orders:
        state, more = cancel(state, order.slot)
        actions += more
    return state, actions


def _stand(state: PluginState, slot: int, side: Side, price: Decimal) -> Decided:
    order = state.order(slot)
    if order is None:
        room = state.room(side)
        sendable = state.instrument.sendable(room, price, state.reduce_only)
        return place(state, slot, side, price, room, "GTX") if sendable else (state, NOTHING)
    if order.price == price or order.state is not OrderState.ACTIVE:
        return state, NOTHING
    own = msgspec.structs.replace(state.own, moves=state.own.moves + 1)
    return amend(msgspec.structs.replace(state, own=own), slot, price, order.quantity)


MAKER = Plugin(name="maker", params=MakerParams, plan=plan_maker, decide=decide_maker, own=MakerOwn)


def iceberg_params(**changes: Any) -> IcebergParams:
    """Three pieces of one coin and a half to buy at 100.0, unless said otherwise."""
    asked: dict[str, Any] = {"symbol": "BTCUSDT", "side": Side.BUY, "quantity": D("1.5"), "display_quantity": D("0.5")}
    return IcebergParams(**asked | {"price": D(100)} | changes)


def maker_params(**changes: Any) -> MakerParams:
    return MakerParams(**{"symbol": "BTCUSDT", "quantity": D(1)} | changes)


class PluginStage(Stage):
    """See the module. `slot` is the one whose order the venue's words are about."""

    def __init__(
        self, plugin: Plugin = ICEBERG, asked: PluginParams | None = None, instrument: Instrument = RULES
    ) -> None:
        self.now = T0
        self.touch = quote(1000, 1010)
        self.orders = {}
        self.sent = []
        self.slot = 0
        self._trade = 0
        self.plugin = plugin
        self.kind: Kind = kind_of(plugin, LINE)
        params = asked or (iceberg_params() if plugin is ICEBERG else maker_params())
        self.state, actions = self.kind.start(WHO, params, instrument, self.touch, self.now)
        self.kind.check(None, None, self.state, actions)
        self._send(actions)

    def give(self, given: Input) -> tuple[Action, ...]:
        before = self.state
        after, actions = self.kind.step(before, given)
        assert (after, actions) == self.kind.step(before, given)
        assert actions or after is before or after != before, "an equal record is the same object"
        if after is not before:
            self.kind.check(before, given, after, actions)
        else:
            assert not actions
        self.state = after
        self._send(actions)
        return actions

    def restart(self, pause: str = "", epoch: int = EPOCH + 1) -> tuple[Action, ...]:
        """The record is written, read back by another process, and resumed."""
        self.state = codec.decode(self.kind.record, codec.encode(self.state))
        self.health("recovering")
        return self.give(step.Recovered(self.now, epoch, self.touch, pause))

    def park(self, epoch: int = EPOCH + 1) -> tuple[Action, ...]:
        """The same without its plug-in."""
        self.state = codec.decode(ParkedState, codec.encode(self.state))
        self.kind = parked(self.plugin.name)
        self.health("recovering")
        return self.give(step.Recovered(self.now, epoch, self.touch))

    @property
    def child(self) -> PluginOrder:  # type: ignore[override]
        order = self.state.order(self.slot)
        assert order is not None, f"no order in slot {self.slot}"
        return order

    def asks(self) -> list[tuple[str, Decimal, Decimal]]:
        """What rests or is on its way: side, price, quantity."""
        return [(str(one.side), one.price, one.quantity) for one in self.state.orders]


def resting(**asked: Any) -> PluginStage:
    """The first piece rests."""
    stage = PluginStage(asked=iceberg_params(**asked))
    stage.accept()
    stage.run(1000)
    return stage


def quoting(**asked: Any) -> PluginStage:
    """Both sides of the maker rest."""
    stage = PluginStage(MAKER, maker_params(**asked))
    stage.accept()
    stage.slot = 1
    stage.accept()
    stage.slot = 0
    return stage


def reducing(**asked: Any) -> PluginStage:
    return resting(side=Side.SELL, reduce_only=True, **asked)
