"""What the exchange can be asked without changing anything: orders, fills, account numbers, books, tape.

Owns the reading side of the facade; `Exchange` adds what acts. Overflow answers the newest orders and the oldest
fills, as the venue does (binance.md 3.3). Refuses to know JSON and windows of the REST calls' defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter

import msgspec

from pms.sim import brackets, margin
from pms.sim import rules as refusals
from pms.sim.accounts import KEPT_ORDERS, Account
from pms.sim.liquidation import FORCED
from pms.sim.market import Market
from pms.sim.model import Mark, Order, Print, Rules, Touch, Trade
from pms.sim.outbox import Outbox
from pms.sim.tape import window
from pms.sim.views import AccountView, AggTrade, Bracket, Depth, Income, Kline, PositionView

_order_id: Callable[[Order], int] = attrgetter("order_id")
_created_at: Callable[[Order], int] = attrgetter("created_at")
_trade_id: Callable[[Trade], int] = attrgetter("trade_id")
_traded_at: Callable[[Trade], int] = attrgetter("time")
_opened_at: Callable[[Kline], int] = attrgetter("open_time")
_agg_id: Callable[[AggTrade], int] = attrgetter("agg_id")
_aggregated_at: Callable[[AggTrade], int] = attrgetter("time")


class Settings(msgspec.Struct, frozen=True):
    """What a deployment may choose. Rates are fractions of notional (binance.md 8, VIP 0)."""

    starting_wallet: Decimal = Decimal(1_000_000)
    maker_rate: Decimal = Decimal("0.0002")
    taker_rate: Decimal = Decimal("0.0005")


class Inquiries:
    """Reads over all accounts and markets."""

    def __init__(self, rules: Mapping[str, Rules], now: Callable[[], int], outbox: Outbox, settings: Settings) -> None:
        self._now = now
        self._settings = settings
        self._outbox = outbox
        self._markets = {symbol: Market(row, outbox) for symbol, row in rules.items()}
        self._accounts: dict[str, Account] = {}

    def set_rules(self, rules: Rules) -> None:
        """Judge a symbol's orders by other rules from now on; what rests there stays."""
        self._market(rules.symbol).rules = rules

    def order(self, account: str, symbol: str, *, order_id: int | None = None, client_id: str | None = None) -> Order:
        """One order, open or closed; by client id the newest. -2013 when there is none."""
        self._market(symbol)
        return self._account(account).find(symbol, order_id, client_id, refusals.unknown_order())

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Open orders, oldest first."""
        return self._account(account).open_orders(symbol)

    def all_orders(
        self,
        account: str,
        symbol: str | None = None,
        *,
        order_id: int | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int = 500,
    ) -> list[Order]:
        """Orders by ascending id, id >= `order_id`, created within [start, end]; the *newest* `limit` of them."""
        owner = self._account(account)
        found: list[Order] = []
        for name in owner.orders if symbol is None else (symbol,):
            rows = window(owner.orders.get(name, []), _order_id, order_id, None, None, oldest=False)
            found += window(rows, _created_at, start, end, limit, oldest=False)
        return sorted(found, key=_order_id)[-limit:]

    def trades(
        self,
        account: str,
        symbol: str | None = None,
        *,
        order_id: int | None = None,
        start: int | None = None,
        end: int | None = None,
        from_id: int | None = None,
        limit: int = 500,
    ) -> list[Trade]:
        """The account's fills by ascending trade id; the *oldest* `limit` of them."""
        owner = self._account(account)
        found: list[Trade] = []
        for name in owner.trades if symbol is None else (symbol,):
            rows = window(owner.trades.get(name, []), _trade_id, from_id, None, None, oldest=True)
            rows = window(rows, _traded_at, start, end, None, oldest=True)
            found += [trade for trade in rows if order_id is None or trade.order_id == order_id][:limit]
        return sorted(found, key=_trade_id)[:limit]

    def positions(self, account: str, symbol: str | None = None) -> list[PositionView]:
        """One row per symbol, flat ones included (v3 shows those with an amount or open orders)."""
        owner = self._account(account)
        symbols = self._markets if symbol is None else (self._market(symbol).symbol,)
        return [margin.position_view(owner, name, self._mark_price(name), self._mark_price) for name in symbols]

    def account(self, account: str) -> AccountView:
        """Wallet, margins and available balance."""
        return margin.account_view(self._account(account), self._mark_price)

    def dual_side(self, account: str) -> bool:
        """Whether it is in hedge mode."""
        return self._account(account).dual

    def multi_assets(self, account: str) -> bool:
        """Whether it is in multi-assets mode."""
        return self._account(account).multi_assets

    def forced_orders(
        self,
        account: str,
        symbol: str | None = None,
        *,
        kinds: tuple[str, ...] = FORCED,
        start: int | None = None,
        end: int | None = None,
        limit: int = 50,
    ) -> list[Order]:
        """The venue's own orders on the account whose client ids begin with one of `kinds`, by ascending id, created
        within [start, end]; the *newest* `limit` of them."""
        found = self.all_orders(account, symbol, start=start, end=end, limit=KEPT_ORDERS)
        return [order for order in found if order.client_id.startswith(kinds)][-limit:]

    def commission_rates(self, account: str, symbol: str) -> tuple[Decimal, Decimal]:
        """Maker and taker rate."""
        self._account(account)
        self._market(symbol)
        return self._settings.maker_rate, self._settings.taker_rate

    def income(self, account: str) -> Sequence[Income]:
        """Income rows since start, oldest first."""
        return tuple(self._account(account).income)

    def brackets(self, symbol: str) -> tuple[Bracket, ...]:
        """The symbol's leverage brackets."""
        return brackets.brackets(self._market(symbol).symbol)

    def depth(self, symbol: str, limit: int = 500) -> Depth:
        """The book with own orders inside, best first."""
        market = self._market(symbol)
        book = market.book
        bids, asks = book.bids.levels(limit), book.asks.levels(limit)
        return Depth(symbol, market.depth_id, self._now(), market.engine_time, bids, asks)

    def touch(self, symbol: str) -> Touch:
        """Best bid and ask as last told to the observer."""
        return self._market(symbol).told_touch

    def last_price(self, symbol: str) -> Decimal:
        """Price of the newest print; 0 before the first."""
        return self._market(symbol).tape.last_price

    def mark(self, symbol: str) -> Mark:
        """The newest mark; before the feed gave one, built from last price or mid."""
        market = self._market(symbol)
        if market.mark is not None:
            return market.mark
        price = market.mark_price()
        return Mark(symbol, self._now(), price, price)

    def klines(
        self, symbol: str, *, start: int | None = None, end: int | None = None, limit: int = 500, marks: bool = False
    ) -> list[Kline]:
        """One-minute candles of trades or `marks` by ascending open time, the running one last; the newest, or from
        `start` the oldest."""
        market = self._market(symbol)
        rows = list(market.mark_candles if marks else market.tape.klines)
        return window(rows, _opened_at, start, end, limit, oldest=start is not None)

    def agg_trades(
        self,
        symbol: str,
        *,
        from_id: int | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int = 500,
    ) -> list[AggTrade]:
        """Aggregate trades by ascending id; the newest `limit`, or with `from_id` or `start` the oldest from there."""
        tape = self._market(symbol).tape
        rows = [*tape.aggregates, *([tape.open] if tape.open is not None else [])]
        rows = window(rows, _agg_id, from_id, None, None, oldest=True)
        return window(rows, _aggregated_at, start, end, limit, oldest=from_id is not None or start is not None)

    def recent_trades(self, symbol: str, limit: int = 500) -> list[Print]:
        """The newest prints, oldest first."""
        return list(self._market(symbol).tape.prints)[-limit:]

    def _market(self, symbol: str) -> Market:
        market = self._markets.get(symbol)
        if market is None:
            raise refusals.unknown_symbol()
        return market

    def _account(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            account = self._open(name)
            self._outbox.keep_account(account.wallet_record())
        return account

    def _open(self, name: str) -> Account:
        return self._accounts.setdefault(name, Account(name, self._settings.starting_wallet, self._now()))

    def _mark_price(self, symbol: str) -> Decimal:
        return self._market(symbol).mark_price()
