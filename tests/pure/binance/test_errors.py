"""Every row of binance.md section 5: what an answer that is no success means, and that the tables do not contradict."""

from __future__ import annotations

import json

import pytest

from pms.binance import errors
from pms.binance.errors import Fate, Pause
from pms.binance.transport import Response
from pms.venue import NotDone, Refused, Unknown
from schemas.orders import Cause


def answer(status: int, code: int | None = None, text: str = "", body: bytes | None = None) -> Response:
    if body is None:
        body = json.dumps({"code": code, "msg": text}).encode()
    return Response(status, {}, body)


SERVER_SIDE = [
    (503, -1000, "Unknown error, please check your request or try again later.", Fate.UNKNOWN, Pause.NONE),
    (503, 0, "Unknown error, please check your request or try again later.", Fate.UNKNOWN, Pause.NONE),
    (503, 0, "Service Unavailable.", Fate.NOT_DONE, Pause.SLOW),
    (503, -1001, "Internal error; unable to process your request. Please try again.", Fate.NOT_DONE, Pause.BRIEF),
    (503, -1008, "Request throttled by system-level protection. Try again.", Fate.NOT_DONE, Pause.BRIEF),
    (503, 0, "Request throttled by system-level protection. Try again.", Fate.NOT_DONE, Pause.BRIEF),
    (503, -1016, "This service is no longer available.", Fate.NOT_DONE, Pause.SLOW),
    (503, 0, "some text nobody has seen", Fate.UNKNOWN, Pause.NONE),
    (408, -1007, "Timeout waiting for response from backend server.", Fate.UNKNOWN, Pause.NONE),
    (408, 0, "", Fate.UNKNOWN, Pause.NONE),
    (400, -1007, "Timeout waiting for response from backend server.", Fate.UNKNOWN, Pause.NONE),
    (400, -1006, "An unexpected response was received.", Fate.UNKNOWN, Pause.NONE),
    (400, -1000, "An unknown error occurred while processing the request.", Fate.UNKNOWN, Pause.NONE),
    (400, -1001, "Internal error; unable to process your request. Please try again.", Fate.UNKNOWN, Pause.NONE),
    (500, -1001, "Internal error; unable to process your request. Please try again.", Fate.UNKNOWN, Pause.NONE),
    (500, -2019, "Margin is insufficient.", Fate.UNKNOWN, Pause.NONE),
    (418, -1003, "Way too many requests; IP banned until 1790526539000.", Fate.NOT_DONE, Pause.ALL),
    (429, -1003, "Too many requests; current limit is 2400.", Fate.NOT_DONE, Pause.ALL),
    (429, -1015, "Too many new orders.", Fate.NOT_DONE, Pause.ORDERS),
    (400, -1003, "Too many requests.", Fate.NOT_DONE, Pause.ALL),
    (400, -1015, "Too many new orders.", Fate.NOT_DONE, Pause.ORDERS),
    (400, -1021, "Timestamp for this request is outside of the recvWindow.", Fate.NOT_DONE, Pause.CLOCK),
    (400, -5028, "ME RecvWindow reject", Fate.NOT_DONE, Pause.CLOCK),
    (400, -5043, "A pending modification already exists for this order.", Fate.NOT_DONE, Pause.BRIEF),
    (401, -2014, "API-key format invalid.", Fate.AUTH, Pause.NONE),
    (401, -2015, "Invalid API-key, IP, or permissions for action.", Fate.AUTH, Pause.NONE),
]


@pytest.mark.ambiguity
@pytest.mark.parametrize("status, code, text, fate, pause", SERVER_SIDE)
def test_status_code_and_text_tell_whether_a_request_may_have_been_executed(
    status: int, code: int, text: str, fate: Fate, pause: Pause
) -> None:
    verdict = errors.read(answer(status, code, text))
    assert (verdict.fate, verdict.pause) == (fate, pause)


