"""What the venue's noes mean: error codes, HTTP statuses and expiry reasons as data (binance.md 5).

Owns the one decision that costs money when wrong: whether a request may have been executed. Pure; knows no requests.
Invariant: what no table names may have been executed (`Fate.UNKNOWN`), unless a code of the venue's own says no.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pms.binance.transport import Response
from pms.venue import NotDone, Refused, Unknown
from schemas.orders import Cause


class Fate(StrEnum):
    """What became of a request (execution.md 1)."""

    REFUSED = "refused"  # told no: not executed, and no use in asking again
    NOT_DONE = "not_done"  # certainly not executed; may be asked again
    UNKNOWN = "unknown"  # may have been executed
    AUTH = "auth"  # told that we are not who may ask


class Pause(StrEnum):
    """What has to pass before the venue may be asked again."""

    NONE = "none"
    BRIEF = "brief"  # overload: a fraction of a second
    SLOW = "slow"  # maintenance, firewall: many seconds
    CLOCK = "clock"  # until our clock is measured anew
    ORDERS = "orders"  # -1015: no order before the next slot; cancels and look-ups go on
    TURN = "turn"  # our own budget is used up: its owner is called when its turn has come (execution.md 18)
    ALL = "all"  # 429, 418: nothing at all before Retry-After


class Verdict(msgspec.Struct, frozen=True):
    """One answer that is no success, read. `retry_ms` is filled in by `pms.binance.rest`."""

    fate: Fate
    message: str
    code: int = 0
    cause: Cause = Cause.OTHER
    pause: Pause = Pause.NONE
    retry_ms: int = 0


class _Error(msgspec.Struct):
    """The venue's error body; `code` is a string in some answers of the algo endpoints."""

    code: int
    msg: str = ""


_decode_error = msgspec.json.Decoder(_Error, strict=False).decode

SERVER_BUSY = -1008
BAD_TIMESTAMP = -1021
BAD_SIGNATURE = -1022
BAD_KEY = -2015
NO_LISTEN_KEY = -1125
UNKNOWN_ORDER = -2011
NO_SUCH_ORDER = -2013

_UNKNOWN = frozenset((-1000, -1001, -1006, -1007))
# Keys, permissions and the account as a whole. A signature that is refused once may be a hiccup, as a key that worked a
# minute ago may be under a temporary ban: `pms.binance.rest` gives those two another chance.
_AUTH = frozenset((-1002, -1004, -1005, -1010, -1011, BAD_SIGNATURE, -1099, -2014, BAD_KEY, -2017, -4088, -4109))
_NOT_DONE: dict[int, Pause] = {
    SERVER_BUSY: Pause.BRIEF,
    -1003: Pause.ALL,
    -1015: Pause.ORDERS,
    -1016: Pause.SLOW,
    BAD_TIMESTAMP: Pause.CLOCK,
    -5028: Pause.CLOCK,
    -2012: Pause.BRIEF,
    -4117: Pause.BRIEF,  # a stop order is just triggering
    -5043: Pause.BRIEF,  # another amendment of this order is under way
}
# Refusals that an algo answers in its own way. Codes that are in no table here are refusals with Cause.OTHER.
# -4000 (order in a wrong state for this) is NOT_FOUND because the reaction is the same: read the order again.
_CAUSES: dict[Cause, tuple[int, ...]] = {
    Cause.POST_ONLY: (-5022,),
    Cause.REDUCE_ONLY: (-2022, -2024, -4062, -4118),
    Cause.NO_CHANGE: (-5027,),
    Cause.NOT_AMENDABLE: (-5025, -5026),
    Cause.NOT_FOUND: (UNKNOWN_ORDER, NO_SUCH_ORDER, -4000),
    Cause.DUPLICATE_ID: (-4116,),
    Cause.FILTER: (
        *(-1013, -1111, -4001, -4002, -4003, -4004, -4005, -4006, -4007),
        *(-4013, -4014, -4023, -4164, -5029),
    ),
    Cause.PRICE_BAND: (-4016, -4024, -4131, -4183, -4184, -4210, -4211),
    Cause.MARGIN: (-2018, -2019, -2027, -2028, -4050, -4051),
    # Codes that are fatal "for opening" only are refusals, not AUTH: a daemon that stops could take no exits either.
    Cause.NOT_TRADING: (
        *(-1109, -1122, -2016, -4022, -4087, -4104, -4105, -4106, -4107, -4140, -4141),
        *(-4189, -4192, -4400, -4401, -4402, -4403, -5024),
    ),
    Cause.TIME_IN_FORCE: (-2020, -5021),
    Cause.LIQUIDATION: (-2023,),
    Cause.TRIGGERED: (-2021,),
    Cause.ACCOUNT_MODE: (-4060, -4061),
}
_CAUSE_OF = {code: cause for cause, codes in _CAUSES.items() for code in codes}
EXPIRY_CAUSES: dict[str, Cause] = {  # `er` of ORDER_TRADE_UPDATE, binance.md 7.3
    "0": Cause.NONE,
    "1": Cause.SELF_TRADE,
    "2": Cause.TIME_IN_FORCE,
    "3": Cause.SELF_TRADE,
    "4": Cause.REDUCE_ONLY,
    "5": Cause.LIQUIDATION,
    "7": Cause.NOT_TRADING,
    "9": Cause.TIME_IN_FORCE,
}
# HTTP 503 has four meanings, told apart by the text alone; any other text is the first.
_BUSY_TEXTS: tuple[tuple[str, Pause], ...] = (
    ("Service Unavailable", Pause.SLOW),
    ("Internal error; unable to process your request", Pause.BRIEF),
    ("Request throttled by system-level protection", Pause.BRIEF),
)
_TEXT_MAX = 200  # of a body that is no JSON, for the log and the message


