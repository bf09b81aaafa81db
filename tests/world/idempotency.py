"""What becomes of a request id that comes again, and of a command that comes late: the table. Data of
test_idempotency.

A row is a story: steps in their order, then how many order requests the venue saw over all lives of the daemon, by
method, and how many orders it took. `same` is the id that is spoken of; `code` is "" for success.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec

LIST, STREAM = "list", "stream"
DOORS = (LIST, STREAM)
SETTLE_S = 16.0  # what a former life left in flight is looked up for the settle window (execution.md 2)

LIMIT: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01, "price": 61000}
TRADE: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01}
LEVELS = [{"price": price, "quantity": 0.01} for price in (61000, 60900)]
SCALE: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "levels": LEVELS}
LEGS: dict[str, Any] = {
    "legs": [
        {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01},
        {"symbol": "ETHUSDT", "side": "SELL", "quantity": 0.1},
    ]
}
BODIES = {"limit": LIMIT, "trade": TRADE, "chase": TRADE, "scale": SCALE, "basket": LEGS}


class Send(msgspec.Struct, frozen=True):
    """A command, whose reply is not waited for. `age_ms`: issuedAt is so long ago."""

    kind: str = "limit"
    door: str = LIST
    body: dict[str, Any] = {}
    request_id: str = "same"
    account: str = "main"
    age_ms: int | None = None


class Told(msgspec.Struct, frozen=True):
    """The reply that stands now, or that comes soon. `again`: word for word the one before it."""

    code: str = ""
    request_id: str = "same"
    again: bool = False


class Heard(msgspec.Struct, frozen=True):
    """The codes of all the events `command_result` so far, in order."""

    codes: tuple[str, ...]


class Fault(msgspec.Struct, frozen=True):
    """The next request like this meets that (`pms.sim.script.OnRequest`)."""

    method: str = "POST"
    path: str = "/fapi/v1/order"
    what: dict[str, Any] = {}


class Dies(msgspec.Struct, frozen=True):
    """The daemon will die at this effect (`tests.world.mortal.Life`), `spared` of which pass."""

    on: str
    spared: int = 0


class Wait(msgspec.Struct, frozen=True):
    seconds: float = SETTLE_S


class Do(msgspec.Struct, frozen=True):
    """`start`, `stop` (SIGTERM), `kill`, `dead` (wait until it is), `redis goes`, `redis comes`, `warm` (leverage is
    set and the symbol watched, so that a command acts by its own step alone), `cancel` (what rests, by its name and
    without a requestId). `on`: only as this effect of the daemon comes about."""

    what: str
    on: str = ""


Step = Send | Told | Heard | Fault | Dies | Wait | Do


class Row(msgspec.Struct, frozen=True):
    what: str
    steps: tuple[Step, ...]
    saw: dict[str, int] = {}
    took: int = 0


def send(kind: str = "limit", door: str = LIST, changes: dict[str, Any] | None = None, **more: Any) -> Send:
    return Send(kind, door, BODIES.get(kind, {}) | (changes or {}), **more)


def asked(kind: str = "limit", door: str = LIST, code: str = "", again: bool = False, **more: Any) -> tuple[Step, ...]:
    """A command and its answer."""
    return send(kind, door, **more), Told(code, more.get("request_id", "same"), again)


START, STOP, KILL, DEAD, WARM = Do("start"), Do("stop"), Do("kill"), Do("dead"), Do("warm")
SLOW = Fault(what={"delay_before_ms": 600})
LOST = Fault(path="/fapi/v1/leverage", what={"lose": "before"})
SLOW_LEVERAGE = Fault(path="/fapi/v1/leverage", what={"delay_before_ms": 600})
BUSY = Fault(what={"status": 503, "msg": "Service Unavailable."})
TOO_MANY = Fault(what={"status": 429, "code": -1015, "msg": "Too many new orders.", "headers": {"retry-after": "5"}})
POST1, NONE = {"POST": 1}, {}
TWO_DOORS = tuple(product(DOORS, DOORS))

AGAIN = (
    *(
        Row(
            f"again, {first} then {second}",
            (*asked(door=first), *asked(door=second, again=True), Heard(("",))),
            POST1,
            1,
        )
        for first, second in TWO_DOORS
    ),
    *(
        Row(
            f"again while in flight, {first} then {second}",
            (SLOW, send(door=first), send(door=second), Told(), Wait(1), Heard(("",))),
            POST1,
            1,
        )
        for first, second in TWO_DOORS
    ),
    *(
        Row(f"a {kind} again after completion, {door}", (*asked(kind, door), *asked(kind, door, again=True)), saw, took)
        for door in DOORS
        for kind, saw, took in (
            ("trade", {"POST": 1}, 1),
            ("chase", {"POST": 1}, 1),
            ("scale", {"POST": 2}, 2),
            ("basket", {"POST": 2}, 2),
        )
    ),
    *(
        Row(
            f"again after a {end}, {door}", (*asked(door=door), Do(end), START, *asked(door=door, again=True)), POST1, 1
        )
        for door in DOORS
        for end in ("stop", "kill")
    ),
    Row(
        "again after a stop, found by its own claim",
        (*asked(), STOP, START, WARM, *asked(again=True)),
        {"POST": 2, "DELETE": 1},
        2,
    ),
    Row(
        "again with the symbol spelled otherwise",
        (*asked(), *asked(changes={"symbol": "BTC/USDT:USDT"}, again=True)),
        POST1,
        1,
    ),
    Row("again with a newer issuedAt", (*asked(age_ms=2_000), *asked(age_ms=0, again=True)), POST1, 1),
    Row(
        "again when it has grown old meanwhile",
        (*asked(age_ms=0), Wait(40), *asked(age_ms=40_000, again=True)),
        POST1,
        1,
    ),
    Row(
        "a refusal again",
        (
            *asked(code="PRICE_OFF_GRID", changes={"price": 61000.05}),
            *asked(code="PRICE_OFF_GRID", again=True, changes={"price": 61000.05}),
            Heard(("PRICE_OFF_GRID",)),
        ),
    ),
    Row(
        "a refusal again after a restart",
        (
            *asked(code="PRICE_OFF_GRID", changes={"price": 61000.05}),
            STOP,
            START,
            *asked(code="PRICE_OFF_GRID", again=True, changes={"price": 61000.05}),
            Heard(("PRICE_OFF_GRID",)),
        ),
    ),
    Row(
        "again without a requestId: the entry's id stands in",
        (send(door=STREAM, request_id=""), send(door=STREAM, request_id=""), Wait(1)),
        {"POST": 2},
        2,
    ),
)

OTHER = (
    *(
        Row(
            f"another body, {first} then {second}",
            (*asked(door=first), *asked(door=second, code="REQUEST_ID_REUSED", changes={"quantity": 0.02})),
            POST1,
            1,
        )
        for first, second in TWO_DOORS
    ),
    Row("another command", (*asked(), *asked("trade", code="REQUEST_ID_REUSED")), POST1, 1),
    Row(
        "another body while the first is in flight",
        (SLOW, send(), send(changes={"quantity": 0.02}), Wait(2), Heard(("", "REQUEST_ID_REUSED"))),
        POST1,
        1,
    ),
    *(
        Row(
            f"another body after a restart, {door}",
            (*asked(door=door), KILL, START, *asked(door=door, code="REQUEST_ID_REUSED", changes={"price": 60000})),
            POST1,
            1,
        )
        for door in DOORS
    ),
    *(
        Row(
            f"another sub-account, {door}",
            (*asked(door=door), send(door=door, account="second"), Wait(1), Heard(("", "REQUEST_ID_REUSED")), Told()),
            POST1,
            1,
        )
        for door in DOORS
    ),
    Row(
        "another sub-account after a restart, the result unexpired",
        (*asked(), STOP, START, send(account="second"), Wait(1), Heard(("", "REQUEST_ID_REUSED")), Told()),
        POST1,
        1,
    ),
    Row(
        "another sub-account that is at home: found by its claim alone",
        (
            *asked(),
            *asked(account="second", request_id="own"),
            send(account="second"),
            Wait(1),
            Heard(("", "", "REQUEST_ID_REUSED")),
        ),
        {"POST": 2},
        2,
    ),
    Row("another sub-account, the result expired", (*asked(), Wait(301), *asked(account="second")), {"POST": 2}, 2),
)

RETRIED = (
    Row(
        "EXCHANGE_UNAVAILABLE at the leverage, then again",
        (LOST, *asked(code="EXCHANGE_UNAVAILABLE"), *asked()),
        POST1,
        1,
    ),
    Row(
        "EXCHANGE_UNAVAILABLE of a chase, then again",
        (LOST, *asked("chase", code="EXCHANGE_UNAVAILABLE"), *asked("chase")),
        POST1,
        1,
    ),
    *(
        Row(
            f"EXCHANGE_UNAVAILABLE of a {kind}, then again",
            (BUSY, *asked(kind, code="EXCHANGE_UNAVAILABLE"), *asked(kind), *asked(kind, again=True)),
            {"POST": 2},
            1,
        )
        for kind in ("limit", "trade")
    ),
    *(
        Row(
            f"RATE_LIMITED of a {kind}, then again",
            (TOO_MANY, *asked(kind, code="RATE_LIMITED"), Wait(12), *asked(kind), *asked(kind, again=True)),
            {"POST": 2},
            1,
        )
        for kind in ("limit", "trade")
    ),
    *(
        Row(
            f"REDIS_UNAVAILABLE of a {kind}, then again",
            (
                WARM,
                Do("redis goes", on="before claim"),
                send(kind),
                Wait(4),
                Do("redis comes"),
                Wait(2),
                Told("REDIS_UNAVAILABLE"),
                *asked(kind),
            ),
            {"POST": 2, "DELETE": 1},
            2,
        )
        for kind in ("limit", "trade")
    ),
    Row(
        "NOT_READY since Redis went while leverage was to be set, then again",
        (
            SLOW_LEVERAGE,
            send(),
            Wait(0.3),
            Do("redis goes"),
            Wait(4),
            Do("redis comes"),
            Wait(2),
            Told("NOT_READY"),
            *asked(),
        ),
        POST1,
        1,
    ),
    Row(
        "SHUTTING_DOWN, then again",
        (SLOW, send(request_id="first"), send(), Wait(0.7), STOP, START, Told("SHUTTING_DOWN"), *asked()),
        {"POST": 2},
        2,
    ),
    Row(
        "another body after EXCHANGE_UNAVAILABLE: the id is free",
        (LOST, *asked(code="EXCHANGE_UNAVAILABLE"), *asked(changes={"quantity": 0.02})),
        POST1,
        1,
    ),
)

CRASHED = (
    *(
        Row(
            f"a {kind} that had not left, {door}",
            (
                WARM,
                Dies("before POST"),
                send(kind, door),
                DEAD,
                START,
                Wait(),
                *asked(kind, door, "NOT_EXECUTED"),
                Wait(),
            ),
            {"POST": 1, "DELETE": 1},
            1,
        )
        for door in DOORS
        for kind in ("limit", "trade", "scale", "basket")
    ),
    *(
        Row(
            f"a {kind} of which one part had left",
            (
                WARM,
                Dies("before POST", spared=1),
                send(kind, STREAM),
                DEAD,
                START,
                Wait(),
                *asked(kind, STREAM, "partly NOT_EXECUTED"),
                Wait(),
            ),
            {"POST": 2, "DELETE": 1},
            2,
        )
        for kind in ("scale", "basket")
    ),
    *(
        Row(
            f"a {kind} that had left, {door}",
            (WARM, Dies("after POST"), send(kind, door), DEAD, START, Wait(1), *asked(kind, door), Wait()),
            {"POST": 2, "DELETE": 1},
            2,
        )
        for door in DOORS
        for kind in ("limit", "trade")
    ),
    *(
        Row(
            f"a chase that died {on}: it goes on",
            (WARM, Dies(on), send("chase", STREAM), DEAD, START, Wait(), *asked("chase", STREAM), Wait()),
            {"POST": 2, "DELETE": 1},
            2,
        )
        for on in ("before POST", "after POST")
    ),
    *(
        Row(
            f"a {kind} that was not accepted yet, stream",
            (WARM, Dies("before claim"), send(kind, STREAM), DEAD, START, *asked(kind, STREAM), Wait()),
            {"POST": 2, "DELETE": 1},
            2,
        )
        for kind in ("limit", "trade", "chase")
    ),
)

STALE = (
    Row("old by its entry id", (STOP, send(door=STREAM), Wait(31), START, Told("STALE_COMMAND"))),
    Row("not old by its entry id", (STOP, send(door=STREAM), Wait(20), START, Told()), POST1, 1),
    *(
        row
        for door in DOORS
        for row in (
            Row(f"old by issuedAt, {door}", asked(door=door, code="STALE_COMMAND", age_ms=31_000)),
            Row(f"not old by issuedAt, {door}", asked(door=door, age_ms=29_000), POST1, 1),
            Row(
                f"old by its own maxAgeMs, {door}",
                asked(door=door, code="STALE_COMMAND", age_ms=1_500, changes={"maxAgeMs": 1_000}),
            ),
            Row(f"from more than 5 s ahead, {door}", asked(door=door, code="STALE_COMMAND", age_ms=-6_000)),
            Row(f"from less than 5 s ahead, {door}", asked(door=door, age_ms=-4_000), POST1, 1),
            Row(
                f"what was stale stays so, {door}",
                (
                    *asked(door=door, code="STALE_COMMAND", age_ms=31_000),
                    *asked(door=door, code="STALE_COMMAND", age_ms=0),
                ),
            ),
        )
    ),
    Row("no requestId at the list door", (send(request_id=""), Wait(1), Heard(("MISSING_FIELD",)))),
    *(
        Row(
            f"a {kind} waiting at the start without issuedAt", (STOP, send(kind), Wait(1), START, Told("STALE_COMMAND"))
        )
        for kind in ("limit", "trade", "chase", "scale")
    ),
    Row("waiting at the start with issuedAt", (STOP, send(age_ms=0), Wait(1), START, Told()), POST1, 1),
    Row(
        "a close waiting at the start without issuedAt",
        (
            *asked("trade", request_id="t"),
            STOP,
            send("close", changes={"symbol": "BTCUSDT", "side": "SELL"}),
            START,
            Told(),
            Wait(1),
        ),
        {"POST": 2},
        2,
    ),
    Row(
        "a reduce-only trade waiting at the start without issuedAt",
        (
            *asked("trade", request_id="t"),
            STOP,
            send("trade", changes={"side": "SELL", "reduceOnly": True}),
            START,
            Told(),
            Wait(1),
        ),
        {"POST": 2},
        2,
    ),
    Row(
        "a cancel waiting at the start without issuedAt",
        (*asked(), STOP, Do("cancel"), START, Wait(1)),
        {"POST": 1, "DELETE": 1},
        1,
    ),
    Row(
        "a cancel without a requestId", (*asked(), Do("cancel"), Wait(1), Heard(("", ""))), {"POST": 1, "DELETE": 1}, 1
    ),
    Row(
        "a close without a requestId",
        (
            *asked("trade"),
            send("close", changes={"symbol": "BTCUSDT", "side": "SELL"}, request_id=""),
            Wait(1),
            Heard(("", "")),
        ),
        {"POST": 2},
        2,
    ),
    Row(
        "a close twice without a requestId: the second finds nothing to close",
        (
            *asked("trade"),
            send("close", changes={"symbol": "BTCUSDT", "side": "SELL"}, request_id=""),
            Wait(1),
            send("close", changes={"symbol": "BTCUSDT", "side": "SELL"}, request_id=""),
            Wait(1),
            Heard(("", "", "")),
        ),
        {"POST": 2},
        2,
    ),
)

ROWS = (*AGAIN, *OTHER, *RETRIED, *CRASHED, *STALE)
