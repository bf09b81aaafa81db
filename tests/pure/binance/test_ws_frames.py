"""RFC 6455 as far as a client needs it: any cut of the bytes gives the same messages, nonsense ends the socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.binance import ws_frames
from pms.binance.ws_frames import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, ProtocolError, Reader

LIMIT = 100_000
# The example of RFC 6455 1.3.
KEY = bytes((116, 104, 101, 32, 115, 97, 109, 112, 108, 101, 32, 110, 111, 110, 99, 101))
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nsec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)


def served(head: int, payload: bytes) -> bytes:
    """A frame as a server sends it: unmasked."""
    size = len(payload)
    if size < 126:
        return bytes((head, size)) + payload
    if size < 65_536:
        return bytes((head, 126)) + size.to_bytes(2, "big") + payload
    return bytes((head, 127)) + size.to_bytes(8, "big") + payload


class Heard:
    def __init__(self, limit: int = LIMIT) -> None:
        self.messages: list[bytes] = []
        self.controls: list[tuple[int, bytes]] = []
        self.reader = Reader(self.messages.append, lambda *control: self.controls.append(control), limit)


def test_the_handshake_is_the_standards_own_example() -> None:
    request = ws_frames.upgrade("/public/ws", "x:1", KEY)
    assert request.startswith(b"GET /public/ws HTTP/1.1\r\nHost: x:1\r\n")
    assert b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" in request
    ws_frames.check_answer(ANSWER, KEY)


@pytest.mark.parametrize(
    "head, told",
    [
        (b"HTTP/1.1 403 Forbidden\r\nX: y", "403 Forbidden"),
        (b"HTTP/1.1", "instead of opening"),
        (ANSWER.replace(b"s3pP", b"xxxx"), "not one to ours"),
        (b"HTTP/1.1 101 Switching Protocols", "not one to ours"),
    ],
)
def test_another_answer_is_no_socket(head: bytes, told: str) -> None:
    with pytest.raises(ProtocolError, match=told):
        ws_frames.check_answer(head, KEY)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_what_we_send_is_masked_and_comes_out_whole(size: int) -> None:
    payload = bytes(turn % 251 for turn in range(size))
    mask = b"\x01\x80\xff\x7f"
    sent = ws_frames.frame(TEXT, payload, mask)
    assert sent[0] == FIN | TEXT
    assert sent[1] & 0x80
    head = {True: 2, size >= 126: 4, size >= 65_536: 10}[True]
    assert sent[head : head + 4] == mask
    assert bytes(byte ^ mask[turn % 4] for turn, byte in enumerate(sent[head + 4 :])) == payload


@given(
    st.lists(st.tuples(st.sampled_from([0, 5, 125, 126, 200, 70_000]), st.booleans()), min_size=1, max_size=8),
    st.lists(st.integers(1, 400), min_size=1),
)
def test_messages_are_the_same_however_the_bytes_are_cut(sizes: list[tuple[int, bool]], cuts: list[int]) -> None:
    payloads = [bytes((number,)) * size for number, (size, _) in enumerate(sizes)]
    stream = b""
    for payload, (_, ping) in zip(payloads, sizes, strict=True):
        stream += served(FIN | TEXT, payload) + (served(FIN | PING, b"p") if ping else b"")
    heard, at = Heard(), 0
    while at < len(stream):
        cut = cuts[at % len(cuts)]
        heard.reader.feed(stream[at : at + cut])
        at += cut
    assert heard.messages == payloads
    assert heard.controls == [(PING, b"p")] * sum(ping for _, ping in sizes)


def test_a_message_in_parts_is_told_whole_with_control_frames_between() -> None:
    heard = Heard()
    parts = (TEXT, b"ab"), (FIN | PING, b"x"), (CONTINUATION, b"cd"), (FIN | PONG, b""), (FIN | CONTINUATION, b"ef")
    heard.reader.feed(b"".join(served(head, payload) for head, payload in parts))
    heard.reader.feed(served(FIN | BINARY, b"gh") + served(FIN | CLOSE, b"\x03\xe8bye"))
    assert heard.messages == [b"abcdef", b"gh"]
    assert heard.controls == [(PING, b"x"), (PONG, b""), (CLOSE, b"\x03\xe8bye")]


@pytest.mark.parametrize(
    "stream, told",
    [
        (bytes((FIN | TEXT, 0x81)) + b"maskx", "masked"),
        (served(FIN | 0x40 | TEXT, b"x"), "extension"),
        (served(FIN | 0x3, b"x"), "out of turn"),
        (served(FIN | CONTINUATION, b"x"), "out of turn"),
        (served(TEXT, b"x") + served(FIN | TEXT, b"y"), "out of turn"),
        (served(PING, b"x"), "in parts"),
        (served(FIN | PING, b"x" * 126), "too long"),
        (bytes((FIN | TEXT, 127)) + (LIMIT + 1).to_bytes(8, "big"), "at most"),
        (served(TEXT, b"x" * 60_000) + served(CONTINUATION, b"x" * 60_000), "a message of more"),
    ],
)
def test_nonsense_is_the_servers_error(stream: bytes, told: str) -> None:
    with pytest.raises(ProtocolError, match=told):
        Heard().reader.feed(stream)
