"""One account: its wallet, one-way positions, orders and fills.

Owns the position arithmetic (binance.md 8) and the account's own records. Refuses to know books, filters and streams.
Invariant: wallet = start + sum of realised profit - sum of commission.
"""

from __future__ import annotations

from collections import deque
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from pms.sim.brackets import DEFAULT_LEVERAGE
from pms.sim.journal import PositionRecord, WalletRecord
from pms.sim.model import Order, Trade, VenueError
from pms.sim.numbers import money
from pms.sim.views import Income

_ZERO = Decimal(0)
ENTRY_QUANTUM = Decimal("1e-11")  # an average price is kept to 11 decimals, as the venue's entryPrice is
KEPT_ORDERS = 50_000  # closed orders kept per account and symbol; the venue's rule is 3 or 90 days (binance.md 3.3)
KEPT_TRADES = 100_000  # fills kept per account and symbol
KEPT_INCOME = 10_000  # income rows kept per account


class Position(msgspec.Struct):
    """A one-way position. `realized` is the profit before fees since ever; `open_result` is realised profit less
    commission since the position was last opened, from which the break-even price follows."""

    symbol: str
    amount: Decimal = _ZERO
    entry: Decimal = _ZERO
    realized: Decimal = _ZERO
    open_result: Decimal = _ZERO
    leverage: int = DEFAULT_LEVERAGE
    isolated: bool = False
    updated_at: int = 0

    @property
    def break_even(self) -> Decimal:
        """The price at which closing pays for the fees so far and what was realised on the way."""
        if not self.amount:
            return _ZERO
        return (self.entry - self.open_result / self.amount).quantize(ENTRY_QUANTUM, ROUND_HALF_EVEN)

    def unrealized(self, mark: Decimal) -> Decimal:
        return money((mark - self.entry) * self.amount) if mark else _ZERO

    @property
    def isolated_wallet(self) -> Decimal:
        """Margin set aside for an isolated position: its initial margin at the entry price."""
        return money(abs(self.amount) * self.entry / self.leverage) if self.isolated else _ZERO

    def fill(self, signed: Decimal, price: Decimal, commission: Decimal) -> Decimal:
        """Book one fill of `signed` quantity; returns the profit that it realises, before commission."""
        before = self.amount
        after = before + signed
        if before * signed >= 0:
            cost = abs(before) * self.entry + abs(signed) * price
            self.entry = (cost / abs(after)).quantize(ENTRY_QUANTUM, ROUND_HALF_EVEN)
            self.amount = after
            self.open_result -= commission
            return _ZERO
        closed = min(abs(signed), abs(before))
        realized = money((price - self.entry) * (closed if before > 0 else -closed))
        self.realized += realized
        self.amount = after
        if not after:
            self.entry = self.open_result = _ZERO
        elif after * before < 0:  # flipped: what is open was opened by this fill, with its share of the fee
            self.entry = price
            self.open_result = -money(commission * abs(after) / abs(signed))
        else:
            self.open_result += realized - commission
        return realized


