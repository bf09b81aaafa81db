"""The HTTP/1.1 reader: whole answers however they are cut, and nothing else."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.binance import http1
from pms.binance.transport import Response

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-MBX-Used-Weight-1m: 7\r\nContent-Length: 2\r\n\r\n{}"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = CHUNKS + b"5\r\nhello\r\nA;ext=1\r\n, world!!!\r\n0\r\nTrailer: x\r\n\r\n"
EMPTY_CHUNKS = CHUNKS + b"0\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN
WHOLE = [(PLAIN, b"{}"), (CHUNKED, b"hello, world!!!"), (EMPTY_CHUNKS, b""), (INTERIM, b"{}")]


def read(answer: http1.Answer, pieces: list[bytes]) -> Response | None:
    response = None
    for piece in pieces:
        assert response is None, "an answer was whole before its last byte"
        response = answer.feed(piece)
    return response


@given(st.sampled_from(WHOLE), st.lists(st.integers(1, 300), max_size=12))
def test_an_answer_is_the_same_wherever_it_is_cut(case: tuple[bytes, bytes], cuts: list[int]) -> None:
    wire, body = case
    edges = [0, *sorted({cut for cut in cuts if cut < len(wire)}), len(wire)]
    pieces = [wire[a:b] for a, b in itertools.pairwise(edges)]
    answer = http1.Answer()
    response = read(answer, pieces)
    assert response is not None
    assert (response.status, response.body) == (200, body)
    assert answer.reusable


def test_header_names_are_lower_case() -> None:
    response = http1.Answer().feed(PLAIN)
    assert response is not None
    assert response.headers["x-mbx-used-weight-1m"] == "7"


@pytest.mark.parametrize(
    "wire",
    [
        PLAIN.replace(b"Content-Type: application/json", b"Connection: close"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN + b"HTTP/1.1 200",
    ],
)
def test_a_connection_that_may_not_go_on_is_told(wire: bytes) -> None:
    answer = http1.Answer()
    assert answer.feed(wire) is not None
    assert not answer.reusable


def test_without_a_length_the_end_of_the_connection_ends_the_body() -> None:
    answer = http1.Answer()
    assert answer.feed(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>") is None
    response = answer.end()
    assert response is not None
    assert (response.status, response.body) == (502, b"<html>")
    assert not answer.reusable


@pytest.mark.parametrize("cut", [0, 10, len(PLAIN) - 1])
def test_an_end_in_the_middle_is_no_answer(cut: int) -> None:
    answer = http1.Answer()
    assert answer.feed(PLAIN[:cut]) is None
    assert answer.end() is None


def test_an_end_between_chunks_is_no_answer() -> None:
    answer = http1.Answer()
    assert answer.feed(CHUNKED[:-5]) is None
    assert answer.end() is None


def test_no_content_has_no_body() -> None:
    response = http1.Answer().feed(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")
    assert response is not None
    assert response.body == b""


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        CHUNKS + b"zz\r\n",
        CHUNKS + b"fffffff\r\n",
        CHUNKS + b"1\r\nabc\r\n",
        CHUNKS + b"1" * 70_000,
        CHUNKS + b"0\r\n" + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
    ],
)
def test_what_breaks_the_rules_or_the_limits_is_malformed(wire: bytes) -> None:
    with pytest.raises(http1.Malformed):
        http1.Answer().feed(wire)


def test_a_body_without_length_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "BODY_MAX", 1000)
    answer = http1.Answer()
    with pytest.raises(http1.Malformed):
        answer.feed(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 1001)


def test_a_request_is_written_once_and_plainly() -> None:
    wire = http1.request("POST", "/fapi/v1/order?a=1", "h:1", {"X-MBX-APIKEY": "k"}, b"")
    assert wire == b"POST /fapi/v1/order?a=1 HTTP/1.1\r\nHost: h:1\r\nX-MBX-APIKEY: k\r\nContent-Length: 0\r\n\r\n"


def test_a_body_has_its_length() -> None:
    assert http1.request("POST", "/", "h", {}, b"ab").endswith(b"Content-Length: 2\r\n\r\nab")


@pytest.mark.parametrize("target, value", [("/a b", "k"), ("/a\r\nX: 1", "k"), ("/a", "k\r\nX: 1"), ("/a", "k\n")])
def test_nothing_can_break_out_of_its_line(target: str, value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        http1.request("GET", target, "h", {"X-MBX-APIKEY": value}, b"")
