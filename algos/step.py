"""The shape of every algo: inputs, actions and what they share.

An algo is a pure function `step(state, input) -> (state, actions)`. The same state object back means nothing happened,
and then no I/O follows. Time comes in with the input (`now`, venue-corrected Unix ms); ids and prices come from the
state and the quote. Laws: algos.md.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from algos.children import AmendAlgo, ChildChanged, ChildDone, Exit, ExitDone, Spawn, StopChild, StopEntry
from algos.cover import Cover
from algos.protecting import Bare, EntryChanged, ProtectRequest
from algos.view import View as View  # noqa: PLC0414 - part of what every algo is made of
from schemas.chase import Throttle
from schemas.market import ZERO, Candle, Instrument, Quote, Side
from schemas.orders import Cause, Fill, Order, OrderType, Origin, TimeInForce, WorkingType

REJECTION_LIMIT = 3  # law 7: the same refusal so many times, and the algo backs off
BACK_OFF_FIRST_MS = 1_000
BACK_OFF_MAX_MS = 60_000  # law 7: probing at most once a minute
POST_ONLY_BUDGET = 30  # law 7: post-only refusals re-price at most so often a minute
POST_ONLY_WINDOW_MS = 60_000
RETRY_MIN_MS = 250  # chase's default throttle: what was refused or not done is never tried again sooner
TAKE_LIMIT = 3  # execution.md 8: `take` crosses at most three times
TAKE_WINDOW_MS = 2_000  # ... within two seconds
SCARCE_TICKS = 4  # times repriceMinTicks while the rate budget is scarce: fewer reprices before any entry starves


# --- inputs: a Quote is one by itself ---------------------------------------------------------------


class Failure(msgspec.Struct, frozen=True):
    """Why a request did not take effect. `retry_at` is 0 where the venue named no time."""

    action: str  # "place", "amend" or "cancel"
    cause: Cause
    code: str
    message: str
    retry_at: int = 0
    refused: bool = True  # False: certainly not done for a passing reason (rate, connection); not a rejection
    throttled: bool = False  # the rate budget is used up: `Budget` says when to decide anew (execution.md 18)


class OrderUpdate(msgspec.Struct, frozen=True):
    """The record of one of the algo's orders changed, with the fill that changed it or the failure of a request.
    `while_down`: it happened while no daemon watched, so that its cause can't be known."""

    now: int
    order: Order
    fill: Fill | None = None
    failure: Failure | None = None
    cause: Cause = Cause.NONE
    quote: Quote | None = None
    while_down: bool = False
    adopt: bool = False  # a resting order of ours that the record does not know: take it as the child (execution.md 23)


class Timer(msgspec.Struct, frozen=True):
    """The state's `wake_at` has come. `quote` is the newest one, None while prices are stale."""

    now: int
    quote: Quote | None


class CancelRequest(msgspec.Struct, frozen=True):
    now: int
    reason: str


class PauseRequest(msgspec.Struct, frozen=True):
    now: int
    reason: str


class ResumeRequest(msgspec.Struct, frozen=True):
    now: int
    quote: Quote | None


class AmendRequest(msgspec.Struct, frozen=True):
    """Changed parameters, already checked at the door; absent ones stay."""

    now: int
    quote: Quote | None
    quantity: Decimal | None = None
    stalk_mode: str | None = None
    stalk_offset_pct: Decimal | None = None
    stalk_offset_ticks: int | None = None
    max_distance_pct: Decimal | None = None
    limit_price: Decimal | None = None


class StreamHealth(msgspec.Struct, frozen=True):
    """`hold` names what is missing (book, user stream, Redis), empty when all is well. `withdraw`: it has been
    missing so long that risk-adding children leave the market (design.md, "When a part is gone"). `blocked`: why an
    algo that adds risk may not now (freeze, halt, mode REDUCE): its children leave and it waits."""

    now: int
    hold: str
    withdraw: bool = False
    quote: Quote | None = None
    blocked: str = ""


class PositionReduced(msgspec.Struct, frozen=True):
    """A reduce-only algo's position was reduced by somebody else: `held` is the signed rest that this algo may close
    beside the position's other closers, `position` the signed position itself (execution.md 13)."""

    now: int
    held: Decimal
    quote: Quote | None = None
    position: Decimal | None = None


