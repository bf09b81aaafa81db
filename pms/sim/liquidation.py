"""Liquidation and auto-deleveraging: what the venue itself does to an account (binance.md 7.6 and 8, "Maintenance").

Owns when margin no longer covers maintenance, and the venue's own orders: `autoclose-...` goes through the book as an
IOC limit at the bankruptcy price, what the book does not take the insurance fund does; `adl_autoclose` closes without
the book. Mark prices decide, never last prices. Refuses to know who is ranked for deleveraging: a script names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from pms.sim import events, margin
from pms.sim.accounts import Account, Position
from pms.sim.market import Market
from pms.sim.model import NewOrder, Order, Side
from pms.sim.numbers import money
from pms.sim.order_entry import OrderEntry
from pms.sim.outbox import Outbox
from pms.sim.settlement import Settlement

FEE = Decimal("0.0125")  # of the notional, to the insurance fund (exchangeInfo, liquidationFee)
CALL_RATIO = Decimal("0.8")  # maintenance over margin balance at which the account is warned
LIQUIDATION, ADL = "autoclose-", "adl_autoclose"
FORCED = (LIQUIDATION, ADL)  # how client ids of the venue's own orders begin


class Liquidation:
    """See the module. `marks` gives a symbol's mark price."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        markets: Mapping[str, Market],
        entry: OrderEntry,
        settlement: Settlement,
        outbox: Outbox,
        now: Callable[[], int],
        marks: Callable[[str], Decimal],
        expire_conditional: Callable[[Account], None],
    ) -> None:
        self._expire_conditional = expire_conditional
        self._accounts = accounts
        self._markets = markets
        self._entry = entry
        self._settlement = settlement
        self._outbox = outbox
        self._now = now
        self._marks = marks
        self._called: set[str] = set()

    def look(self, symbol: str) -> None:
        """A mark has moved: liquidate the accounts that hold the symbol and can't, and warn those that hardly can."""
        for account in self._accounts.values():
            position = account.positions.get(symbol)
            if position is not None and position.amount:
                self._judge(account)

    def _judge(self, account: Account) -> None:
        view = margin.account_view(account, self._marks)
        if view.margin_balance < view.maint_margin:
            self.liquidate(account)
        elif view.maint_margin > view.margin_balance * CALL_RATIO:
            if account.name not in self._called:
                self.call(account)
        else:
            self._called.discard(account.name)

    def call(self, account: Account) -> None:
        """Warn an account; not again before its margin has recovered."""
        self._called.add(account.name)
        held = [row for row in account.positions.values() if row.amount]
        self._outbox.user_event(account.name, events.margin_call(account, held, self._marks, self._now()))

    def liquidate(self, account: Account) -> None:
        """Expire every open order (er 5) and what waits for a price, then close every position."""
        self._expire_conditional(account)
        for order in account.open_orders():
            self._settlement.end(self._markets[order.symbol], order, "EXPIRED", events.LIQUIDATED)
        for symbol in [row.symbol for row in account.positions.values() if row.amount]:
            self._close(account, self._markets[symbol])

    def _close(self, account: Account, market: Market) -> None:
        position = account.position(market.symbol)
        price, value = self._bankruptcy(account, market), abs(position.amount) * market.mark_price()
        order = self._entry.forced(account, market, self._new(position, f"{LIQUIDATION}{self._now()}", price))
        if order.remaining:
            self._take_over(market, order, price, "NEW_INSURANCE")
        fee = min(money(value * FEE), max(account.wallet, Decimal(0)))
        if fee:
            self._settlement.receive(account, market.symbol, "INSURANCE_CLEAR", -fee, self._now())

    def deleverage(self, account: Account, market: Market, quantity: Decimal) -> Order:
        """Close so much of a position at the mark, against whoever is being liquidated."""
        position = account.position(market.symbol)
        price = market.mark_price().quantize(market.rules.tick)
        new = self._new(position, ADL, price, min(quantity, abs(position.amount)))
        order = self._entry.forced(account, market, new, through_book=False)
        self._take_over(market, order, price, "NEW_ADL")
        return order

    def _new(self, position: Position, name: str, price: Decimal, quantity: Decimal | None = None) -> NewOrder:
        side: Side = "SELL" if position.amount > 0 else "BUY"
        return NewOrder(
            position.symbol, side, "LIMIT", quantity or abs(position.amount), name, price, time_in_force="IOC"
        )

    def _take_over(self, market: Market, order: Order, price: Decimal, status: str) -> None:
        """What no book takes: the insurance fund, or a counterparty that is deleveraged."""
        trade_id = market.print(price, order.remaining, order.side == "SELL", self._now()).trade_id
        self._settlement.fill(market, order, price, order.remaining, trade_id, maker=False, calculated=status)

    def _bankruptcy(self, account: Account, market: Market) -> Decimal:
        """The price at which nothing is left of the margin; on the tick, not beyond it, and above zero."""
        position = account.position(market.symbol)
        view = margin.account_view(account, self._marks)
        others = view.unrealized - position.unrealized(market.mark_price())
        exact = position.entry - (account.wallet + others) / position.amount
        tick = market.rules.tick
        ticks = (exact / tick).to_integral_value(ROUND_UP if position.amount > 0 else ROUND_DOWN)
        return max(ticks * tick, tick)
