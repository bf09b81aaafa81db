"""The daemon, the venue and Redis as real processes for a test: started by their commands, killed, stopped, looked at.

Owns the processes and their ports (always free ones). Refuses to judge. Redis is a child of the test, so that it can be
frozen and killed under a living daemon; the venue has two more accounts, `taker` to trade against ours and `maker` to
stand beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import redis

from pms import config
from pms.datadir import DataDir
from pms.embedded import EmbeddedRedis, Endpoint
from schemas.keys import Keys
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
KEYS = Keys()
ACCOUNTS = {"paper": "paper", "taker": "taker", "maker": "maker"}
START_LIMIT_S = 30  # a start takes 1-2 s; two cores may be busy with other tests
REPLY_LIMIT_S = 10
STOP_LIMIT_S = 15
SYMBOL = "BTCUSDT"

Json = dict[str, Any]
Level = tuple[Decimal, Decimal]


class Ended(NamedTuple):
    """How a process ended by itself, and what it said."""

    code: int
    told: str
    said: str


class Venue:
    """`pms sim` with three accounts, and their signed requests."""

    def __init__(self, data: Path, *given: str) -> None:
        keys = [word for key, secret in ACCOUNTS.items() for word in ("--key", f"{key}:{secret}")]
        ports = ["--rest-port", "0", "--stream-port", "0", "--data", str(data / "venue")]
        self.process = _spawn(["sim", *ports, *keys, "--unlimited", *given], {}, data / "venue.log")
        assert self.process.stdout is not None
        told = ""
        while "Ctrl-C" not in told:
            line = self.process.stdout.readline()
            assert line, f"the simulator ended: {told}"
            told += line
        found = re.search(r"(http://\S+)\s+streams\s+(ws://127\.0\.0\.1:\d+)", told)
        assert found is not None, told
        self.rest, self.streams = found.groups()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(STOP_LIMIT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def ask(self, account: str, method: str, path: str, **params: object) -> Any:
        """The decoded answer of a signed request, refusals too."""
        query = urlencode({**params, "timestamp": time.time_ns() // 1_000_000})
        signature = hmac.new(ACCOUNTS[account].encode(), query.encode(), hashlib.sha256).hexdigest()
        connection = http.client.HTTPConnection(self.rest.removeprefix("http://"), timeout=10)
        with contextlib.closing(connection):
            connection.request(method, f"{path}?{query}&signature={signature}", headers={"X-MBX-APIKEY": account})
            return json.loads(connection.getresponse().read())

    def open_orders(self) -> list[Json]:
        return self.ask("paper", "GET", "/fapi/v1/openOrders", symbol=SYMBOL)

    def orders(self) -> list[Json]:
        """Every order there ever was, page by page: each holds the *newest* rows of its window."""
        found: dict[int, Json] = {}
        given: Json = {}
        while True:
            page = self.ask("paper", "GET", "/fapi/v1/allOrders", symbol=SYMBOL, limit=1000, **given)
            known = len(found)
            found |= {row["orderId"]: row for row in page}
            if len(page) < 1000 or len(found) == known:
                return [found[number] for number in sorted(found)]
            given = {"endTime": min(row["time"] for row in page)}

    def trades(self) -> list[Json]:
        """Every trade there ever was, page by page: each holds the *oldest* rows of its window."""
        rows: list[Json] = []
        while True:
            given = {"fromId": rows[-1]["id"] + 1 if rows else 1, "limit": 1000}
            page = self.ask("paper", "GET", "/fapi/v1/userTrades", symbol=SYMBOL, **given)
            rows += page
            if len(page) < 1000:
                return rows

    def filled(self) -> Decimal:
        """What the daemon's account has traded in all."""
        return sum((Decimal(trade["qty"]) for trade in self.trades()), Decimal(0))

    def book(self) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first, our orders among them."""
        told = self.ask("taker", "GET", "/fapi/v1/depth", symbol=SYMBOL, limit=1000)
        bids, asks = ([(Decimal(price), Decimal(size)) for price, size in told[side]] for side in ("bids", "asks"))
        return bids, asks

    def hit(self, order: Json, quantity: str) -> None:
        """Let the taker trade `quantity` with one of our resting buys, and all that stands before it."""
        price = Decimal(order["price"])
        ours = Decimal(order["origQty"]) - Decimal(order["executedQty"])
        before = sum(size for level, size in self.book()[0] if level >= price) - ours
        self._take("SELL", before + Decimal(quantity), price)

    def raise_bid(self) -> Decimal:
        """Let the best bid go up to where the best ask was, by another's order; the new price."""
        price, size = self.book()[1][0]
        self._take("BUY", size, price)
        self.order("maker", "BUY", size, price, "GTC")
        assert self.book()[0][0] == (price, size)
        return price

    def _take(self, side: str, quantity: Decimal, price: Decimal) -> None:
        taken = self.order("taker", side, quantity, price, "IOC")
        assert Decimal(taken.get("executedQty", 0)) == quantity, taken

    def order(self, account: str, side: str, quantity: Decimal, price: Decimal, time_in_force: str) -> Json:
        """A limit order of one of the accounts; the venue's answer."""
        terms = {"side": side, "quantity": quantity, "price": price, "timeInForce": time_in_force}
        given = {"symbol": SYMBOL, "type": "LIMIT", "newOrderRespType": "RESULT", **terms}
        return self.ask(account, "POST", "/fapi/v1/order", **given)


