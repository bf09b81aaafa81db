"""Whatever traders, tape and feed do, in any order: what must never be broken."""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.sim.journal import MemoryJournal
from pms.sim.model import NewOrder, Order, VenueError
from tests.pure.sim.rig import SIDES, SYMBOL, D, Rig

MID = 10_000  # in ticks of 0.1
ACCOUNTS = ("a", "b", "c")
ticks = st.integers(MID - 6, MID + 6)
lots = st.integers(1, 12)
place = st.tuples(
    st.just("place"),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(SIDES),
    st.one_of(st.none(), ticks),
    lots,
    st.sampled_from(("GTC", "IOC", "FOK", "GTX")),
    st.booleans(),
    st.sampled_from(("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")),
)
amend = st.tuples(st.just("amend"), st.integers(0, 99), ticks, lots)
cancel = st.tuples(st.just("cancel"), st.integers(0, 99))
printed = st.tuples(st.just("print"), ticks, lots, st.booleans())
diff = st.tuples(st.just("diff"), st.integers(MID - 4, MID + 4), st.lists(st.integers(0, 12), min_size=6, max_size=6))
touch = st.tuples(st.just("touch"), st.integers(MID - 4, MID + 4), lots, lots)
steps = st.lists(st.one_of(place, place, place, amend, cancel, printed, diff, touch), min_size=1, max_size=40)


