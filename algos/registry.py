"""Which algos there are, and how the shell runs any of them. A new algo is one entry here."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from algos import (
    protection,
    protection_told,
    scalper,
    scalper_told,
    tally,
    trail_stop,
    trail_told,
    twap,
    twap_basket,
    twap_told,
)
from algos.chase import start as start_chase
from algos.chase import step_chase
from algos.children import ChildReport
from algos.laws import check_chase
from algos.protection_laws import check_protection
from algos.scalper_laws import check_scalper
from algos.step import Action, Identity, Input
from algos.trail_laws import check_trail_stop
from algos.twap_laws import check_twap, check_twap_basket
from algos.view import View
from schemas.chase import ChaseState
from schemas.events_algos import ChaseEvent, ChaseEventType
from schemas.events_orders import Event
from schemas.keys import Keys
from schemas.market import ZERO, Instrument, Quote
from schemas.orders import Origin
from schemas.protection import ProtectionState
from schemas.scalper import ScalperState
from schemas.trail_stop import TrailStopState
from schemas.twap import TwapBasketState, TwapState

Decided = tuple[Any, tuple[Action, ...]]
Start = Callable[[Identity, Any, Instrument | None, Quote | None, int], Decided]


class Kind(msgspec.Struct, frozen=True):
    """One kind of algo: its name in keys and events, the letter its ids begin with, its record, its start and step, and
    what the shell reads of a record. `report` is what its parent hears of it, where it may be a child; `waits` whether
    a record is kept in memory until its `wake_at`, where it says so itself; `blind` the event of one that protects a
    position and sees no price. `backed`: it keeps orders that wait at the venue, and hears what they may close
    (`Cover`). `plugin`: it came from an installed package, and has the keys of such; `common_keys`: one of ours has
    these as well."""

    name: str
    letter: str
    origin: Origin
    record: type[msgspec.Struct]
    version: int
    start: Start
    step: Callable[[Any, Input], Decided]
    view: Callable[[Any], View]
    report: Callable[[Any], ChildReport] | None
    check: Callable[[Any, Input | None, Any, tuple[Action, ...]], None]
    event: Callable[[Any, Any, int], Event | None]
    waits: Callable[[Any], bool] | None = None
    blind: Callable[[Any, int], Event] | None = None
    backed: bool = False
    plugin: bool = False
    common_keys: bool = False

    def key(self, names: Keys, algo_id: str) -> str:
        """Where an algo's record stands."""
        return _stems(names, self.name, self.plugin or self.common_keys)[0] + algo_id

    def active_key(self, names: Keys, sub_account_id: str) -> str:
        """Where a sub-account's live ones are listed."""
        return _stems(names, self.name, self.plugin or self.common_keys)[1] + sub_account_id


@cache
def _stems(names: Keys, kind: str, common: bool) -> tuple[str, str]:
    """What the keys of a kind begin with: its records, and its lists of live ones."""
    if common:
        return names.plugin(kind, ""), names.active_plugins("")
    return names.algo(kind, ""), names.active(kind, "")  # type: ignore[arg-type]


def _view_chase(state: ChaseState) -> View:
    child = state.child
    return View(
        algo_id=state.chase_id,
        root_id=state.root_id,
        sub_account_id=state.sub_account_id,
        symbol=state.symbol,
        status=state.status,
        wake_at=state.wake_at,
        reduce_only=state.params.reduce_only,
        live_children=() if child is None else (child.client_order_id,),
        updated_at=state.updated_at,
        news=(state.status, state.filled_quantity, child and (child.client_order_id, child.price, child.state)),
        tag=state.tag,
        epoch=state.id_epoch,
        parent_id=state.parent_id,
        instrument=state.instrument,
        mid=(state.bid + state.ask) / 2,
    )


def _report_chase(state: ChaseState) -> ChildReport:
    child = state.child
    return ChildReport(
        child_id=state.chase_id,
        slot=state.parent_slot,
        status=state.status,
        reason=state.paused or state.reason,
        filled_quantity=state.filled_quantity,
        quote_filled=state.quote_filled,
        fees=state.fees,
        order_id="" if child is None else child.client_order_id,
        price=ZERO if child is None else child.price,
        refusals=state.rejections,
    )


def _event_chase(word: ChaseEventType, state: ChaseState, ts: int) -> ChaseEvent:
    price = state.fill_price
    slippage = tally.slippage_bps(state.side, price, state.arrival_mid) if price else ZERO
    return ChaseEvent.of(word, state, ts, slippage)


CHASE = Kind(
    name="chase",
    letter="c",
    origin=Origin.CHASE,
    record=ChaseState,
    version=1,
    start=start_chase,
    step=step_chase,
    view=_view_chase,
    report=_report_chase,
    check=check_chase,
    event=_event_chase,
)

TRAIL_STOP = Kind(
    name="trail_stop",
    letter="s",
    origin=Origin.TRAIL_STOP,
    record=TrailStopState,
    version=1,
    start=trail_stop.start,
    step=trail_stop.step_trail_stop,
    view=trail_told.view_trail_stop,
    report=None,
    check=check_trail_stop,
    event=trail_told.event_trail_stop,
    waits=trail_told.unwritten,
    blind=trail_told.event_blind,
    backed=True,
)

TWAP = Kind(
    name="twap",
    letter="t",
    origin=Origin.TWAP,
    record=TwapState,
    version=1,
    start=twap.start,
    step=twap.step_twap,
    view=twap_told.view_twap,
    report=twap_told.report_twap,
    check=check_twap,
    event=twap_told.event_twap,
)

TWAP_BASKET = Kind(
    name="twap_basket",
    letter="b",
    origin=Origin.TWAP,
    record=TwapBasketState,
    version=1,
    start=twap_basket.start,
    step=twap_basket.step_twap_basket,
    view=twap_told.view_basket,
    report=None,
    check=check_twap_basket,
    event=twap_told.event_basket,
)


SCALPER = Kind(
    name="scalper",
    letter="l",
    origin=Origin.SCALPER,
    record=ScalperState,
    version=1,
    start=scalper.start,
    step=scalper.step_scalper,
    view=scalper_told.view_scalper,
    report=None,
    check=check_scalper,
    event=scalper_told.event_scalper,
)

PROTECTION = Kind(
    name="protection",
    letter="g",
    origin=Origin.STOP,
    record=ProtectionState,
    version=1,
    start=protection.start,
    step=protection.step_protection,
    view=protection_told.view_protection,
    report=None,
    check=check_protection,
    event=protection_told.event_protection,
    blind=protection_told.event_blind,
    common_keys=True,
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in (CHASE, TRAIL_STOP, TWAP, TWAP_BASKET, SCALPER, PROTECTION)}
