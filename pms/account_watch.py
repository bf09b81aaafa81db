"""What is set at the venue for the whole account, and what the venue warns it of, while we trade on it.

Owns the alarms of it, and that nothing that adds risk is sent in a mode that we can't serve (execution.md 17): no event
tells of hedge mode, so the audit asks. Refuses to change anything at the venue.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal

import structlog

from pms.desk import Desk
from pms.halts import Halts
from pms.leverage import Leverage
from pms.notices import CalledPosition, LeverageSet, MarginCall, ModeSwitched, Notice, Unserved
from pms.venue import Reads
from schemas.events_system import MarginWarning
from schemas.market import ZERO

MODE, LEVERAGE, MARGIN = "account_mode", "leverage_changed", "margin_call"
ACCOUNT = "account"  # the subject of a margin call
CALM = Decimal("0.8")  # of maintenance to margin balance, below which the venue no longer warns
SHOWN = Decimal("0.0001")
LIQUIDATED = Decimal(1)  # the ratio at which the venue liquidates

_log = structlog.get_logger("pms.account_watch")


def ratio(call: MarginCall) -> Decimal:
    """Maintenance margin over margin balance, of what the call names: the highest of the cross positions together and
    of each one with margin of its own. 1 where nothing is left."""
    cross = [held for held in call.positions if held.wallet is None]
    groups = [(call.cross_wallet, cross)] if cross else []
    groups += [(held.wallet, [held]) for held in call.positions if held.wallet is not None]
    return max((_ratio(wallet, held) for wallet, held in groups), default=ZERO)


def _ratio(wallet: Decimal, held: list[CalledPosition]) -> Decimal:
    balance = wallet + sum((one.unrealized for one in held), ZERO)
    maintained = sum((one.maintenance for one in held), ZERO)
    return (maintained / balance).quantize(SHOWN, ROUND_CEILING) if balance > 0 else LIQUIDATED


class AccountWatch:
    """See the module. `ask` has the audit look soon."""

    def __init__(self, venue: Reads, desk: Desk, halts: Halts, leverage: Leverage, ask: Callable[[], None]) -> None:
        self._venue = venue
        self._desk = desk
        self._halts = halts
        self._leverage = leverage
        self.ask = ask
        self._modes: dict[str, Unserved] = {}

    def on_notice(self, notice: Notice) -> None:
        """The venue tells, unasked."""
        match notice:
            case ModeSwitched(mode=mode, on=on):
                self._put({**self._modes, mode.name: mode} if on else _without(self._modes, mode.name))
            case LeverageSet():
                self._on_leverage(notice)
            case MarginCall():
                self._on_margin_call(notice)

    def on_gap(self) -> None:
        """What it told may have been missed."""
        self._leverage.forget()

    async def look(self) -> None:
        """Ask the venue what it does not tell. Raises `Unavailable`."""
        self._put({mode.name: mode for mode in await self._venue.unserved_modes()})
        if f"{MARGIN}:{ACCOUNT}" in self._desk.alarms.open:
            maintained, balance = await self._venue.account_margin()
            if maintained < balance * CALM:
                self._desk.alarms.clear(MARGIN, ACCOUNT, self._desk.now())

    def insist(self) -> None:
        """Somebody has let trading go on: not while a mode stands that we can't serve."""
        for mode in self._modes.values():
            self._halts.reduce(mode.reason)

    def _put(self, modes: dict[str, Unserved]) -> None:
        self._modes = modes
        now, alarms = self._desk.now(), self._desk.alarms
        for subject in [alarm.subject for alarm in alarms.open.values() if alarm.code == MODE]:
            if subject not in modes:
                alarms.clear(MODE, subject, now)
        for mode in modes.values():
            message = (
                f"{mode.reason}. Nothing that adds risk is sent. {mode.remedy}; when this alarm is over, `resume`."
            )
            alarms.sound(MODE, "critical", mode.name, message, now)
        self.insist()

    def _on_leverage(self, told: LeverageSet) -> None:
        was, now = self._leverage.told(told.symbol, told.leverage), self._desk.now()
        self._desk.alarms.clear(LEVERAGE, told.symbol, now)  # a newer setting, ours or not, is another matter
        if was is None:
            return
        before = f"it was {was}" if was else "what it was is not known"
        message = (
            f"the leverage of {told.symbol} was set to {told.leverage} at the venue by another hand ({before}). "
            "Nothing was done; the next order that adds risk there has it set anew, as far as the venue lets it."
        )
        self._desk.alarms.sound(LEVERAGE, "warning", told.symbol, message, now)

    def _on_margin_call(self, call: MarginCall) -> None:
        found, now = ratio(call), self._desk.now()
        named = ", ".join(held.symbol for held in call.positions)
        _log.warning("margin_call", ratio=str(found), positions=named)
        with self._desk.step() as unit:
            unit.event(MarginWarning(ts=now, ratio=found, tier="margin_call", action="none"))
        message = (
            f"the venue warns: maintenance margin is {found:.0%} of the account's margin balance ({named}); at 100% it "
            "liquidates. Nothing was done; add money or reduce."
        )
        self._desk.alarms.sound(MARGIN, "critical", ACCOUNT, message, now)


def _without(modes: dict[str, Unserved], name: str) -> dict[str, Unserved]:
    return {known: mode for known, mode in modes.items() if known != name}
