"""The exchange as a port. No venue's own words in here: an adapter (`pms.binance`) maps them.

Outcomes are values, split by what the caller must do (execution.md 1, design.md rule 7): `Done`, `Refused` (told no),
`NotDone` (certainly not executed), `Unknown` (may have been executed: look up by client id, never resend blindly).
Credentials that do not work raise `AuthFailed` (stop).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from pms.core.margin import Brackets
from pms.notices import Notice, Unserved
from schemas.market import ZERO, Candle, Instrument, Side
from schemas.orders import Cause, Fill, Order, OrderType, TimeInForce, WorkingType
from schemas.reports import FundingRate, Income, Report, VenuePosition


class AuthFailed(Exception):
    """The venue does not accept our credentials, or the account may not trade: the daemon stops and says so."""


class Done(msgspec.Struct, frozen=True):
    """Executed, and this is what the order is now."""

    report: Report


class Refused(msgspec.Struct, frozen=True):
    """Told no: certainly not executed; repeating it unchanged is useless."""

    code: int
    message: str
    cause: Cause = Cause.OTHER


class NotDone(msgspec.Struct, frozen=True):
    """Certainly not executed; the same request with the same client id may be sent again after `retry_ms`. `called`:
    the rate budget is used up, and its owner will be told when its turn has come (execution.md 18)."""

    message: str
    retry_ms: int = 0
    code: int = 0
    called: bool = False


class Unknown(msgspec.Struct, frozen=True):
    """May have been executed, now or later within the settle window. Look up by client id."""

    message: str
    code: int = 0


Outcome = Done | Refused | NotDone | Unknown


class Place(msgspec.Struct, frozen=True):
    """A new order. `price` is ignored for MARKET. With a `trigger_price` it waits for that at the venue."""

    symbol: str
    client_id: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal
    reduce_only: bool
    trigger_price: Decimal = ZERO
    working_type: WorkingType = "MARK_PRICE"

    @property
    def conditional(self) -> bool:
        """Whether it waits for its price at first."""
        return bool(self.trigger_price)


def placing(order: Order, flagged: bool) -> Place:
    """The request that a new order's record stands for."""
    return Place(
        order.symbol,
        order.client_order_id,
        order.side,
        order.order_type,
        order.time_in_force,
        order.quantity,
        order.price,
        flagged,
        order.trigger_price,
        order.working_type,
    )


class Amend(msgspec.Struct, frozen=True):
    """New price and new **total** quantity, executed part included (execution.md 7)."""

    symbol: str
    client_id: str
    side: Side
    quantity: Decimal
    price: Decimal


class Cancel(msgspec.Struct, frozen=True):
    """`conditional`: the order waits for its price, as far as we know."""

    symbol: str
    client_id: str
    conditional: bool = False


# --- what the venue tells unasked -------------------------------------------------------------------


class AccountChange(msgspec.Struct, frozen=True):
    """Balances and positions that changed, absolute values. Comes before the fill that caused it."""

    time: int
    reason: str
    balances: dict[str, Decimal]
    positions: tuple[VenuePosition, ...]


class FillHint(msgspec.Struct, frozen=True):
    """An early sign of a fill, without status or fee: never booked (binance.md 7.2)."""

    symbol: str
    client_id: str
    order_id: int
    trade_id: int


class UserStreamState(msgspec.Struct, frozen=True):
    """`live`: events arrive and everything before has been read; otherwise fills may be missing until the gap is read.

    A `gap` other than 0: the stream is open and keeps what comes; read the gap now (open orders, orders, trades), then
    call `Venue.replay` with its number. Neither live nor a gap: the stream is being opened again. `taken`: because
    somebody else with our API key ended it.
    """

    live: bool
    reason: str = ""
    gap: int = 0
    taken: bool = False


class Sink(Protocol):
    """Where the venue's unasked words go. Plain calls; an implementation never blocks."""

    def on_report(self, report: Report) -> None: ...

    def on_account(self, change: AccountChange) -> None: ...

    def on_fill_hint(self, hint: FillHint) -> None: ...

    def on_notice(self, notice: Notice) -> None: ...

    def on_user_stream(self, state: UserStreamState) -> None: ...


Send = Callable[[], Coroutine[Any, Any, Outcome]]


