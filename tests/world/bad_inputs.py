"""Forty bad inputs, with the code and the sentence that answer them at either door. Data of test_bad_inputs.

A body is merged over GOOD (None takes a field away); a text stands for itself. Numbers of six digits and more differ
from run to run and are written N.
"""

from __future__ import annotations

from typing import Any

import msgspec

GOOD: dict[str, Any] = {"subAccountId": "main", "symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01}


class Bad(msgspec.Struct, frozen=True):
    """One row. `path` is where the answer points to, empty where it points nowhere."""

    what: str
    body: dict[str, Any] | str
    code: str
    answer: str = ""
    path: str = ""
    type: str = "chase"
    bare: bool = False  # the body stands alone, not over GOOD


ROWS = (
    Bad(
        "no JSON",
        "{",
        "MALFORMED",
        "the body is not JSON in UTF-8: Expecting property name enclosed in double quotes: line 1 column 2 (char 1).",
    ),
    Bad("a list", "[1]", "MALFORMED", "the body is [1], not a JSON object."),
    Bad("a number", "5", "MALFORMED", "the body is 5, not a JSON object."),
    Bad("nothing", "", "MALFORMED", "the body is not JSON in UTF-8: Expecting value: line 1 column 1 (char 0)."),
    Bad(
        "the same name twice",
        '{"requestId":"d","symbol":"BTCUSDT","symbol":"ETHUSDT"}',
        "MALFORMED",
        "the field symbol stands twice in one object.",
        path="symbol",
    ),
    Bad(
        "NaN",
        '{"requestId":"n","subAccountId":"main","symbol":"BTCUSDT","side":"BUY","quantity":NaN}',
        "MALFORMED",
        "NaN is not JSON.",
    ),
    Bad("deep nesting", "[" * 2000, "MALFORMED", "the body is nested deeper than 16 levels."),
    Bad("an unknown command", {}, "UNKNOWN_COMMAND", 'there is no command "chaes".', type="chaes"),
    Bad("no symbol", {"symbol": None}, "MISSING_FIELD", "symbol is needed.", path="symbol"),
    Bad("no side", {"side": None}, "MISSING_FIELD", "side is needed.", path="side"),
    Bad("no quantity", {"quantity": None}, "MISSING_FIELD", "quantity or sizeUsdt is needed.", path="quantity"),
    Bad(
        "no sub-account",
        {"subAccountId": None},
        "MISSING_FIELD",
        "chase needs subAccountId: nothing else in it tells whose it is.",
        path="subAccountId",
    ),
    Bad(
        "both sizes",
        {"sizeUsdt": 100},
        "INVALID_FIELD",
        "quantity and sizeUsdt are both given; send one.",
        path="sizeUsdt",
    ),
    Bad("a quantity of zero", {"quantity": 0}, "INVALID_FIELD", "quantity must be above 0, not 0.", path="quantity"),
    Bad(
        "a negative quantity",
        {"quantity": -0.01},
        "INVALID_FIELD",
        "quantity must be above 0, not -0.01.",
        path="quantity",
    ),
    Bad(
        "a quantity as true",
        {"quantity": True},
        "INVALID_FIELD",
        "quantity must be a number, not true.",
        path="quantity",
    ),
    Bad(
        'a quantity as "NaN"',
        {"quantity": "NaN"},
        "INVALID_FIELD",
        'quantity must be a number, or a text of plain digits like "0.001", not "NaN".',
        path="quantity",
    ),
    Bad(
        'a quantity as "1e5"',
        {"quantity": "1e5"},
        "INVALID_FIELD",
        'quantity must be a number, or a text of plain digits like "0.001", not "1e5".',
        path="quantity",
    ),
    Bad(
        'a quantity as "1_000"',
        {"quantity": "1_000"},
        "INVALID_FIELD",
        'quantity must be a number, or a text of plain digits like "0.001", not "1_000".',
        path="quantity",
    ),
    Bad(
        'a quantity as " 1"',
        {"quantity": " 1"},
        "INVALID_FIELD",
        'quantity must be a number, or a text of plain digits like "0.001", not " 1".',
        path="quantity",
    ),
    Bad(
        "a quantity of 29 digits",
        {"quantity": "0.0" + "1" * 29},
        "INVALID_FIELD",
        'quantity must be of at most 28 digits and an exponent from -18 to 18, not "0.N".',
        path="quantity",
    ),
    Bad(
        "a quantity off the step",
        {"quantity": "0.0105"},
        "QUANTITY_OFF_GRID",
        "0.0105 is no multiple of BTCUSDT's step 0.001.",
        path="quantity",
    ),
    Bad(
        "a size below the minimum",
        {"quantity": None, "sizeUsdt": 50},
        "BELOW_MINIMUM",
        "0.000 at 61800.00 is 0.00000; BTCUSDT takes at least 0.001 and 50 USDT in one order.",
        path="quantity",
    ),
    Bad(
        "an unknown symbol",
        {"symbol": "NOSUCHUSDT"},
        "UNKNOWN_SYMBOL",
        "the venue has no symbol NOSUCHUSDT.",
        path="symbol",
    ),
    Bad(
        "a symbol as a number",
        {"symbol": 7},
        "INVALID_FIELD",
        "symbol must be a symbol like BTCUSDT, not 7.",
        path="symbol",
    ),
    Bad("a side that is none", {"side": "HOLD"}, "INVALID_FIELD", 'side must be BUY or SELL, not "HOLD".', path="side"),
    Bad(
        '"false" for false',
        {"reduceOnly": "false"},
        "INVALID_FIELD",
        'reduceOnly must be true or false, not "false".',
        path="reduceOnly",
    ),
    Bad(
        "a mode that is none",
        {"stalkMode": "follow"},
        "INVALID_FIELD",
        'stalkMode must be maintain or none or trail, not "follow".',
        path="stalkMode",
    ),
    Bad(
        "an offset beyond 10 %",
        {"stalkOffsetPct": 10.5},
        "INVALID_FIELD",
        "stalkOffsetPct must be at most 10, not 10.5.",
        path="stalkOffsetPct",
    ),
    Bad(
        "an offset of half a tick",
        {"stalkOffsetTicks": 0.5},
        "INVALID_FIELD",
        "stalkOffsetTicks must be a whole number, not 0.5.",
        path="stalkOffsetTicks",
    ),
    Bad(
        "an offset larger than the price",
        {"stalkOffsetTicks": 1000000},
        "INVALID_FIELD",
        "the offset is larger than the price.",
        path="stalkOffsetTicks",
    ),
    Bad(
        "aggressive with an offset",
        {"aggressive": True, "stalkOffsetTicks": 2},
        "INVALID_FIELD",
        "aggressive improves the touch, an offset stays behind it; send one of them.",
        path="aggressive",
    ),
    Bad(
        "a leverage of 126",
        {"leverage": 126},
        "INVALID_FIELD",
        "leverage must be at most 125, not 126.",
        path="leverage",
    ),
    Bad(
        "a request id with a blank",
        {"requestId": "a b"},
        "INVALID_FIELD",
        'requestId must be of the form ^[A-Za-z0-9_.:-]{1,64}$, not "a b".',
        path="requestId",
    ),
    Bad(
        "a sub-account that is reserved",
        {"subAccountId": "external"},
        "NOT_ALLOWED",
        "external is not a sub-account to command; position_assign moves what stands on it.",
        path="subAccountId",
    ),
    Bad(
        "a command of last year",
        {"issuedAt": 1_758_000_000_000},
        "STALE_COMMAND",
        "the command is N ms old, over 30000 ms; nothing was done. Send it anew.",
    ),
    Bad(
        "a command of tomorrow",
        {"issuedAt": 1_790_090_000_000},
        "STALE_COMMAND",
        "issuedAt is N ms ahead, over 5000 ms; nothing was done. Set the sender's clock.",
    ),
    Bad(
        "a stop loss of what only reduces",
        {"side": "SELL", "reduceOnly": True, "stopLoss": 70000},
        "INVALID_FIELD",
        "stopLoss protects what is entered, and this only reduces; protect the position by stop.",
        "stopLoss",
    ),
    Bad(
        "a trade below the minimum",
        {"quantity": None, "sizeUsdt": 50},
        "BELOW_MINIMUM",
        "0.000 at 62109.00 is 0.00000; BTCUSDT takes at least 0.001 and 50 USDT in one order.",
        path="quantity",
        type="trade",
    ),
    Bad(
        "a limit without a price",
        {},
        "MISSING_FIELD",
        "price is needed.",
        path="price",
        type="limit",
    ),
    Bad(
        "a limit off the tick",
        {"price": "61000.05"},
        "PRICE_OFF_GRID",
        "61000.05 is no multiple of the tick",
        type="limit",
    ),
    Bad(
        "a limit that never ends",
        {"price": "61000", "timeInForce": "GTD"},
        "INVALID_FIELD",
        'timeInForce must be FOK or GTC or GTX or IOC, not "GTD".',
        path="timeInForce",
        type="limit",
    ),
    Bad(
        "a scale without levels",
        {"subAccountId": "main", "symbol": "BTCUSDT", "side": "BUY", "levels": []},
        "INVALID_FIELD",
        "levels must be a list of 1 to 180, not [].",
        path="levels",
        type="scale",
        bare=True,
    ),
    Bad(
        "a basket with a leg of nothing",
        {"subAccountId": "main", "legs": [{"symbol": "BTCUSDT", "side": "BUY"}]},
        "MISSING_FIELD",
        "legs[0]: quantity or sizeUsdt is needed.",
        path="legs[0].quantity",
        type="basket",
        bare=True,
    ),
    Bad(
        "an order to amend that is none",
        {"subAccountId": "main", "clientOrderId": "web_1", "price": 61000},
        "ORDER_NOT_FOUND",
        "no live order web_1.",
        path="clientOrderId",
        type="amend",
        bare=True,
    ),
    Bad(
        "an amend that changes nothing",
        {"subAccountId": "main", "clientOrderId": "web_1"},
        "MISSING_FIELD",
        "nothing to change: give one of price, quantity.",
        path="price",
        type="amend",
        bare=True,
    ),
    Bad(
        "a chase to cancel that is none",
        {"subAccountId": "main", "chaseId": "cnosuchone"},
        "ALGO_NOT_FOUND",
        "no chase cnosuchone is running.",
        path="chaseId",
        type="chase_cancel",
        bare=True,
    ),
    Bad(
        "an order to cancel that is none",
        {"subAccountId": "main", "clientOrderId": "web_1"},
        "ORDER_NOT_FOUND",
        "no live order web_1.",
        path="clientOrderId",
        type="cancel",
        bare=True,
    ),
    Bad(
        "nothing to amend",
        {"subAccountId": "main", "chaseId": "cnosuchone"},
        "MISSING_FIELD",
        "nothing to change: give one of quantity, stalkMode, stalkOffsetPct, stalkOffsetTicks, maxDistancePct.",
        path="quantity",
        type="chase_amend",
        bare=True,
    ),
)
