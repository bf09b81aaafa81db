"""gather -> plan -> apply: puts right what stands between the venue and the records (design.md, "Recovery policy").

Used at start, after every gap of the user stream, and alone by `pms recover`. Owns the order of reads (presence from
the venue first, then own memory; execution.md 22) and of actions; refuses to know how records are kept and requests are
sent: see `Account` and `Hands`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from typing import Protocol

from recovery import plan as planning
from recovery.plan import Adopt, Book, CancelOrder, Drift, Found, Plan, Recorded, Resolve, Settle, Show, Verdict
from schemas.orders import Fill
from schemas.reports import Report, VenuePosition

DRIFT_PAUSE_S = 2.0
TURN = 250  # verdicts without a break: about 0.1 s
# trades are read again from so long before the watermark: ids make it harmless, a late trade is caught
OVERLAP_MS = 60_000


class Account(Protocol):
    """The reads of the venue that a recovery needs; see pms.venue.Venue. Each raises when it could not be done."""

    def time_ms(self) -> int: ...

    async def open_orders(self, symbol: str | None = None) -> list[Report]: ...

    async def look_up(self, symbol: str, client_id: str, conditional: bool = False) -> Report | None: ...

    async def trades(self, symbol: str, since_ms: int, order_id: int | None = None) -> list[Fill]: ...

    async def orders(self, symbol: str, since_ms: int) -> list[Report]: ...

    async def positions(self) -> list[VenuePosition]: ...


class Hands(Protocol):
    """The records, and what may be done to them. Every act is durable before the next."""

    def recorded(self) -> Recorded: ...

    def trades_since(self, held: Iterable[str]) -> dict[str, int]:
        """Per symbol that may have unread trades, those that the venue holds among them: the time of its newest booked
        one, or of first contact (execution.md 26)."""
        ...

    def settle(self, report: Report) -> None: ...

    def book(self, client_id: str, fill: Fill, stranger: Report | None) -> None: ...

    def adopt(self, report: Report, algo_id: str) -> None: ...

    def resolve(self, client_id: str) -> None: ...

    async def cancel(self, report: Report) -> str:
        """Cancel an order that has no live record; the outcome in words."""
        ...

    def drift(self, drift: Drift) -> None: ...


async def gather(account: Account, hands: Hands) -> Found:
    """Read the venue, and look up what the records call live and the venue does not show."""
    open_orders = await account.open_orders()
    positions = await account.positions()
    recorded = hands.recorded()
    resting = {report.client_id for report in open_orders}
    looked_up = {
        order.client_order_id: await account.look_up(order.symbol, order.client_order_id, order.waiting)
        for order in recorded.orders.values()
        if not order.state.terminal and order.client_order_id not in resting
    }
    trades: list[Fill] = []
    strangers: dict[tuple[str, int], Report] = {}
    for symbol, since in hands.trades_since(position.symbol for position in positions).items():
        fills = await account.trades(symbol, max(0, since - OVERLAP_MS))
        trades += fills
        strangers |= await _strangers(account, recorded, open_orders, looked_up, symbol, since, fills)
    return Found(
        now=account.time_ms(),
        open_orders=tuple(open_orders),
        looked_up=looked_up,
        trades=tuple(trades),
        strangers=strangers,
        venue_positions={position.symbol: position.quantity for position in positions if position.quantity},
    )


async def _strangers(
    account: Account,
    recorded: Recorded,
    open_orders: list[Report],
    looked_up: dict[str, Report | None],
    symbol: str,
    since: int,
    fills: list[Fill],
) -> dict[tuple[str, int], Report]:
    """The orders of trades that no record explains: trades carry no client id, orders do (execution.md 11)."""
    known = {order.exchange_order_id for order in recorded.orders.values() if order.symbol == symbol}
    told = (*open_orders, *(report for report in looked_up.values() if report is not None))
    known |= {report.order_id for report in told if report.symbol == symbol and report.client_id in recorded.orders}
    if all(fill.exchange_order_id in known for fill in fills):
        return {}
    found = await account.orders(symbol, max(0, since - OVERLAP_MS))
    resting = [report for report in open_orders if report.symbol == symbol]  # allOrders has none made before `since`
    return {(symbol, report.order_id): report for report in (*resting, *found) if report.order_id not in known}


async def examine(
    account: Account, hands: Hands, policy: planning.ForeignPolicy, pause: Callable[[float], Awaitable[None]]
) -> tuple[Found, Plan]:
    """Gather and plan; nothing is done.

    A difference of positions in one look says nothing, since positions and trades are read one after the other: it
    counts when a second look after a pause shows the same again (execution.md 13).
    """
    found, made = await _look(account, hands, policy)
    if first := _drifts(made):
        await pause(DRIFT_PAUSE_S)
        found, made = await _look(account, hands, policy)
        made = Plan(tuple(one for one in made.verdicts if not isinstance(one, Drift) or _gap(one) in first))
    return found, made


def _drifts(made: Plan) -> set[tuple[str, Decimal]]:
    return {_gap(verdict) for verdict in made.verdicts if isinstance(verdict, Drift)}


def _gap(drift: Drift) -> tuple[str, Decimal]:
    """What tells a lasting difference from one that trading makes between two reads."""
    return drift.symbol, drift.venue - drift.books


async def _look(account: Account, hands: Hands, policy: planning.ForeignPolicy) -> tuple[Found, Plan]:
    found = await gather(account, hands)
    return found, planning.plan(found, hands.recorded(), policy)


async def apply(made: Plan, found: Found, hands: Hands, pause: Callable[[float], Awaitable[None]]) -> list[str]:
    """Carry a plan out, in its order. A long one lets others have a turn now and then: the lease must be renewed."""
    outcomes = []
    for number, verdict in enumerate(made.verdicts, 1):
        outcomes.append(await _carry_out(verdict, found, hands))
        if number % TURN == 0:
            await pause(0)
    return outcomes


async def _carry_out(verdict: Verdict, found: Found, hands: Hands) -> str:
    match verdict:
        case Settle(report=report):
            hands.settle(report)
        case Book(client_id=client_id, fill=fill):
            hands.book(client_id, fill, found.strangers.get((fill.symbol, fill.exchange_order_id)))
        case Adopt(report=report, algo_id=algo_id):
            hands.adopt(report, algo_id)
        case Resolve(client_id=client_id):
            hands.resolve(client_id)
            return "asking on"
        case CancelOrder(report=report):
            return await hands.cancel(report)
        case Drift():
            hands.drift(verdict)
            return "new risk blocked"
        case Show():
            return "left alone"
    return "done"
