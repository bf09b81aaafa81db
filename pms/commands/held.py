"""Which position a command means that protects one (contract.md: positionId, or symbol and positionSide)."""

from __future__ import annotations

from typing import Protocol

from pms.desk import Desk
from schemas.books import Position
from schemas.errors import ErrorCode, Invalid
from schemas.market import PositionSide


class Names(Protocol):
    """What such a command says of its position."""

    @property
    def position_id(self) -> str | None: ...

    @property
    def symbol(self) -> str | None: ...

    @property
    def position_side(self) -> PositionSide | None: ...


def held_position(desk: Desk, command: Names, sub_account: str) -> Position:
    """The open position that is meant. Raises Invalid (POSITION_NOT_FOUND, NOT_OWNER, POSITION_SIDE_MISMATCH,
    UNKNOWN_SYMBOL)."""
    if command.position_id is None:
        return _of_symbol(desk, command, sub_account)
    owner, _, rest = command.position_id.partition(":")
    held = desk.ledger.positions.get((owner, rest.partition(":")[0]))
    if held is None or held.position_id != command.position_id or not held.signed_quantity:
        message = f"there is no open position {command.position_id}."
        raise Invalid(ErrorCode.POSITION_NOT_FOUND, message, path="positionId")
    if owner != sub_account:
        message = f"{command.position_id} belongs to another sub-account."
        raise Invalid(ErrorCode.NOT_OWNER, message, path="subAccountId")
    if command.position_side not in (None, held.side):
        message = f"{command.position_id} is {held.side}, not {command.position_side}."
        raise Invalid(ErrorCode.POSITION_SIDE_MISMATCH, message, path="positionSide")
    return held


def _of_symbol(desk: Desk, command: Names, sub_account: str) -> Position:
    symbol = command.symbol
    assert symbol is not None, "the door wants it where no positionId is"
    if symbol not in desk.instruments:
        raise Invalid(ErrorCode.UNKNOWN_SYMBOL, f"the venue has no symbol {symbol}.", path="symbol")
    held = desk.ledger.position(sub_account, symbol)
    if not held.signed_quantity:
        message = f"there is no open position in {symbol}."
        raise Invalid(ErrorCode.POSITION_NOT_FOUND, message, path="symbol")
    if command.position_side is not held.side:
        message = f"the position in {symbol} is {held.side}, not {command.position_side}."
        raise Invalid(ErrorCode.POSITION_SIDE_MISMATCH, message, path="positionSide")
    return held
