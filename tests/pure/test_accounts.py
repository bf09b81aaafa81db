"""Who begins with what: the balances of all sub-accounts are the wallet, in paper and in live (execution.md 13)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from pms.accounts import Accounts, other_assets
from pms.ledger import Ledger
from schemas.errors import ErrorCode, Invalid
from schemas.keys import Keys
from schemas.records import EXTERNAL, MAIN, Limits, Watermark

D = Decimal


class Heard:
    """Takes batches and counts them."""

    def __init__(self) -> None:
        self.batches = 0

    def commit(self, batch: object) -> None:
        self.batches += 1


class Book:
    def __init__(self, live: bool, wallet: str = "5000") -> None:
        self.heard = Heard()
        self.ledger = Ledger(Keys(), self.heard)  # type: ignore[arg-type]
        self.left: list[tuple[str, Decimal]] = []
        self.accounts = Accounts(
            self.ledger, D(10_000), not live, Limits(), lambda name, amount: self.left.append((name, amount))
        )
        self.wallet = D(wallet)
        self.accounts.ensure_reserved(self.wallet, 7)

    def balances(self) -> dict[str, Decimal]:
        found = {name: account.balance for name, account in self.ledger.sub_accounts.items()}
        assert sum(found.values()) == self.wallet
        return found


def test_in_live_main_gets_the_wallet_and_others_theirs_from_main() -> None:
    book = Book(live=True)
    assert book.balances() == {MAIN: 5000, EXTERNAL: 0}
    book.accounts.put("desk", "Desk", D(2000), 8)
    assert book.balances() == {MAIN: 3000, EXTERNAL: 0, "desk": 2000}
    assert book.ledger.sub_accounts["desk"].initial_balance == 2000
    with pytest.raises(Invalid) as refused:
        book.accounts.put("greedy", None, D(3001), 9)
    assert refused.value.code is ErrorCode.INSUFFICIENT_MARGIN
    assert "greedy" not in book.balances()
    book.accounts.put("poor", None, None, 9)
    assert book.balances()["poor"] == 0


def test_in_live_nobody_is_made_by_use() -> None:
    book = Book(live=True)
    with pytest.raises(Invalid) as refused:
        book.accounts.named("nobody", 8)
    assert refused.value.code is ErrorCode.SUBACCOUNT_UNKNOWN


def test_in_paper_everybody_gets_the_opening_balance_and_external_holds_the_rest() -> None:
    book = Book(live=False, wallet="1000000")
    assert book.balances() == {MAIN: 10_000, EXTERNAL: 990_000}
    book.accounts.named("new", 8)
    assert book.balances() == {MAIN: 10_000, EXTERNAL: 980_000, "new": 10_000}


def test_a_second_start_gives_nothing_away_again() -> None:
    book = Book(live=True)
    batches = book.heard.batches
    book.accounts.ensure_reserved(D(4000), 9)
    assert book.heard.batches == batches
    assert book.balances() == {MAIN: 5000, EXTERNAL: 0}
    assert (book.ledger.watermark.since, book.ledger.watermark.income_time) == (7, 7)


def test_a_ledger_of_before_balances_were_kept_begins_with_the_wallet_now() -> None:
    """Without a first contact on record nothing moved a balance yet: `external` takes what the others lack."""
    book = Book(live=False, wallet="1000000")
    ledger = book.ledger
    ledger.watermark = Watermark()
    ledger.sub_accounts[EXTERNAL] = msgspec.structs.replace(ledger.sub_accounts[EXTERNAL], balance=D(0))
    book.wallet = D(999_000)
    book.accounts.ensure_reserved(book.wallet, 9)
    assert book.balances() == {MAIN: 10_000, EXTERNAL: 989_000}
    assert ledger.watermark.since == 9


@pytest.mark.parametrize(
    "wallet, named", [({"USDT": "5"}, ""), ({"USDT": "5", "BNB": "0"}, ""), ({"BNB": "1", "USDC": "2"}, "BNB, USDC")]
)
def test_assets_that_no_books_are_kept_of_are_named(wallet: dict[str, str], named: str) -> None:
    message = other_assets({asset: D(balance) for asset, balance in wallet.items()})
    assert named in message
    assert bool(message) is bool(named)
