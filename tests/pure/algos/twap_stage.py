"""One TWAP on a small stage: a hand-driven venue answers its orders, and hand-driven child chases work on its lots.

Each step is made twice (law 10) and passes the laws' own check; the orders' records are kept by the daemon's functions.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from algos import step, twap, twap_plan
from algos.children import ChildChanged, ChildDone, ChildReport, Spawn, StopChild
from algos.step import Action, Input, PlaceChild
from algos.twap_laws import check_twap
from schemas.chase import AlgoStatus, ChaseParams
from schemas.market import Instrument, Quote, Side
from schemas.orders import OrderState
from schemas.reports import VenueStatus
from schemas.twap import TwapParams, TwapState
from tests.pure.algos.stage import RULES, T0, Stage, quote

D = Decimal
WHO = step.Identity("t123456789", "main", "main", 1_700_000_000, "request-1")
MINUTE = 60_000
SLIPPAGE_BPS = 50


def twap_params(instrument: Instrument = RULES, touch: Quote | None = None, **changes: Any) -> TwapParams:
    """What is asked for: one whole coin to buy in ten lots, one a minute, unless said otherwise."""
    asked: dict[str, Any] = {"symbol": "BTCUSDT", "side": Side.BUY, "quantity": D(1), "lots": 10} | changes
    exact = {
        name: D(value) if isinstance(value, str) and TwapParams.__annotations__[name] == "Decimal" else value
        for name, value in asked.items()
    }
    exact.setdefault("duration_ms", exact["lots"] * MINUTE)
    exact.setdefault("child_timeout_ms", exact["duration_ms"] * 8 // 10 // exact["lots"])
    price = twap_plan.planning_price(exact["side"], touch or quote(1000, 1010), SLIPPAGE_BPS, instrument)
    least = twap_plan.least_lot(instrument, price, exact.get("reduce_only", False))
    return TwapParams(lot_step=instrument.step, lot_least=least, **exact)


class TwapStage(Stage):
    """See the module. `sent` lists all it ever asked for, with the time; `children` what its child chases told last."""

    state: TwapState

    def __init__(self, bid: int = 1000, ask: int = 1010, instrument: Instrument = RULES, **asked: Any) -> None:
        self.now = T0
        self.touch: Quote | None = quote(bid, ask)
        self.orders = {}
        self.sent: list[tuple[int, Action]] = []
        self.children: dict[str, ChildReport] = {}
        self._trade = 0
        params = twap_params(instrument, self.touch, **asked)
        self.state, actions = twap.start(WHO, params, instrument, self.touch, self.now)
        check_twap(None, None, self.state, actions)
        self._send(actions)

    def give(self, given: Input) -> tuple[Action, ...]:
        """One step: made twice, judged by the laws, its requests recorded as leaving."""
        before = self.state
        after, actions = twap.step_twap(before, given)
        assert (after, actions) == twap.step_twap(before, given)
        assert actions or after is before or after != before, "an equal record is the same object"
        if after is not before:
            check_twap(before, given, after, actions)
        else:
            assert not actions
        self.state = after
        self._send(actions)
        return actions

    def restart(self, pause: str = "", epoch: int = WHO.epoch + 1) -> tuple[Action, ...]:
        """The record is written, read back by another process, and resumed."""
        self.state = msgspec.json.decode(msgspec.json.encode(self.state), type=TwapState)
        self.health("recovering")
        return self.give(step.Recovered(self.now, epoch, self.touch, pause))

    def _send(self, actions: tuple[Action, ...]) -> None:
        orders = []
        for action in actions:
            match action:
                case Spawn():
                    assert action.child_id not in self.children, "a child twice"
                    self.sent.append((self.now, action))
                    self.children[action.child_id] = ChildReport(action.child_id, 0, AlgoStatus.ACTIVE)
                case StopChild():
                    self.sent.append((self.now, action))
                case _:
                    orders.append(action)
        super()._send(tuple(orders))

    # --- an IOC ---------------------------------------------------------------------------------------

    def take(self, quantity: str | None = None) -> tuple[Action, ...]:
        """The order in flight fills, all of it or so much, and the rest of it expires."""
        order = self.order
        whole = quantity is None or D(quantity) == order.quantity
        actions = self.fill(str(order.quantity) if quantity is None else quantity)
        return actions if whole else self.end(VenueStatus.EXPIRED)

    def miss(self) -> tuple[Action, ...]:
        """The order in flight finds nobody."""
        return self.end(VenueStatus.EXPIRED)

    @property
    def placed(self) -> list[Decimal]:
        """The quantities of all orders so far."""
        return [action.quantity for action in self.asked(PlaceChild)]

    def at(self) -> list[tuple[int, Decimal]]:
        """(seconds after the start, quantity) of every order and child chase."""
        rows = []
        for at, action in self.sent:
            if isinstance(action, PlaceChild):
                rows.append(((at - T0) // 1000, action.quantity))
            elif isinstance(action, Spawn):
                rows.append(((at - T0) // 1000, action.params.quantity))
        return rows

    # --- a child chase --------------------------------------------------------------------------------

    @property
    def spawned(self) -> list[ChaseParams]:
        return [action.params for action in self.asked(Spawn)]

    @property
    def worker(self) -> str:
        assert self.state.worker is not None, "no child chase"
        return self.state.worker.child_id

    def child_tells(self, filled: str = "0", price: str = "100", child: str = "", **changes: Any) -> tuple[Action, ...]:
        """A child chase goes on, with so much filled in all."""
        name = child or self.worker
        report = self._report(name, filled, price, **changes)
        return self.give(ChildChanged(self.now, report, self.touch))

    def child_ends(
        self, filled: str = "0", reason: str = "", price: str = "100", child: str = "", **changes: Any
    ) -> tuple[Action, ...]:
        """A child chase ends: filled where no reason is given."""
        status = AlgoStatus.CANCELLED if reason else AlgoStatus.FILLED
        report = self._report(child or self.worker, filled, price, **{"status": status, "reason": reason} | changes)
        return self.give(ChildDone(self.now, report, self.touch))

    def _report(self, name: str, filled: str, price: str, **changes: Any) -> ChildReport:
        quantity = D(filled)
        told = {
            "filled_quantity": quantity,
            "quote_filled": quantity * D(price),
            "fees": {"USDT": quantity * D("0.02")} if quantity else {},
            "status": AlgoStatus.ACTIVE,
        }
        self.children[name] = msgspec.structs.replace(self.children[name], **told | changes)
        return self.children[name]

    @property
    def idle(self) -> bool:
        """Whether nothing of it lives."""
        return self.state.child is None and self.state.worker is None

    def flying(self) -> bool:
        return self.state.child is not None and self.order.state is OrderState.PLACING
