"""The books against a plain model: whatever is traded by whom, quantities and money add up to the venue's."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pms.books import Books
from pms.core.margin import Bracket
from pms.ledger import Ledger
from pms.sim.accounts import Position as VenuePosition
from pms.unit import Unit
from schemas.keys import Keys
from schemas.market import Instrument, Side
from schemas.orders import Fill, Order, OrderState, Origin
from schemas.records import EXTERNAL, Applied, SubAccount
from schemas.reports import FundingRate, Income, IncomeKind

D = Decimal
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a planted error runs without conftest
SYMBOL = "BTCUSDT"
STEP = D("0.001")
HOUR_MS = 3_600_000
RULES = Instrument(SYMBOL, D("0.1"), STEP, STEP, D(1000), D(5), D(0), D(0), D("1.05"), D("0.95"))
OWNERS = ("a", "b", "c")


class NoCommits:
    """Nothing is written: what a unit holds is in memory at once."""

    def commit(self, batch: object) -> object:
        raise AssertionError("not committed here")


class Account:
    """One exchange account: the venue's own arithmetic beside the books, and each owner's cash by hand."""

    def __init__(self) -> None:
        self.ledger = Ledger(Keys(), NoCommits())  # type: ignore[arg-type]
        for name in (*OWNERS, EXTERNAL):
            balance = D(1000)
            self.ledger.sub_accounts[name] = SubAccount(
                id=name, name=name, tag=name, initial_balance=balance, balance=balance, created_at=0
            )
        self.mark = D(100)
        self.books = Books(self.ledger, {SYMBOL: RULES}, lambda symbol: self.mark, lambda: self.time)
        self.books.brackets[SYMBOL] = (Bracket(D(0), D(10**9), 20, D("0.01"), D(0)),)
        self.venue = VenuePosition(SYMBOL)
        self.wallet = D(4000)
        self.cash: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.time = HOUR_MS
        self.number = 0

    def unit(self) -> Unit:
        return Unit(self.ledger, self.time)

    def trade(self, owner: str, quantity: Decimal, price: Decimal, fee: Decimal, name: str = "") -> None:
        """One fill of an order of `owner`; of nobody's where `name` is a stranger's or the venue's own."""
        self.number += 1
        self.time += 1
        self.mark = price
        realized = self.venue.fill(quantity, price, fee)
        self.wallet += realized - fee
        side = Side.BUY if quantity > 0 else Side.SELL
        fill = Fill(
            SYMBOL, self.number, self.number, side, price, abs(quantity), fee, "USDT", True, self.time, realized
        )
        order = Order(
            client_order_id=name or f"order-{self.number}",
            sub_account_id=EXTERNAL if name else owner,
            symbol=SYMBOL,
            side=side,
            order_type="LIMIT",
            time_in_force="GTC",
            quantity=abs(quantity),
            price=price,
            reduce_only=False,
            state=OrderState.ACTIVE,
            origin=Origin.EXTERNAL if name else Origin.MANUAL,
            parent_id="",
            root_id="",
            created_at=0,
            updated_at=0,
            leverage=5,
        )
        before = self.signed()
        self.books.fill(self.unit(), order, fill)
        for who, held in self.signed().items():
            delta = held - before.get(who, D(0))
            self.cash[who] -= delta * price + fee * abs(delta / quantity)

    def fund(self, rate: Decimal) -> None:
        """A funding at the next whole hour, on the net."""
        self.time = (self.time // HOUR_MS + 1) * HOUR_MS
        row = (-self.venue.amount * self.mark * rate).quantize(D("1e-8"))
        self.wallet += row
        for who, held in self.signed().items():
            self.cash[who] -= held * self.mark * rate
        self.books.fund(self.unit(), FundingRate(SYMBOL, self.time, rate, self.mark), row)
        booked = self.ledger.watermark.symbols.get(SYMBOL, Applied())
        assert booked.income_time == self.time, "it would be booked again"

    def assign(self, giver: str, taker: str, share: int, price: Decimal) -> None:
        held = self.ledger.position(giver, SYMBOL).signed_quantity
        part = (held * share / 4 // STEP * STEP) if share < 4 else held
        if giver == taker or not part:
            return
        self.time += 1
        self.books.assign(self.unit(), SYMBOL, giver, taker, abs(part), price)
        self.cash[giver] += part * price
        self.cash[taker] -= part * price

    def transfer(self, amount: Decimal) -> None:
        self.wallet += amount
        self.number += 1
        self.books.receive(
            self.unit(), Income("", IncomeKind.OTHER, amount, "USDT", self.time, self.number, "TRANSFER")
        )

    def signed(self) -> dict[str, Decimal]:
        return {name: position.signed_quantity for (name, _), position in self.ledger.positions.items()}

    def agrees(self, steps: int) -> None:
        """With the venue to the last digit; with the model but for rounding."""
        assert sum(self.signed().values(), D(0)) == self.venue.amount == self.books.net(SYMBOL)
        balances = {name: account.balance for name, account in self.ledger.sub_accounts.items()}
        assert sum(balances.values(), D(0)) == self.wallet
        for name in OWNERS:
            position = self.ledger.position(name, SYMBOL)
            exact = 1000 + self.cash[name] + position.signed_quantity * position.entry_price
            assert abs(balances[name] - exact) < D("1e-7") * (steps + 1)


PRICES = st.integers(500, 1500).map(lambda tenths: D(tenths) / 10)
SIZES = st.integers(-3000, 3000).filter(bool).map(lambda steps: steps * STEP)
FEES = st.decimals("0", "0.5", places=8)
STEPS = st.one_of(
    st.tuples(st.just("trade"), st.sampled_from(OWNERS), SIZES, PRICES, FEES),
    st.tuples(st.just("trade"), st.just(EXTERNAL), SIZES, PRICES, FEES, st.sampled_from(["web_1", "autoclose-1"])),
    st.tuples(st.just("fund"), st.decimals("-0.001", "0.001", places=8)),
    st.tuples(
        st.just("assign"), st.sampled_from((*OWNERS, EXTERNAL)), st.sampled_from(OWNERS), st.integers(1, 4), PRICES
    ),
    st.tuples(st.just("transfer"), st.decimals("-100", "100", places=2)),
)


@CALM
@given(st.lists(STEPS, max_size=25))
def test_books_are_the_venues_position_and_wallet_at_every_moment(steps: list[tuple[object, ...]]) -> None:
    account = Account()
    for number, (kind, *given_) in enumerate(steps):
        getattr(account, str(kind))(*given_)
        account.agrees(number)


def test_what_is_too_small_for_an_exit_goes_to_external_at_mark() -> None:
    """execution.md 9."""
    account = Account()
    account.trade("a", D("0.001"), D(100), D(0))
    account.books.retire(account.unit(), "a", SYMBOL, D(110))
    account.cash["a"] += D("0.11")
    assert account.signed() == {"a": 0, EXTERNAL: D("0.001")}
    assert account.ledger.sub_accounts["a"].balance == D("1000.01")
    account.agrees(2)


def test_a_fee_in_another_asset_is_no_money_of_the_books() -> None:
    account = Account()
    order_fee = D("0.5")
    account.trade("a", D(2), D(100), D(0))
    before = account.ledger.sub_accounts["a"].balance
    fill = Fill(SYMBOL, 9, 9, Side.BUY, D(100), D(1), order_fee, "BNB", True, account.time)
    order = Order(
        client_order_id="x", sub_account_id="a", symbol=SYMBOL, side=Side.BUY, order_type="LIMIT",
        time_in_force="GTC", quantity=D(1), price=D(100), reduce_only=False, state=OrderState.ACTIVE,
        origin=Origin.MANUAL, parent_id="", root_id="", created_at=0, updated_at=0,
    )  # fmt: skip
    account.books.fill(account.unit(), order, fill)
    assert account.ledger.sub_accounts["a"].balance == before
