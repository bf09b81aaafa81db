"""The simulator as a real process: what it answered is there after SIGKILL."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.contract.sim_wire.cases import LIMIT, MARKET
from tests.contract.sim_wire.client import KEYS, signed

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import argparse, asyncio, sys
from pms.sim import program
parser = argparse.ArgumentParser()
program.add_arguments(parser)
sys.exit(asyncio.run(program.run(parser.parse_args())))
"""


class Process:
    """A simulator on free ports and a data directory."""

    def __init__(self, data: Path) -> None:
        given = ["--rest-port", "0", "--stream-port", "0", "--data", str(data), "--profile", "still", "--speed", "1"]
        command = [sys.executable, "-c", PROGRAM, *given, "--key", f"alice:{KEYS['alice']}"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = self.process.stdout.readline()
            assert line, f"it ended: {said}"
            said += line
        self.port = int(re.search(r"http://127\.0\.0\.1:(\d+)", said)[1])

    def ask(self, method: str, path: str, **params: str):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        query = signed(params, "alice", time.time_ns() // 1_000_000)
        connection.request(method, f"{path}?{query}", headers={"X-MBX-APIKEY": "alice"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.mark.crash
def test_accounts_orders_trades_and_ids_go_on_after_sigkill(tmp_path: Path) -> None:
    looks = [
        ("/fapi/v1/openOrders", {}),
        ("/fapi/v1/userTrades", {"symbol": "BTCUSDT"}),
        ("/fapi/v1/symbolConfig", {"symbol": "BTCUSDT"}),
    ]
    rest = {**LIMIT, "price": "61000.00", "newClientOrderId": "rests"}
    first = Process(tmp_path)
    try:
        assert first.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="7")["leverage"] == 7
        resting = first.ask("POST", "/fapi/v1/order", **rest)
        assert first.ask("POST", "/fapi/v1/order", **MARKET, newOrderRespType="RESULT")["status"] == "FILLED"
        before = [first.ask("GET", path, **params) for path, params in looks]
        wallet = first.ask("GET", "/fapi/v3/balance")[0]["balance"]
    finally:
        first.kill()
    again = Process(tmp_path)
    try:
        assert [again.ask("GET", path, **params) for path, params in looks] == before
        assert again.ask("GET", "/fapi/v3/balance")[0]["balance"] == wallet != "1000000.00000000"
        assert again.ask("POST", "/fapi/v1/order", **rest)["code"] == -4116
        later = again.ask("POST", "/fapi/v1/order", **{**rest, "newClientOrderId": "later"})
        assert later["orderId"] > resting["orderId"] + 1
    finally:
        again.kill()
