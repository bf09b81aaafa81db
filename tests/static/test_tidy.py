"""The tree obeys the rules of tidy.py, and each rule bites: a planted offence is found, its lawful twin is not."""

from __future__ import annotations

import pytest

from tests.static import tidy

LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 50
HOST = "py" + "pi.org"
BROAD = "try:\n  f()\nexcept Exception:\n  log()\n"
BARE = "try:\n  f()\nexcept:\n  log()"
NARROW = "try:\n  f()\nexcept (KeyError, OSError):\n  log()"
SILENT = "try:\n  f()\nexcept OSError:\n  pass"

# rule, path, offending text, lawful text
PLANTED = [
    (tidy.floors, "schemas/a.py", "from algos import step", "from schemas import keys"),
    (tidy.floors, "algos/a.py", "import recovery.plan", "import schemas.keys"),
    (tidy.floors, "recovery/a.py", "from pms.core import book", "from algos import step"),
    (tidy.floors, "pms/core/a.py", "def f():\n    from pms.binance import rest", "from pms.core import book"),
    (tidy.floors, "pms/binance/a.py", "from pms import sim", "from pms import venue"),
    (tidy.floors, "pms/sim/a.py", "import redis", "import aiohttp"),
    (tidy.purity, "algos/a.py", "import random", "import decimal"),
    (tidy.purity, "pms/core/a.py", "from os import path", "import math"),
    (tidy.purity, "pms/sim/book.py", "import asyncio", "import bisect"),
    (tidy.order_requests, "pms/desk.py", "self._venue.cancel(order)", "self.execution.submit(order)"),
    (tidy.order_requests, "pms/desk.py", "send = parts.venue.prepare", "report = parts.venue.look_up"),
    (tidy.order_requests, "pms/audit.py", "from pms.venue import Venue", "from pms.venue import Reads"),
    (tidy.order_requests, "pms/audit.py", "from pms.binance import queries", "from pms.binance import money"),
    (tidy.order_requests, "pms/audit.py", "venue.rest.send(request)", "venue.rest.measure_clock()"),
    (tidy.order_requests, "pms/execution.py", "risk.Approved(place, True, s)", "risk.approve_place(place, m, role)"),
    (tidy.order_requests, "pms/execution.py", "from pms.core.risk import _SEAL", "from pms.core.risk import Approved"),
    (tidy.order_requests, "pms/execution.py", "seal = risk._SEAL", "seal = risk.EXIT_RESERVE"),
    (tidy.time_source, "pms/desk.py", "import time", "from pms.clock import Clock"),
    (tidy.task_source, "pms/desk.py", "loop.create_task(work())", "tasks.spawn(work(), 'work')"),
    (tidy.task_source, "pms/desk.py", "from asyncio import ensure_future as f\nensure_future(1)", "f(1)"),
    (tidy.task_source, "pms/desk.py", "await_ = asyncio.wait_for(x, 1)", "await_ = condition.wait_for(x)"),
    (tidy.environment, "pms/desk.py", "import os\nos.environ['A']", "settings['A']"),
    (tidy.environment, "pms/desk.py", "import os\nos.getenv('A')", "settings.get('A')"),
    (tidy.key_prefix, "pms/bus/a.py", "key = 'pms:price:BTCUSDT'", '"""Speaks of `pms:price`."""\nkey = keys.price(s)'),
    (tidy.key_prefix, "pms/bus/a.py", "key = f'pms:price:{symbol}'", "message = 'pms: no Redis'"),
    (tidy.key_prefix, "pms/bus/a.lua", "redis.call('GET', 'pms:seq')", "redis.call('GET', KEYS[1])"),
    (tidy.no_float, "pms/execution.py", "x = float(price)", "x = Decimal(price)"),
    (tidy.no_float, "pms/sim/matching.py", "x = float(price)", "x: float = 1"),
    (tidy.broad_except, "pms/desk.py", BROAD, NARROW),
    (tidy.broad_except, "pms/desk.py", BARE, NARROW),
    (tidy.broad_except, "pms/desk.py", SILENT, NARROW),
    (tidy.broad_except, "pms/desk.py", "with suppress(Exception):\n  f()", "with suppress(OSError):\n  f()"),
    (tidy.broad_except, "pms/runner.py", BROAD + BROAD, BROAD),
    (tidy.sizes, "pms/a.py", LONG_FUNCTION, LONG_FUNCTION.replace("    x = 1\n", "", 1)),
    (tidy.sizes, "pms/a.py", "x = 1\n" * 301, "x = 1\n" * 300),
    (tidy.sizes, "tests/pure/test_a.py", "x = 1\n" * 601, "x = 1\n" * 600),
    (tidy.names, "pms/order_x/helper.py", '"""Doc."""', None),
    (tidy.names, "pms/a.py", "x = 1", '"""Owns x."""\nx = 1'),
    (tidy.names, "tests/pure/test_a.py", "def test_it(): ...", "def test_a_fill_is_booked_once(): ..."),
    (tidy.sleeps, "tests/pure/test_a.py", "time.sleep(1)", "clock.sleep(1)"),
    (tidy.unfinished, "pms/a.py", "# TO" + "DO: later", "# to do what the law says"),
    (tidy.unfinished, "README.md", "FIX" + "ME", "fixed"),
    (tidy.places, "README.md", f"cd {tidy.ROOT}", "cd pms"),
    (tidy.places, "requirements.lock", f"--index-url https://{HOST}/simple", "aiohttp==1 --hash=sha256:0"),
    (tidy.places, "pms/bootstrap.py", f"A = 'https://{HOST}'\nB = 'https://{HOST}'", f"A = 'https://{HOST}'"),
]


@pytest.mark.parametrize("rule", tidy.RULES, ids=lambda rule: rule.__name__)
def test_the_tree_obeys_the_rule(rule) -> None:
    offences = [f"{source.path}:{line}: {what}" for source in tidy.sources() for line, what in rule(source)]
    assert not offences, "\n" + "\n".join(offences)


@pytest.mark.parametrize("rule, path, wrong, right", PLANTED)
def test_the_rule_finds_a_planted_offence_and_nothing_in_its_lawful_twin(rule, path, wrong, right) -> None:
    assert list(rule(tidy.read(path, wrong)))
    if right is not None:
        assert not list(rule(tidy.read(path, right)))


def test_every_rule_has_a_planted_offence() -> None:
    assert {rule for rule, *_ in PLANTED} == set(tidy.RULES)


def test_every_module_that_may_send_orders_does(monkeypatch) -> None:
    """The list of those with a reason holds nobody who has none any more."""
    named = list(tidy.SENDERS)
    monkeypatch.setattr(tidy, "SENDERS", {})
    sending = [source for source in tidy.sources() if list(tidy.order_requests(source))]
    assert not [name for name in named if not any(source.among(name) for source in sending)]
    assert not [source.path for source in sending if not source.among(*named)]


def test_the_tree_is_read_from_the_checkout() -> None:
    paths = {source.path for source in tidy.sources()}
    assert {"pyproject.toml", "pms/clock.py", "tests/static/tidy.py"} <= paths
