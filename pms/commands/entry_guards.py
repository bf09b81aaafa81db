"""stopLoss and takeProfit of an entry: the protection that begins with it (contract.md; algos.md, Protection).

Refuses to place anything: it is armed by the entry's first fill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from algos import protection
from algos.registry import PROTECTION
from algos.step import Action, Identity
from pms.bus.batch import Claim, Duplicate
from pms.commands.identity import OwnerIds
from pms.commands.triggers import check_ahead, check_price, check_room
from pms.core.risk import Approved
from pms.desk import Desk
from pms.runner import Runner
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.market import ZERO, Instrument, Quote, Side
from schemas.orders import Order
from schemas.protection import LegParams, LegWord, ProtectionParams


class _Leg(NamedTuple):
    field: str
    path: str
    word: LegWord


_LEGS = (_Leg("stop_loss", "stopLoss", "stop"), _Leg("take_profit", "takeProfit", "take_profit"))


def wanted(command: Command) -> bool:
    """Whether a command asks for a protection of what it enters."""
    return getattr(command, "stop_loss", None) is not None or getattr(command, "take_profit", None) is not None


def check_entry(desk: Desk, command: Any, quotes: Mapping[str, Quote]) -> None:
    """As `check`, at the newest mid."""
    instrument = desk.instruments[command.symbol]
    check(desk, command, instrument, quotes[command.symbol].mid2 * instrument.tick / 2)


def check_order(desk: Desk, command: Any, price: Decimal | None) -> None:
    """As `check`, at a price or where there is none at the newest mid."""
    instrument, quote = desk.instruments[command.symbol], desk.market.quote(command.symbol)
    mid = ZERO if quote is None else quote.mid2 * instrument.tick / 2
    check(desk, command, instrument, mid if price is None else price)


def check(desk: Desk, command: Any, instrument: Instrument, price: Decimal) -> None:
    """Whether such a protection makes sense for an entry at that price (0: not known). Raises Invalid (INVALID_FIELD,
    PRICE_OFF_GRID)."""
    closing: Side = command.side.opposite
    for leg in _LEGS:
        trigger = getattr(command, leg.field)
        if trigger is None:
            continue
        if command.reduce_only:
            message = f"{leg.path} protects what is entered, and this only reduces; protect the position by stop."
            raise Invalid(ErrorCode.INVALID_FIELD, message, path=leg.path)
        check_price(instrument, trigger, leg.path)
        check_ahead(closing, leg.word, trigger, price, leg.path)
    check_room(desk)


def runners_for(desk: Desk, ids: OwnerIds, entry: Identity, command: Any, entry_id: str) -> list[Runner]:
    """The protection that a command asks for of its entry; it waits for the first fill."""
    who = Identity(
        ids.next(PROTECTION.letter, desk.now()), entry.sub_account_id, entry.tag, entry.epoch, entry.request_id
    )
    asked = {
        leg.word: LegParams(trigger_price=trigger)
        for leg in _LEGS
        if (trigger := getattr(command, leg.field)) is not None
    }
    params = ProtectionParams(
        symbol=command.symbol,
        side=command.side.opposite,
        entry_id=entry_id,
        stop=asked.get("stop"),
        take_profit=asked.get("take_profit"),
    )
    instrument = desk.instruments[command.symbol]
    state, actions = protection.start(who, params, instrument, desk.market.quote(command.symbol), desk.now())
    assert not actions, "nothing is filled yet"
    return [desk.begin(PROTECTION, state)]


def launch(desk: Desk, guards: Sequence[Runner], request_id: str) -> None:
    """Their records are part of the step that begins their entry."""
    for runner in guards:
        desk.launch(runner, (), request_id, None)


def follow(desk: Desk, guards: Sequence[Runner]) -> None:
    """Prices reach them from now on, as long as they have not ended already."""
    for runner in guards:
        desk.family.follow(runner)


async def begin(
    desk: Desk,
    guards: Sequence[Runner],
    algo: Runner,
    actions: tuple[Action, ...],
    claim: Claim | None,
    by: str,
    approved: tuple[Order, Approved] | None,
) -> bool:
    """An algo and its protection begin in one step with the claim of the request `by`; False where it was taken before,
    and nothing of them stands. `approved`: as `Desk.launch` takes it."""
    with desk.step(by, claim) as unit:
        if guards:
            launch(desk, guards, by)
        desk.launch(algo, actions, by, approved)
    assert unit.durable is not None, "a step with a record is committed"
    if isinstance(await unit.durable, Duplicate):
        for runner in (*guards, algo):
            desk.withdraw(runner)
        return False
    follow(desk, guards)
    return True
