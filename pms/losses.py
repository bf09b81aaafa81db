"""Losses against the limits of each sub-account: reached, it may only reduce (contract.md, DAILY_LOSS and DRAWDOWN).

Owns where a day began and the highest a sub-account stood; both are part of its risk record, so a restart keeps them. A
day is UTC and counts everything that moves equity: realised, unrealised, fees and funding (execution.md 16). Refuses to
take orders away: who holds the algos of a sub-account does. Only a person lets it trade again.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import structlog

from pms.alarms import Alarms
from pms.ledger import Ledger
from pms.unit import Unit
from schemas.books import Risk
from schemas.errors import ErrorCode
from schemas.market import ZERO
from schemas.records import SubAccount

LOSSES = frozenset((ErrorCode.DAILY_LOSS.value, ErrorCode.DRAWDOWN.value))  # causes of a sub-account that lost too much
DAY_MS = 24 * 3_600_000
HUNDRED = Decimal(100)

_replace = msgspec.structs.replace
_log = structlog.get_logger("pms.losses")


class Losses:
    """See the module. `on_reduce` hears of each sub-account that may only reduce from now on, with the reason."""

    def __init__(self, ledger: Ledger, alarms: Alarms, on_reduce: Callable[[str, str], None]) -> None:
        self._ledger = ledger
        self._alarms = alarms
        self._on_reduce = on_reduce

    def measured(self, name: str, risk: Risk) -> Risk:
        """A new risk record with where its day began and its peak, taken over from the one before."""
        before = self._ledger.risks.get(name)
        day = risk.timestamp - risk.timestamp % DAY_MS
        fresh = before is None or not before.day
        began = risk.equity if before is None or before.day != day else before.day_equity
        peak = risk.equity if fresh or before is None else max(before.peak_equity, risk.equity)
        return _replace(risk, day=day, day_equity=began, peak_equity=peak)

    def judge(self, name: str, risk: Risk) -> None:
        """Let a sub-account only reduce once it has lost what its limits allow."""
        account = self._ledger.sub_accounts.get(name)
        if account is None or account.status != "active":
            return
        code, message = self._broken(account, risk)
        if not code:
            return
        _log.warning("sub_account_reduces", sub_account=name, code=code, message=message)
        unit = Unit(self._ledger, risk.timestamp)
        unit.sub_account(_replace(account, status="reduce", cause=code))
        unit.commit()
        text = f"{name} {message}. It may only reduce now: its entries leave the market. Let it trade again: unfreeze."
        self._alarms.sound(code.lower(), "critical", name, text, risk.timestamp)
        self._on_reduce(name, message)

    def _broken(self, account: SubAccount, risk: Risk) -> tuple[str, str]:
        limits, lost = account.limits, risk.day_equity - risk.equity
        if limits.max_daily_loss is not None and lost >= limits.max_daily_loss > ZERO:
            return ErrorCode.DAILY_LOSS.value, f"lost {lost} USDT today, {limits.max_daily_loss} are allowed"
        if limits.max_drawdown_pct is not None and risk.peak_equity > ZERO:
            down = (risk.peak_equity - risk.equity) / risk.peak_equity * HUNDRED
            if down >= limits.max_drawdown_pct > ZERO:
                return (
                    ErrorCode.DRAWDOWN.value,
                    f"is {down:.2f} % below its peak, {limits.max_drawdown_pct} are allowed",
                )
        return "", ""

    def forgive(self, name: str, now: int) -> None:
        """Somebody lets it trade again: day and peak begin anew where it is measured next, or it would be stopped at
        once."""
        risk = self._ledger.risks.get(name)
        for code in (ErrorCode.DAILY_LOSS, ErrorCode.DRAWDOWN):
            self._alarms.clear(code.value.lower(), name, now)
        if risk is None:
            return
        unit = Unit(self._ledger, now)
        unit.risk(name, _replace(risk, day=0))
        unit.commit()

    def moved(self, name: str, amount: Decimal) -> None:
        """Money came to a sub-account, or went (negative), that was neither won nor lost."""
        risk = self._ledger.risks.get(name)
        if risk is not None:
            self._ledger.risks[name] = _replace(
                risk, day_equity=risk.day_equity + amount, peak_equity=risk.peak_equity + amount
            )
