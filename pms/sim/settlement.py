"""Turns executions into state: an order's life, its fills, the account's money, and the events of both.

Owns the captured order of events (binance.md 7.2): a resting order NEW, then per fill TRADE_LITE, ACCOUNT_UPDATE,
TRADE; an order that takes at once TRADE_LITE, NEW, ACCOUNT_UPDATE, TRADE. Refuses to decide who trades with whom.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from pms.sim import events, reduce_only
from pms.sim.accounts import Account
from pms.sim.journal import IncomeRecord
from pms.sim.margin import ASSET
from pms.sim.market import Market
from pms.sim.model import Order, Trade
from pms.sim.numbers import money
from pms.sim.outbox import Outbox
from pms.sim.views import Income, IncomeType

Ending = Literal["CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"]


class Settlement:
    """The back office of all accounts."""

    def __init__(
        self,
        accounts: dict[str, Account],
        outbox: Outbox,
        now: Callable[[], int],
        maker_rate: Decimal,
        taker_rate: Decimal,
    ) -> None:
        self._accounts = accounts
        self._outbox = outbox
        self._now = now
        self._rates = {True: maker_rate, False: taker_rate}
        self._unannounced: Order | None = None
        self._tran_id = 0

    def accept(self, order: Order) -> None:
        """The order exists from now on. Its NEW is told with the first fill, or by `announce`."""
        account = self._accounts[order.account]
        account.add_order(order)
        self._unannounced = order
        self._outbox.keep_order(order)

    def announce(self, order: Order) -> None:
        """Tell NEW, unless it was told."""
        if self._unannounced is not order:
            return
        self._unannounced = None
        self._tell(order, events.order_update(order, "NEW", order.created_at, self._notionals(order)))

    def amended(self, order: Order, modify_id: str | None) -> None:
        """Quantity or price were changed; tell AMENDMENT."""
        order.updated_at = self._now()
        self._outbox.keep_order(order)
        notionals = self._notionals(order)
        self._tell(order, events.order_update(order, "AMENDMENT", order.updated_at, notionals, modify_id=modify_id))

    def end(self, market: Market, order: Order, status: Ending, reason: str = events.NO_REASON) -> None:
        """Close an order that was not filled wholly, wherever it stands. Fills stay."""
        assert order.is_open, "a terminal status never changes"
        self.announce(order)
        ladder = market.book.side(order.side)
        if order.order_id in ladder.resting:
            ladder.remove(order)
        order.status = status
        order.updated_at = self._now()
        self._accounts[order.account].close_order(order)
        self._outbox.keep_order(order)
        execution: events.Execution = "CANCELED" if status == "CANCELED" else "EXPIRED"
        notionals = self._notionals(order)
        self._tell(order, events.order_update(order, execution, order.updated_at, notionals, reason=reason))

    def fill(
        self,
        market: Market,
        order: Order,
        price: Decimal,
        quantity: Decimal,
        trade_id: int,
        maker: bool,
        calculated: str = "",
    ) -> None:
        """Book one fill of one order: order, position, wallet, events, and what the new position knocks out.
        `calculated`: the venue's own doing without the book, under this status (binance.md 7.6)."""
        assert 0 < quantity <= order.remaining, "an order never fills more than its quantity"
        account = self._accounts[order.account]
        now = self._now()
        trade = self._money(account, order, price, quantity, trade_id, maker, now)
        if not calculated:
            self._tell(order, events.trade_lite(order, trade, market.rules))
        self.announce(order)
        order.filled += quantity
        order.quote_filled += price * quantity
        order.updated_at = now
        order.status = "PARTIALLY_FILLED" if order.remaining else "FILLED"
        ladder = market.book.side(order.side)
        if order.order_id in ladder.resting:
            ladder.changed.add(order.price)
            if not order.is_open:
                ladder.remove(order)
        if not order.is_open:
            account.close_order(order)
        position = account.position(order.symbol)
        self._tell(order, events.account_update(account, position, market.mark_price(), now))
        execution: events.Execution = "CALCULATED" if calculated else "TRADE"
        notionals = self._notionals(order)
        self._tell(order, events.order_update(order, execution, now, notionals, trade, status=calculated))
        self._outbox.keep_order(order)
        self.trim_reduce_only(market, account)

    def trim_reduce_only(self, market: Market, account: Account) -> None:
        """Shrink or expire (er 4) the reduce-only orders that the position does not cover, farthest first."""
        for order, covered in reversed(reduce_only.excess(account, market.symbol)):
            if not covered:
                self.end(market, order, "EXPIRED", events.REDUCE_ONLY_KNOCKED_OUT)
                continue
            order.quantity = order.filled + covered
            market.book.side(order.side).changed.add(order.price)
            self.amended(order, None)

    def _money(
        self, account: Account, order: Order, price: Decimal, quantity: Decimal, trade_id: int, maker: bool, now: int
    ) -> Trade:
        commission = money(price * quantity * self._rates[maker])
        position = account.position(order.symbol)
        realized = position.fill(quantity if order.side == "BUY" else -quantity, price, commission)
        account.wallet += realized - commission
        account.updated_at = position.updated_at = now
        trade = Trade(
            trade_id, order.order_id, order.account, order.symbol, order.side, price, quantity, commission, ASSET,
            realized, maker, now,
        )  # fmt: skip
        account.add_trade(trade)
        self._outbox.keep_trade(trade)
        self._outbox.keep_account(account.wallet_record(), account.position_record(order.symbol))
        if realized:
            self._row(account, order.symbol, "REALIZED_PNL", realized, trade_id, now)
        self._row(account, order.symbol, "COMMISSION", -commission, trade_id, now)
        return trade

    def receive(self, account: Account, symbol: str, kind: IncomeType, amount: Decimal, time: int) -> None:
        """Money that comes to a wallet, or goes, without a trade."""
        account.wallet += amount
        account.updated_at = self._now()
        self._outbox.keep_account(account.wallet_record())
        self._row(account, symbol, kind, amount, 0, time)

    def _row(self, account: Account, symbol: str, kind: IncomeType, amount: Decimal, trade_id: int, time: int) -> None:
        """Every change of a wallet is an income row: together they are its history."""
        self._tran_id += 1
        row = Income(symbol, kind, amount, ASSET, trade_id, time, self._tran_id)
        account.income.append(row)
        self._outbox.keep(("income", str(row.tran_id)), IncomeRecord(account.name, row))

    def restore(self, row: IncomeRecord, account: Account) -> None:
        """Take over what the journal kept, oldest first."""
        account.income.append(row.income)
        self._tran_id = max(self._tran_id, row.income.tran_id)

    def _notionals(self, order: Order) -> tuple[Decimal, Decimal]:
        return self._accounts[order.account].notionals(order.symbol)

    def _tell(self, order: Order, event: dict[str, object]) -> None:
        self._outbox.user_event(order.account, event)
