"""From an entry at a door to its stored outcome: decode, accept, dispatch, answer (contract.md, "Commands in").

Owns who is answered what and when, repeats included. Refuses to know what a command does: that is the `Executor`'s.
Invariants: one outcome per request id; a stream entry is acknowledged after its outcome is stored; a slow sub-account
holds up no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec
import structlog

from pms.bus import acceptance
from pms.bus.acceptance import Arrival, Item
from pms.bus.auth import Keyring
from pms.bus.batch import Gone
from pms.bus.caller import Answers, Caller
from pms.bus.doors import Doors
from pms.bus.executor import Context, Executor
from pms.bus.lanes import Lanes
from pms.bus.link import Refusal
from pms.bus.outcomes import Reply
from pms.bus.requests import Requests, kept
from pms.bus.store import Store
from pms.clock import Clock
from pms.tasks import Tasks
from schemas.commands import REDUCING, SUPERSEDING, decode_command
from schemas.errors import ErrorCode, Failure, Invalid
from schemas.keys import Keys

REPLY_S = 3.0  # contract.md: reply within 3 s
RECENT_MAX = 10_000  # finished requests remembered in this process; older ones are looked up in Redis

Turn = tuple[Item, Answers]  # a command, and the look-up of its request id on its way

_log = structlog.get_logger("pms.bus.inbox")


class _Known(msgspec.Struct, frozen=True, eq=False):
    """A request of this process: its body's digest, and its reply once there is one."""

    digest: str
    reply: asyncio.Future[bytes]


