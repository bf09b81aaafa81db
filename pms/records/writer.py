"""The one writer of SQL: events become rows, in the order of their numbers, each once.

Owns the loop, and going on where it stopped whatever went away meanwhile. Refuses to know SQL (`database`), Redis
(`source`) and what an event means (`rows`). Nothing that trades waits for it: what it has not read stays in the stream,
and later in the archive.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog

from pms.bus.batch import Gone
from pms.bus.link import Refusal
from pms.clock import Clock
from pms.records import address, database
from pms.records.columns import instant
from pms.records.database import Away, Database, Moved, Position
from pms.records.journal import Journal
from pms.records.source import Source

FIRST_RETRY_S = 0.1
LONGEST_RETRY_S = 2.0
TELL_S = 5.0  # also when nothing comes: by it the daemon sees that somebody is there
RETAIN_S = 3600.0

_log = structlog.get_logger("pms.records.writer")


class Writer:
    """See the module. `find` gives the database's address once there is one, `keep_days` the retention by table, and
    `journal` hears each event that comes."""

    def __init__(
        self,
        source: Source,
        find: Callable[[], Awaitable[address.Address]],
        clock: Clock,
        namespace: str,
        keep_days: Mapping[str, int],
        journal: Journal | None = None,
    ) -> None:
        self._source, self._find, self._clock = source, find, clock
        self._namespace, self._keep_days, self._journal = namespace, keep_days, journal
        self._told_at = 0.0
        self._retained_at: float | None = None
        self._worked = False
        self.position = Position()

    async def run(self) -> None:
        """Write until cancelled. Raises `Held`, `schema.NewerTables`, `codec.Newer` and errors of ours."""
        pause = FIRST_RETRY_S
        try:
            while True:
                self._worked = False
                try:
                    await self._write()
                except (Away, Gone, Refusal, Moved) as error:
                    _log.warning("records_wait", reason=str(error), seq=self.position.seq, again_in_s=pause)
                pause = FIRST_RETRY_S if self._worked else min(2 * pause, LONGEST_RETRY_S)
                await self._clock.sleep(pause)
        finally:
            self._source.close()

    async def _write(self) -> None:
        """On one connection, until it or Redis is lost."""
        where = await self._find()
        engine = database.engine_of(where)
        connection = await database.open_connection(engine)
        try:
            rows = Database(connection, where.schema, self._namespace)
            self.position = await rows.open(instant(self._clock.now_ms()))
            _log.info("records_open", database=where.shown, seq=self.position.seq, epoch=self.position.epoch)
            while True:
                await self._step(rows)
        finally:
            await database.discard(connection)

    async def _step(self, rows: Database) -> None:
        """One batch, or a second without any."""
        batch = await self._source.read(self.position)
        now = self._clock.now_ms()
        if self._journal is not None and batch.told:
            self._journal.note(batch.told)
        if batch.after != self.position:
            await rows.write(self.position, batch.after, instant(now), batch.told, batch.market, batch.gaps)
            self.position = batch.after
            self._worked = True
        if batch.told or self._clock.monotonic() - self._told_at > TELL_S:
            await self._source.tell(self.position, now)
            self._told_at = self._clock.monotonic()
        if self._retained_at is None or self._clock.monotonic() - self._retained_at > RETAIN_S:
            self._retained_at = self._clock.monotonic()
            if dropped := await rows.retain(instant(now), self._keep_days):
                _log.info("records_dropped", partitions=dropped)
