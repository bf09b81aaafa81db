"""When faults strike: a seeded schedule over the table of kinds, for a file, the control port and the virtual world.

Owns the timers, what ends by itself, and how often each kind has struck. Refuses to know what a kind does. All chance
comes from one seed and all time from the clock, so that a run can be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from pms.clock import Alarm, Clock
from pms.sim.fault_kinds import AnyFault
from pms.sim.fault_stage import Stage, kind_of
from pms.sim.faults import Gate
from pms.sim.script import Chance, Rule
from pms.sim.wire import Venue


class Faults:
    """The faults of one simulator."""

    def __init__(self, venue: Venue, gate: Gate, clock: Clock, chance: Chance) -> None:
        self._gate = gate
        self._clock = clock
        self._chance = chance
        self._waiting: dict[object, Alarm] = {}
        self._undo: dict[object, Callable[[], None]] = {}
        self._stage = Stage(venue, gate, clock.now_ms, self._count, self._later)

    @property
    def fired(self) -> Counter[str]:
        """How often each kind has struck; a disconnect is counted with its manner."""
        return self._gate.script.fired

    @property
    def standing(self) -> Sequence[Rule]:
        """The rules that may still strike."""
        return self._gate.script.standing

    @property
    def waiting(self) -> int:
        """How many faults wait for their time."""
        return len(self._waiting)

    def inject(self, *faults: AnyFault) -> None:
        """Let faults happen, each in its time. Raises `ValueError`, and none happens, where one names a symbol or an
        account that there is not."""
        for fault in faults:
            self._check(fault)
        for fault in faults:
            self._plan(fault, fault.at_ms, fault.times)

    def heal(self) -> None:
        """All is well again: no rule, nothing waits, and what had changed is as it was."""
        for alarm in self._waiting.values():
            alarm.cancel()
        self._waiting.clear()
        self._gate.script.clear()
        undo, self._undo = self._undo, {}
        for back in reversed(undo.values()):
            back()
        for line in self._gate.lines:
            line.unmute()

    def _check(self, fault: AnyFault) -> None:
        venue = self._stage.venue
        for name, known in (("symbol", venue.rules), ("account", venue.accounts)):
            value = getattr(fault, name, "")
            if value and value not in known:
                raise ValueError(f"{kind_of(fault)}: there is no {name} {value}; there are {', '.join(known)}")

    def _plan(self, fault: AnyFault, in_ms: int, left: int) -> None:
        if fault.jitter_ms:
            in_ms += int(self._chance.random() * (fault.jitter_ms + 1))
        if in_ms <= 0:
            self._strike(fault, left)
            return
        self._wait(in_ms, lambda: self._strike(fault, left))

    def _strike(self, fault: AnyFault, left: int) -> None:
        if isinstance(fault, Rule):
            self._stage.rule(fault)
        else:
            fault.strike(self._stage)
        if fault.every_ms and left != 1:
            self._plan(fault, fault.every_ms, left - 1 if left else 0)

    def _wait(self, in_ms: int, call: Callable[[], None]) -> None:
        token = object()

        def due() -> None:
            del self._waiting[token]
            call()

        self._waiting[token] = self._clock.call_later(in_ms / 1000, due)

    def _count(self, name: str) -> None:
        self.fired[name] += 1

    def _later(self, in_ms: int, undo: Callable[[], None]) -> None:
        """End something after `in_ms` (0: when all is healed)."""
        token = object()
        self._undo[token] = undo

        def over() -> None:
            self._undo.pop(token)()

        if in_ms:
            self._wait(in_ms, over)