class Inbox:
    """See the module.

    `venue_now` is Unix ms corrected to the venue's clock; `admin_only` keeps privileged commands to their door;
    `keyring` says who may send what, where commands have to be signed.
    """

    def __init__(
        self,
        caller: Callable[[], Caller],
        store: Store,
        keys: Keys,
        executor: Executor,
        clock: Clock,
        tasks: Tasks,
        venue_now: Callable[[], int],
        admin_only: bool,
        keyring: Keyring,
    ) -> None:
        self._keyring = keyring
        self._executor, self._clock, self._tasks = executor, clock, tasks
        self._venue_now = venue_now
        self._admin_only = admin_only
        self._ask = caller()
        self._doors = Doors(caller, keys, f"epoch-{store.epoch}", clock, tasks, self.take)
        self._lanes: Lanes[Turn] = Lanes(tasks, self._process)
        self._requests = Requests(self._ask, store, keys, executor, clock, venue_now)
        self._recent: dict[tuple[str, str], _Known] = {}
        self._under_way: dict[Context, Item] = {}

    async def open(self) -> None:
        """Open the doors. Raises Gone."""
        await self._doors.open()

    async def close(self) -> None:
        """Close the doors and answer what waits SHUTTING_DOWN; what runs goes on (its owner closes the tasks)."""
        await self._doors.close()
        for item, _ in self._lanes.take(lambda _: True):
            if not item.arrival.entry_id:  # a stream entry stays pending for the next daemon
                message = "the daemon stops; nothing was done. Send it again."
                await self._refuse(item, Failure.of(ErrorCode.SHUTTING_DOWN, message))
        self._ask.close()

    # arriving

    def take(self, arrival: Arrival) -> None:
        """One entry from a door."""
        try:
            item = self._identify(arrival)
        except Invalid as error:
            self._tasks.spawn(self._refuse_unread(arrival, error), "bus.inbox refuse")
            return
        turn = (item, self._requests.ask_ahead(item))
        if item.command.type in REDUCING:
            self._tasks.spawn(self._process(turn), f"bus.inbox {item.command.type}")
        elif not self._lanes.put(item.sub_account, turn):
            message = f"too many commands of {item.sub_account} wait; nothing was done. Send it again later."
            self._tasks.spawn(self._refuse(item, Failure.of(ErrorCode.RATE_LIMITED, message)), "bus.inbox refuse")

    def _identify(self, arrival: Arrival) -> Item:
        decoded = decode_command(arrival.type, arrival.body, arrival.entry_id != "")
        owner = "" if decoded.envelope.sub_account_id else self._executor.owner(decoded.command)
        item = acceptance.identify(arrival, decoded, owner)
        if self._keyring.in_force:
            self._keyring.check(item, self._venue_now())
        return item

    async def _process(self, turn: Turn) -> None:
        """One command to its stored outcome, and its acknowledgement."""
        item, ahead = turn
        key = (item.sub_account, item.request_id)
        known = self._recent.get(key) if item.request_id else None
        if known is not None:
            await self._requests.repeat(item, known.digest, await asyncio.shield(known.reply))
            self._doors.done(item.arrival)
            return
        known = _Known(item.digest, asyncio.get_running_loop().create_future())
        if item.request_id:
            self._remember(key, known)
        context = self._requests.context(item)
        self._under_way[context] = item
        try:
            reply = await self._first(item, known, ahead, context)
        finally:
            del self._under_way[context]
        self._conclude(item, known, reply)

    def _conclude(self, item: Item, known: _Known, reply: bytes) -> None:
        known.reply.set_result(reply)
        key = (item.sub_account, item.request_id)
        if self._recent.get(key) is known and not kept(reply):
            del self._recent[key]
        self._doors.done(item.arrival)

    def _remember(self, key: tuple[str, str], known: _Known) -> None:
        self._recent[key] = known
        if len(self._recent) > RECENT_MAX:
            oldest = next(iter(self._recent))
            if self._recent[oldest].reply.done():
                del self._recent[oldest]

    async def _first(self, item: Item, known: _Known, ahead: Answers, context: Context) -> bytes:
        """The reply to a request that this process sees for the first time."""
        if ahead or not self._executor.claims_first(item.command, item.sub_account):
            stored, foreign = await self._requests.look_up(item, ahead)
            if stored is not None:
                return await self._requests.seen_before(item, stored)
            if foreign:
                return await self._requests.foreign(item)
        try:
            if self._admin_only:
                acceptance.check_door(item)
            acceptance.check_age(item, self._venue_now, self._doors.redis_now)
            if self._keyring.in_force:
                await self._requests.once(item)
        except Invalid as error:
            return await self._requests.answer(item, error.failure(), context)
        if item.command.type in SUPERSEDING:
            await self._sweep(item)
        return await self._requests.answer(item, await self._execute(item, known, context), context)

    # carrying out

    async def _execute(self, item: Item, known: _Known, context: Context) -> Reply:
        """The executor's reply.

        One that takes too long is answered REPLY_TIMEOUT meanwhile; its true outcome follows. An error of ours ends the
        task, and is answered once it has.
        """
        late = self._clock.call_later(REPLY_S, partial(self._late, item))
        whole = False
        try:
            reply = await self._executor.handle(item.command, context)
            whole = True
        except Invalid as error:
            whole = True
            return error.failure()
        finally:
            late.cancel()
            task = asyncio.current_task()
            if not whole and task is not None:
                task.add_done_callback(partial(self._broken, item, known, context))
        return reply

    def _late(self, item: Item) -> None:
        if item.request_id:
            message = "no outcome within 3 s; it goes on, the outcome follows as event command_result."
            told = self._requests.meanwhile(item, Failure.of(ErrorCode.REPLY_TIMEOUT, message))
            told.add_done_callback(asyncio.Future.exception)  # nobody waits for it

    def _broken(self, item: Item, known: _Known, context: Context, task: asyncio.Task[None]) -> None:
        message = "the daemon stopped while it was carried out."
        if not task.cancelled():
            error = task.exception()
            message = (
                f"an error of ours while it was carried out: {error!r}. Look at orders and algos before repeating."
            )
        failure = Failure.of(ErrorCode.OUTCOME_UNKNOWN, message)
        self._tasks.spawn(self._answer_broken(item, known, context, failure), "bus.inbox broken")

    async def _answer_broken(self, item: Item, known: _Known, context: Context, failure: Failure) -> None:
        self._conclude(item, known, await self._requests.answer(item, failure, context))

    # refusing

    async def _sweep(self, sweep: Item) -> None:
        """Take what waits in scope, in our lanes and unread at both doors, and answer it; the rest goes its way. What
        is being carried out stops short of its first step."""
        message = f"a {sweep.command.type} overtook it; nothing was done."
        failure = Failure.of(ErrorCode.SUPERSEDED, message, by=sweep.request_id)
        taken = self._overtake(sweep, message)
        try:
            arrivals = await self._doors.drain()
        except (Gone, Refusal) as error:
            _log.warning("doors_not_emptied", reason=str(error), by=sweep.command.type)
            arrivals = []
        for arrival in arrivals:
            try:
                item = self._identify(arrival)
            except Invalid:
                self.take(arrival)
                continue
            if acceptance.superseded(item, sweep):
                taken.append(item)
            else:
                self.take(arrival)
        taken += self._overtake(sweep, message)  # what came in meanwhile by another door
        for item in taken:
            self._tasks.spawn(self._refuse(item, failure), "bus.inbox superseded")

    def _overtake(self, sweep: Item, message: str) -> list[Item]:
        """What waits in our lanes under a sweep, taken out; what is being carried out is told."""
        for context, item in self._under_way.items():
            if acceptance.superseded(item, sweep):
                context.overtake(message)
        return [item for item, _ in self._lanes.take(lambda turn: acceptance.superseded(turn[0], sweep))]

    async def _refuse(self, item: Item, failure: Failure) -> None:
        await self._requests.refuse(item, failure)
        self._doors.done(item.arrival)

    async def _refuse_unread(self, arrival: Arrival, error: Invalid) -> None:
        await self._requests.refuse_unread(arrival, error)
        self._doors.done(arrival)
