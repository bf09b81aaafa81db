"""Signatures against the standard library's, and against Binance's published example."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from pms.binance.signing import Signer, encode


def reference_hmac(secret: bytes, text: bytes) -> str:
    return hmac.new(secret, text, "sha256").hexdigest()


def test_the_composed_example_is_signed_over_the_text_that_is_sent() -> None:
    query = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.010&price=84000.00&newClientOrderId=pms-1-7"
    sent = Signer("s3cret").sign(query, 1790526539000, 5000)
    text, _, signature = sent.rpartition("&signature=")
    assert text == query + "&recvWindow=5000&timestamp=1790526539000"
    assert signature == reference_hmac(b"s3cret", text.encode())


def test_the_published_vector_of_the_venues_documentation_holds() -> None:
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
    sent = Signer(secret).sign(query, 1499827319559, 5000)
    assert sent.endswith("&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71")


def test_a_request_without_parameters_signs_window_and_time_alone() -> None:
    assert Signer("s").sign("", 1, 5000).startswith("recvWindow=5000&timestamp=1&signature=")


@given(st.text(max_size=80), st.integers(0, 2**45))
def test_each_signature_starts_from_the_secret_alone(secret: str, now: int) -> None:
    signer = Signer(secret)
    first = signer.sign("a=1", now, 1000)
    signer.sign("b=2", now, 1000)
    assert signer.sign("a=1", now, 1000) == first
    assert first.endswith(reference_hmac(secret.encode(), f"a=1&recvWindow=1000&timestamp={now}".encode()))


def test_names_beyond_ascii_are_encoded_before_they_are_signed() -> None:
    assert encode([("symbol", "币安USDT")]) == "symbol=%E5%B8%81%E5%AE%89USDT"


@given(st.dictionaries(st.sampled_from("abcdef"), st.text(min_size=1), max_size=6))
def test_every_value_comes_back_as_it_was(params: dict[str, str]) -> None:
    text = encode(list(params.items()))
    assert text.isascii()
    assert dict(parse_qsl(text, keep_blank_values=True)) == params
