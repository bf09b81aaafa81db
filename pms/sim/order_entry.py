"""Order entry: what is checked, in which sequence, before an order is placed, amended or cancelled (binance.md 3.3, 4).

Owns order ids and the rules of time in force. A refusal leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from pms.sim import events, reduce_only, rules
from pms.sim.accounts import Account
from pms.sim.margin import MARKET_SLIPPAGE, check_margin
from pms.sim.market import Market
from pms.sim.matching import Matching
from pms.sim.model import NewOrder, Order, Side, VenueError
from pms.sim.settlement import Settlement

FIRST_ORDER_ID = 1_000_000_000  # like the venue's: large, and exact in JavaScript
MAX_AMENDMENTS = 10_000  # per order (binance.md 3.3)
_ZERO = Decimal(0)
_BOOK_DEPTH = {"": 1, "_5": 5, "_10": 10, "_20": 20}


class Amendment(msgspec.Struct, frozen=True):
    """A decoded `PUT /fapi/v1/order`: the new total quantity and price. A `side` is checked if given."""

    quantity: Decimal
    price: Decimal | None
    price_match: str = "NONE"
    side: Side | None = None
    reduce_only: bool | None = None
    modify_id: str | None = None


class OrderEntry:
    """The door through which orders come and go."""

    def __init__(
        self,
        matching: Matching,
        settlement: Settlement,
        now: Callable[[], int],
        marks: Callable[[str], Decimal],
    ) -> None:
        self._matching = matching
        self._settlement = settlement
        self._now = now
        self._marks = marks
        self.order_id = FIRST_ORDER_ID

    def place(self, account: Account, market: Market, new: NewOrder, validate_only: bool) -> Order:
        """Check, then match, then rest or end."""
        new = self._checked(account, market, new)
        order = self._order(account, new)
        self._check_time_in_force(market, order)
        if validate_only:
            return order
        self.order_id += 1
        order.order_id = self.order_id
        market.book.settle()
        self._settlement.accept(order)
        self._matching.take(market, order)
        self._finish(market, order)
        if order.reduce_only:
            self._settlement.trim_reduce_only(market, account)
        return order

    def forced(self, account: Account, market: Market, new: NewOrder, through_book: bool = True) -> Order:
        """An order of the venue's own: nothing is checked, and what the book does not take stays to be closed."""
        order = self._order(account, new)
        self.order_id += 1
        order.order_id = self.order_id
        market.book.settle()
        self._settlement.accept(order)
        if through_book:
            self._matching.take(market, order)
        return order

    def amend(self, account: Account, market: Market, order: Order, change: Amendment) -> Order:
        """Change a resting order; it loses its place in the queue, whatever changed."""
        price = self._amended_price(market, order, change)
        self._check_amendment(account, market, order, change, price)
        if change.quantity <= order.filled:
            self._settlement.end(market, order, "CANCELED")
            return order
        quantity = change.quantity
        if order.reduce_only:
            quantity = reduce_only.allowed_amended(account, order, quantity, price)
        market.book.settle()
        ladder = market.book.side(order.side)
        ladder.remove(order)
        order.price, order.quantity = price, quantity
        order.amendments += 1
        if order.time_in_force == "GTX" and self._matching.crosses(market, order):
            self._settlement.end(market, order, "CANCELED")
            return order
        self._settlement.amended(order, change.modify_id)
        self._matching.take(market, order)
        self._finish(market, order)
        if order.reduce_only:
            self._settlement.trim_reduce_only(market, account)
        return order

    def cancel(self, market: Market, order: Order) -> Order:
        """Cancel one open order."""
        if not order.is_open:
            raise rules.unknown_cancel()
        self._settlement.end(market, order, "CANCELED")
        return order

    def expire(self, account: Account, markets: Mapping[str, Market], now: int) -> list[Market]:
        """End the GTD orders that are due; the markets they stood in."""
        due = [order for order in account.timed.values() if order.good_till <= now]
        for order in due:
            self._settlement.end(markets[order.symbol], order, "EXPIRED")
        return [markets[order.symbol] for order in due]

    # --- placing ------------------------------------------------------------------------------------

    def _checked(self, account: Account, market: Market, new: NewOrder) -> NewOrder:
        """The order as it may stand: priced by priceMatch, shrunk to the position; every other breach is refused."""
        if new.price_match != "NONE":
            if new.type != "LIMIT":
                raise VenueError(-5038, "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT.")
            price = self._match_price(market, new.side, new.price_match)
            new = msgspec.structs.replace(new, price=price)
        mark = market.mark_price()
        rules.check_position_side(new, account.dual)
        rules.check_new(market.rules, new, mark)
        rules.check_good_till(new, self._now())
        if account.open_client_id(new.symbol, new.client_id):
            raise VenueError(-4116, "ClientOrderId is duplicated.")
        if new.type == "LIMIT" and len(account.open.get(new.symbol, ())) >= market.rules.max_orders:
            raise VenueError(-2025, "Reach max open order limit.")
        if new.reduce_only:
            quantity = reduce_only.allowed(account, new)
            if not quantity:
                raise rules.reduce_only_rejected()
            return msgspec.structs.replace(new, quantity=quantity)
        check_margin(account, new, self._assumed_price(market, new), self._marks)
        return new

    def _assumed_price(self, market: Market, new: NewOrder) -> Decimal:
        if new.type == "LIMIT":
            return new.price
        if new.side == "BUY":
            return (market.book.best("SELL") or market.mark_price()) * (1 + MARKET_SLIPPAGE)
        return max(market.book.best("BUY") or _ZERO, market.mark_price())

    def _order(self, account: Account, new: NewOrder) -> Order:
        now = self._now()
        return Order(
            order_id=0,
            account=account.name,
            symbol=new.symbol,
            side=new.side,
            type=new.type,
            time_in_force="GTC" if new.type == "MARKET" else new.time_in_force,
            client_id=new.client_id,
            price=new.price if new.type == "LIMIT" else _ZERO,
            quantity=new.quantity,
            reduce_only=new.reduce_only,
            stp=new.stp,
            price_match=new.price_match,
            good_till=new.good_till,
            created_at=now,
            updated_at=now,
        )

    def _check_time_in_force(self, market: Market, order: Order) -> None:
        if order.type == "MARKET":
            best = market.book.best("SELL" if order.side == "BUY" else "BUY")
            rules.check_counterparty(market.rules, order.side, best, market.mark_price())
        elif order.time_in_force == "GTX" and self._matching.crosses(market, order):
            raise rules.would_take()
        elif order.time_in_force == "FOK":
            market.book.settle()
            if self._matching.fillable(market, order) < order.quantity:
                raise rules.not_fillable()

    def _finish(self, market: Market, order: Order) -> None:
        """What matching left: nothing, an order that rests, or a remainder that expires."""
        if not order.is_open:
            return
        if order.type == "MARKET":
            self._settlement.end(market, order, "EXPIRED", events.NO_COUNTERPARTY)
        elif order.time_in_force in ("IOC", "FOK"):
            self._settlement.end(market, order, "EXPIRED", events.IOC_REMAINDER)
        else:
            self._settlement.announce(order)
            market.book.side(order.side).rest(order)

    def _match_price(self, market: Market, side: Side, mode: str) -> Decimal:
        """The price that `mode` names: OPPONENT[_n] from the other side, QUEUE[_n] from the own, n-th level."""
        kind, _, rest = mode.partition("_")
        depth = _BOOK_DEPTH.get(f"_{rest}" if rest else "")
        if kind not in ("OPPONENT", "QUEUE") or depth is None:
            raise VenueError(-5037, "Invalid price match.")
        ladder = market.book.side(side) if kind == "QUEUE" else market.book.opposite(side)
        levels = ladder.levels(depth)
        if len(levels) < depth:
            raise VenueError(-5041, "No depth matches this BBO order.")
        return levels[-1][0]

    # --- amending -----------------------------------------------------------------------------------

    def _amended_price(self, market: Market, order: Order, change: Amendment) -> Decimal:
        if change.price_match != "NONE":
            return self._match_price(market, order.side, change.price_match)
        return order.price if change.price is None else change.price

    def _check_amendment(
        self, account: Account, market: Market, order: Order, change: Amendment, price: Decimal
    ) -> None:
        """Every refusal that leaves the order as it was."""
        if order.type != "LIMIT":
            raise VenueError(-5025, "Only limit order is supported.")
        if not order.is_open:
            raise rules.unknown_order()
        if change.side is not None and change.side != order.side:
            raise VenueError(-1117, "Invalid side.")
        if market.rules.status != "TRADING":
            raise VenueError(-5024, "Symbol is not in trading status. Order amendment is not permitted.")
        if order.amendments >= MAX_AMENDMENTS:
            raise VenueError(-5026, "Exceed maximum modify order limit.")
        if change.reduce_only and not order.reduce_only:
            raise VenueError(-5047, "The reduceOnly parameter is only accepted for a reduce-only order.")
        if (price, change.quantity) == (order.price, order.quantity):
            raise VenueError(-5027, "No need to modify the order.")
        rules.check_quantity(market.rules, change.quantity, market=False)
        rules.check_price(market.rules, price, order.side, market.mark_price())
        if change.quantity <= order.filled:
            return
        rules.check_notional(market.rules, price, change.quantity, change.reduce_only is True, -5029)
        wanted = NewOrder(
            order.symbol, order.side, "LIMIT", change.quantity - order.filled, order.client_id, price,
            reduce_only=order.reduce_only,
        )  # fmt: skip
        check_margin(account, wanted, price, self._marks, freed=order.remaining * order.price)
