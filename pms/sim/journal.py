"""What the exchange must not forget, and where it is written.

Each line is one whole operation: the new absolute state of everything it changed. Reading the lines in order and
keeping the newest record of each key gives the state back, so a line is atomic and replaying one twice is harmless.
At start the file is rewritten with one record per key (written beside it, then renamed over it).
This module holds the simulator's only file I/O; the exchange sees the `Journal` protocol.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import msgspec

from pms.sim.conditional_model import CLOSED, ConditionalRecord
from pms.sim.model import Order, Trade
from pms.sim.views import Income

FILE_NAME = "venue.jsonl"
KEPT_CLOSED_ORDERS = 200_000  # over all accounts, newest; bounds the file and the time to load it
KEPT_TRADES = 400_000
KEPT_CONDITIONAL = 20_000
KEPT_INCOME = 20_000  # over all accounts; the venue's rule is three months


class OrderRecord(msgspec.Struct, frozen=True, tag="order"):
    """The newest state of one order, keyed by order id."""

    order: Order


class TradeRecord(msgspec.Struct, frozen=True, tag="trade"):
    """One fill, keyed by symbol, trade id and order id."""

    trade: Trade


class PositionRecord(msgspec.Struct, frozen=True, tag="position"):
    """An account's row of one symbol, its settings included. Keyed by account and symbol.

    `countdown_at` is when countdownCancelAll strikes (Unix ms), 0 for never.
    """

    account: str
    symbol: str
    amount: Decimal
    entry: Decimal
    realized: Decimal
    open_result: Decimal
    leverage: int
    isolated: bool
    updated_at: int
    countdown_at: int


class WalletRecord(msgspec.Struct, frozen=True, tag="wallet"):
    """An account's wallet and modes. Keyed by account."""

    account: str
    start: Decimal
    wallet: Decimal
    updated_at: int
    dual: bool = False
    multi_assets: bool = False


class SymbolRecord(msgspec.Struct, frozen=True, tag="symbol"):
    """A symbol's ids and last price. Ids up to the reserved ones may have been shown: a restart goes on above them."""

    symbol: str
    last_price: Decimal
    trade_id: int
    update_id: int


class IncomeRecord(msgspec.Struct, frozen=True, tag="income"):
    """One change of a wallet. Keyed by its transaction id."""

    account: str
    income: Income


class FundingRecord(msgspec.Struct, frozen=True, tag="funding"):
    """One funding of a symbol. Keyed by symbol and time."""

    symbol: str
    time: int
    rate: Decimal
    mark: Decimal


Record = (
    OrderRecord
    | TradeRecord
    | PositionRecord
    | WalletRecord
    | SymbolRecord
    | IncomeRecord
    | FundingRecord
    | ConditionalRecord
)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Record])


class Journal(Protocol):
    """Durable storage of records."""

    def load(self) -> Iterable[Record]:
        """The newest record of every key, orders and trades by ascending id."""
        ...

    def write(self, records: Sequence[Record]) -> None:
        """Make one operation durable against SIGKILL before returning. Raises `OSError` when it could not."""
        ...


class JournalDamaged(Exception):
    """A line in the middle of the file cannot be read: nothing was loaded and nothing was changed."""


