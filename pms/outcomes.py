"""What the venue says, asked (`Outcomes`) and unasked (`Sink`), turned into changes of order records.

Owns the way from a client id or an exchange id to a record, foreign orders included. Refuses to decide what follows:
that is the desk's and the algos'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog

from algos.step import Failure
from pms.account_watch import AccountWatch
from pms.core import orders
from pms.desk import Desk
from pms.notices import Notice
from pms.venue import AccountChange, FillHint, NotDone, Refused, UserStreamState
from schemas.ids import Foreign, OrderId, VenueOrder, parse
from schemas.market import ZERO
from schemas.orders import CONDITIONAL, Cause, Fill, Order, OrderState, OrderType, Origin
from schemas.records import EXTERNAL
from schemas.reports import Report, VenueStatus

CANCELLED_FIRST = "a cancel overtook it"  # why a placing or an amend never left
_OVERTAKEN = (OrderState.PLACING, OrderState.AMENDING)  # a cancel that is wanted makes these needless

_log = structlog.get_logger("pms.outcomes")


class Permits(Protocol):
    """Whether a request may leave now (lease, Redis)."""

    def refusal(self, exiting: bool) -> str:
        """Empty, or the reason why not."""
        ...

    def past_deadline(self) -> bool: ...


class Outcomes:
    """See the module."""

    def __init__(
        self,
        desk: Desk,
        permits: Permits,
        epoch: Callable[[], int],
        on_user_stream: Callable[[UserStreamState], None],
        on_fenced: Callable[[int], None],
        on_filter: Callable[[], None],
        account: AccountWatch,
        halted: Callable[[str, str], str],
        surplus: Callable[[Order, Report], None],
        dead_man: Callable[[str, int], bool],
    ) -> None:
        self._desk = desk
        self._permits = permits
        self._epoch = epoch
        self._on_user_stream = on_user_stream
        self._on_fenced = on_fenced
        self._on_filter = on_filter
        self._account = account
        self._halted = halted
        self._surplus = surplus
        self._dead_man = dead_man
        self.account: AccountChange | None = None
        self._unwatched: set[str] = set()

    # --- pms.execution.Outcomes -----------------------------------------------------------------------

    def may_send(self, client_id: str, exiting: bool) -> str:
        order = self._desk.ledger.orders.get(client_id)
        if order is not None and order.cancel_wanted and order.state in _OVERTAKEN:
            return CANCELLED_FIRST
        refusal = self._permits.refusal(exiting)
        if refusal or exiting:
            return refusal
        assert order is not None, "an entry has its record before it may leave"
        return self._halted(order.sub_account_id, order.symbol)

    def past_deadline(self) -> bool:
        return self._permits.past_deadline()

    def on_settled(self, client_id: str, report: Report, answers: bool) -> None:
        order = self._desk.ledger.orders[client_id]
        self._desk.allowances.taken(order)
        self._apply(order, report, answers, while_down=client_id in self._unwatched)
        self._unwatched.discard(client_id)

    def unwatched(self, client_id: str) -> None:
        """What a look-up will show of this order happened while nobody watched, however late it answers."""
        self._unwatched.add(client_id)

    def on_refused(self, client_id: str, action: str, refusal: Refused) -> None:
        code = str(refusal.code)
        if refusal.cause in (Cause.FILTER, Cause.NOT_TRADING):
            self._on_filter()
        if refusal.cause is Cause.ACCOUNT_MODE:
            self._account.ask()
        if action == "place" and refusal.cause is not Cause.POST_ONLY:  # that one is about the market of the moment
            self._desk.allowances.refused(self._desk.ledger.orders[client_id], refusal.message)
        self._failed(client_id, Failure(action, refusal.cause, code, refusal.message))

    def on_not_done(self, client_id: str, action: str, outcome: NotDone) -> None:
        retry_at = self._desk.now() + outcome.retry_ms
        code, message = str(outcome.code), outcome.message
        self._failed(client_id, Failure(action, Cause.NONE, code, message, retry_at, False, outcome.called))

    def on_unknown(self, client_id: str, action: str, message: str) -> None:
        order = self._desk.ledger.orders[client_id]
        self._desk.changed(orders.unknown(order, f"{action}: {message}", self._desk.now()))

    def on_absent(self, client_id: str) -> bool:
        order = self._desk.ledger.orders[client_id]
        if order.state.terminal:
            return True
        if order.exchange_order_id or order.filled_qty:
            message = (
                "the venue no longer knows an order that it once confirmed. Look at it on the venue's own screen; it "
                "is asked for every half minute, and taken up again where it shows."
            )
            self._desk.alarms.sound("order_vanished", "critical", client_id, message, self._desk.now())
            return False
        self._failed(client_id, Failure("place", Cause.NONE, "never_arrived", "never arrived", refused=False))
        return True

    def placed_at(self, client_id: str) -> int:
        return self._desk.ledger.orders[client_id].created_at

    def on_trades(self, client_id: str, fills: list[Fill]) -> None:
        for fill in fills:
            self.book(client_id, fill)

    def lacks_trades(self, client_id: str) -> tuple[str, int, int] | None:
        order = self._desk.ledger.orders.get(client_id)
        if order is None or not orders.lacks_trades(order):
            return None
        return order.symbol, order.exchange_order_id, order.created_at

    def _failed(self, client_id: str, failure: Failure) -> None:
        """A request certainly did not take effect."""
        order = self._desk.ledger.orders[client_id]
        reason = f"{failure.action} refused: {failure.message}" if failure.refused else failure.message
        if failure.action == "place":
            change = orders.not_placed(order, reason, self._desk.now())
        else:
            change = orders.request_failed(order, reason, self._desk.now())
        self._desk.changed(change, failure)

    # --- pms.venue.Sink -------------------------------------------------------------------------------

    def on_report(self, report: Report) -> None:
        ledger = self._desk.ledger
        order = ledger.orders.get(report.client_id) or ledger.by_exchange_id(report.symbol, report.order_id)
        if order is None:
            order = self._stranger(report)
        if order is not None:
            self._apply(order, report, answers=False)

    def on_account(self, change: AccountChange) -> None:
        self.account = change

    def on_fill_hint(self, hint: FillHint) -> None:
        """A hint is never booked (binance.md 7.2): the event with the fee follows within the millisecond."""
        _log.debug("fill_hint", client_order_id=hint.client_id, trade_id=hint.trade_id)

    def on_notice(self, notice: Notice) -> None:
        self._account.on_notice(notice)

    def on_user_stream(self, state: UserStreamState) -> None:
        if state.gap:
            self._account.on_gap()
        self._on_user_stream(state)

    # --- booking --------------------------------------------------------------------------------------

    def _apply(self, order: Order, report: Report, answers: bool, while_down: bool = False) -> None:
        if order.state is OrderState.FAILED:
            self._surplus(order, report)
        if self._desk.alarms.open:
            self._desk.alarms.clear("order_vanished", order.client_order_id, self._desk.now())
        by_nobody = report.status is VenueStatus.CANCELLED and report.cause is Cause.NONE
        if by_nobody and self._dead_man(order.symbol, report.time):
            report = msgspec.structs.replace(report, cause=Cause.DEAD_MAN)
        change = orders.reported(order, report, self._desk.now(), answers)
        self._desk.changed(change, while_down=while_down)
        execution = self._desk.execution
        if execution is not None and not answers and orders.lacks_trades(change.order):
            execution.fetch_missing(order.client_order_id)

    def found(self, order: Order, report: Report) -> None:
        """A look-up of the recovery: what it shows happened unwatched, and it settles what a former life left in
        flight."""
        execution = self._desk.execution
        busy = execution is not None and execution.busy(order.client_order_id)
        self._apply(order, report, answers=not busy, while_down=True)
        order = self._desk.ledger.orders[order.client_order_id]
        if execution is not None and not busy and orders.lacks_trades(order):
            execution.fetch_missing(order.client_order_id)  # older than what the recovery reads of trades

    def book(self, client_id: str, fill: Fill) -> None:
        """Book a trade found by look-up."""
        order = self._desk.ledger.orders[client_id]
        self._desk.changed(orders.booked(order, fill, self._desk.now()), while_down=True)

    def _stranger(self, report: Report) -> Order | None:
        """A record for an order that we have none of, so that its fills are booked. None where there is nothing to
        book."""
        whose = parse(report.client_id)
        if isinstance(whose, OrderId) and whose.epoch > self._epoch():
            self._on_fenced(whose.epoch)
            return None
        if report.conditional or (report.status is not VenueStatus.OPEN and report.fill is None):
            return None  # what waits may never trade; what it becomes tells of itself
        if report.symbol not in self._desk.instruments:
            return None
        origin = Origin.RECOVERED
        account = self.account_of(whose) if isinstance(whose, OrderId) else EXTERNAL
        if isinstance(whose, VenueOrder):
            origin = Origin.LIQUIDATION
        elif isinstance(whose, Foreign):
            origin = Origin.EXTERNAL
        return self.adopt(report, account, origin)

    def account_of(self, whose: OrderId) -> str:
        """The sub-account whose tag an id carries; `external` where no sub-account has it."""
        for account in self._desk.ledger.sub_accounts.values():
            if account.tag == whose.tag:
                return account.id
        return EXTERNAL

    def adopt(self, report: Report, sub_account_id: str, origin: Origin) -> Order:
        """The first record of an order that was placed by somebody else, or by us before Redis forgot."""
        return Order(
            client_order_id=report.client_id,
            sub_account_id=sub_account_id,
            symbol=report.symbol,
            side=report.side,
            order_type=_type(report),
            time_in_force=report.time_in_force if report.time_in_force in ("IOC", "FOK", "GTX") else "GTC",  # type: ignore[arg-type]
            quantity=report.quantity,
            price=report.price,
            reduce_only=report.reduce_only,
            flagged=report.reduce_only,
            state=OrderState.PLACING,
            origin=origin,
            parent_id=whose.owner if isinstance(whose := parse(report.client_id), OrderId) else "",
            root_id="",
            created_at=report.created_at or report.time,
            updated_at=report.time,
            exchange_order_id=report.order_id,
            filled_qty=ZERO,
            trigger_price=report.trigger_price if report.conditional else ZERO,
            algo_id=report.algo_id,
        )


def _type(report: Report) -> OrderType:
    """What we take an order for: one that waits for its price for what it is, any other for a limit or the market's."""
    if report.conditional and report.order_type in CONDITIONAL:
        return report.order_type  # type: ignore[return-value]
    return "MARKET" if report.order_type == "MARKET" else "LIMIT"
