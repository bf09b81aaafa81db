"""From an approved request to a known outcome: sends, classifies, looks up (execution.md 1-6).

Owns the requests in flight. Refuses to decide what to send and to keep order records: outcomes go back through
`Outcomes` as plain calls. Each request runs in its own supervised task; a waiter may leave, the request goes on. Only
certainly-not-done is ever tried again, and by the algo.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import structlog

from pms.bus.batch import Committed, Durable
from pms.clock import Clock
from pms.core.risk import Approved
from pms.tasks import Tasks
from pms.venue import Amend, Cancel, Done, NotDone, Outcome, Place, Refused, Unavailable, Unknown, Venue
from schemas.orders import Cause, Fill
from schemas.reports import Report, VenueStatus

ENTRY_WAIT_S = 2.0  # an entry whose record is not in Redis by then is not sent: its price is old news
PLACE_SETTLE_MS = 2_000 + 10_000  # execution.md 2: recvWindow of a place + 10 s
AMEND_SETTLE_MS = 1_000 + 2_000  # recvWindow of an amend + the matching engine's own delay
LOOK_UPS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0)  # seconds between look-ups of an unknown outcome; the last repeats
EXIT_LOOK_UPS = (0.25,) * 12  # execution.md 5: an exit of unknown fate is asked for each 250 ms while it may yet arrive
VANISHED_S = 30.0  # between look-ups of an order that the venue once confirmed and no longer knows
LOOK_UPS_LEAST = 3  # execution.md 2: proof of absence needs at least so many
CLOCKS_MS = 10_000  # our venue time when an order was made, against the venue's own
REPEATED = "the command was accepted before: nothing of this step stands, its maker takes it back"
# Seconds before the trades of an order are fetched: the stream usually brings a fill's event first; the last repeats.
TRADES_PAUSES = (0.3, 0.3, 0.6, 1.2, 2.5, 5.0)

_log = structlog.get_logger("pms.execution")


class Outcomes(Protocol):
    """Where outcomes go: one plain call each."""

    def on_settled(self, client_id: str, report: Report, answers: bool) -> None:
        """The request's own answer, or a look-up that settles it. `answers` is False where a later request for the
        order has left meanwhile: then it is news of the order only."""
        ...

    def on_refused(self, client_id: str, action: str, refusal: Refused) -> None: ...

    def on_not_done(self, client_id: str, action: str, outcome: NotDone) -> None: ...

    def on_unknown(self, client_id: str, action: str, message: str) -> None: ...

    def on_absent(self, client_id: str) -> bool:
        """Proven never to have arrived. False where that is no outcome, since the venue once confirmed the order: it is
        asked for again, slowly."""
        ...

    def on_trades(self, client_id: str, fills: list[Fill]) -> None: ...

    def placed_at(self, client_id: str) -> int:
        """When its record was made, venue-corrected ms."""
        ...

    def lacks_trades(self, client_id: str) -> tuple[str, int, int] | None:
        """(symbol, exchange order id, created at) of an order that the venue says filled more than is booked."""
        ...

    def may_send(self, client_id: str, exiting: bool) -> str:
        """Empty, or why no request for the order may leave now (lease, Redis, halt). Read right before each send
        (execution.md 19, 32)."""
        ...

    def past_deadline(self) -> bool:
        """Whether the lease was not renewed in time: another daemon may act on the account (execution.md 20)."""
        ...


class Execution:
    """Sends approved requests."""

    def __init__(self, venue: Venue, clock: Clock, tasks: Tasks, outcomes: Outcomes) -> None:
        self._venue = venue
        self._clock = clock
        self._tasks = tasks
        self._outcomes = outcomes
        self._busy: dict[str, int] = {}
        self._fetching: set[str] = set()
        self._not_found: dict[str, int] = {}
        self._newest: dict[str, Place | Amend | Cancel] = {}  # of each busy order

    def busy(self, client_id: str) -> bool:
        """Whether a request for an order is in flight or being looked up: its own outcome settles it, nothing else."""
        return client_id in self._busy

    def not_found(self, client_id: str) -> int:
        """How often in a row the look-up of an unknown outcome was answered that there is no such order."""
        return self._not_found.get(client_id, 0)

    def submit(self, approved: Approved, durable: Durable, claimed: bool) -> None:
        """Send once `durable` is done (the state that names the request is in Redis); exits do not wait (design.md
        rule 3), but for those of a step that claims a command: a repeat of it must not act twice."""
        client_id = approved.request.client_id
        waits = claimed or not approved.exit
        self._supervise(approved.request, self._run(approved, durable, waits), f"request {client_id}")

    def _supervise(self, request: Place | Amend | Cancel, work: Coroutine[None, None, None], name: str) -> None:
        client_id = request.client_id
        self._newest[client_id] = request
        self._busy[client_id] = self._busy.get(client_id, 0) + 1
        self._tasks.spawn(work, name).add_done_callback(lambda _: self._idle(client_id))

    def _idle(self, client_id: str) -> None:
        self._busy[client_id] -= 1
        if not self._busy[client_id]:
            del self._busy[client_id], self._newest[client_id]
            self._not_found.pop(client_id, None)

    def _answers(self, request: Place | Amend | Cancel) -> bool:
        """Whether the order still waits for this request. The stream may have told its effect before its own answer
        came; then the next request may be under way, and the late answer must not pass for that one's."""
        return self._newest[request.client_id] is request

    async def _run(self, approved: Approved, durable: Durable, waits: bool) -> None:
        request = approved.request
        action = type(request).__name__.lower()
        permit = partial(self._outcomes.may_send, request.client_id, approved.exit)
        # While Redis writes: what is left then is to wait for the rate budget, ask `permit`, stamp, sign and send.
        send = self._venue.prepare(request, approved.exit, permit)
        stopped = await self._wait_durable(durable) if waits else ""
        if stopped == REPEATED:
            return
        if stopped:
            self._outcomes.on_not_done(request.client_id, action, NotDone(stopped))
            return
        held_back = await self._past_deadline(request) if approved.exit and isinstance(request, Place) else None
        outcome = held_back or await send()
        await self._settle(request, action, outcome, EXIT_LOOK_UPS if approved.exit and action == "place" else ())

    async def _past_deadline(self, place: Place) -> Outcome | None:
        """Without a lease renewed in time an exit leaves only under the venue's flag, after a look-up by its id, and
        while nobody else was seen (execution.md 20). None: it may leave."""
        if not self._outcomes.past_deadline():
            return None
        if not place.reduce_only:
            return NotDone("lease_not_renewed: an exit without the venue's flag waits for it")
        report, answered = await self._ask(place)
        if report is not None:
            return Done(report)
        stopped = self._outcomes.may_send(place.client_id, True) if answered else "lease_not_renewed, look-up failed"
        return NotDone(stopped) if stopped else None

    async def _wait_durable(self, durable: Durable) -> str:
        """Empty once the record stands, or why it does not."""
        ended = durable.ended
        if ended is None:
            ahead = durable.ahead()
            late = self._clock.call_later(ENTRY_WAIT_S, partial(_give_up, ahead))
            ended = await ahead
            late.cancel()
        if ended is None:
            return "redis_unavailable"
        if isinstance(ended, Exception):
            return f"not_recorded: {ended}"
        return "" if isinstance(ended, Committed) else REPEATED

    async def _settle(
        self, request: Place | Amend | Cancel, action: str, outcome: Outcome, pauses: tuple[float, ...]
    ) -> None:
        client_id = request.client_id
        match outcome:
            case Done(report):
                self._outcomes.on_settled(client_id, report, self._answers(request))
                self._fetch_where_missing(client_id)
            case _ if not self._answers(request):
                _log.info("late_answer_left_aside", client_order_id=client_id, action=action, outcome=repr(outcome))
            case Refused(cause=Cause.DUPLICATE_ID) if action == "place":  # proof that the first landed (execution.md 1)
                await self._look_up(request, action, PLACE_SETTLE_MS, pauses)
            case Refused(cause=Cause.NOT_FOUND):
                await self._look_up(request, action, PLACE_SETTLE_MS)
            case Refused():
                self._outcomes.on_refused(client_id, action, outcome)
            case NotDone():
                self._outcomes.on_not_done(client_id, action, outcome)
            case Unknown(message):
                self._outcomes.on_unknown(client_id, action, message)
                settle_ms = AMEND_SETTLE_MS if action == "amend" else PLACE_SETTLE_MS
                await self._look_up(request, action, settle_ms, pauses)

    # --- unknown outcomes -----------------------------------------------------------------------------

    async def _look_up(
        self, request: Place | Amend | Cancel, action: str, settle_ms: int, pauses: tuple[float, ...] = ()
    ) -> None:
        """Ask for the order until its fate is known, first after `pauses`. It never ends by guessing: only evidence
        ends it."""
        since = self._clock.monotonic()
        pauses += LOOK_UPS
        absences = 0
        for attempt in itertools.count():
            report, answered = await self._ask(request)
            waited_ms = (self._clock.monotonic() - since) * 1000
            if report is not None and self._resolves(request, action, report, waited_ms, settle_ms):
                self._outcomes.on_settled(request.client_id, report, self._answers(request))
                self._fetch_where_missing(request.client_id)
                return
            absences = absences + 1 if answered and report is None else 0 if report is not None else absences
            self._not_found[request.client_id] = absences
            if absences >= LOOK_UPS_LEAST and waited_ms >= settle_ms:
                report, answered = await self._listed(request)
                if report is not None and self._resolves(request, action, report, waited_ms, settle_ms):
                    self._outcomes.on_settled(request.client_id, report, self._answers(request))
                    self._fetch_where_missing(request.client_id)
                    return
                if answered and report is None:
                    if self._outcomes.on_absent(request.client_id):
                        return
                    pauses = (VANISHED_S,)
            await self._clock.sleep(pauses[min(attempt, len(pauses) - 1)])

    def _resolves(
        self, request: Place | Amend | Cancel, action: str, report: Report, waited_ms: float, settle_ms: int
    ) -> bool:
        """Whether a look-up settles the request. An unchanged order may still be changed by a late amend or cancel
        until the window is over."""
        if action == "place" or report.status is not VenueStatus.OPEN:
            return True
        if isinstance(request, Amend) and (report.price, report.quantity) == (request.price, request.quantity):
            return True
        return waited_ms >= (settle_ms if action == "amend" else AMEND_SETTLE_MS)

    async def _ask(self, request: Place | Amend | Cancel) -> tuple[Report | None, bool]:
        symbol, client_id = request.symbol, request.client_id
        conditional = not isinstance(request, Amend) and request.conditional
        try:
            return await self._venue.look_up(symbol, client_id, conditional), True
        except Unavailable as error:
            _log.warning("look_up_unavailable", client_order_id=client_id, reason=str(error))
            return None, False

    async def _listed(self, request: Place | Amend | Cancel) -> tuple[Report | None, bool]:
        """The last part of the proof: neither among the open orders nor among all since it was made, traded ones too
        (execution.md 2). Returns it where it is, and whether the venue answered."""
        since = self._outcomes.placed_at(request.client_id) - CLOCKS_MS
        try:
            resting = await self._venue.open_orders(request.symbol)
            made = await self._venue.orders(request.symbol, since)
        except Unavailable as error:
            _log.warning("look_up_unavailable", client_order_id=request.client_id, reason=str(error))
            return None, False
        ours = [report for report in (*resting, *made) if report.client_id == request.client_id]
        return (ours[-1] if ours else None), True

    async def _fetch_missing(self, client_id: str) -> None:
        """Where an answer told of more than the booked trades, wait for the stream a moment, then fetch them."""
        pauses = itertools.chain(TRADES_PAUSES, itertools.repeat(TRADES_PAUSES[-1]))
        while self._outcomes.lacks_trades(client_id) is not None:
            await self._clock.sleep(next(pauses))
            missing = self._outcomes.lacks_trades(client_id)
            if missing is None:
                return
            symbol, order_id, created_at = missing
            try:
                fills = await self._venue.trades(symbol, created_at - CLOCKS_MS, order_id)
            except Unavailable as error:
                _log.warning("trades_unavailable", client_order_id=client_id, reason=str(error))
                continue
            self._outcomes.on_trades(client_id, fills)

    def _fetch_where_missing(self, client_id: str) -> None:
        if self._outcomes.lacks_trades(client_id) is not None:
            self.fetch_missing(client_id)

    def fetch_missing(self, client_id: str) -> None:
        """Start fetching what the venue has told of and the books miss."""
        if client_id not in self._fetching:
            self._fetching.add(client_id)
            task = self._tasks.spawn(self._fetch_missing(client_id), f"trades of {client_id}")
            task.add_done_callback(lambda _: self._fetching.discard(client_id))

    def resolve(self, request: Place | Amend | Cancel, known: Callable[[], None]) -> None:
        """Look up a request whose outcome was not known when the process stopped. `known` is called once it is."""
        settle = AMEND_SETTLE_MS if isinstance(request, Amend) else PLACE_SETTLE_MS
        name = f"look-up {request.client_id}"
        self._supervise(request, self._resolve(request, settle, known), name)

    async def _resolve(self, request: Place | Amend | Cancel, settle_ms: int, known: Callable[[], None]) -> None:
        await self._look_up(request, type(request).__name__.lower(), settle_ms)
        known()


def _give_up(waiting: asyncio.Future[Any]) -> None:
    if not waiting.done():
        waiting.set_result(None)
