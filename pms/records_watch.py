"""Whether somebody keeps the records: how far they are in SQL, as their writer tells it in `pms:records`.

Owns the alarm. Refuses to need a writer: nothing waits for it, and its absence stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from pms.bus.batch import Gone
from pms.bus.caller import Caller
from pms.bus.link import Refusal
from pms.bus.trim import Alarms
from pms.clock import Clock
from schemas import codec
from schemas.errors import Invalid
from schemas.keys import Keys
from schemas.records import Commit

LOOK_S = 30.0
PATIENCE_MS = 300_000  # a restart of the database, or a migration, is nobody's business
BEHIND = "records_behind"

_log = structlog.get_logger("pms.records_watch")


class RecordsWatch:
    """See the module. `seq` is the last event's number; not `wanted`: nobody is to keep any, and none are missed."""

    def __init__(
        self, caller: Caller, keys: Keys, clock: Clock, alarms: Alarms, seq: Callable[[], int], wanted: bool
    ) -> None:
        self._caller, self._key, self._clock, self._alarms = caller, keys.records, clock, alarms
        self._seq, self._wanted = seq, wanted
        self._seen = 0
        self._moved_at = 0
        self._owed = 0  # an event that was there at the look before, and should be in SQL by now

    async def run(self) -> None:
        """Look every `LOOK_S`. What Redis does not answer is asked again the next time."""
        self._moved_at = self._clock.now_ms()
        while self._wanted:
            await self._clock.sleep(LOOK_S)
            try:
                self.look(await self.committed())
            except (Gone, Refusal) as error:
                _log.info("records_not_looked_at", reason=str(error))

    async def committed(self) -> int:
        """The last event in SQL, 0 where none is known to be. Raises Gone, Refusal."""
        told = await self._caller.call("GET", self._key)
        if not isinstance(told, bytes):
            return 0
        try:
            return codec.decode(Commit, told).seq
        except Invalid:  # what can't be read proves nothing to be there; trimming says so
            return 0

    def look(self, committed: int) -> None:
        """Judge: records that do not move though events wait are behind."""
        now = self._clock.now_ms()
        if committed != self._seen or committed >= self._owed:
            self._seen, self._moved_at = committed, now
        self._owed = self._seq()
        if now - self._moved_at >= PATIENCE_MS:
            self._alarms.sound(BEHIND, "warning", self._key, self._message(committed), now)
        elif self._moved_at == now:
            self._alarms.clear(BEHIND, self._key, now)

    def _message(self, committed: int) -> str:
        writer = f"has committed up to {committed}" if committed else "has never run"
        return (
            f"Events are at {self._owed}, and the records writer {writer}. Nothing is lost, they wait. See why "
            "`pms records` does not write (its log, its database), or set PMS_RECORDS=off."
        )
