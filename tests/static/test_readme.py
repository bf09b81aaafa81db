"""The README and docs/ say what the code says: their tables are drawn from the code's own, and what they name exists.

Run as a program (`python -m tests.static.test_readme`) it draws them anew.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pms import account_watch, acl, cli, records_watch, throttle, unresolved
from pms.bus import trim
from pms.core import limits
from schemas.catalogue import Row, key_table
from schemas.errors import Category, ErrorCode
from schemas.keys import Keys
from schemas.orders import TRANSITIONS, OrderState
from schemas.records import Limits
from tests.conftest import ROOT

README = ROOT / "README.md"
CLIENT = ROOT / "docs" / "js-client.md"
PLUGINS = ROOT / "docs" / "plugins.md"
ENDED = (OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED)  # one box in the diagram

ADVICE = {
    Category.VALIDATION: "the command is wrong as it stands: change it",
    Category.OWNERSHIP: "it is not yours, or not there",
    Category.RISK: "a limit stands against it",
    Category.AMBIGUITY: "look at orders and positions before anything else",
    Category.EXCHANGE: "the venue said no; `details` has its code",
    Category.TIMEOUT: "no word in time: the same `requestId` again tells the outcome",
    Category.INFRA: "certainly not done: send it again",
}


BOUNDS = {
    "max_order_notional": "one order's value",
    "max_total_notional": "all positions together, as large as live orders can make them",
    "max_position": "one symbol's position, as large as live orders can make it",
    "max_open_orders": "live orders",
    "max_leverage": "the leverage an order may ask for",
    "max_daily_loss": "loss since 00:00 UTC, open profit, fees and funding included",
    "max_drawdown_pct": "percent below the highest equity",
    "max_orders_per_minute": "new orders within any minute",
    "price_collar_pct": "how far beyond mid a price may take, in percent",
}
ALARMS = {
    "protection_blind": "a stop has seen no price for 10 s: it goes on with the first one; watch the position",
    "extreme_not_read": "a stop does not know what prices did while the daemon was away: look at its trigger",
    "backstop_missing": "a trailing stop's order at the venue is refused: it protects only while the daemon lives",
    account_watch.MODE: "hedge or multi-assets mode: nothing is added; switch it back, wait for the end, `resume`",
    account_watch.LEVERAGE: "a symbol's leverage was set by another hand: the next order that adds sets it anew",
    account_watch.MARGIN: "the venue warns of the account's margin: add money or reduce",
    "algo_blocked": "an algo is refused again and again, or held by a halt or freeze: mend the cause, or cancel it",
    "algo_failed": "an error of ours ended an algo, its orders are cancelled: look at the log, start it anew",
    "algo_paused": "an algo came back paused after a restart: resume or cancel it",
    "balance_drift": "balances and wallet differ: look at the venue's income",
    "clock_off": "this host's clock is over a second wrong, and beyond five entries stop: set it (NTP)",
    "daily_loss": "a sub-account lost what a day allows and may only reduce: `unfreeze` lets it trade again",
    "disk_full": "under 200 MiB: nothing that adds risk is sent: make room",
    "disk_low": "under 1 GiB: make room",
    "drawdown": "a sub-account is too far below its peak and may only reduce: `unfreeze` lets it trade again",
    trim.HALF_FULL: "the event stream nears its cap: see why the records lag",
    trim.NOT_ARCHIVED: "old events could not be put away: make room",
    "exit_refused": "an exit is refused and tried again: look at the position",
    "funding_missing": "the venue does not tell a funding that is due: it is booked as soon as it does",
    "halt_not_written": "a halt binds, but is not on the disk: make room",
    "account_margin": "the venue's margin ratio passed 50 %: add money or reduce; `REDUCE` at 70 %, reduction at 85 %",
    "account_margin_unknown": "the venue's margin ratio can't be read: look at it there",
    "dead_man": "the venue does not confirm the dead-man timer: look whether it answers",
    "listen_key_taken": "another program with our API key ended the user stream: stop it, or its stream",
    "margin": "a sub-account nears what the venue would liquidate: add money or reduce (`PMS_MARGIN_ACTION`)",
    "order_vanished": "the venue no longer knows an order that it confirmed: look at its own screen",
    "other_assets": "the wallet holds more than USDT, which is not kept books of: convert or transfer it",
    "plugin_missing": "an algo's plug-in is not loaded, its entries leave the market: mend that, or cancel it",
    "position_drift": "books and venue differ: `position_assign` or `drift_accept`; no new risk meanwhile",
    unresolved.ALARM: "a start could not find out what became of an order: no new risk there until it has",
    "symbol_halted": "a symbol does not trade: what adds risk there waits; look at positions that can't be closed",
    "surplus_order": "the venue took an order that it had refused; it is being cancelled: look at what it filled",
    records_watch.BEHIND: "records wait for their writer: see why `pms records` or its database does not run",
    throttle.STARVING: "entries have waited for 15 s for the venue's rate limit: see who else uses it",
    "record_quarantined": "a record could not be read and was moved aside: look at it there",
}


def commands() -> Iterator[str]:
    yield from ("| command | what it does |", "| --- | --- |")
    yield from (f"| `{name}` | {command.purpose} |" for name, command in cli.COMMANDS.items())


def orders() -> Iterator[str]:
    """The transition table as a diagram; states that follow from the same ones share a box."""
    yield from ("```mermaid", "stateDiagram-v2", "    [*] --> placing")
    for state, following in TRANSITIONS.items():
        for after in OrderState:
            if after in following and after not in ENDED:
                yield f"    {state} --> {after}"
        if following:
            assert following.issuperset(ENDED), "the box holds for no arrow"
            yield f"    {state} --> ended"
    yield "```"


def _life(row: Row) -> str:
    seconds = row.ttl_s
    for unit, length in (("d", 86_400), ("h", 3_600)):
        if seconds and seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s" if seconds else ""


def keys() -> Iterator[str]:
    yield from ("| key | type | lives | what it holds |", "| --- | --- | --- | --- |")
    for row in key_table():
        yield f"| `{row.key}` | {row.redis} | {_life(row)} | {row.about} |"
    yield ""
    yield "Terminal algos and orders live a day."


def errors() -> Iterator[str]:
    yield from ("| category | what to do | codes |", "| --- | --- | --- |")
    for category in Category:
        codes = ", ".join(code for code in ErrorCode if code.category is category)
        yield f"| {category} | {ADVICE[category]} | {codes} |"


def exits() -> Iterator[str]:
    """From the constants of pms/exits.py with the comments beside them."""
    yield from ("| code | name | meaning |", "| --- | --- | --- |")
    found = re.findall(r"^([A-Z_]+) = (\d+)(?:  # (.+))?$", (ROOT / "pms" / "exits.py").read_text(), re.MULTILINE)
    yield from (f"| {code} | {name} | {meaning} |" for name, code, meaning in found)


def shipped_limits() -> Iterator[str]:
    yield from ("| limit | paper | live | what it bounds |", "| --- | --- | --- | --- |")
    for field in msgspec.structs.fields(Limits):
        paper, live = (f"{getattr(shipped, field.name):,}" for shipped in (limits.PAPER, limits.LIVE))
        yield f"| `{field.encode_name}` | {paper} | {live} | {BOUNDS[field.name]} |"


def alarms() -> Iterator[str]:
    yield from ("| alarm | what it means, and what to do |", "| --- | --- |")
    yield from (f"| `{code}` | {meaning} |" for code, meaning in sorted(ALARMS.items()))


def users() -> Iterator[str]:
    yield from (f"    {command}" for command in acl.commands(Keys()))


DRAWN = {
    "commands": (README, commands),
    "orders": (README, orders),
    "keys": (README, keys),
    "errors": (README, errors),
    "exits": (README, exits),
    "limits": (README, shipped_limits),
    "alarms": (README, alarms),
    "acl": (CLIENT, users),
}


def _block(name: str, path: Path = README) -> re.Match[str]:
    found = re.search(rf"(?<=<!-- {name} -->\n)(.*?)\n?(?=<!-- end -->)", path.read_text(), re.DOTALL)
    assert found is not None, f"no block {name}"
    return found


@pytest.mark.parametrize("name", DRAWN)
def test_a_table_is_the_codes_own(name) -> None:
    path, drawn = DRAWN[name]
    assert _block(name, path)[1].splitlines() == list(drawn())


def test_every_setting_that_is_read_is_in_the_readme_and_no_other() -> None:
    told = set(re.findall(r"PMS_[A-Z0-9_]+", _block("settings")[1]))
    read = set()
    for path in ("pms/config.py", "pms/config_modes.py", "pms/bootstrap.py", "tests/conftest.py"):
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                read.update(re.findall(r"^PMS_[A-Z0-9_]+$", node.value))
    assert told == read


def test_every_alarm_that_is_sounded_is_in_the_readme() -> None:
    sounded = set()
    for path in (ROOT / "pms").rglob("*.py"):
        sounded.update(re.findall(r'sound\(\s*"([a-z_]+)"', path.read_text()))
    assert sounded <= set(ALARMS)
    assert {"order_vanished", "position_drift", "exit_refused"} <= sounded, "the search finds them"


@pytest.mark.parametrize("page", [README, CLIENT, PLUGINS], ids=lambda page: page.name)
def test_every_file_and_command_that_a_page_names_exists(page) -> None:
    text = page.read_text()
    for path in re.findall(r"\]\((\S+?)\)", text):
        assert (page.parent / path).exists(), path
    for path in re.findall(r"(?<![\w{/:.])((?:docs|tests|schemas|algos|recovery|pms)/[\w/.-]*)", text):
        assert (ROOT / path).exists(), path
    assert set(re.findall(r"-m pms ([a-z-]+)", text)) <= set(cli.COMMANDS)


def _draw() -> None:
    for name, (path, lines) in DRAWN.items():
        begin, end = _block(name, path).span(0)
        text = path.read_text()
        path.write_text(f"{text[:begin]}{chr(10).join(lines())}\n{text[end:]}")


if __name__ == "__main__":
    _draw()