class Daemon:
    """`pms run` on a Redis and a venue that stand already; live with a label."""

    def __init__(self, data: Path, redis_url: str, venue: Venue, label: str = "", **environment: str) -> None:
        data.mkdir(exist_ok=True)
        settings = {
            "PMS_DATA_DIR": str(data),
            "PMS_REDIS_URL": redis_url,
            "PMS_REST_URL": venue.rest,
            "PMS_STREAM_URL": venue.streams,
            "PMS_LOG_FORMAT": "json",
        }
        self.log = data / "daemon.log"
        self.process = _spawn(["run", "--json", "--live", label], settings | environment, self.log)

    def opened(self) -> Json:
        """Wait until the doors are open; what it says then."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()  # the end of the process ends the wait
        assert line, f"it ended: {self.log.read_text()[-2000:]}"
        return json.loads(line)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self._reap()

    def stop(self) -> float:
        """SIGTERM; the seconds it took to end."""
        began = time.monotonic()
        self.process.terminate()
        self._reap()
        return time.monotonic() - began

    def ended(self) -> Ended:
        """Wait for its end."""
        assert self.process.stdout is not None
        told = self.process.stdout.read()
        self._reap()
        return Ended(self.process.returncode, told, self.log.read_text())

    def _reap(self) -> None:
        self.process.wait(STOP_LIMIT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Stack:
    """Redis and a venue, and the daemons on them. See `running`."""

    def __init__(self, folder: Path, server: EmbeddedRedis, endpoint: Endpoint, venue: Venue) -> None:
        self.folder = folder
        self.server = server
        self.endpoint = endpoint
        self.venue = venue
        self.redis = redis.Redis.from_url(endpoint.url_unix, decode_responses=True)
        self.daemons: list[Daemon] = []
        self._sent = 0

    def daemon(self, name: str = "daemon", **environment: str) -> Daemon:
        """Start a daemon, with its data in the folder of that name."""
        self.daemons.append(Daemon(self.folder / name, self.endpoint.url_unix, self.venue, **environment))
        return self.daemons[-1]

    def close(self) -> None:
        for daemon in self.daemons:
            daemon.kill()
        self.redis.close()

    # --- as a frontend --------------------------------------------------------------------------------

    def command(self, kind: str, **body: object) -> Json:
        """Send a command through a list and wait for its reply."""
        self._sent += 1
        request_id = f"{os.getpid()}-{self._sent}"
        told = json.dumps({"requestId": request_id, "subAccountId": "main", **body})
        self.redis.lpush(KEYS.command_list(kind), told)
        until(lambda: self.redis.exists(KEYS.result(request_id)), REPLY_LIMIT_S, f"the reply to {kind}")
        return self.read(KEYS.result(request_id))

    def chase(self, quantity: str, **body: object) -> Json:
        """Start a chase that buys; its reply."""
        reply = self.command("chase", **{"symbol": SYMBOL, "side": "BUY", "quantity": quantity, **body})
        assert reply["success"], reply
        return reply

    def read(self, key: str) -> Json:
        """A record; numbers exact."""
        raw = self.redis.get(key)
        assert isinstance(raw, str), f"no record {key}"
        return json.loads(raw, parse_float=Decimal)

    def state(self, reply: Json) -> Json:
        """The record of the chase that a reply named."""
        return self.read(KEYS.algo("chase", reply["chaseId"]))

    def until_state(self, reply: Json, limit_s: float = 10, **wanted: object) -> Json:
        """Wait until the chase's record has these values."""
        until(
            lambda: wanted.items() <= self.state(reply).items(),
            limit_s,
            f"{wanted} in {self.state(reply)}",
        )
        return self.state(reply)

    def events(self) -> list[Json]:
        """The event stream."""
        return [json.loads(row["event"], parse_float=Decimal) for _, row in self.redis.xrange(KEYS.event_stream)]

    def last_seq(self) -> int:
        """Number of the newest event in the stream."""
        ((entry, _),) = self.redis.xrevrange(KEYS.event_stream, count=1)
        return int(entry.partition("-")[0])

    def resting(self) -> Json:
        """The one order that rests at the venue."""
        until(lambda: len(self.venue.open_orders()) == 1, 10, "one order at the venue")
        return self.venue.open_orders()[0]

    def freeze(self) -> None:
        """Redis answers nothing more, and keeps its connections."""
        os.kill(self.endpoint.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.endpoint.pid, signal.SIGCONT)

    def kill_redis(self) -> None:
        os.kill(self.endpoint.pid, signal.SIGKILL)

    def start_redis(self) -> None:
        """Again, at its old address, with what it had written."""
        until(self.server.ended, 5, "Redis has ended")
        self.endpoint = self.server.start()

    def check_books(self) -> None:
        """Venue, position record and events tell of the same trades, and no event number is missing."""
        events = self.events()
        seqs = [event["seq"] for event in events]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "a hole in seq"
        fills = [event for event in events if event["type"] in ("order_partial", "order_filled")]
        told = sum((fill["lastFillQty"] for fill in fills), Decimal(0))
        assert told == self.venue.filled()
        books = [self.redis.hget(key, SYMBOL) for key in self.redis.scan_iter(KEYS.position("*"))]
        held = sum((json.loads(row, parse_float=Decimal)["signedQuantity"] for row in books if row), Decimal(0))
        risks = self.venue.ask("paper", "GET", "/fapi/v3/positionRisk", symbol=SYMBOL)
        assert held == sum(Decimal(risk["positionAmt"]) for risk in risks)


@contextlib.contextmanager
def running(folder: Path, *market: str, binary: Path | None = None) -> Iterator[Stack]:
    """Redis and a venue with that market (arguments of `pms sim`), ended with whatever ran on them."""
    with DataDir(folder / "redis") as data:
        server = EmbeddedRedis(data, KEYS, binary=binary, port=0)
        endpoint = server.start()
        venue = Venue(folder, *market)
        stack = Stack(folder, server, endpoint, venue)
        try:
            yield stack
        finally:
            stack.close()
            with contextlib.suppress(ProcessLookupError):
                stack.thaw()
            venue.stop()
            server.stop()


def _spawn(arguments: list[str], settings: dict[str, str], log: Path) -> subprocess.Popen[str]:
    """A `pms` command; what it prints comes to us, what it logs goes to a file."""
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "pms", *arguments],
            cwd=ROOT,
            env=config.clean_environment(**settings),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
