"""What fails never tells our key, our secret, a signature or the listen key: neither log, outcome, error nor warning.

The whole adapter over TCP against peers that refuse, break off, talk nonsense or repeat what they were sent, as error
pages of proxies do; the log at its loudest, the loop in debug mode.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import random
import re
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial

import pytest
import structlog

from pms import config, log
from pms.binance import rest
from pms.binance.gateway import BinanceVenue
from pms.binance.http import HttpClient
from pms.binance.signing import Credentials
from pms.binance.ws import WebSockets
from pms.binance.ws_api import PATH
from pms.clock import SystemClock
from pms.core.backoff import ConnectBudget
from pms.governor import Governor
from pms.tasks import Tasks
from pms.venue import Amend, AuthFailed, Cancel, Place, Unavailable
from schemas.market import Side
from tests.contract.binance.fakes import FakeSocket, FakeSockets, Notes

KEY = "kEy-Zq~7f3b19_unusual"
SECRET = "sEcReT-x~8a0c42_unusual"
LISTEN_KEY = "lIsTeN9c5e_unusual"
SIGNATURE = re.compile(r"signature\W{1,4}[0-9a-f]{8}", re.IGNORECASE)
SYMBOL, ID = "BTCUSDT", "pms-x"
GOOD = {
    "/fapi/v1/time": {"serverTime": 1_790_526_539_000},
    "/fapi/v1/accountConfig": {"dualSidePosition": False, "multiAssetsMargin": False},
    "/fapi/v1/listenKey": {"listenKey": LISTEN_KEY},
}
Peer = Callable[[str, str], bytes | None]


def http(status: int, body: object) -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    return f"HTTP/1.1 {status} x\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


def opens_then(peer: Peer) -> Peer:
    """Good for everything that the start asks for, so that the listen key is in use; then as `peer`."""
    return lambda path, head: http(200, GOOD[path]) if path in GOOD else peer(path, head)


PEERS: dict[str, Peer] = {
    "refuses the key": lambda path, head: http(401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions"}),
    "refuses the signature": lambda path, head: http(400, {"code": -1022, "msg": "Signature for this is not valid"}),
    "repeats the request in its refusal": lambda path, head: http(400, {"code": -1102, "msg": head}),
    "repeats the request while refusing the key": lambda path, head: http(401, {"code": -2015, "msg": head}),
    "repeats the request in an error page": lambda path, head: http(502, f"<pre>{head}</pre>"),
    "repeats the request as a good answer": lambda path, head: http(200, head),
    "repeats the request as a JSON answer": lambda path, head: http(200, {"request": head, "listenkey": LISTEN_KEY}),
    "repeats the bytes": lambda path, head: head.encode(),
    "repeats the bytes as an answer's head": lambda path, head: f"HTTP/1.1 200 x\r\nno colon\r\n{head}".encode(),
    "talks nonsense": lambda path, head: b"\x00\xff" * 40 + b"\r\n\r\n",
    "breaks off": lambda path, head: None,
}
PEERS |= {f"opens, then {name}": opens_then(peer) for name, peer in PEERS.items()}


@asynccontextmanager
async def serving(peer: Peer) -> AsyncIterator[int]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                answer = peer(head.split(" ")[1].partition("?")[0], head)
                if answer is None:
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    running = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield running.sockets[0].getsockname()[1]
    finally:
        running.close()


class Told:
    """Everything that anybody could read."""

    def __init__(self) -> None:
        self.log = io.StringIO()
        self.said: list[str] = []

    async def hear(self, call: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(10):
                outcome = await call
            self.said += [repr(outcome), str(outcome)]
        except (Unavailable, AuthFailed) as error:
            self.said += [repr(error), str(error), *traceback.format_exception(error)]

    def check(self, notes: Notes) -> None:
        everything = "\n".join((*self.said, self.log.getvalue(), *map(repr, notes.told)))
        assert len(everything) > 200
        for secret in (KEY, SECRET, LISTEN_KEY):
            assert secret not in everything, everything
            assert secret[:12] not in everything, "a part of it"
        assert SIGNATURE.search(everything) is None, everything


@pytest.fixture(params=["json", "text"])
def told(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Told]:
    """The log as the daemon writes it, at debug, and what the libraries log."""
    before = structlog.get_config()
    made = Told()
    log.configure(request.param, made.log)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG), cache_logger_on_first_use=False
    )
    handler = logging.StreamHandler(made.log)
    logging.getLogger().addHandler(handler)
    caplog.set_level(logging.DEBUG)
    yield made
    logging.getLogger().removeHandler(handler)
    structlog.configure(**before)


class Repeating(FakeSockets):
    """Sockets of a venue that answers the probe, and then each request by what it was sent."""

    def __init__(self, answer: Callable[[str, int], str]) -> None:
        super().__init__()
        self._answer = answer

    async def connect(self, url: str, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]) -> FakeSocket:
        socket = await super().connect(url, on_frame, on_close)

        def send(text: str) -> None:
            ident = json.loads(text)["id"]
            probe = "userDataStream" in text
            said = json.dumps({"id": ident, "status": 200, "result": {}}) if probe else self._answer(text, ident)
            asyncio.get_running_loop().call_soon(on_frame, said.encode())

        socket.send = send  # type: ignore[method-assign]
        return socket


def frame(ident: int, status: int, **said: object) -> str:
    return json.dumps({"id": ident, "status": status} | said)


ANSWERS: dict[str, Callable[[str, int], str]] = {
    "repeats the request in its refusal": lambda text, ident: frame(ident, 400, error={"code": -1102, "msg": text}),
    "repeats it while refusing the key": lambda text, ident: frame(ident, 401, error={"code": -2015, "msg": text}),
    "repeats the request as a good answer": lambda text, ident: frame(ident, 200, result=text),
    "repeats the request as its result": lambda text, ident: frame(ident, 200, result=json.loads(text)),
    "repeats the request as it is": lambda text, ident: text,
    "repeats the request in a frame that is none": lambda text, ident: f"<pre>{text}</pre>",
    "repeats the request under its own id": lambda text, ident: json.dumps({"id": text, "status": 200}),
}


@pytest.mark.faults
@pytest.mark.parametrize("name", ANSWERS)
async def test_no_answer_over_the_order_socket_tells_a_secret(
    name: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "ANSWER_S", 0.05)
    tasks, notes, one = Tasks(), Notes(), Decimal(1)
    clock, sockets = SystemClock(), Repeating(ANSWERS[name])
    async with serving(opens_then(PEERS["breaks off"])) as port:
        venue, unused = venue_at(port, tasks, sockets)
        assert venue.rest.socket is not None
        venue.rest.socket.start()
        for call in (
            partial(venue.place, Place(SYMBOL, ID, Side.BUY, "LIMIT", "GTX", one, one, False)),
            partial(venue.amend, Amend(SYMBOL, ID, Side.BUY, one, one)),
            partial(venue.cancel, Cancel(SYMBOL, ID)),
            partial(venue.look_up, SYMBOL, ID),
        ):
            while not venue.rest.socket.up:
                await clock.sleep(0.01)
            await told.hear(call())
        await venue.close()
        await unused.close()
        await tasks.close()
    told.said.append("x" * 200)
    told.check(notes)


def venue_at(port: int, tasks: Tasks, orders: FakeSockets | None = None) -> tuple[BinanceVenue, WebSockets]:
    clock = SystemClock()
    sockets = WebSockets(clock, random.Random(1).random)
    ws_api = f"ws://127.0.0.1:{port}{PATH}"
    http_client = HttpClient(f"http://127.0.0.1:{port}", answer_s=2.0, connect_s=2.0)
    streams = f"ws://127.0.0.1:{port}"
    credentials = Credentials(KEY, SECRET)
    return BinanceVenue(
        http_client,
        orders or sockets,
        streams,
        credentials,
        clock,
        tasks,
        ConnectBudget(lambda: 0.0, clock.monotonic),
        Governor(clock, clock.now_ms),
        ws_api,
    ), sockets


async def exercise(port: int, told: Told, notes: Notes) -> None:
    tasks = Tasks()
    venue, sockets = venue_at(port, tasks)
    one = Decimal(1)
    told.said.append(repr(venue) + repr(venue.rest) + repr(Credentials(KEY, SECRET)))
    for call in (
        venue.start(notes),
        venue.place(Place(SYMBOL, ID, Side.BUY, "LIMIT", "GTX", one, one, False)),
        venue.amend(Amend(SYMBOL, ID, Side.BUY, one, one)),
        venue.cancel(Cancel(SYMBOL, ID)),
        venue.look_up(SYMBOL, ID),
        venue.open_orders(),
        venue.trades(SYMBOL, 0),
        venue.positions(),
        venue.wallet(),
        venue.instruments(),
        venue.set_leverage(SYMBOL, 3, lambda: ""),
    ):
        await told.hear(call)
    await venue.close()
    await sockets.close()
    await tasks.close()


@pytest.mark.faults
@pytest.mark.parametrize("name", PEERS)
async def test_no_failure_tells_a_secret(name: str, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.get_running_loop().set_debug(True)
    notes = Notes()
    async with serving(PEERS[name]) as port:
        await exercise(port, told, notes)
    told.check(notes)


@pytest.mark.faults
async def test_no_refused_connection_tells_a_secret(told: Told) -> None:
    notes = Notes()
    async with serving(PEERS["breaks off"]) as port:
        pass
    await exercise(port, told, notes)
    told.check(notes)


async def test_a_traceback_in_the_log_tells_no_secret(told: Told) -> None:
    """Of values only their text could get there: a pretty traceback would show local names."""

    def fails(password: str) -> None:
        raise ValueError(f"GET /private/ws/{LISTEN_KEY}?signature=0123456789abcdef at redis://u:{password}@h/0")

    tasks = Tasks()

    async def run() -> None:
        secret = SECRET
        fails(secret)

    await asyncio.wait([tasks.spawn(run(), "fails")])
    text = told.log.getvalue()
    assert "task_failed" in text
    assert "ValueError" in text
    for secret in (SECRET, LISTEN_KEY, "0123456789abcdef"):
        assert secret not in text


@pytest.mark.parametrize("bad", [f"{KEY}\n", f"{KEY}é", f"{KEY} x"])
def test_a_key_that_http_cannot_carry_is_refused_without_showing_it(bad: str) -> None:
    for name in ("PMS_API_KEY", "PMS_API_SECRET"):
        with pytest.raises(config.ConfigError, match=name) as raised:
            config.load({name: bad})
        assert KEY not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("url", [f"redis://:{SECRET}/x@h:1/0", f"http://:{SECRET}@h/0", f"redis://u:{SECRET}#@h:1"])
def test_a_redis_address_that_cannot_be_read_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(config.ConfigError, match="PMS_REDIS_URL") as raised:
        config.load({"PMS_REDIS_URL": url})
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_settings_do_not_print_their_secrets() -> None:
    given = {"PMS_API_KEY": KEY, "PMS_API_SECRET": SECRET, "PMS_REDIS_URL": "redis://u:rEdIsPw@h:1/0"}
    shown = repr(config.load(given)) + repr(config.reach(given)) + f"{config.load(given)}"
    for secret in (KEY, SECRET, "rEdIsPw"):
        assert secret not in shown


@pytest.mark.parametrize("header", ["k\n", "ké", "k…"])
async def test_a_header_that_http_cannot_carry_is_an_error_that_shows_nothing(header: str) -> None:
    client = HttpClient("http://127.0.0.1:1")
    with pytest.raises(ValueError, match="in a header") as raised:
        await client.request("GET", "/x", {"X-MBX-APIKEY": KEY + header})
    assert KEY not in repr(raised.value) + "".join(traceback.format_exception(raised.value))
    await client.close()
