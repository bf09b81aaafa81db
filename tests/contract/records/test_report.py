"""A report read from a real Postgres: its figures computed once more, from the raw events and market entries alone."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from pms import config, exits
from tests.conftest import ROOT
from tests.contract.records.desk import RecordsDesk
from tests.world.diary import Diary

CLOSE = 0.0002  # figures are kept to a ten-thousandth of a basis point


async def report(desk: RecordsDesk, *words: str) -> str:
    told = config.clean_environment(PMS_DATABASE_URL=desk.where.dsn, PMS_DATA_DIR=str(desk.data))
    command = [sys.executable, "-m", "pms", "report", "--since", "2000-01-01", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == exits.OK, done.stderr
    return done.stdout


@pytest.fixture
async def kept(desk: RecordsDesk, diary_of_a_day: Diary) -> RecordsDesk:
    await desk.write_until(await desk.publish(diary_of_a_day.events, diary_of_a_day.market))
    return desk


def fills_of(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each trade once, with what it cost itself."""
    paid: dict[str, float] = {}
    seen: set[int] = set()
    for event in events:
        if event["type"] in ("order_partial", "order_filled") and event["tradeId"] not in seen:
            seen.add(event["tradeId"])
            order = event["clientOrderId"]
            fee, paid[order] = event["commission"] - paid.get(order, 0), event["commission"]
            sign = 1 if event["side"] == "BUY" else -1
            yield event | {"fee": fee, "sign": sign, "parent": event["rootId"] or order}


async def test_every_figure_is_what_plain_arithmetic_makes_of_the_raw_log(
    kept: RecordsDesk, diary_of_a_day: Diary
) -> None:
    told = json.loads(await report(kept, "--json"))
    events = [json.loads(body) for body in diary_of_a_day.events]
    entries = [json.loads(body) for body in diary_of_a_day.market]
    books = {entry["parentId"]: entry for entry in entries if entry["type"] == "arrival"}
    mids = {entry["ts"]: (entry["bid"] + entry["ask"]) / 2 for entry in entries if entry["type"] == "second"}
    parents: dict[str, list[dict[str, Any]]] = {}
    for fill in fills_of(events):
        parents.setdefault(fill["parent"], []).append(fill)
    judged = {one["id"]: one for one in told["orders"] if one["filled"]}
    assert set(judged) == set(parents)
    assert len(judged) >= 4
    for name, fills in parents.items():
        one = judged[name]
        quantity = sum(fill["lastFillQty"] for fill in fills)
        notional = sum(fill["lastFillQty"] * fill["lastFillPrice"] for fill in fills)
        assert one["filled"] == pytest.approx(quantity)
        assert one["avgPrice"] == pytest.approx(notional / quantity)
        assert one["fees"]["USDT"] == pytest.approx(sum(fill["fee"] for fill in fills))
        maker = sum(fill["lastFillQty"] * fill["lastFillPrice"] for fill in fills if fill["maker"])
        assert one["makerPct"] == pytest.approx(100 * maker / notional, abs=CLOSE)
        book = books[name]
        arrival = (book["bids"][0][0] + book["asks"][0][0]) / 2
        cost = sum(fill["sign"] * (fill["lastFillPrice"] - arrival) * fill["lastFillQty"] for fill in fills)
        assert one["slippageBps"] == pytest.approx(cost / arrival / quantity * 10_000, abs=CLOSE)
        assert one["atMarket"]["saved"] == pytest.approx(at_once(book, fills, told["takerBps"]), abs=1e-6)
        assert one["markoutBps"]["1s"] == markout(fills, mids, 1000)
        assert one["markoutBps"]["5s"] == markout(fills, mids, 5000)
        assert one["timeToFillMs"] == max(fill["ts"] for fill in fills) - one["startedAt"]
    amends = [event for event in events if event["type"] == "order_amended"]
    assert told["all"]["reprices"] == len(amends) > 0
    total = sum(fill["lastFillQty"] * fill["lastFillPrice"] for fills in parents.values() for fill in fills)
    assert told["all"]["notional"] == pytest.approx(total)
    assert sum(day["notional"] for day in told["days"]) == pytest.approx(total)