class MemoryJournal:
    """Keeps the encoded lines in memory: what a test reloads from."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def load(self) -> list[Record]:
        return newest(record for line in self.lines for record in _decoder.decode(line))

    def write(self, records: Sequence[Record]) -> None:
        self.lines.append(_encoder.encode(records))


class FileJournal:
    """Appends lines to `venue.jsonl` in the data directory, each by one unbuffered write.

    The operating system has a line when `write` returns, so it outlives the process.
    `fsync` makes it durable against power loss too, at some milliseconds an operation.
    """

    def __init__(self, directory: Path, fsync: bool = False) -> None:
        self._path = directory / FILE_NAME
        self._fsync = fsync
        directory.mkdir(parents=True, exist_ok=True)
        self._records = newest(_read(self._path))
        self._compact()
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self._size = os.fstat(self._file).st_size

    def load(self) -> list[Record]:
        """What the file held when it was opened; handed over once, then forgotten here."""
        records, self._records = self._records, []
        return records

    def write(self, records: Sequence[Record]) -> None:
        line = _encoder.encode(records) + b"\n"
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(
                    f"{self._path}: only part of a line was taken; the operation was not kept. Free disk space."
                )
        except OSError:
            os.ftruncate(self._file, self._size)  # else the next line would continue the torn one
            raise
        self._size += len(line)
        if self._fsync:
            os.fsync(self._file)

    def close(self) -> None:
        """Give the file back. Nothing is pending."""
        os.close(self._file)

    def _compact(self) -> None:
        beside = self._path.with_suffix(".new")
        with beside.open("wb") as file:
            for record in self._records:
                file.write(_encoder.encode([record]) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


def reset(directory: Path) -> None:
    """Forget the venue's whole state. The caller asked first, and no venue runs on `directory`."""
    (directory / FILE_NAME).unlink(missing_ok=True)


def newest(records: Iterable[Record]) -> list[Record]:
    """One record per key, the newest; closed orders and trades beyond the limits are dropped, oldest first."""
    settings: dict[tuple[str, ...], Record] = {}
    orders: dict[int, OrderRecord] = {}
    trades: dict[tuple[str, int, int], TradeRecord] = {}
    income: dict[int, IncomeRecord] = {}
    funding: dict[tuple[int, str], FundingRecord] = {}
    conditional: dict[int, ConditionalRecord] = {}
    for record in records:
        match record:
            case OrderRecord():
                orders[record.order.order_id] = record
            case TradeRecord():
                trades[record.trade.symbol, record.trade.trade_id, record.trade.order_id] = record
            case IncomeRecord():
                income[record.income.tran_id] = record
            case FundingRecord():
                funding[record.time, record.symbol] = record
            case ConditionalRecord():
                conditional[record.row.algo_id] = record
            case PositionRecord():
                settings["position", record.account, record.symbol] = record
            case WalletRecord():
                settings["wallet", record.account] = record
            case _:
                settings["symbol", record.symbol] = record
    closed = sorted(order_id for order_id, record in orders.items() if not record.order.is_open)
    for order_id in closed[: max(len(closed) - KEPT_CLOSED_ORDERS, 0)]:
        del orders[order_id]
    kept_trades = [trades[key] for key in sorted(trades)]
    if len(kept_trades) > KEPT_TRADES:
        kept_trades = sorted(kept_trades, key=lambda record: record.trade.time)[-KEPT_TRADES:]
        kept_trades.sort(key=lambda record: (record.trade.symbol, record.trade.trade_id, record.trade.order_id))
    kept_orders = [orders[order_id] for order_id in sorted(orders)]
    rows = [income[tran_id] for tran_id in sorted(income)[-KEPT_INCOME:]]
    paid = (funding[key] for key in sorted(funding))
    return [*settings.values(), *kept_orders, *kept_trades, *rows, *paid, *_kept_conditional(conditional)]


def _kept_conditional(rows: dict[int, ConditionalRecord]) -> list[ConditionalRecord]:
    """Those that are on the way, and the newest of the others."""
    ended = sorted(algo_id for algo_id, record in rows.items() if record.row.status in CLOSED)
    dropped = set(ended[: max(len(ended) - KEPT_CONDITIONAL, 0)])
    return [rows[algo_id] for algo_id in sorted(rows) if algo_id not in dropped]


def _read(path: Path) -> Iterable[Record]:
    """All records of a file. A torn last line was never answered for and is dropped; damage elsewhere is refused."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return  # SIGKILL cut it
            try:
                yield from _decoder.decode(line)
            except msgspec.DecodeError as error:
                raise JournalDamaged(
                    f"{path}, line {number} cannot be read ({error}). Nothing was loaded or changed. Restore the file "
                    "from a copy, or start empty with `pms sim --reset`."
                ) from error
