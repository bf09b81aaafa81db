"""The client order id: a pure function of who asked, and back (execution.md 11).

`pms-TTTT-OOOOOOOOOO-EEEEEE-SSS-AAA-C`, base 36 lower case: tag of the sub-account, owner (the algo's or the manual
order's id), epoch of the owner's record, slot, attempt, check character; 36 characters, the venue's limit. `parse` is
total: every text has a verdict. Refuses to know where ids come from: uniqueness is the caller's (owner ids are
allocated once, attempts only rise within an epoch).
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

import msgspec

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
PREFIX = "pms"
TAG_LENGTH = 4
OWNER_LENGTH = 10
EPOCH_MAX = 36**6 - 1  # Unix seconds fit until 2038-12-24
SLOT_MAX = 36**3 - 1
ATTEMPT_MAX = 36**3 - 1

_SHAPE = re.compile(r"^pms-([0-9a-z]{4})-([0-9a-z]{10})-([0-9a-z]{6})-([0-9a-z]{3})-([0-9a-z]{3})-([0-9a-z])$")
_VALUES = bytes(DIGITS.find(chr(code)) + 1 for code in range(256))  # of a character: a digit counts one more
_VENUE_PREFIXES = ("autoclose-", "adl_autoclose", "settlement_autoclose-", "delivery_autoclose-")


class OrderId(msgspec.Struct, frozen=True):
    """One of our ids, taken apart."""

    tag: str
    owner: str
    epoch: int
    slot: int
    attempt: int

    def __str__(self) -> str:
        return make(self)


class Damaged(msgspec.Struct, frozen=True):
    """An id that begins like ours and does not parse: ours, owner unknown. Never treated as foreign."""

    text: str


class VenueOrder(msgspec.Struct, frozen=True):
    """An order the venue itself made: liquidation, auto-deleveraging, settlement (binance.md 4). Never cancelled by
    us."""

    text: str


class Foreign(msgspec.Struct, frozen=True):
    """Somebody else's order on the account: the app, another program."""

    text: str


Parsed = OrderId | Damaged | VenueOrder | Foreign


@lru_cache(maxsize=1024)  # an epoch is the same for all orders of a daemon's life, and slots and attempts are small
def base36(number: int, width: int) -> str:
    """`number` in base 36, zero-padded to `width`. Raises ValueError when it does not fit."""
    text = ""
    rest = number
    for _ in range(width):
        rest, digit = divmod(rest, 36)
        text = DIGITS[digit] + text
    if rest or number < 0:
        raise ValueError(f"{number} does not fit {width} base-36 digits")
    return text


def child_id(parent_id: str, letter: str, number: int) -> str:
    """The id of an algo's `number`th child algo: a function of the parent alone, so that a step taken twice asks for
    the same child twice (law 10)."""
    digest = hashlib.sha256(f"{parent_id}:{number}".encode()).digest()
    return letter + base36(int.from_bytes(digest[:8], "big") % 36**9, 9)


def _check(body: str) -> str:
    """ISO 7064 style hybrid check over the body (modulus 36): finds every single wrong character, and all but about one
    in a thousand swaps of neighbours."""
    product = 36
    for value in body.encode().translate(_VALUES):
        total = (product + value) % 36 or 36
        product = total * 2 % 37
    return DIGITS[(37 - product) % 36]


def make(order_id: OrderId) -> str:
    """The text of an id. Raises ValueError where a part is out of its range."""
    if len(order_id.tag) != TAG_LENGTH or len(order_id.owner) != OWNER_LENGTH:
        raise ValueError(f"tag has {TAG_LENGTH} and owner {OWNER_LENGTH} characters: {order_id!r}")
    body = "-".join(
        (
            PREFIX,
            order_id.tag,
            order_id.owner,
            base36(order_id.epoch, 6),
            base36(order_id.slot, 3),
            base36(order_id.attempt, 3),
        )
    )
    text = f"{body}-{_check(body)}"
    if not _SHAPE.match(text):
        raise ValueError(f"tag and owner are base 36 lower case: {text}")
    return text


def parse(text: str) -> Parsed:
    """Whose order an id names: ours, ours-but-damaged, the venue's own, or foreign. Never raises."""
    match = _SHAPE.match(text)
    if match and _check(text[:-2]) == match[6]:
        return OrderId(match[1], match[2], int(match[3], 36), int(match[4], 36), int(match[5], 36))
    if text.lower().startswith(PREFIX):
        return Damaged(text)
    if text.startswith(_VENUE_PREFIXES):
        return VenueOrder(text)
    return Foreign(text)


def record_name(client_id: str, order_id: int) -> str:
    """What an order is called here: its client id, but for the venue's own orders, which share theirs (every
    deleveraging is `adl_autoclose`, a liquidation's orders of one moment have one name). These are told apart by the
    exchange's number."""
    return f"{client_id}-{order_id}" if client_id.startswith(_VENUE_PREFIXES) else client_id


def tag_of(sub_account: str) -> str:
    """The 4-character tag of a sub-account: a digest of its name. Two names may collide; the collision refuses the
    new sub-account."""
    digest = hashlib.sha256(sub_account.encode()).digest()
    return base36(int.from_bytes(digest[:8], "big") % 36**TAG_LENGTH, TAG_LENGTH)
