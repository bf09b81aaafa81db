"""One running algo: its state, its mailbox, its step (design.md rules 5 and 6).

Owns the newest state and the inputs that wait while a step is under way. Refuses to know Redis and the venue: what a
step decided goes to its `Desk` by plain call. Here, and only here, any exception is caught: an algo's bug fails that
algo and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import structlog

from algos.registry import Kind
from algos.step import Action, Input
from pms.clock import Alarm, Clock
from schemas.chase import AlgoStatus

MAILBOX_LIMIT = 1_000  # inputs within one step: each is taken before the next comes in, so more is a loop of our own
PROGRESS_MS = 1_000  # progress events at most so often unless children or fills changed (contract.md)

_log = structlog.get_logger("pms.runner")


class Overflow(Exception):
    """An algo's inputs cause ever more inputs: a bug of ours, which fails that algo (execution.md 31)."""


class Decided(msgspec.Struct, frozen=True):
    """What one step did: the new state and what it asks for."""

    state: Any
    actions: tuple[Action, ...]


class StepTaker(Protocol):
    """Who makes a step durable and carries out its actions."""

    def on_decided(self, runner: Runner, decided: Decided) -> None: ...

    def on_wake(self, runner: Runner) -> None:
        """The record's alarm rang."""
        ...

    def on_broken(self, runner: Runner, error: Exception) -> None:
        """The algo's code failed: the runner is in status `failed`, its children must leave the market."""
        ...


class Runner:
    """See the module. `offer` may be called from within a step: the input waits its turn."""

    __slots__ = (
        *("algo_id", "parent_id", "root_id", "sub_account_id", "symbol"),
        *("kind", "milestone", "state", "told", "told_at"),
        *("_busy", "_clock", "_now", "_step", "_taker", "_waiting", "_waits", "_wake", "_wake_at"),
    )

    def __init__(self, kind: Kind, state: Any, clock: Clock, now: Any, taker: StepTaker) -> None:
        self.kind = kind
        self.state = state
        self._clock = clock
        self._now = now
        self._taker = taker
        self._step = kind.step
        self._waits = kind.waits
        self._waiting: list[Input] = []  # nearly always empty; an empty deque would weigh ten times as much
        self._busy = False
        self._wake: Alarm | None = None
        self._wake_at = 0
        self.told_at = 0
        self.told: tuple[object, ...] = ()
        view = kind.view(state)
        self.algo_id = view.algo_id  # who it is and where it trades never changes
        self.parent_id = view.parent_id
        self.root_id = view.root_id
        self.sub_account_id = view.sub_account_id
        self.symbol = view.symbol
        self.milestone = view.milestone  # what was told of it, by a former life as well

    @property
    def ended(self) -> bool:
        return bool(self.state.status.terminal)

    def take(self, given: Input) -> None:
        """Step with an input. The hot path: most quotes change nothing, and then nothing happens here either."""
        before = self.state
        try:
            state, actions = self._step(before, given)
            if state is before:
                return
            self.kind.check(before, given, state, actions)
        except Exception as error:  # noqa: BLE001 - the project's one broad except (design.md rule 10)
            self._broken(error)
            return
        self.state = state
        if self._waits is not None and not actions and self._waits(state):
            self.arm(self.kind.view(state).wake_at)  # kept in memory until then
        else:
            self._carry_out(self._taker.on_decided, Decided(state, actions))

    on_quote = take  # as the feed calls it (pms.fanout)

    def offer(self, given: Input) -> None:
        """Step with an input now, or after the step under way."""
        if not self._busy:
            self.take(given)
        elif len(self._waiting) < MAILBOX_LIMIT:
            self._waiting.append(given)
        else:
            self._waiting.clear()
            self._broken(Overflow(f"{MAILBOX_LIMIT} inputs within one step"))

    def _carry_out(self, call: Callable[[Runner, Any], None], what: Any) -> None:
        """Have the taker do what a step decided, and take what comes in meanwhile; the step itself is pure."""
        busy, self._busy = self._busy, True
        try:
            call(self, what)
            while self._waiting and not busy:
                self.take(self._waiting.pop(0))
        finally:
            self._busy = busy

    def _broken(self, error: Exception) -> None:
        _log.error("algo_failed", algo=self.algo_id, error=repr(error), exc_info=error)
        reason = f"internal error: {error!r}"
        self.state = msgspec.structs.replace(self.state, status=AlgoStatus.FAILED, reason=reason)
        self._carry_out(self._taker.on_broken, error)

    def arm(self, at_ms: int) -> None:
        """Have the alarm ring at `at_ms` (venue-corrected ms); 0 for none."""
        if at_ms == self._wake_at:
            return
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        self._wake_at = at_ms
        if at_ms:
            seconds = max(0, at_ms - self._now()) / 1000
            self._wake = self._clock.call_later(seconds, lambda: self._taker.on_wake(self))

    def woken(self) -> None:
        """The alarm rang."""
        self._wake = None
        self._wake_at = 0

    def close(self) -> None:
        """No alarm rings any more."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        self._wake_at = 0