class Reads(Protocol):
    """One exchange account, looked at: nothing in here sends an order or changes a setting. Reads raise `Unavailable`
    when they could not be done."""

    async def look_up(self, symbol: str, client_id: str, conditional: bool = False) -> Report | None:
        """The order of that id, or None when the venue answers that it knows none (which alone proves nothing,
        execution.md 2). `conditional`: it may wait for its price, and is looked for among those too."""
        ...

    async def open_orders(self, symbol: str | None = None) -> list[Report]:
        """What rests, and what waits for its price."""
        ...

    async def orders(self, symbol: str, since_ms: int) -> list[Report]:
        """Every order of a symbol since a time, any status, oldest first; pages by itself (execution.md 26)."""
        ...

    async def trades(self, symbol: str, since_ms: int, order_id: int | None = None) -> list[Fill]:
        """The account's executions of a symbol since a time, oldest first, each once; pages by itself (execution.md
        26)."""
        ...

    async def positions(self) -> list[VenuePosition]: ...

    async def account_margin(self) -> tuple[Decimal, Decimal]:
        """Maintenance margin and margin balance of the whole account, as the venue reckons them. Raises `Unavailable`,
        `AuthFailed`."""
        ...

    async def wallet(self) -> dict[str, Decimal]: ...

    async def income(self, since_ms: int) -> list[Income]:
        """Every change of the wallet since a time, oldest first, each once; pages by itself."""
        ...

    async def funding(self, symbol: str, since_ms: int) -> list[FundingRate]:
        """A symbol's fundings since a time, oldest first; the next call goes on where a long answer ends."""
        ...

    async def brackets(self) -> dict[str, Brackets]:
        """Leverage brackets by symbol."""
        ...

    async def mark(self, symbol: str) -> Decimal:
        """The mark price now, of a symbol that need not be watched."""
        ...

    async def candles(self, symbol: str, since_ms: int, marks: bool = False) -> list[Candle]:
        """A symbol's one-minute candles from the minute of a time on, oldest first, the running one last; of its
        trades, or of its `marks`. Pages by itself."""
        ...

    async def instruments(self) -> dict[str, Instrument]: ...

    async def leverage(self, symbol: str) -> int:
        """What the venue has it at."""
        ...

    async def unserved_modes(self) -> tuple[Unserved, ...]:
        """The modes that the account is in and that we can't serve; each refuses the start (execution.md 17)."""
        ...

    def time_ms(self) -> int:
        """Venue-corrected now, in ms."""
        ...

    async def start(self, sink: Sink) -> None:
        """Measure the clock offset, open the user stream and begin to tell `sink`: first the gap to be read.

        Raises `AuthFailed` or `Unavailable`.
        """
        ...

    def replay(self, gap: int) -> None:
        """The gap of that number has been read: tell the sink what was kept since, in order, then that the stream is
        live.

        Without effect where another gap has opened meanwhile: that one is to be read too.
        """
        ...

    def suspect(self, reason: str) -> None:
        """There is evidence that the user stream is deaf: open it again; its gap is told as any other."""
        ...

    async def close(self) -> None:
        """Close every socket. Never deletes the listen key (execution.md 21)."""
        ...


class Venue(Reads, Protocol):
    """One exchange account, acted on. Request methods answer an `Outcome`. Who holds this port can send orders that no
    gate has seen: a test names every module that does (tests/static/tidy.py, `order_requests`)."""

    def prepare(self, order: Place | Amend | Cancel, exits: bool, refusal: Callable[[], str]) -> Send:
        """A request made out ahead of the moment of sending: the call sends it, once, or it is dropped. `exits`: it
        only reduces risk. It may have to wait for the rate budget; `refusal` is asked right before it leaves: empty,
        or why it may not, which comes back as `NotDone`."""
        ...

    async def place(self, order: Place) -> Outcome: ...

    async def amend(self, amend: Amend) -> Outcome: ...

    async def cancel(self, cancel: Cancel) -> Outcome: ...

    async def cancel_many(self, symbol: str, client_ids: Sequence[str]) -> list[Outcome]:
        """Cancel many orders of a symbol with few requests: one outcome for each, in order."""
        ...

    async def cancel_all(self, symbol: str) -> Refused | NotDone | Unknown | None:
        """Cancel every ordinary order of a symbol by one request; None when it is done. For where every order on the
        symbol is ours to cancel: it does not tell whose it takes."""
        ...

    async def set_leverage(
        self, symbol: str, leverage: int, refusal: Callable[[], str]
    ) -> Refused | NotDone | Unknown | None:
        """None when the venue has it so now. `refusal` is asked right before it leaves: empty, or why it may not."""
        ...

    async def countdown(self, symbol: str, countdown_ms: int) -> Refused | NotDone | Unknown | None:
        """Every ordinary order of a symbol is cancelled so much later unless told again; 0: never. None: confirmed."""
        ...


class Unavailable(Exception):
    """A read could not be done now; nothing is known from it. `retry_ms` says when to ask again."""

    def __init__(self, message: str, retry_ms: int = 1000) -> None:
        super().__init__(message)
        self.retry_ms = retry_ms
