"""One Binance USD-M account as the venue port (`pms.venue.Venue`).

Composes gate, clock, REST and user stream; owns nothing but what each request is called. Refuses to retry and to keep
order records. Hosts, keys and transports come from outside: the same object trades live, on the simulator, in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial

import msgspec
import structlog

from pms.binance import codec, errors, history, money, queries, rates
from pms.binance import conditional as conditionals
from pms.binance.cancels import Together
from pms.binance.errors import Verdict
from pms.binance.gate import Gate
from pms.binance.queries import Request
from pms.binance.rest import Declined, Passage, Rest
from pms.binance.signing import Credentials, Signing
from pms.binance.transport import Http, Response, Sockets
from pms.binance.user_stream import UserStream
from pms.binance.venue_clock import VenueClock
from pms.binance.ws_api import Framed, WsApi
from pms.clock import Clock
from pms.core.backoff import ConnectBudget
from pms.core.margin import Brackets
from pms.governor import Governor
from pms.notices import Unserved
from pms.tasks import Tasks
from pms.venue import (
    Amend,
    AuthFailed,
    Cancel,
    Done,
    NotDone,
    Outcome,
    Place,
    Refused,
    Send,
    Sink,
    Unavailable,
    Unknown,
    Venue,
)
from schemas.market import Candle, Instrument
from schemas.orders import Fill
from schemas.reports import FundingRate, Income, Report, VenuePosition

_log = structlog.get_logger("pms.binance.gateway")

# How often the venue's time is measured. Drift would allow minutes (10 ms in five of them, and recvWindow has seconds),
# but asking also keeps a connection warm (`http.IDLE_S`): an order after a lull pays no TLS handshake.
CLOCK_S = 20.0


class BinanceVenue(Venue):
    """Implements `pms.venue.Venue`. `stream_url` is the stream host without a route; `connects` is the budget of
    all sockets of the process. With `ws_api_url` orders leave over the WebSocket API while its socket is open, else
    over REST.

    `venue_clock` is for who asks for the venue's time before there is a venue; without it there is one of its own.
    `gate` is what whoever else asks the venue (depth snapshots) has to pass, so that a ban binds all.
    """

    time_ms: Callable[[], int]

    def __init__(
        self,
        http: Http,
        sockets: Sockets,
        stream_url: str,
        credentials: Credentials,
        clock: Clock,
        tasks: Tasks,
        connects: ConnectBudget,
        governor: Governor,
        ws_api_url: str = "",
        venue_clock: VenueClock | None = None,
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._venue_clock = venue_clock or VenueClock(clock)
        self.time_ms = self._venue_clock.now_ms
        self._governor = governor
        self.gate = Gate(http, clock, self._venue_clock, governor)
        self.rest = Rest(self.gate, self._venue_clock, tasks, credentials)
        if ws_api_url:
            pace = connects.pace()
            self.rest.socket = WsApi(ws_api_url, sockets, self.gate, self._venue_clock, clock, tasks, pace, credentials)
        pace = connects.pace(user_stream=True)
        private = stream_url.rstrip("/") + "/private"
        self._timekeeper: asyncio.Task[None] | None = None
        self._together = Together(self.cancel_many, tasks)
        self._stream = UserStream(self.rest, sockets, private, clock, tasks, pace)

    # --- order requests ---

    def prepare(self, order: Place | Amend | Cancel, exits: bool, refusal: Callable[[], str]) -> Send:
        request = queries.order(order)
        passage = Passage(refusal, partial(self._governor.errand, order, exits))
        decode = codec.order if isinstance(order, Amend) or not order.conditional else self._answer_of(order)
        send = partial(self._order, request, self.rest.sign(request), passage, decode)
        if isinstance(order, Cancel) and not order.conditional:
            return partial(self._together.send, order, send, refusal)
        return send

    def _answer_of(self, order: Place | Cancel) -> Callable[[bytes], Report]:
        """How the answer to a request for what waits for its price is read."""
        if isinstance(order, Place):
            return conditionals.placed
        return partial(conditionals.cancelled, order.symbol, self.time_ms())

    async def place(self, order: Place) -> Outcome:
        return await self.prepare(order, order.reduce_only, _no_refusal)()

    async def amend(self, amend: Amend) -> Outcome:
        return await self.prepare(amend, False, _no_refusal)()

    async def cancel(self, cancel: Cancel) -> Outcome:
        return await self.prepare(cancel, True, _no_refusal)()

    async def _order(
        self, request: Request, signing: Signing | Framed, passage: Passage, decode: Callable[[bytes], Report]
    ) -> Outcome:
        outcome = await self.rest.order(request, signing, passage, decode)
        if isinstance(outcome, Done) and not outcome.report.conditional:
            self._stream.expect(outcome.report)
        return outcome

    async def cancel_many(self, symbol: str, client_ids: Sequence[str]) -> list[Outcome]:
        starts = range(0, len(client_ids), queries.CANCELS_MAX)
        parts = [client_ids[start : start + queries.CANCELS_MAX] for start in starts]
        answers = await asyncio.gather(*(self.rest.send(queries.cancel_many(symbol, part)) for part in parts))
        outcomes = [outcome for answer, part in zip(answers, parts, strict=True) for outcome in _each(answer, part)]
        for outcome in outcomes:
            if isinstance(outcome, Done):
                self._stream.expect(outcome.report)
        return outcomes

    async def cancel_all(self, symbol: str) -> Refused | NotDone | Unknown | None:
        answer = await self.rest.send(queries.cancel_all(symbol))
        return errors.outcome(answer) if isinstance(answer, Verdict) else None

    # --- reads ---

    async def look_up(self, symbol: str, client_id: str, conditional: bool = False) -> Report | None:
        """Where several orders had the id, the venue answers the newest (binance.md 4). What it became comes before how
        it waited; a trigger between the two questions is asked after once more."""
        found = await self._ordinary(symbol, client_id)
        if found is not None or not conditional:
            return found
        row = await self._waiting(symbol, client_id)
        if row is None:
            return None
        return (await self._ordinary(symbol, client_id) if row.became else None) or conditionals.report(row)

    async def _ordinary(self, symbol: str, client_id: str) -> Report | None:
        try:
            return await self.rest.read(queries.look_up(symbol, client_id), codec.order)
        except Declined as error:
            if error.code == errors.NO_SUCH_ORDER:
                return None
            raise

    async def _waiting(self, symbol: str, client_id: str) -> conditionals.Row | None:
        """By the lists: looked up by its id alone, the venue was seen to deny one that waits (binance.md 3.4)."""
        for path in ("/fapi/v1/openAlgoOrders", "/fapi/v1/allAlgoOrders"):
            rows = await self.rest.read(queries.read(path, symbol=symbol), conditionals.rows)
            named = [row for row in rows if row.client_algo_id == client_id]
            if named:
                return max(named, key=lambda row: row.algo_id)
        return None

    async def open_orders(self, symbol: str | None = None) -> list[Report]:
        resting = await self.rest.read(queries.read("/fapi/v1/openOrders", symbol=symbol), codec.orders)
        waiting = await self.rest.read(queries.read("/fapi/v1/openAlgoOrders", symbol=symbol), conditionals.rows)
        return [*resting, *map(conditionals.report, waiting)]

    async def orders(self, symbol: str, since_ms: int) -> list[Report]:
        return await history.orders(self.rest, symbol, since_ms, self.time_ms())

    async def trades(self, symbol: str, since_ms: int, order_id: int | None = None) -> list[Fill]:
        return await history.trades(self.rest, symbol, since_ms, self.time_ms(), order_id)

    async def positions(self) -> list[VenuePosition]:
        return await self.rest.read(queries.read("/fapi/v3/positionRisk"), codec.positions)

    async def account_margin(self) -> tuple[Decimal, Decimal]:
        return await self.rest.read(queries.read("/fapi/v3/account"), codec.account_margin)

    async def wallet(self) -> dict[str, Decimal]:
        return await self.rest.read(queries.read("/fapi/v3/balance"), codec.wallet)

    async def income(self, since_ms: int) -> list[Income]:
        return await history.income(self.rest, since_ms, self.time_ms())

    async def funding(self, symbol: str, since_ms: int) -> list[FundingRate]:
        return await history.funding(self.rest, symbol, since_ms)

    async def brackets(self) -> dict[str, Brackets]:
        return await self.rest.read(queries.read("/fapi/v1/leverageBracket"), money.brackets)

    async def mark(self, symbol: str) -> Decimal:
        return await self.rest.read(queries.public("/fapi/v1/premiumIndex", symbol=symbol), money.mark)

    async def candles(self, symbol: str, since_ms: int, marks: bool = False) -> list[Candle]:
        return await history.candles(self.rest, symbol, since_ms, self.time_ms(), marks)

    async def instruments(self) -> dict[str, Instrument]:
        return await self.rest.read(queries.public("/fapi/v1/exchangeInfo"), self._rules)

    def _rules(self, body: bytes) -> dict[str, Instrument]:
        self._governor.limit(rates.limits(body))
        return codec.instruments(body)

    async def unserved_modes(self) -> tuple[Unserved, ...]:
        return await self.rest.read(queries.read("/fapi/v1/accountConfig"), codec.unserved_modes)

    # --- the account ---

    async def leverage(self, symbol: str) -> int:
        return await self.rest.read(queries.read("/fapi/v1/symbolConfig", symbol=symbol), money.leverage)

    async def set_leverage(
        self, symbol: str, leverage: int, refusal: Callable[[], str]
    ) -> Refused | NotDone | Unknown | None:
        answer = await self.rest.send(queries.leverage(symbol, leverage), refusal)
        return errors.outcome(answer) if isinstance(answer, Verdict) else None

    async def countdown(self, symbol: str, countdown_ms: int) -> Refused | NotDone | Unknown | None:
        answer = await self.rest.send(queries.countdown(symbol, countdown_ms))
        return errors.outcome(answer) if isinstance(answer, Verdict) else None

    def host_clock_error_ms(self) -> int:
        return self._venue_clock.host_error_ms()

    async def measure_clock(self) -> None:
        """Measure the venue's time anew. Raises `Unavailable`."""
        await self.rest.measure_clock()

    async def start(self, sink: Sink) -> None:
        await self.rest.measure_clock()
        for mode in await self.unserved_modes():
            raise AuthFailed(f"{mode.reason}. No order was sent. {mode.remedy}, then start again.")
        await self._stream.start(sink)
        if self.rest.socket is not None:
            self.rest.socket.start()
        self._timekeeper = self._tasks.spawn(self._keep_time(), "venue-clock")

    def suspect(self, reason: str) -> None:
        self._stream.suspect(reason)

    def replay(self, gap: int) -> None:
        self._stream.replay(gap)

    async def close(self) -> None:
        if self._timekeeper is not None:
            self._timekeeper.cancel()
        if self.rest.socket is not None:
            await self.rest.socket.close()
        await self._stream.close()
        await self.gate.close()

    async def _keep_time(self) -> None:
        while True:
            await self._clock.sleep(CLOCK_S)
            try:
                await self.rest.measure_clock()
            except Unavailable as error:
                _log.warning("venue_clock_not_measured", error=str(error))


def _each(answer: bytes | Verdict, named: Sequence[str]) -> list[Outcome]:
    """The outcomes of a batch of cancels. A row that can't be read tells nothing of its order."""
    if isinstance(answer, Verdict):
        return [errors.outcome(answer)] * len(named)
    try:
        rows = codec.rows(answer)
    except msgspec.MsgspecError as error:
        return [Unknown(f"HTTP 200, but the answer is no list ({error})")] * len(named)
    outcomes = [_one(row) for row in rows[: len(named)]]
    return outcomes + [Unknown("the answer to a batch has no row for it")] * (len(named) - len(outcomes))


def _one(row: bytes) -> Outcome:
    try:
        return Done(codec.order(row))
    except msgspec.MsgspecError:
        return errors.outcome(errors.read(Response(400, {}, row)))


def _no_refusal() -> str:
    return ""
