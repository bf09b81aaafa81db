"""Leverage at the venue (execution.md 15): set outside the order path, serialised per symbol, never lowered with a
position.

Owns what the venue has it at, another hand's settings included. Refuses to decide what a sub-account may ask for: that
is the risk gate's; its own leverage stands in its positions and orders, whatever the venue's one setting is.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

from pms.core import margin
from pms.core.margin import Brackets
from pms.ledger import Ledger
from pms.venue import NotDone, Refused, Unavailable, Unknown, Venue
from schemas.errors import ErrorCode, Invalid
from schemas.market import ZERO

SENT_KEPT = 8  # settings of one symbol, serialised: as many events never wait


class Leverage:
    """See the module. `brackets` are the venue's tables as far as they are known; `mark` is a symbol's mark price, 0
    where it is not known; `refusal` says why nothing that adds risk may be sent now, read right before each send."""

    def __init__(
        self,
        ledger: Ledger,
        venue: Venue,
        brackets: Mapping[str, Brackets],
        mark: Callable[[str], Decimal],
        refusal: Callable[[], str],
    ) -> None:
        self._ledger = ledger
        self._venue = venue
        self._brackets = brackets
        self._mark = mark
        self._refusal = refusal
        self._standing: dict[str, int] = {}
        # What we have sent and whose event has not come yet.
        self._sent: defaultdict[str, deque[int]] = defaultdict(partial(deque, maxlen=SENT_KEPT))
        self._setting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def is_set(self, symbol: str, wanted: int, adds: Decimal = ZERO) -> bool:
        """Whether the venue is known to have it so that `ensure` would send nothing."""
        standing = self._standing.get(symbol)
        if standing is None:
            return False
        target = self._target(symbol, wanted, adds)
        return standing == target or (standing > target and not self._is_flat(symbol))

    async def ensure(self, symbol: str, wanted: int, adds: Decimal = ZERO) -> None:
        """Have it right for an order that asks for `wanted` and adds so much notional. A refusal belongs to who asked.

        Raises `Invalid` (EXCHANGE_REJECTED, EXCHANGE_UNAVAILABLE, NOT_READY): nothing that adds risk was sent.
        """
        if self.is_set(symbol, wanted, adds):
            return
        async with self._setting[symbol]:
            if symbol not in self._standing and not self._is_flat(symbol):
                self._standing[symbol] = await self._read(symbol)  # of a former life
            if not self.is_set(symbol, wanted, adds):
                await self._set(symbol, self._target(symbol, wanted, adds))

    def told(self, symbol: str, leverage: int) -> int | None:
        """The venue tells that it has been set. Returns what stood before (0: not known) where another hand did it,
        and it matters to us; None otherwise."""
        sent, was = self._sent[symbol], self._standing.get(symbol)
        ours = leverage in sent
        while ours and sent.popleft() != leverage:
            continue
        if not sent:  # else a later one of ours is under way, and its answer tells
            self._standing[symbol] = leverage
        if ours or was == leverage or (was is None and self._is_flat(symbol)):
            return None
        return was or 0

    def forget(self) -> None:
        """What the venue tells may have been missed: all of it is read again where it matters."""
        self._standing.clear()
        self._sent.clear()

    def _target(self, symbol: str, wanted: int, adds: Decimal) -> int:
        """min(highest asked, highest whose bracket covers the gross notional after the order)."""
        ledger, asked, gross = self._ledger, max(wanted, 1), adds
        table = self._brackets.get(symbol)
        mark = self._mark(symbol) if table else ZERO
        for (_, name), book in ledger.positions.items():
            if name == symbol and book.signed_quantity:
                asked = max(asked, book.leverage)
                gross += abs(book.signed_quantity) * (mark or book.entry_price)
        for client_id in ledger.open_by_symbol[symbol]:
            order = ledger.orders[client_id]
            asked = max(asked, order.leverage)
            if not order.reduce_only:
                gross += order.remaining * order.price
        # Not read yet: the venue itself refuses what its table does not allow.
        return min(asked, margin.max_leverage(table, gross)) if table else asked

    async def _set(self, symbol: str, target: int) -> None:
        sent = self._sent[symbol]
        sent.append(target)
        outcome = await self._venue.set_leverage(symbol, target, self._refusal)
        if isinstance(outcome, Refused | NotDone) and target in sent:
            sent.remove(target)
        match outcome:
            case Refused(message=message, code=code):
                raise Invalid(
                    ErrorCode.EXCHANGE_REJECTED, f"leverage {target} was refused: {message}", code=code, msg=message
                )
            case NotDone(message=message):
                word = ErrorCode.NOT_READY if message == self._refusal() else ErrorCode.EXCHANGE_UNAVAILABLE
                raise Invalid(word, f"leverage {target} was not set: {message}. Nothing was done; send it again.")
            case Unknown(message=message):
                self._standing.pop(symbol, None)
                if await self._read(symbol) != target:
                    message = f"leverage {target} may or may not be set ({message}); no order was sent. Send it again."
                    raise Invalid(ErrorCode.EXCHANGE_UNAVAILABLE, message)
        if target in sent or symbol not in self._standing:  # else its event has come, and maybe a newer one
            self._standing[symbol] = target

    async def _read(self, symbol: str) -> int:
        try:
            return await self._venue.leverage(symbol)
        except Unavailable as error:
            message = f"the venue does not tell the leverage of {symbol} ({error}); no order was sent. Send it again."
            raise Invalid(ErrorCode.EXCHANGE_UNAVAILABLE, message) from error

    def _is_flat(self, symbol: str) -> bool:
        """Whether nothing stands that a lower leverage would touch."""
        if self._ledger.open_by_symbol[symbol]:
            return False
        return not any(held.quantity for (_, name), held in self._ledger.positions.items() if name == symbol)