class Account:
    """Everything that belongs to one API key's account."""

    def __init__(self, name: str, wallet: Decimal, now: int) -> None:
        self.name = name
        self.start = wallet
        self.wallet = wallet
        self.updated_at = now
        self.positions: dict[str, Position] = {}
        self.open: dict[str, dict[int, Order]] = {}
        self.orders: dict[str, list[Order]] = {}
        self.trades: dict[str, list[Trade]] = {}
        self.income: deque[Income] = deque(maxlen=KEPT_INCOME)
        self.countdowns: dict[str, int] = {}
        self.timed: dict[int, Order] = {}  # open orders that end by themselves (GTD)
        self.dual = False  # hedge mode
        self.multi_assets = False
        self._by_id: dict[int, Order] = {}
        self._by_client: dict[tuple[str, str], Order] = {}

    def position(self, symbol: str) -> Position:
        """The symbol's position, flat until the first fill."""
        position = self.positions.get(symbol)
        if position is None:
            position = self.positions[symbol] = Position(symbol)
        return position

    # --- orders and fills -----------------------------------------------------------------------------

    def add_order(self, order: Order) -> None:
        """Know an order by both its ids. Called in ascending order of ids."""
        orders = self.orders.setdefault(order.symbol, [])
        orders.append(order)
        self._by_id[order.order_id] = order
        self._by_client[order.symbol, order.client_id] = order
        if order.is_open:
            self.open.setdefault(order.symbol, {})[order.order_id] = order
            if order.good_till:
                self.timed[order.order_id] = order
        if len(orders) > KEPT_ORDERS + KEPT_ORDERS // 10:  # a tenth at once, so that forgetting costs nothing per order
            self._forget(order.symbol, len(orders) - KEPT_ORDERS)

    def _forget(self, symbol: str, count: int) -> None:
        orders = self.orders[symbol]
        gone = {order.order_id for order in orders[:count] if not order.is_open}
        for order in orders[:count]:
            if order.order_id in gone:
                del self._by_id[order.order_id]
                if self._by_client.get((symbol, order.client_id)) is order:
                    del self._by_client[symbol, order.client_id]
        self.orders[symbol] = [order for order in orders if order.order_id not in gone]

    def close_order(self, order: Order) -> None:
        """The order reached a terminal status."""
        self.open.get(order.symbol, {}).pop(order.order_id, None)
        self.timed.pop(order.order_id, None)

    def add_trade(self, trade: Trade) -> None:
        """Keep a fill. Called in ascending order of trade ids per symbol."""
        trades = self.trades.setdefault(trade.symbol, [])
        trades.append(trade)
        if len(trades) > KEPT_TRADES + KEPT_TRADES // 10:
            del trades[: len(trades) - KEPT_TRADES]

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Open orders, oldest first."""
        if symbol is not None:
            return list(self.open.get(symbol, {}).values())
        return sorted((order for orders in self.open.values() for order in orders.values()), key=lambda o: o.order_id)

    def open_client_id(self, symbol: str, client_id: str) -> bool:
        """Is an open order using this client id?"""
        order = self._by_client.get((symbol, client_id))
        return order is not None and order.is_open

    def find(self, symbol: str, order_id: int | None, client_id: str | None, missing: VenueError) -> Order:
        """The order by id, else the newest by client id; raises `missing`."""
        order = self._by_id.get(order_id) if order_id is not None else self._by_client.get((symbol, client_id or ""))
        if order is None or order.symbol != symbol:
            raise missing
        return order

    def known(self, order_id: int) -> Order | None:
        """An order by its id, None where it is not kept."""
        return self._by_id.get(order_id)

    def notionals(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Open bid and ask notional of the symbol; reduce-only orders need no margin and do not count."""
        bids = asks = _ZERO
        for order in self.open.get(symbol, {}).values():
            if order.reduce_only:
                continue
            if order.side == "BUY":
                bids += order.remaining * order.price
            else:
                asks += order.remaining * order.price
        return bids, asks

    # --- durability -----------------------------------------------------------------------------------

    def wallet_record(self) -> WalletRecord:
        return WalletRecord(self.name, self.start, self.wallet, self.updated_at, self.dual, self.multi_assets)

    def position_record(self, symbol: str) -> PositionRecord:
        row = self.position(symbol)
        return PositionRecord(
            self.name, symbol, row.amount, row.entry, row.realized, row.open_result, row.leverage, row.isolated,
            row.updated_at, self.countdowns.get(symbol, 0),
        )  # fmt: skip

    def restore(self, record: WalletRecord | PositionRecord) -> None:
        """Take over what the journal kept."""
        self.updated_at = max(self.updated_at, record.updated_at)
        if isinstance(record, WalletRecord):
            self.start, self.wallet = record.start, record.wallet
            self.dual, self.multi_assets = record.dual, record.multi_assets
            return
        self.positions[record.symbol] = Position(
            record.symbol, record.amount, record.entry, record.realized, record.open_result, record.leverage,
            record.isolated, record.updated_at,
        )  # fmt: skip
        self.countdowns.pop(record.symbol, None)
        if record.countdown_at:
            self.countdowns[record.symbol] = record.countdown_at
