"""One trailing stop on a small stage: prices come by hand, its exits and its chase are played by hand, and every step
is made twice (law 10) and judged by the laws' own check."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from algos import step, trail_stop
from algos.children import ChildChanged, ChildDone, ChildReport, Exit, ExitDone, Spawn
from algos.cover import Cover
from algos.step import Action, Input, OrderUpdate
from algos.trail_laws import check_trail_stop
from schemas.chase import AlgoStatus
from schemas.market import Candle, Instrument, Quote, Side, Touches
from schemas.orders import Cause, Fill, Order, OrderState, Origin
from schemas.trail_stop import TrailStopParams, TrailStopState
from tests.pure.algos.stage import EPOCH, RULES, T0

D = Decimal
WHO = step.Identity("s123456789", "main", "main", EPOCH, "request-1")
LONG, SHORT = Side.SELL, Side.BUY  # the side of the exit
MINUTE = 60_000


def params(**changes: Any) -> TrailStopParams:
    """One whole coin held long, 1 % behind its best mid, unless said otherwise. Numbers may be given as text."""
    asked = {"symbol": "BTCUSDT", "side": LONG, "position_id": "main:BTCUSDT:1", "quantity": "1"} | changes
    if not any(name in asked for name in ("callback_pct", "callback_abs", "callback_ticks")):
        asked["callback_pct"] = "1"
    annotations = TrailStopParams.__annotations__
    exact = {
        name: D(value) if isinstance(value, str) and annotations[name] == "Decimal" else value
        for name, value in asked.items()
    }
    return TrailStopParams(**exact)


def quote(bid: int, ask: int, now: int, span: tuple[int, int] | None = None, touches: Touches | None = None) -> Quote:
    """A touch in ticks of 0.1; `span` are the lowest and the highest mid since the last, in half ticks."""
    low2, high2 = span or (bid + ask, bid + ask)
    return Quote(bid, ask, D(1), D(1), high2, low2, ts=now, received=now, touches=touches)


class TrailStage:
    """See the module. `told` counts the records that the shell writes: those that do not wait in memory."""

    def __init__(
        self, bid: int = 1000, ask: int = 1000, instrument: Instrument = RULES, priced: bool = True, **asked: Any
    ) -> None:
        self.now = T0
        self.sent: list[Action] = []
        self.written: list[tuple[int, TrailStopState]] = []
        self._trade = 0
        self.touch: Quote | None = quote(bid, ask, T0) if priced else None
        self.state, actions = trail_stop.start(WHO, params(**asked), instrument, self.touch, T0)
        check_trail_stop(None, None, self.state, actions)
        assert not actions, "nothing is closed at a start"
        self.written.append((T0, self.state))

    def give(self, given: Input) -> tuple[Action, ...]:
        """One step: made twice, judged by the laws."""
        before = self.state
        after, actions = trail_stop.step_trail_stop(before, given)
        assert (after, actions) == trail_stop.step_trail_stop(before, given)
        if after is before:
            assert not actions
            return ()
        assert actions or after != before, "an equal record is the same object"
        check_trail_stop(before, given, after, actions)
        self.state = after
        if actions or not after.unwritten:
            self.written.append((self.now, after))
        self.sent += actions
        return actions

    # --- prices ---------------------------------------------------------------------------------------

    def move(self, bid: int, ask: int = 0, after_ms: int = 1000, **more: Any) -> tuple[Action, ...]:
        """The market moves after some time; alarms in between ring first. No ask: as high as the bid."""
        self.run(after_ms)
        self.touch = quote(bid, ask or bid, self.now, **more)
        return self.give(self.touch)

    def mark(self, price: str, after_ms: int = 1000) -> tuple[Action, ...]:
        self.run(after_ms)
        return self.give(step.MarkUpdate(self.now, D(price), self.touch))

    def run(self, ms: int) -> list[Action]:
        """Time passes: the record's alarm rings as often as it asks for."""
        asked: list[Action] = []
        until = self.now + ms
        while 0 < self.state.wake_at <= until:
            self.now = max(self.now, self.state.wake_at)
            asked += self.give(step.Timer(self.now, self.touch))
        self.now = until
        return asked

    def missed(self, *candles: tuple[int, str, str]) -> tuple[Action, ...]:
        """(minutes from the start of the stage's own minute, high, low) of each."""
        first = T0 - T0 % MINUTE
        told = tuple(Candle(first + number * MINUTE, D(high), D(low)) for number, high, low in candles)
        return self.give(step.Missed(self.now, told))

    # --- its position and its exits -------------------------------------------------------------------

    def hold(self, position: str, share: str | None = None) -> tuple[Action, ...]:
        """The position is another now; `share` what of it no other closer has."""
        return self.give(step.PositionReduced(self.now, D(share or position), self.touch, D(position)))

    def fill(self, quantity: str, price: str = "99") -> tuple[Action, ...]:
        """An order of the exit trades."""
        fill = self._fill(D(quantity), D(price))
        name = f"exit-{self._trade}"
        self.order = self._order(name, OrderState.FILLED, quantity=D(quantity), price=D(price), time_in_force="IOC")
        return self.give(OrderUpdate(self.now, self.order, fill, quote=self.touch))

    def _fill(self, size: Decimal, at: Decimal) -> Fill:
        self._trade += 1
        side = self.state.side
        return Fill("BTCUSDT", self._trade, self._trade, side, at, size, D("0.01"), "USDT", False, self.now)

    def _order(self, name: str, word: OrderState, **fields: Any) -> Order:
        told: dict[str, Any] = {
            "client_order_id": name,
            "sub_account_id": "main",
            "symbol": "BTCUSDT",
            "side": self.state.side,
            "order_type": "LIMIT",
            "time_in_force": "GTC",
            "price": D(0),
            "reduce_only": True,
            "state": word,
            "origin": Origin.TRAIL_STOP,
            "parent_id": WHO.algo_id,
            "root_id": WHO.algo_id,
            "created_at": self.now,
            "updated_at": self.now,
        }
        return Order(**told | fields)

    # --- its backstop at the venue --------------------------------------------------------------------

    def cover(self, most: str, net: str | None = None) -> tuple[Action, ...]:
        """So much of the account's net position its backstop may close; no `net`: there is no more of that."""
        return self.give(Cover(self.now, D(most), D(net or most), self.touch))

    def backstop(
        self,
        word: OrderState = OrderState.ACTIVE,
        at: int = -1,
        fill: str = "",
        failure: step.Failure | None = None,
        quote: Quote | None = None,
        **fields: Any,
    ) -> tuple[Action, ...]:
        """What became of its newest backstop, or of the one `at` that place: a word, a fill, a failed request."""
        one = self.state.backstops[at]
        fields = {"trigger_price": one.price, "quantity": one.quantity} | fields
        order = self._order(one.client_order_id, word, **fields)
        traded = self._fill(D(fill), one.price) if fill else None
        return self.give(OrderUpdate(self.now, order, traded, failure, quote=quote or self.touch))

    def refused(self, cause: Cause = Cause.OTHER, action: str = "place", **how: Any) -> tuple[Action, ...]:
        """The request for its newest backstop was refused."""
        at, quote = how.pop("at", -1), how.pop("quote", None)
        failure = step.Failure(action, cause, "-1", "no", **how)
        word = OrderState.FAILED if action == "place" else OrderState.ACTIVE
        return self.backstop(word, at, failure=failure, quote=quote)

    def exit_done(self, reason: str = "") -> tuple[Action, ...]:
        return self.give(ExitDone(self.now, reason, self.touch))

    def chase(self, filled: str, status: AlgoStatus = AlgoStatus.ACTIVE, price: str = "99") -> tuple[Action, ...]:
        """The chase that closes tells its sums, by default as one that goes on."""
        assert self.state.chase is not None, "no chase"
        size = D(filled)
        fees = {"USDT": D("0.02")} if size else {}
        report = ChildReport(self.state.chase.child_id, 0, status, "", size, size * D(price), fees)
        kind = ChildDone if status.terminal else ChildChanged
        return self.give(kind(self.now, report, self.touch))

    def restart(self, epoch: int = EPOCH + 1) -> tuple[Action, ...]:
        """The newest written record is read back by another process, and resumed."""
        self.wake()
        return self.give(step.Recovered(self.now, epoch, self.touch))

    def wake(self) -> None:
        """The newest written record is read back, and holds."""
        self.state = msgspec.json.decode(msgspec.json.encode(self.written[-1][1]), type=TrailStopState)
        self.give(step.StreamHealth(self.now, "recovering", False, None))

    def asked(self, kind: type[Action] = Exit) -> list[Any]:
        return [action for action in self.sent if isinstance(action, kind)]


def closes(action: Action) -> Decimal:
    """How much an action closes."""
    return action.params.quantity if isinstance(action, Spawn) else getattr(action, "quantity", D(0))
