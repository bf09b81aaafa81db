"""Open alarms: raised once, shown in `pms:alarms` and as events until they are cleared."""

from __future__ import annotations

import structlog

from pms.bus.batch import Delete, Put
from pms.ledger import Ledger
from pms.unit import Unit
from schemas import codec
from schemas.events_system import AlarmEvent
from schemas.records import Alarm, Severity

_log = structlog.get_logger("pms.alarms")


class Alarms:
    """The alarms that stand. Refuses to judge what deserves one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.open: dict[str, Alarm] = {}

    def sound(self, code: str, severity: Severity, subject: str, message: str, now: int) -> None:
        """Raise an alarm, once per code and subject. The message says what happened, what was not done, what to do
        next."""
        field = f"{code}:{subject}"
        if field in self.open:
            return
        alarm = Alarm(code=code, severity=severity, subject=subject, message=message, since=now)
        self.open[field] = alarm
        _log.warning("alarm", code=code, subject=subject, message=message)
        unit = Unit(self._ledger, now)
        unit.event(AlarmEvent(ts=now, code=code, severity=severity, subject=subject, message=message, since=now))
        unit.commit(puts=(Put(key=self._ledger.names.alarms, field=field, value=codec.encode(alarm)),))

    def clear(self, code: str, subject: str, now: int) -> None:
        """The cause is gone. Nothing where no such alarm stands."""
        field = f"{code}:{subject}"
        alarm = self.open.pop(field, None)
        if alarm is None:
            return
        _log.info("alarm_cleared", code=code, subject=subject)
        unit = Unit(self._ledger, now)
        unit.event(
            AlarmEvent(
                ts=now,
                code=code,
                severity=alarm.severity,
                subject=subject,
                message=alarm.message,
                since=alarm.since,
                cleared=True,
            )
        )
        unit.commit(deletes=(Delete(self._ledger.names.alarms, field),))
