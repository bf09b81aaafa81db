"""The demo's stack: `pms up` as a child in a data directory of its own, and a view of the venue as any client has it.

Owns the child and the REST calls. Refuses to know the daemon's insides: all it sees is what the outside sees.
"""

from __future__ import annotations

import http.client
import json
import select
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pms import child, config, exits
from pms.binance.signing import Signer, encode
from pms.bootstrap import ROOT
from pms.clock import SystemClock
from pms.log_files import ChildLog

START_LIMIT_S = 30  # doors open after one or two seconds
PAGE = 1000  # the most rows the venue gives at once
WINDOW_MS = 5000


class NotStarted(Exception):
    """The stack did not come up; the text says why."""

    exit_code = exits.UNAVAILABLE


class Stage:
    """Redis, venue and daemon, from construction to `close`. Raises `NotStarted`."""

    def __init__(self, folder: Path, market: list[str]) -> None:
        self._log = folder / "up.log"
        environment = config.clean_environment(PMS_DATA_DIR=str(folder / "data"), PMS_LOG_FORMAT="json")
        program = [sys.executable, "-m", "pms", "up", "--json", *market]
        self._child = child.start(program, ChildLog(self._log), cwd=ROOT, talks=True, environment=environment)
        self.told = self._listen()
        self.redis_url = (folder / "data" / "redis.url").read_text().strip()
        self.venue = VenueClient(self.told["venue"]["rest"])
        self.symbol: str = self.told["venue"]["symbols"][0]

    def _listen(self) -> dict[str, Any]:
        assert self._child.stdout is not None, "it talks to us"
        readable, _, _ = select.select((self._child.stdout,), (), (), START_LIMIT_S)
        line = self._child.stdout.readline().decode() if readable else ""
        if not line.startswith("{"):
            self.close()
            last = (self._log.read_text().strip().splitlines() or ["no word from it"])[-1]
            raise NotStarted(f"The stack did not start: {last}")
        told: dict[str, Any] = json.loads(line)
        return told

    @property
    def lives(self) -> bool:
        return self._child.poll() is None

    def close(self) -> int:
        """SIGTERM, and its exit code."""
        child.stop(self._child)
        return self._child.returncode


class VenueClient:
    """Signed reads over REST, on the paper account."""

    def __init__(self, rest: str) -> None:
        parts = urlsplit(rest)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        self._signer = Signer(config.PAPER_SECRET)
        self._clock = SystemClock()

    def _get(self, path: str, **params: object) -> list[dict[str, Any]]:
        query = encode([(name, str(value)) for name, value in params.items()])
        target = f"{path}?{self._signer.sign(query, self._clock.now_ms(), WINDOW_MS)}"
        self._connection.request("GET", target, headers={"X-MBX-APIKEY": config.PAPER_KEY})
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise http.client.HTTPException(f"GET {path}: {response.status} {body.decode(errors='replace')}")
        rows: list[dict[str, Any]] = json.loads(body, parse_float=Decimal)
        return rows

    def orders(self, symbol: str) -> list[dict[str, Any]]:
        """Every order of the account, oldest first."""
        return self._pages("/fapi/v1/allOrders", symbol, "orderId", "orderId")

    def trades(self, symbol: str) -> list[dict[str, Any]]:
        """Every fill of the account, oldest first."""
        return self._pages("/fapi/v1/userTrades", symbol, "fromId", "id")

    def position(self, symbol: str) -> Decimal:
        """The account's signed position."""
        rows = self._get("/fapi/v3/positionRisk", symbol=symbol)
        return sum((Decimal(row["positionAmt"]) for row in rows), Decimal(0))

    def _pages(self, path: str, symbol: str, parameter: str, number: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        following = 0
        while True:
            page = self._get(path, symbol=symbol, limit=PAGE, **{parameter: following})
            rows += page
            if len(page) < PAGE:
                return rows
            following = page[-1][number] + 1
