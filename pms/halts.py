"""What may trade: the mode and the halts in force, kept where neither a crash nor an emptied Redis loses them
(execution.md 32).

Owns `pms:mode` and halt.json beside it. Refuses to cancel or close anything: who puts a halt in force sees to that.
Invariants: where file and record differ, both bind; only `lift` takes a halt away; the file is written first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import structlog

from pms.clock import Clock
from pms.ledger import Ledger
from pms.unit import Unit
from schemas import codec
from schemas.events_system import SystemStatus
from schemas.records import Halt, HaltScope, Mode, TradingMode

FILE = "halt.json"
LOOK_S = 0.25  # how late algos hear of a halt that another hand wrote down; each entry looks by itself
_EVERYTHING: tuple[HaltScope, str] = ("all", "")

_log = structlog.get_logger("pms.halts")


class HaltFile:
    """halt.json in the data directory: read before Redis is, and written by `pms halt --direct` without one.

    `folder` None: there is none, and Redis alone keeps the halts.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / FILE
        self._name = str(self._path)
        self.seen: tuple[int, int, int] | None = None  # its stamp when it was last read or written here

    def read(self, now: int) -> tuple[Halt, ...]:
        """The halts written down. One that can't be read halts everything: a halt is never lost to a damaged file."""
        if self._path is None:
            return ()
        self.seen = self.stamp()
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[Halt, ...])
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.MsgspecError) as error:
            _log.error("halt_file_unreadable", path=str(self._path), error=str(error))
            return (Halt(scope="all", since=now, cause=f"{FILE} can't be read: {error}"),)

    def write(self, halts: Iterable[Halt]) -> None:
        """Replace what is written down, on the disk when this returns. Raises OSError."""
        if self._path is None:
            return
        fresh = self._path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(codec.encode(tuple(halts)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.seen = self.stamp()

    def stamp(self) -> tuple[int, int, int] | None:
        """What stands there; another than `seen`: another hand has written it since. None: there is no file. One look:
        asked before each entry."""
        if self._path is None or not os.access(self._name, os.F_OK):  # nearly always: an exception costs more
            return None
        try:
            found = os.stat(self._name)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


class Halts:
    """See the module. `status` makes the event that tells the mode; `on_change` hears when something else than before
    may trade, `on_put` of each halt that comes into force, by whatever hand."""

    def __init__(
        self,
        ledger: Ledger,
        file: HaltFile,
        now: Callable[[], int],
        status: Callable[[], SystemStatus],
        on_change: Callable[[], None],
        on_put: Callable[[Halt], None],
    ) -> None:
        self._ledger = ledger
        self._file = file
        self._now = now
        self._status = status
        self._on_change = on_change
        self._on_put = on_put
        self._by_scope: dict[tuple[HaltScope, str], Halt] = {}
        self._reducing: Halt | None = None

    # --- what stands ----------------------------------------------------------------------------------

    @property
    def standing(self) -> tuple[Halt, ...]:
        """Every halt in force."""
        return tuple(self._by_scope.values())

    @property
    def mode(self) -> TradingMode:
        """Of the whole account: HALTED by a halt of everything, REDUCE, or NORMAL."""
        if _EVERYTHING in self._by_scope:
            return "HALTED"
        return "NORMAL" if self._reducing is None else "REDUCE"

    @property
    def cause(self) -> str:
        """Why the account is not NORMAL; empty where it is."""
        halt = self._by_scope.get(_EVERYTHING) or self._reducing
        return "" if halt is None else halt.cause

    def refusal(self, sub_account: str, symbol: str) -> str:
        """Why nothing that adds risk may leave for them, in words; empty where nothing stands against it.

        Read right before each entry; a halt.json written by another hand is seen here.
        """
        if self._file.stamp() != self._file.seen:
            self.look()
        halt = self.covering(sub_account, symbol) if self._by_scope else None
        if halt is not None:
            return f"halted ({halt.subject or 'all'}): {halt.cause}"
        return "" if self._reducing is None else f"reduce only: {self._reducing.cause}"

    def covering(self, sub_account: str, symbol: str) -> Halt | None:
        """The widest halt in force for them."""
        if not self._by_scope:
            return None
        by_scope = self._by_scope
        return (
            by_scope.get(_EVERYTHING) or by_scope.get(("subAccountId", sub_account)) or by_scope.get(("symbol", symbol))
        )

    # --- changes --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Put in force what record and file hold, without telling anybody but Redis: nothing trades yet. Called at
        start, once the ledger is restored."""
        before = self._ledger.mode
        for halt in (*before.halts, *self._file.read(self._now())):
            self._by_scope.setdefault((halt.scope, halt.subject), halt)
        if before.mode == "REDUCE":
            self._reducing = Halt(scope="all", since=before.updated_at, cause=before.cause)
        if self._by_scope:
            self._file.write(self.standing)
        if self.standing != before.halts:
            self._record("")

    def look(self) -> None:
        """Put in force what another hand has written into the file. One that took halts out of it lifted nothing."""
        found = self._file.read(self._now())
        for halt in found:
            if (halt.scope, halt.subject) not in self._by_scope:
                self._put(halt, "")
        if set(found) != set(self.standing):
            self._file.write(self.standing)

    async def run(self, clock: Clock) -> None:
        """See what another hand writes into the file, where no entry is about to leave."""
        while True:
            await clock.sleep(LOOK_S)
            if self._file.stamp() != self._file.seen:
                self.look()

    def put(self, halt: Halt, request_id: str = "") -> None:
        """Halt a scope; one that is halted already stays as it is. On the disk when this returns. Raises OSError."""
        if (halt.scope, halt.subject) not in self._by_scope:
            self._put(halt, request_id)

    def _put(self, halt: Halt, request_id: str) -> None:
        self._by_scope[(halt.scope, halt.subject)] = halt
        _log.warning("halted", scope=halt.scope, subject=halt.subject, cause=halt.cause)
        try:
            self._file.write(self.standing)
        finally:  # a full disk must not keep a halt from binding
            self._record(request_id)
            self._on_change()
            self._on_put(halt)

    def reduce(self, cause: str) -> None:
        """Let the whole account only reduce risk, until everything is resumed."""
        if self._reducing is None:
            self._reducing = Halt(scope="all", since=self._now(), cause=cause)
            _log.warning("reduce_only", cause=cause)
            self._record("")
            self._on_change()

    def lift(self, scope: HaltScope, subject: str, request_id: str = "") -> bool:
        """Take away the halt of exactly this scope; with `all` also what lets the account only reduce. Whether
        anything stood there."""
        lifted = self._by_scope.pop((scope, subject), None)
        if scope == "all":
            lifted, self._reducing = lifted or self._reducing, None
        if lifted is None:
            return False
        self._record(request_id)
        self._file.write(self.standing)  # last: a crash in between leaves the stricter of both
        _log.warning("resumed", scope=scope, subject=subject)
        self._on_change()
        return True

    def _record(self, request_id: str) -> None:
        now = self._now()
        unit = Unit(self._ledger, now, request_id)
        unit.mode(Mode(mode=self.mode, cause=self.cause, halts=self.standing, updated_at=now))
        unit.event(self._status())
        unit.commit()
