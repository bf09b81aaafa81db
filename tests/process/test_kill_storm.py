"""A real daemon killed at random moments, with ten algos and more than twenty orders a second on a real Redis and a
real venue: no order is orphaned, doubled or lost, and a second recovery plans nothing.

In the default run ten deaths, with `--slow` a hundred. What a death leaves unknown holds its sub-account back for a
while, so that there are several; what rests in a former life's goes, or a symbol's 180 orders would soon be all there
are. Of a hundred, each ninth start or so waits for the next minute: twenty starts in one use up the venue's weight.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pms import config, exits
from schemas.ids import OrderId, parse
from tests.process import stack
from tests.process.stack import KEYS, ROOT, START_LIMIT_S, SYMBOL, Stack
from tests.waiting import until

D = Decimal
TERMS = ({"aggressive": True}, {"stalkOffsetTicks": 50}, {"stalkMode": "trail"}, {"stalkMode": "none"})
ACCOUNTS = tuple(f"algos-{number}" for number in range(5))
HURRY = {"PMS_RATE_ORDERS_10S": "100000", "PMS_RATE_ORDERS_1M": "1000000"}
BEAT_S = 0.03
STAYS = 15  # orders by hand that rest at a time
WANTED_PER_S = 20
TURN_S = 60  # a dozen recoveries in a minute take most of its weight, and one more may have to wait for the next
SETTLE_S = 20  # what a death left in flight is known by then (execution.md 2)


class Hand(threading.Thread):
    """Somebody who places orders far from the touch by hand, without waiting for replies, and takes the oldest away."""

    def __init__(self, standing: Stack) -> None:
        super().__init__(name="hand")
        self.sent: dict[str, str] = {}
        self.life = 0
        self._redis = standing.redis
        self._price = str(int(standing.venue.book()[0][0][0] * D("0.98")))
        self._over = threading.Event()

    def run(self) -> None:
        placed: list[str] = []
        for number in itertools.count():
            if self._over.wait(BEAT_S):
                return
            self._place(f"hand-{number}", f"hand-{self.life}")
            placed.append(f"hand-{number}")
            for request in placed[:-STAYS]:
                if reply := self.reply(request):  # none while nobody lives
                    self._cancel(reply)
                    placed.remove(request)

    def dies(self) -> None:
        """From now on it orders for another sub-account; what rests in those of former lives is to leave."""
        self.life += 1
        for life in range(max(0, self.life - 3), self.life - 1):
            body = {"requestId": f"all-{life}-{self.life}", "subAccountId": f"hand-{life}"}
            self._redis.lpush(KEYS.command_list("cancel_all"), json.dumps(body))

    def stop(self) -> None:
        self._over.set()
        self.join()

    def reply(self, request: str) -> dict[str, Any]:
        """What was answered; empty where nothing is."""
        raw = self._redis.get(KEYS.result(request))
        return json.loads(raw) if raw else {}

    def again(self, request: str) -> dict[str, Any]:
        """The same request once more; its answer."""
        self._redis.delete(KEYS.result(request))
        self._redis.lpush(KEYS.command_list("limit"), self.sent[request])
        until(lambda: self.reply(request), 60, f"the reply to {request}")
        return self.reply(request)

    def _place(self, request: str, account: str) -> None:
        order = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.001", "price": self._price, "requestId": request}
        now = time.time_ns() // 1_000_000
        self.sent[request] = json.dumps(order | {"subAccountId": account, "issuedAt": now, "maxAgeMs": 5000})
        self._redis.lpush(KEYS.command_list("limit"), self.sent[request])

    def _cancel(self, reply: dict[str, Any]) -> None:
        """Where a death took the reply, its order stays to the end."""
        if client_id := reply.get("clientOrderId", ""):
            body = {"clientOrderId": client_id, "requestId": f"away-{client_id}", "subAccountId": reply["subAccountId"]}
            self._redis.lpush(KEYS.command_list("cancel"), json.dumps(body))


def _keep_ten(standing: Stack) -> None:
    """As many chases as there should be, on both sides."""
    for number, (account, side) in enumerate(itertools.product(ACCOUNTS, ("BUY", "SELL"))):
        running = standing.redis.hvals(KEYS.active("chase", account))
        if not any(json.loads(row)["side"] == side for row in running):
            body = {"symbol": SYMBOL, "side": side, "quantity": "0.300", "subAccountId": account, "leverage": 20}
            standing.command("chase", **body, **TERMS[number % len(TERMS)])  # refused where a fate is not known yet


def _nothing_is_left_out(standing: Stack, before: Decimal) -> None:
    """Right after a start: what rests has a record of somebody, and what had traded by the death is booked."""
    for order in standing.venue.open_orders():
        assert standing.redis.exists(KEYS.order(order["clientOrderId"])), f"an orphan: {order}"
    fills = [event for event in standing.events() if event["type"] in ("order_partial", "order_filled")]
    assert sum((fill["lastFillQty"] for fill in fills), D(0)) >= before, "a fill was lost"


def _each_request_is_one_order_or_none(standing: Stack, hand: Hand) -> None:
    """By asking again for what a death left without an answer, or with one that it made untrue."""
    names = [order["clientOrderId"] for order in standing.venue.orders()]
    assert len(set(names)) == len(names), "an id twice"
    by_hand = {name for name in names if isinstance(whose := parse(name), OrderId) and whose.owner[0] != "c"}
    told: list[str] = []
    for request in hand.sent:
        reply = hand.reply(request)
        if not reply or (reply["success"] and reply["clientOrderId"] not in by_hand):
            reply = hand.again(request)
        if reply["success"]:
            told.append(reply["clientOrderId"])
    made_since = {order["clientOrderId"] for order in standing.venue.orders()} - set(names)
    assert len(set(told)) == len(told), "two requests, one order"
    assert set(told) == by_hand | made_since, "an order that no request stands for, or a request without its order"


def _again_plans_nothing(standing: Stack) -> None:
    """`pms recover --apply`, and then a dry run that finds nothing but what has traded since."""
    folder = standing.folder / "daemon"
    given = {
        "PMS_DATA_DIR": str(folder),
        "PMS_REDIS_URL": standing.endpoint.url_unix,
        "PMS_REST_URL": standing.venue.rest,
        "PMS_STREAM_URL": standing.venue.streams,
    }
    words = [sys.executable, "-m", "pms", "recover", "--json"]
    runs = [
        subprocess.run(
            [*words, how],
            cwd=ROOT,
            env=config.clean_environment(**given),
            capture_output=True,
            text=True,
            check=False,
            timeout=TURN_S + START_LIMIT_S,
        )
        for how in ("--apply", "--dry-run")
    ]
    first, second = runs
    assert first.returncode in (exits.OK, exits.ACTED, exits.UNRESOLVED), first.stderr
    planned = {step["action"] for step in json.loads(second.stdout)["steps"]}
    assert planned <= {"settle", "book", "resolve"}, second.stdout  # the market trades on; not proven absent yet


@pytest.mark.crash
@pytest.mark.parametrize("deaths", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_at_random_moments_under_load_nothing_is_orphaned_doubled_or_lost(
    tmp_path: Path, cases: Callable[[int], None], told: Callable[[str], None], deaths: int
) -> None:
    with stack.running(tmp_path, "--profile", "busy", "--symbols", SYMBOL) as busy:
        busy.daemon(**HURRY).opened()
        hand = Hand(busy)
        hand.start()
        try:
            alive_s, starts_s = _dies(busy, hand, deaths)
        finally:
            hand.stop()
        orders = len(busy.venue.orders())
        until(lambda: not busy.read(KEYS.health)["blocked"], SETTLE_S, "all fates are known")
        _each_request_is_one_order_or_none(busy, hand)
        assert busy.command("halt")["success"]
        until(lambda: not busy.venue.open_orders(), 10, "nothing rests")
        busy.check_books()
    cases(deaths)
    rate = orders / alive_s
    early, late = (statistics.median(half) for half in (starts_s[: deaths // 2], starts_s[deaths // 2 :]))
    told(
        f"kill storm: {deaths} deaths, {orders} orders in {alive_s:.0f} s of life ({rate:.0f} a second), "
        f"a start {early:.1f} s in the first half of the deaths, {late:.1f} s in the second"
    )
    assert rate >= WANTED_PER_S


def _dies(busy: Stack, hand: Hand, deaths: int) -> tuple[float, list[float]]:
    """So many lives, after each of which nothing is left out; the seconds that they lasted together, and those of
    each start."""
    chance, alive_s, starts_s = random.Random(deaths), 0.0, []
    for death in range(deaths):
        _keep_ten(busy)
        began, moment = time.monotonic(), chance.uniform(0.3, 1.2)
        until(lambda moment=moment, began=began: time.monotonic() - began > moment, 5, "its moment")
        busy.daemons[-1].kill()
        alive_s += time.monotonic() - began
        hand.dies()
        before = busy.venue.filled()
        if death == deaths - 1:
            _again_plans_nothing(busy)
        killed = time.monotonic()
        busy.daemon(**HURRY).opened()
        starts_s.append(time.monotonic() - killed)
        _nothing_is_left_out(busy, before)
    return alive_s, starts_s