def read(response: Response) -> Verdict:
    """What an answer that is no success means."""
    try:
        error = _decode_error(response.body)
        code, message = error.code, error.msg
    except msgspec.MsgspecError:
        code, message = 0, response.body[:_TEXT_MAX].decode("utf-8", "replace").strip()
    return _by_status(response.status, code, message) or _by_code(code, message, response.status)


def lost(reason: str) -> Verdict:
    """Written, and no whole answer came."""
    return Verdict(Fate.UNKNOWN, reason)


def not_sent(reason: str) -> Verdict:
    """Certainly not on the wire."""
    return Verdict(Fate.NOT_DONE, reason, pause=Pause.BRIEF)


def outcome(verdict: Verdict) -> Refused | NotDone | Unknown:
    """The verdict on an order request in the venue port's words. `Fate.AUTH` never comes here: it is raised before."""
    if verdict.fate is Fate.REFUSED:
        return Refused(verdict.code, verdict.message, verdict.cause)
    if verdict.fate is Fate.NOT_DONE:
        return NotDone(verdict.message, verdict.retry_ms, verdict.code, verdict.pause is Pause.TURN)
    return Unknown(verdict.message, verdict.code)


def _by_status(status: int, code: int, message: str) -> Verdict | None:
    """What the status alone decides, whatever the body says."""
    if status in (418, 429):
        pause = Pause.ORDERS if status == 429 and code == -1015 else Pause.ALL
        return Verdict(Fate.NOT_DONE, message or f"HTTP {status}", code, pause=pause)
    if status == 503 and code not in _NOT_DONE:
        for text, pause in _BUSY_TEXTS:
            if message.startswith(text):
                return Verdict(Fate.NOT_DONE, message, code, pause=pause)
        return Verdict(Fate.UNKNOWN, message or "HTTP 503", code)
    if code == 0:
        return _without_code(status, message)
    return None


def _without_code(status: int, message: str) -> Verdict:
    """No error body of the venue's: somebody between us and it, or a wrong path."""
    text = f"HTTP {status}: {message}" if message else f"HTTP {status}"
    if status == 401:
        return Verdict(Fate.AUTH, text)
    if status == 403:  # the web firewall stands before everything that executes
        return Verdict(Fate.NOT_DONE, text, pause=Pause.SLOW)
    if status == 404:
        return Verdict(Fate.REFUSED, text)
    return Verdict(Fate.UNKNOWN, text)


def _by_code(code: int, message: str, status: int) -> Verdict:
    if code in _UNKNOWN or status == 408 or (status >= 500 and code not in _NOT_DONE):
        return Verdict(Fate.UNKNOWN, message, code)
    if code in _AUTH:
        return Verdict(Fate.AUTH, message, code)
    if code in _NOT_DONE:
        return Verdict(Fate.NOT_DONE, message, code, pause=_NOT_DONE[code])
    return Verdict(Fate.REFUSED, message, code, _CAUSE_OF.get(code, Cause.OTHER))
