"""Keys, signatures over the bytes as sent, and the time window."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from pms.sim.auth import Keys, signed_text
from pms.sim.model import VenueError
from pms.sim.params import Params, pairs_of

NOW = 1_790_526_539_000
KEYS = Keys({"key": "s3cret", "other": "0ther"})


def _sign(text: str, secret: str = "s3cret") -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _verify(query: str, body: str = "", now: int = NOW) -> None:
    KEYS.verify("key", query, body, Params({**pairs_of(body), **pairs_of(query)}), now)


def _code(query: str, body: str = "", now: int = NOW) -> int:
    with pytest.raises(VenueError) as refused:
        _verify(query, body, now)
    return refused.value.code


def test_the_signed_text_is_query_then_body_without_the_signature() -> None:
    assert signed_text("a=1&signature=ff", "b=2") == "a=1b=2"
    assert signed_text("a=1", "b=2&signature=ff") == "a=1b=2"
    assert signed_text("a=1&signature=ff&c=3", "") == "a=1&c=3"
    assert signed_text("signature=ff", "b=2") == "b=2"


def test_a_signature_is_checked_over_the_encoded_text_as_it_was_sent() -> None:
    query = f"symbol=%E7%89%9B%E6%9D%A5USDT&newClientOrderId=a%2fb&timestamp={NOW}"
    _verify(f"{query}&signature={_sign(query)}")
    reencoded = query.replace("%2f", "%2F")
    assert _code(f"{reencoded}&signature={_sign(query)}") == -1022


def test_a_signature_may_stand_in_the_body_and_cover_both() -> None:
    query, body = f"timestamp={NOW}", "symbol=BTCUSDT"
    signature = _sign(query + body)
    _verify(query, f"{body}&signature={signature}")
    _verify(f"{query}&signature={signature}", body)


def test_an_upper_case_signature_is_the_same_number() -> None:
    query = f"timestamp={NOW}"
    _verify(f"{query}&signature={_sign(query).upper()}")


def test_another_accounts_secret_does_not_sign_for_this_key() -> None:
    query = f"timestamp={NOW}"
    assert _code(f"{query}&signature={_sign(query, '0ther')}") == -1022


@pytest.mark.parametrize(
    "offset, window, code",
    [
        (0, 5_000, None),
        (-5_000, 5_000, None),
        (-5_001, 5_000, -1021),
        (-5_001, 60_000, None),
        (999, 5_000, None),
        (1_000, 5_000, -1021),
        (0, 60_001, -1130),
        (0, 0, -1130),
    ],
)
def test_the_time_window_is_open_behind_and_one_second_ahead(offset, window, code) -> None:
    query = f"timestamp={NOW + offset}&recvWindow={window}"
    signed = f"{query}&signature={_sign(query)}"
    if code is None:
        _verify(signed)
    else:
        assert _code(signed) == code


def test_the_window_is_5000_ms_when_none_was_sent() -> None:
    query = f"timestamp={NOW - 5_000}"
    _verify(f"{query}&signature={_sign(query)}")
    assert _code(f"{query}&signature={_sign(query)}", now=NOW + 1) == -1021


def test_a_missing_timestamp_or_signature_is_a_missing_parameter() -> None:
    assert _code("symbol=BTCUSDT&signature=ff") == -1102
    assert _code(f"timestamp={NOW}") == -1102


def test_a_signature_of_other_letters_is_just_wrong() -> None:
    assert _code(f"timestamp={NOW}&signature=%C3%A4") == -1022


@pytest.mark.parametrize("key, code", [(None, -2014), ("", -2014), ("ä", -2014), ("k" * 129, -2014), ("no", -2015)])
def test_a_key_is_malformed_or_unknown(key, code) -> None:
    with pytest.raises(VenueError) as refused:
        KEYS.identify(key)
    assert (refused.value.code, refused.value.status) == (code, 401)


def test_a_key_is_its_accounts_name() -> None:
    assert KEYS.identify("other") == "other"