class ReplaceRequest(msgspec.Struct, frozen=True):
    """What rests must stand there as another order: cancelled, and placed anew once that is proven (execution.md
    14)."""

    now: int
    quote: Quote | None = None


class MarkUpdate(msgspec.Struct, frozen=True):
    """The mark price, told to what follows it, and while the book is gone to whatever protects a position (execution.md
    27)."""

    now: int
    price: Decimal
    quote: Quote | None = None


class Sight(msgspec.Struct, frozen=True):
    """No source of the algo's prices has told anything for 10 s (`blind`), or one does again (execution.md 27)."""

    now: int
    blind: bool
    quote: Quote | None = None


class Missed(msgspec.Struct, frozen=True):
    """What was traded from the last written word of the record's until now, before the first decision of a new life
    (execution.md 27)."""

    now: int
    candles: tuple[Candle, ...]


class InstrumentChanged(msgspec.Struct, frozen=True):
    now: int
    instrument: Instrument
    quote: Quote | None = None


class Recovered(msgspec.Struct, frozen=True):
    """The last input of a recovery, after every child was looked up and its fills booked. `epoch` is the lease's
    (execution.md 19: attempts restart). `pause` is the reason for which a risk-adding algo does not go on by itself
    (execution.md 25)."""

    now: int
    epoch: int
    quote: Quote | None
    pause: str = ""


class Budget(msgspec.Struct, frozen=True):
    """How much of the venue's rate budget there is (execution.md 18). `scarce`: requests leave, be choosy. Empty: ample
    again. Either ends the waiting of an algo whose request was taken back as `throttled`: it decides anew, now."""

    now: int
    throttle: Throttle
    quote: Quote | None = None


class StopRequest(msgspec.Struct, frozen=True):
    """The process is about to stop: a checkpoint, not an ending (law 8). `bare`: a child stands without the venue's
    flag though it only reduces, and must not outlive us (execution.md 14)."""

    now: int
    bare: bool = False


Input = (
    Quote
    | OrderUpdate
    | Timer
    | CancelRequest
    | PauseRequest
    | ResumeRequest
    | AmendRequest
    | StreamHealth
    | PositionReduced
    | EntryChanged
    | Bare
    | ProtectRequest
    | Cover
    | ReplaceRequest
    | MarkUpdate
    | Sight
    | Missed
    | InstrumentChanged
    | Recovered
    | Budget
    | StopRequest
    | ChildChanged
    | ChildDone
    | ExitDone
)


# --- actions ----------------------------------------------------------------------------------------


class PlaceChild(msgspec.Struct, frozen=True):
    """Ask for a new order. Its id is already in the state that goes with this action (persist before you act)."""

    client_order_id: str
    symbol: str
    side: Side
    time_in_force: TimeInForce
    price: Decimal
    quantity: Decimal
    reduce_only: bool
    leverage: int
    order_type: OrderType = "LIMIT"
    trigger_price: Decimal = ZERO  # of a conditional order; `price` is then its limit, 0 for the market's
    working_type: WorkingType = "MARK_PRICE"
    alternatives: str = ""  # orders of one such name close the same quantity
    origin: Origin | None = None  # where it is not the algo's own
    bare: bool = False  # it leaves without the venue's reduce-only flag, though that might cover this one


class AmendChild(msgspec.Struct, frozen=True):
    """Move a resting order; `quantity` is its total, executed part included (execution.md 7)."""

    client_order_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    reduce_only: bool


class CancelChild(msgspec.Struct, frozen=True):
    client_order_id: str
    symbol: str


Action = PlaceChild | AmendChild | CancelChild | Spawn | StopChild | AmendAlgo | Exit | StopEntry


class Identity(msgspec.Struct, frozen=True):
    """Who an algo is: its own id (10 base-36 characters), its owner's sub-account and tag, the lease's epoch, and for a
    child its parent, the parent's slot and the topmost algo."""

    algo_id: str
    sub_account_id: str
    tag: str
    epoch: int
    request_id: str = ""
    root_id: str = ""
    parent_id: str = ""
    slot: int = 0


def back_off_ms(rejections: int) -> int:
    """1 s, 2 s, 4 s … 60 s from the third equal refusal on; before that none (law 7)."""
    doublings = rejections - REJECTION_LIMIT
    if doublings < 0:
        return 0
    return min(BACK_OFF_FIRST_MS << min(doublings, 16), BACK_OFF_MAX_MS)
