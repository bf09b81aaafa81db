"""Carries the margin ladder out: tells of each rung, lets a sub-account only reduce, closes what the ladder says
(`pms.core.ladder`).

Owns where each sub-account stands. What closes waits until the exits under way have ended: the books hold their fills
then. Refuses to send: exits are `pms.exit_orders`'. With `notify` it only tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec
import structlog

from algos import step as inputs
from pms.commands.scope import Scope
from pms.core import ladder
from pms.core.ladder import Action, Rung, Standing
from pms.core.margin import Stake
from pms.desk import Desk
from pms.exit_goals import in_flight
from pms.margin_exits import MarginExits
from schemas.errors import ErrorCode
from schemas.events_system import MarginWarning
from schemas.records import Severity

CAUSE = ErrorCode.INSUFFICIENT_MARGIN.value  # of a sub-account that may only reduce for its margin
SHOWN = Decimal("0.0001")
_TIERS = {Rung.CALM: "none", Rung.WARNED: "warned", Rung.REDUCING: "reducing", Rung.CLOSING: "closing"}

_log = structlog.get_logger("pms.margin_ladder")


class MarginLadder:
    """See the module. `tell` lets every algo hear how things stand."""

    def __init__(self, desk: Desk, action: Action, closing: MarginExits, tell: Callable[[], None]) -> None:
        self._desk = desk
        self._action = action
        self._closing = closing
        self._tell_algos = tell
        self._rungs: dict[str, Rung] = {}

    def look(self, name: str, held: Mapping[str, Stake], equity: Decimal) -> None:
        """A sub-account's newest numbers, with each risk record: its positions by symbol, and what it is worth."""
        before = self._rungs.get(name)
        if before is None:  # of a former life the alarm is left
            before = Rung.WARNED if f"margin:{name}" in self._desk.alarms.open else Rung.CALM
        if not held and before is Rung.CALM:
            return
        found = ladder.judge(before, held.values(), equity, self._action)
        if found.rung < before and not all(map(self._desk.mark, held)):
            return  # at a price of yesterday nobody is safe
        self._rungs[name] = found.rung
        if found.rung is not before:
            self._tell(name, found)
        if found.rung >= Rung.REDUCING and self._action != "notify":
            self._only_reduces(name)
            self._act(name, found.rung, held, equity)

    # --- telling --------------------------------------------------------------------------------------

    def _tell(self, name: str, found: Standing) -> None:
        desk, now, shown = self._desk, self._desk.now(), found.ratio.quantize(SHOWN)
        action = self._done_about(found.rung)
        with desk.step() as unit:
            tier = _TIERS[found.rung]
            unit.event(MarginWarning(ts=now, sub_account_id=name, ratio=shown, tier=tier, action=action))
        desk.alarms.clear("margin", name, now)  # each rung is told anew
        if found.rung is Rung.CALM:
            return
        message = (
            f"{name}'s maintenance margin is {shown:.0%} of what it is worth; at 100 % the venue liquidates. "
            f"{self._advice(action)}"
        )
        severity: Severity = "warning" if found.rung is Rung.WARNED else "critical"
        desk.alarms.sound("margin", severity, name, message, now)

    def _done_about(self, rung: Rung) -> str:
        if rung < Rung.REDUCING or self._action == "notify":
            return "none" if rung < Rung.REDUCING else "notify"
        return "close" if rung is Rung.CLOSING else "reduce"

    def _advice(self, action: str) -> str:
        if action == "reduce":
            return "Its largest position is reduced and nothing is added. Add money, then unfreeze."
        if action == "close":
            return "Its algos end and all of it is closed. Look at what is left, then unfreeze."
        then = f"; from {ladder.REDUCE:.0%} on pms does" if self._action != "notify" else ": pms only tells"
        return f"Add money or reduce{then}."

    # --- acting ---------------------------------------------------------------------------------------

    def _only_reduces(self, name: str) -> None:
        """Nothing is added while something is taken away. It stays so until somebody says otherwise, or an algo would
        put back what was closed."""
        desk, account = self._desk, self._desk.ledger.sub_accounts[name]
        if account.status == "active":
            _log.warning("sub_account_reduces", sub_account=name, code=CAUSE)
            with desk.step() as unit:
                unit.sub_account(msgspec.structs.replace(account, status="reduce", cause=CAUSE))
            self._tell_algos()
        Scope(name).withdraw_entries(desk)

    def _act(self, name: str, rung: Rung, held: Mapping[str, Stake], equity: Decimal) -> None:
        if rung is Rung.CLOSING:
            self._end_all(name)
        known, barred = self._desk.instruments, self._closing.barred(name)
        rules = {symbol: known[symbol] for symbol in held if symbol in known and symbol not in barred}
        locked = self._closing.running(name) if rung is Rung.CLOSING else self._closing.locked(name) - barred
        orders = Scope(name).orders(self._desk)
        placings = tuple(one.client_order_id for one in orders if in_flight(one) and not one.reduce_only)
        for close in ladder.closes(rung, tuple(held.values()), equity, rules, self._action, locked):
            _log.warning("margin_closes", sub_account=name, symbol=close.symbol, quantity=str(close.quantity or "all"))
            self._closing.begin(name, close.symbol, close.quantity, placings if close.quantity is None else ())

    def _end_all(self, name: str) -> None:
        """End the algos of a sub-account, protection too, and take its resting orders away, as close_all does."""
        desk, scope = self._desk, Scope(name)
        with desk.step():
            for runner in scope.runners(desk, protection=True):
                desk.offer(runner, inputs.CancelRequest(desk.now(), "margin"))
            for order in scope.orders(desk):
                if not (order.reduce_only and order.immediate):
                    desk.cancel(order)