class Player:
    """Plays one random story and keeps a book of its own from what the venue tells."""

    def __init__(self, recorded: bool) -> None:
        self.journal = MemoryJournal()
        self.rig = Rig(self.journal, max_orders=50, min_notional=D(1))
        self.orders: list[Order] = []
        self.fed_id = 100 if recorded else 0
        self.external: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
        self.rebuilt: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
        self.seen = 0
        self.rig.book([("999.9", 5), ("999.8", 5)], [("1000.1", 5), ("1000.2", 5)], last_id=self.fed_id)
        self.rig.mark(1000)

    def play(self, step: tuple[Any, ...]) -> None:
        kind, *rest = step
        self.rig.time += 1
        with contextlib.suppress(VenueError):  # a refusal changes nothing, which `check` sees
            getattr(self, kind)(*rest)
        self.check()

    def place(self, account: str, side: Any, tick: int | None, lots: int, tif: Any, reduce: bool, stp: Any) -> None:
        price = D(tick) / 10 if tick is not None else D(0)
        name = f"p{len(self.orders)}-{self.rig.exchange.last_price(SYMBOL)}"
        self.orders.append(
            self.rig.exchange.place(
                account,
                NewOrder(
                    SYMBOL, side, "LIMIT" if price else "MARKET", D(lots), name, price, tif, reduce_only=reduce, stp=stp
                ),
            )
        )

    def amend(self, which: int, tick: int, lots: int) -> None:
        if self.orders:
            self.rig.amend(self.orders[which % len(self.orders)], lots, D(tick) / 10)

    def cancel(self, which: int) -> None:
        if self.orders:
            self.rig.cancel(self.orders[which % len(self.orders)])

    def print(self, tick: int, lots: int, maker: bool) -> None:
        self.rig.print(D(tick) / 10, lots, maker)

    def ids(self) -> tuple[int, int]:
        if not self.fed_id:
            return 0, 0
        self.fed_id += 5
        return self.fed_id - 2, self.fed_id

    def diff(self, middle: int, sizes: list[int]) -> None:
        """The market around `middle`: levels on the wrong side of it are gone."""
        bids = {D(middle - 1 - i) / 10: D(size) for i, size in enumerate(sizes[:3])}
        asks = {D(middle + 1 + i) / 10: D(size) for i, size in enumerate(sizes[3:])}
        bids |= {D(tick) / 10: D(0) for tick in range(middle, MID + 8)}
        asks |= {D(tick) / 10: D(0) for tick in range(MID - 8, middle + 1)}
        first, last = self.ids()
        self.rig.diff(sorted(bids.items()), sorted(asks.items()), first, last)

    def touch(self, middle: int, bid_lots: int, ask_lots: int) -> None:
        _, last = self.ids()
        self.rig.touch((D(middle - 1) / 10, bid_lots), (D(middle + 1) / 10, ask_lots), last)

    # --- what must hold ---

    def check(self) -> None:
        self.check_orders()
        self.check_money()
        self.check_book()
        self.check_ids()

    def check_orders(self) -> None:
        exchange = self.rig.exchange
        filled: dict[int, Decimal] = defaultdict(Decimal)
        for account in ACCOUNTS:
            for trade in exchange.trades(account, SYMBOL, limit=1000):
                filled[trade.order_id] += trade.quantity
            closers = [order for order in exchange.open_orders(account) if order.reduce_only]
            amount = exchange.positions(account)[0].amount
            assert sum((order.remaining for order in closers), D(0)) <= abs(amount)
            assert all((order.side == "SELL") == (amount > 0) for order in closers)
        for order in self.orders:
            assert order.filled == filled[order.order_id] <= order.quantity
            assert order.is_open or order.status != "NEW"
            assert (order.status == "FILLED") == (order.filled == order.quantity)

    def check_money(self) -> None:
        for account in ACCOUNTS:
            trades = self.rig.exchange.trades(account, SYMBOL, limit=1000)
            view = self.rig.exchange.account(account)
            assert view.wallet == 1_000_000 + sum(row.realized - row.commission for row in trades)
            signed = sum(row.quantity if row.side == "BUY" else -row.quantity for row in trades)
            assert self.rig.exchange.positions(account)[0].amount == signed

    def check_book(self) -> None:
        depth = self.rig.exchange.depth(SYMBOL)
        own = [order for account in ACCOUNTS for order in self.rig.exchange.open_orders(account)]
        for change in self.rig.changes[self.seen :]:
            for side in ("bids", "asks"):
                for price, quantity in getattr(change, side):
                    self.rebuilt[side][price] = quantity
        self.seen = len(self.rig.changes)
        for side in ("bids", "asks"):
            told = {price: quantity for price, quantity in self.rebuilt[side].items() if quantity}
            assert told == dict(getattr(depth, side)), "what was told adds up to what is answered"
        for order in own:
            assert order.price in dict(depth.bids if order.side == "BUY" else depth.asks)
        if own and depth.bids and depth.asks:
            assert depth.bids[0][0] < depth.asks[0][0]

    def check_ids(self) -> None:
        changes = self.rig.changes
        assert all(row.prev_id < row.first_id <= row.last_id for row in changes)
        assert all(after.prev_id == before.last_id for before, after in itertools.pairwise(changes))
        trades = [row.trade_id for row in self.rig.prints]
        assert trades == sorted(set(trades))
        touches = [row.update_id for row in self.rig.touches]
        assert touches == sorted(touches)

    def check_restart(self) -> None:
        after = Rig(self.journal, max_orders=50, min_notional=D(1))
        after.mark(self.rig.exchange.mark(SYMBOL).mark)
        for account in ACCOUNTS:
            assert after.exchange.all_orders(account) == self.rig.exchange.all_orders(account)
            assert after.exchange.trades(account) == self.rig.exchange.trades(account)
            assert after.exchange.account(account).wallet == self.rig.exchange.account(account).wallet
            mine, theirs = self.rig.exchange.positions(account)[0], after.exchange.positions(account)[0]
            assert msgspec.structs.asdict(theirs) == msgspec.structs.asdict(mine)


@given(steps, st.booleans())
@settings(max_examples=250, deadline=None, derandomize=True)
def test_any_story_keeps_the_invariants_and_survives_a_kill(story: list[tuple[Any, ...]], recorded: bool) -> None:
    player = Player(recorded)
    for step in story:
        player.play(step)
    player.check_restart()


@given(st.lists(st.one_of(printed, diff, touch), min_size=1, max_size=40))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_without_orders_of_ours_the_book_is_the_feeds(story: list[tuple[Any, ...]]) -> None:
    player = Player(recorded=True)
    fed: dict[str, dict[Decimal, Decimal]] = {
        "bids": {D("999.9"): D(5), D("999.8"): D(5)},
        "asks": {D("1000.1"): D(5), D("1000.2"): D(5)},
    }
    heard = len(player.rig.changes)
    for step in story:
        player.play(step)
        if step[0] != "diff":
            assert len(player.rig.changes) == heard
            continue
        heard += 1
        change = player.rig.changes[-1]
        assert change.last_id == player.fed_id, "recorded ids are kept"
        for side in ("bids", "asks"):
            fed[side] |= dict(getattr(change, side))
            kept = {price: quantity for price, quantity in fed[side].items() if quantity}
            assert dict(getattr(player.rig.exchange.depth(SYMBOL), side)) == kept
