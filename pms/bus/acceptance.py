"""What a command must satisfy before it is carried out, and what a sweep takes with it (contract.md, "Commands in").

Owns the rules of request id, age, privileged doors, repeats and superseding, as pure functions. Refuses to know Redis
and what a command does. Times are Unix ms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from schemas import codec
from schemas.commands import FUTURE_MS, PRIVILEGED, REDUCING, Decoded, Envelope
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.records import SYSTEM

# What may open or enlarge a position, or lift what holds it back. Protection (stops) and exits are not among them.
ADDING = frozenset(
    "trade limit scale amend basket chase chase_amend twap twap_basket scalper algo_start twap_resume algo_resume"
    " resume unfreeze".split()
)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One entry as it came.

    `entry_id` only at the stream doors; `early`: it lay in its list when the daemon started.
    """

    key: str
    type: str
    body: bytes
    admin: bool = False
    entry_id: str = ""
    early: bool = False

    @property
    def entry_ms(self) -> int | None:
        """Redis' time of the entry."""
        return int(self.entry_id.split("-")[0]) if self.entry_id else None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded command with what identifies it.

    `request_id` may be missing ("") where the command only reduces risk. `ignored`: unknown fields at the list door.
    """

    arrival: Arrival
    command: Command
    envelope: Envelope
    ignored: tuple[str, ...]
    request_id: str
    sub_account: str
    digest: str

    @property
    def issued_at(self) -> int | None:
        """When it was issued, as far as anybody says."""
        given = self.envelope.issued_at
        return self.arrival.entry_ms if given is None else given


def identify(arrival: Arrival, decoded: Decoded, owner: str) -> Item:
    """The item of a decoded command; `owner` is the sub-account that an id in its body names ("" where none): it
    counts where the command names none itself.

    Raises `Invalid` (MISSING_FIELD) where a requestId is needed and missing.
    """
    sub_account = decoded.envelope.sub_account_id or owner or SYSTEM
    request_id = decoded.envelope.request_id or arrival.entry_id
    if not request_id and decoded.command.type not in REDUCING:
        message = f"{decoded.command.type} needs a requestId on the list door: without one a repeat would act twice."
        raise Invalid(ErrorCode.MISSING_FIELD, message, path="requestId")
    return Item(
        arrival=arrival,
        command=decoded.command,
        envelope=decoded.envelope,
        ignored=decoded.ignored,
        request_id=request_id,
        sub_account=sub_account,
        digest=digest(sub_account.encode(), decoded.command.type.encode(), codec.encode(decoded.command)),
    )


def digest(*parts: bytes) -> str:
    """Tells one body from another; issuedAt and the like stay out of it, since a repeat says them anew."""
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()


def check_door(item: Item) -> None:
    """Where privileged commands are kept to their own doors. Raises `Invalid` (NOT_ALLOWED)."""
    if item.command.type in PRIVILEGED and not item.arrival.admin:
        message = f"{item.command.type} is taken at the admin door only; nothing was done."
        raise Invalid(ErrorCode.NOT_ALLOWED, message)


def check_age(item: Item, venue_now: Callable[[], int], redis_now: Callable[[], int]) -> None:
    """Neither too old nor from the future. Entry ids are judged by Redis' clock, issuedAt by the venue's; the one that
    is needed is asked.

    Raises `Invalid` (STALE_COMMAND).
    """
    envelope = item.envelope
    issued_at, now = envelope.issued_at, venue_now
    if issued_at is None:
        issued_at, now = item.arrival.entry_ms, redis_now
    if issued_at is None:
        if item.arrival.early and not only_reduces(item.command):
            message = "it lay in its list when the daemon started and has no issuedAt: nobody knows how old it is."
            raise Invalid(ErrorCode.STALE_COMMAND, message)
        return
    age = now() - issued_at
    if age > envelope.max_age_ms:
        message = f"the command is {age} ms old, over {envelope.max_age_ms} ms; nothing was done. Send it anew."
        raise Invalid(ErrorCode.STALE_COMMAND, message, ageMs=age, maxAgeMs=envelope.max_age_ms)
    if -age > FUTURE_MS:
        message = f"issuedAt is {-age} ms ahead, over {FUTURE_MS} ms; nothing was done. Set the sender's clock."
        raise Invalid(ErrorCode.STALE_COMMAND, message, ageMs=age)


def adds_risk(command: Command) -> bool:
    """Whether a sweep takes it away."""
    return command.type in ADDING and not getattr(command, "reduce_only", False)


def only_reduces(command: Command) -> bool:
    """Whether nothing can become larger by it, however late it is carried out."""
    return command.type in REDUCING or getattr(command, "reduce_only", False)


def superseded(waiting: Item, sweep: Item) -> bool:
    """Whether `sweep` (a close, cancel or halt) answers for `waiting`: it adds risk, is in scope, and is not shown to
    be later.
    """
    return adds_risk(waiting.command) and _in_scope(waiting, sweep) and not _later(waiting, sweep)


def _in_scope(waiting: Item, sweep: Item) -> bool:
    scope = getattr(sweep.command, "scope", "subAccountId")
    symbol = getattr(sweep.command, "symbol", None) or _symbol_of(getattr(sweep.command, "position_id", None))
    of_waiting = getattr(waiting.command, "symbol", None)
    if scope == "subAccountId" and waiting.sub_account != sweep.sub_account:
        return False
    return symbol is None or of_waiting is None or symbol == of_waiting


def _symbol_of(position_id: str | None) -> str | None:
    """The symbol in a position id (sub-account, symbol, number of the opening); None where nothing is named."""
    return position_id.split(":")[1] if position_id and position_id.count(":") == 2 else None


def _later(waiting: Item, sweep: Item) -> bool:
    ours, theirs = waiting.arrival, sweep.arrival
    if ours.entry_id and theirs.entry_id and ours.key == theirs.key:
        return _entry(ours.entry_id) > _entry(theirs.entry_id)
    if waiting.issued_at is None or sweep.issued_at is None:
        return False
    return waiting.issued_at > sweep.issued_at


def _entry(entry_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in entry_id.split("-"))
