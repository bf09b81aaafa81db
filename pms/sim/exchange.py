"""The simulated exchange as one object: what the wire calls, what feeds drive, what observers hear.

Every call is synchronous and whole: it checks, changes memory, writes the journal, and only then tells the observer,
so nothing leaves that a SIGKILL could take back. A refusal (`VenueError`) changes nothing.
Knows no HTTP, no sockets, no files and no time source: `now` is handed in.

Values passed back (`Order`) are live objects: read them before the next call, never write them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal

from pms.sim import events, margin, switches
from pms.sim import rules as refusals
from pms.sim.conditional import Conditionals
from pms.sim.conditional_model import Conditional, NewConditional
from pms.sim.funding import Funding
from pms.sim.inquiries import Inquiries, Settings
from pms.sim.journal import Journal
from pms.sim.liquidation import Liquidation
from pms.sim.market import Market
from pms.sim.matching import Matching
from pms.sim.model import (
    DepthDiff,
    DepthSnapshot,
    FeedEvent,
    NewOrder,
    Order,
    Print,
    Rules,
    Side,
    Touch,
)
from pms.sim.order_entry import Amendment, OrderEntry
from pms.sim.outbox import Observer, Outbox
from pms.sim.restart import restore
from pms.sim.settlement import Settlement
from pms.sim.tape import AGGREGATION_MS
from pms.sim.views import PositionView

__all__ = ["Exchange", "Observer", "Settings"]
_DEFAULTS = Settings()


class Exchange(Inquiries):
    """Accounts, books and tape of every symbol in `rules`."""

    def __init__(
        self,
        rules: Mapping[str, Rules],
        now: Callable[[], int],
        observer: Observer,
        journal: Journal | None = None,
        settings: Settings = _DEFAULTS,
    ) -> None:
        """Load what the journal holds; its open orders go back into the books, at the back of their levels."""
        outbox = Outbox(observer, journal)
        super().__init__(rules, now, outbox, settings)
        self._durable = journal is not None
        self._settlement = Settlement(self._accounts, outbox, now, settings.maker_rate, settings.taker_rate)
        self._matching = Matching(self._settlement, now)
        self._entry = OrderEntry(self._matching, self._settlement, now, self._mark_price)
        self.funding = Funding(self._accounts, self._markets, self._settlement, outbox, now)
        self.conditionals = Conditionals(self._accounts, self._entry, outbox, now)
        self.liquidation = Liquidation(
            self._accounts,
            self._markets,
            self._entry,
            self._settlement,
            outbox,
            now,
            self._mark_price,
            self.conditionals.expire,
        )
        if journal is not None:
            newest = restore(
                journal.load(), self._open, self._markets, self._settlement, self.funding, self.conditionals
            )
            self._entry.order_id = max(self._entry.order_id, newest)

    # --- orders -----------------------------------------------------------------------------------

    def place(self, account: str, new: NewOrder, validate_only: bool = False) -> Order:
        """Accept, match and rest or end one order; the answer is its state after matching.

        `validate_only` (order/test) stops before matching: the order has id 0 and does not exist.
        """
        owner, market = self._account(account), self._market(new.symbol)
        order = self._entry.place(owner, market, new, validate_only)
        self._commit(market)
        return order

    def amend(
        self,
        account: str,
        symbol: str,
        *,
        quantity: Decimal,
        price: Decimal | None,
        order_id: int | None = None,
        client_id: str | None = None,
        side: Side | None = None,
        price_match: str = "NONE",
        reduce_only: bool | None = None,
        modify_id: str | None = None,
    ) -> Order:
        """Change total quantity and price; the order goes to the back of its level (binance.md 3.3).

        May answer a CANCELED order. `order_id` wins over `client_id`; `price` None keeps the price.
        """
        owner, market = self._account(account), self._market(symbol)
        order = owner.find(symbol, order_id, client_id, refusals.unknown_order())
        change = Amendment(quantity, price, price_match, side, reduce_only, modify_id)
        self._entry.amend(owner, market, order, change)
        self._commit(market)
        return order

    def cancel(self, account: str, symbol: str, *, order_id: int | None = None, client_id: str | None = None) -> Order:
        """Cancel one open order; -2011 when it is unknown or already closed."""
        owner, market = self._account(account), self._market(symbol)
        order = owner.find(symbol, order_id, client_id, refusals.unknown_cancel())
        self._entry.cancel(market, order)
        self._commit(market)
        return order

    def cancel_all(self, account: str, symbol: str) -> list[Order]:
        """Cancel every open order of the account on the symbol, oldest first."""
        owner, market = self._account(account), self._market(symbol)
        orders = owner.open_orders(symbol)
        for order in orders:
            self._entry.cancel(market, order)
        self._commit(market)
        return orders

    def place_conditional(self, account: str, new: NewConditional) -> Conditional:
        """Accept an order that waits for a price."""
        row = self.conditionals.place(self._account(account), self._market(new.symbol), new)
        self._outbox.commit()
        return row

    def cancel_conditional(self, row: Conditional) -> None:
        """Take one away; -2011 when it does not wait any more."""
        self.conditionals.cancel(row)
        self._outbox.commit()

    def cancel_conditionals(self, account: str, symbol: str) -> None:
        """Take away all of the account's that wait on the symbol."""
        for row in self.conditionals.open(self._account(account).name, self._market(symbol).symbol):
            self.conditionals.cancel(row)
        self._outbox.commit()

    def countdown(self, account: str, symbol: str, countdown_ms: int) -> None:
        """Cancel all of the symbol's orders `countdown_ms` from now unless called again; 0 stops the countdown."""
        owner, market = self._account(account), self._market(symbol)
        owner.countdowns.pop(symbol, None)
        if countdown_ms:
            owner.countdowns[symbol] = self._now() + countdown_ms
        self._outbox.keep_account(owner.wallet_record(), owner.position_record(symbol))
        self._commit(market)

    def tick(self, now: int) -> None:
        """Do what is due: funding, GTD orders and countdowns that ran out, aggregate trades older than 100 ms."""
        self.funding.settle(now)
        for owner in self._accounts.values():
            for symbol in [symbol for symbol, due in owner.countdowns.items() if due <= now]:
                self.countdown(owner.name, symbol, 0)
                self.cancel_all(owner.name, symbol)
            for market in self._entry.expire(owner, self._markets, now):
                self._commit(market)
        for market in self._markets.values():
            closed = market.tape.close_aggregate(now)
            if closed is not None:
                self._outbox.aggregated(closed)
        self._outbox.commit()

    def next_due(self) -> int:
        """When `tick` has something to do."""
        due = [self.funding.next_due()]
        for owner in self._accounts.values():
            due += owner.countdowns.values()
            due += [order.good_till for order in owner.timed.values()]
        opened = [market.tape.open for market in self._markets.values() if market.tape.open is not None]
        due += [trade.time + AGGREGATION_MS for trade in opened]
        return min(due)

    def adl(self, account: str, symbol: str, quantity: Decimal) -> Order:
        """Deleverage an account by so much now: a script's."""
        owner, market = self._account(account), self._market(symbol)
        order = self.liquidation.deleverage(owner, market, quantity)
        self._commit(market)
        return order

    def margin_call(self, account: str) -> None:
        """Warn an account of its margin now, whatever it is: a script's."""
        self.liquidation.call(self._account(account))
        self._outbox.commit()

    def liquidate(self, account: str) -> None:
        """Liquidate an account now, whatever its margin: a script's."""
        self.liquidation.liquidate(self._account(account))
        for market in self._markets.values():
            self._commit(market)

    def fund(self, symbol: str, rate: Decimal) -> None:
        """Let a funding of a symbol happen now: a script's."""
        self.funding.pay(self._market(symbol).symbol, rate, self._now())
        self._outbox.commit()

    # --- accounts ---------------------------------------------------------------------------------

    def open_account(self, account: str) -> None:
        """Know the account (its API key) from now on, with the starting wallet. Every other call does so too."""
        self._account(account)
        self._outbox.commit()

    def set_leverage(self, account: str, symbol: str, leverage: int) -> PositionView:
        """-4028 outside the brackets, -2027 position too large, -2028 margin, -4161 lowered with an isolated one."""
        owner, market = self._account(account), self._market(symbol)
        margin.check_leverage(owner, symbol, leverage, self._mark_price)
        owner.position(symbol).leverage = leverage
        self._outbox.keep_account(owner.wallet_record(), owner.position_record(symbol))
        self._outbox.user_event(account, events.leverage_update(symbol, leverage, self._now()))
        self._commit(market)
        return self.positions(account, symbol)[0]

    def set_margin_type(self, account: str, symbol: str, margin_type: Literal["ISOLATED", "CROSSED"]) -> None:
        """-4046 already so, -4047 open orders, -4048 position, -4168 isolated in multi-assets mode."""
        owner, market = self._account(account), self._market(symbol)
        switches.check_margin_type(owner, symbol, margin_type == "ISOLATED")
        owner.position(symbol).isolated = margin_type == "ISOLATED"
        self._outbox.keep_account(owner.wallet_record(), owner.position_record(symbol))
        self._commit(market)

    def set_dual_side(self, account: str, dual: bool) -> None:
        """Hedge mode or one-way mode, which no event tells: -4059 already so, -4067 open orders, -4068 position."""
        owner = self._account(account)
        switches.check_dual_side(owner, dual)
        owner.dual = dual
        self._outbox.keep_account(owner.wallet_record())
        self._outbox.commit()

    def set_multi_assets(self, account: str, multi_assets: bool) -> None:
        """-4171 already so, -4167 isolated symbols, -4170 open orders."""
        owner = self._account(account)
        switches.check_multi_assets(owner, multi_assets)
        owner.multi_assets = multi_assets
        self._outbox.keep_account(owner.wallet_record())
        self._outbox.user_event(account, events.asset_mode_update(multi_assets, self._now()))
        self._outbox.commit()

    def apply(self, event: FeedEvent) -> None:
        """Let one feed event happen: book, own fills, streams."""
        market = self._market(event.symbol)
        match event:
            case DepthDiff():
                market.take_diff(event)
            case DepthSnapshot():
                market.take_snapshot(event)
            case Touch():
                market.take_touch(event)
            case Print():
                self._matching.print(market, event)
            case _:
                market.take_mark(event)
                self._outbox.marked(event)
                self.liquidation.look(event.symbol)
        if market.book.has_own:
            market.book.settle()
            self._matching.uncross(market)
        self._commit(market)

    # --- inside -------------------------------------------------------------------------------------

    def _commit(self, market: Market) -> None:
        """End one operation: say what changed in the book, journal, tell."""
        while self.conditionals.look(market):
            market.book.settle()
        now = self._now()
        market.tell(now)
        if self._durable:
            record = market.checkpoint(now, self._outbox.has_trades)
            if record is not None:
                self._outbox.keep(("symbol", market.symbol), record)
        self._outbox.commit()