NOT_JSON = [
    (502, Fate.UNKNOWN),
    (504, Fate.UNKNOWN),
    (500, Fate.UNKNOWN),
    (503, Fate.UNKNOWN),
    (400, Fate.UNKNOWN),
    (302, Fate.UNKNOWN),
    (408, Fate.UNKNOWN),
    (401, Fate.AUTH),
    (403, Fate.NOT_DONE),
    (404, Fate.REFUSED),
    (418, Fate.NOT_DONE),
    (429, Fate.NOT_DONE),
]


@pytest.mark.ambiguity
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"\xff\xfe", b"[]", b'{"code":'])
@pytest.mark.parametrize("status, fate", NOT_JSON)
def test_a_body_that_is_no_error_of_the_venues_is_judged_by_its_status(status: int, fate: Fate, body: bytes) -> None:
    assert errors.read(answer(status, body=body)).fate is fate


REFUSALS = {
    Cause.POST_ONLY: [-5022],
    Cause.REDUCE_ONLY: [-2022, -2024, -4118],
    Cause.NO_CHANGE: [-5027],
    Cause.NOT_AMENDABLE: [-5025, -5026],
    Cause.NOT_FOUND: [-2011, -2013],
    Cause.DUPLICATE_ID: [-4116],
    Cause.FILTER: [-1111, -4001, -4002, -4003, -4004, -4005, -4013, -4014, -4023, -4164, -5029],
    Cause.PRICE_BAND: [-4016, -4024, -4131],
    Cause.MARGIN: [-2018, -2019, -2027, -2028],
    Cause.NOT_TRADING: [-1122, -4022, -4087, -4140, -4141, -4189, -4192, -4400, -5024],
    Cause.TIME_IN_FORCE: [-5021, -2020],
    Cause.LIQUIDATION: [-2023],
    Cause.ACCOUNT_MODE: [-4060, -4061],
    Cause.TRIGGERED: [-2021],
    Cause.OTHER: [-1100, -1102, -1106, -2010, -2025, -4015, -4120, -5037, -5047, -9999],
}


@pytest.mark.parametrize("cause, code", [(cause, code) for cause, codes in REFUSALS.items() for code in codes])
def test_a_refusal_carries_its_code_its_text_and_its_cause(cause: Cause, code: int) -> None:
    verdict = errors.read(answer(400, code, "no"))
    assert errors.outcome(verdict) == Refused(code, "no", cause)


AUTH = [-1002, -1004, -1005, -1010, -1011, -1022, -1099, -2014, -2015, -2017, -4088, -4109]


@pytest.mark.parametrize("code", AUTH)
def test_codes_that_mean_we_may_not_ask_at_all_are_told_apart_from_refusals(code: int) -> None:
    assert errors.read(answer(400, code, "no")).fate is Fate.AUTH


def test_no_code_stands_in_two_tables() -> None:
    listed = [code for codes in errors._CAUSES.values() for code in codes]
    listed += [*errors._UNKNOWN, *errors._AUTH, *errors._NOT_DONE]
    assert len(listed) == len(set(listed))


def test_a_code_may_come_as_text_as_on_the_algo_endpoints() -> None:
    verdict = errors.read(answer(400, body=b'{"code":"-2011","msg":"Unknown order sent."}'))
    assert (verdict.code, verdict.cause) == (-2011, Cause.NOT_FOUND)


def test_outcomes_are_the_ports_values() -> None:
    assert errors.outcome(errors.lost("reset")) == Unknown("reset")
    assert errors.outcome(errors.not_sent("refused")) == NotDone("refused")
    assert errors.outcome(errors.read(answer(400, -1007, "late"))) == Unknown("late", -1007)


@pytest.mark.parametrize("er, cause", [("0", Cause.NONE), ("1", Cause.SELF_TRADE), ("2", Cause.TIME_IN_FORCE)])
def test_expiry_reasons_have_causes(er: str, cause: Cause) -> None:
    assert errors.EXPIRY_CAUSES[er] is cause