async def test_what_the_gate_refused_is_counted_by_code_whoever_asked_for_it(
    kept: RecordsDesk, diary_of_a_day: Diary
) -> None:
    events = [json.loads(body) for body in diary_of_a_day.events]
    refused = [event for event in events if event["type"] == "risk_rejected"]
    assert [bool(event["order"]["parentId"]) for event in refused] == [False, True], "by hand, and a chase's start"
    run = next(event for event in events if event["type"] == "chase_started")
    other = json.dumps({"seq": 0, "reason_code": "DAILY_LOSS", "parent_id": run["chaseId"]}).replace(":", r"\:")
    row = f"jsonb_populate_record(r, CAST('{other}' AS jsonb))"
    await kept.sql(f"INSERT INTO risk_rejections SELECT ({row}).* FROM risk_rejections r LIMIT 1")
    told = json.loads(await report(kept, "--json"))
    wanted = {"DAILY_LOSS": 1, "MAX_ORDER_NOTIONAL": len(refused)}
    failed = len({event["clientOrderId"] for event in events if event["type"] == "order_failed"})
    assert told["all"]["refusals"] == wanted
    assert told["all"]["rejects"] == 3 + failed
    assert [day["refusals"] for day in told["days"]] == [week["refusals"] for week in told["weeks"]] == [wanted]
    parents = {one["id"]: (one["rejects"], one["refusals"]) for one in told["orders"] if one["refusals"]}
    assert parents == {run["chaseId"]: (1, {"DAILY_LOSS": 1})}
    assert f"Refused by the gate: DAILY_LOSS 1, MAX_ORDER_NOTIONAL {len(refused)}." in await report(kept)


def at_once(book: dict[str, Any], fills: list[dict[str, Any]], taker_bps: float) -> float:
    """The same from the recorded book, less what was done; fees of both."""
    sign, left = fills[0]["sign"], sum(fill["lastFillQty"] for fill in fills)
    taken = 0.0
    for level, resting in book["asks" if sign > 0 else "bids"]:
        part = min(left, resting)
        taken, left = taken + part * level, left - part
    done = sum(fill["lastFillQty"] * fill["lastFillPrice"] for fill in fills)
    return sign * (taken - done) + taken * taker_bps / 10_000 - sum(fill["fee"] for fill in fills)


def markout(fills: list[dict[str, Any]], mids: dict[int, float], after_ms: int) -> object:
    """By the first second that ends at that time or within two seconds after it; None where none does for any."""
    known = []
    for fill in fills:
        at = fill["ts"] + after_ms
        later = sorted(ts for ts in mids if at <= ts <= at + 2000)
        if later:
            known.append((fill, mids[later[0]]))
    if not known:
        return None
    gained = sum(fill["sign"] * (mid - fill["lastFillPrice"]) * fill["lastFillQty"] for fill, mid in known)
    base = sum(fill["lastFillPrice"] * fill["lastFillQty"] for fill, _ in known)
    return pytest.approx(gained / base * 10_000, abs=CLOSE)


class Page(HTMLParser):
    """What a page is made of, and that its elements close in order."""

    VOID = frozenset(("meta", "line", "circle", "polyline", "path"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


async def test_the_page_is_whole_and_needs_nothing_from_elsewhere(kept: RecordsDesk) -> None:
    file = kept.data / "report.html"
    await report(kept, "--html", str(file))
    text = file.read_text()
    page = Page(text)
    assert page.open == []
    assert page.count["svg"] >= 6
    assert page.count["circle"] >= 5
    assert not {"script", "link", "img", "iframe", "object"} & set(page.count)
    assert not [value for name, value in page.attributes if name in ("src", "srcset", "data", "action")]
    assert all(value and value.startswith("#") for name, value in page.attributes if name == "href")
    assert re.findall(r"https?:|@import|url\(", text) == []


async def test_the_terminal_has_a_line_for_each_parent_and_one_sub_account_can_be_asked_for(kept: RecordsDesk) -> None:
    table = await report(kept)
    one = await report(kept, "--sub-account", "desk-2")
    assert "desk-2" in table
    assert " main " in table
    assert "desk-2" in one
    assert " main " not in one
    assert max(map(len, table.splitlines())) < 300
