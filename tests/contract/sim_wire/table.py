"""docs/simulator.md from the route table and the cases: `python -m tests.contract.sim_wire.table` writes it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from pms.sim.rest import Route
from pms.sim.wire import ROUTES
from pms.sim.ws_api import METHODS
from tests.contract.sim_wire import fault_rows
from tests.contract.sim_wire.cases import CASES
from tests.contract.sim_wire.hooks import COUNTERS, HOOKS, Hook

PATH = Path(__file__).resolve().parents[3] / "docs" / "simulator.md"
FAULTS = """[
  {"fault": "answer_lost", "method": "PUT", "when": "after", "probability": 0.1, "count": 0},
  {"fault": "answer_refused", "method": "POST", "path": "/fapi/v1/order", "params": {"symbol": "BTCUSDT"}, "skip": 2,
   "status": 503, "code": -1000, "msg": "Unknown error, please check your request or try again later.",
   "execute": true},
  {"fault": "request", "path": "/fapi/v1/*", "delay_before_ms": 200, "delay_after_ms": 50},
  {"fault": "user_stream_silent", "at_ms": 60000, "every_ms": 300000, "times": 0, "jitter_ms": 30000},
  {"fault": "disconnect", "at_ms": 30000, "route": "public", "how": "reset"},
  {"fault": "clock_skew", "at_ms": 120000, "ms": 6000, "for_ms": 10000}
]"""


def _rows(name: str, hooks: Iterable[Hook]) -> str:
    rows = [f"| {name} | what it does |" if name == "hook" else f"| {name} | what it tells |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| `{hook.call}` | {hook.what} |" for hook in hooks)])


_HEAD = f"""# The simulator's endpoints

Written by `python -m tests.contract.sim_wire.table` from the cases that the tests run; do not edit. A path or method
that is not here answers 404. Weights and counters are those of the venue; "key" needs `X-MBX-APIKEY`, "signed" also
`timestamp` and `signature` over the bytes as sent.

## Faults

`pms sim --faults FILE` reads a JSON list of faults. Each names its kind and what that kind takes; anything else is
refused with the place where it stands. It strikes at `at_ms` after the start (0: at once), with `every_ms` again and
again, `times` in all (0: for ever), each time up to `jitter_ms` later by `--seed`. A kind that spoils requests or
frames then strikes `count` of those that match (0: all), after it has let `skip` pass, each with `probability`; the
first fault that matches one decides. A path ending in `*` is a prefix, an empty one is every path. What is for a
request binds it over the WebSocket API too, where a lost answer ends the socket; `"transport": "rest"` or `"ws"` binds
one of both.

```json
{FAULTS}
```

With `--control-port PORT` (0: a free one, told at the start) the same is taken while it runs, on loopback: `POST
/faults` with one fault or a list of them, times counted from then; `GET /faults` tells how often each kind has struck
(`fired`), what stands and how many wait; `DELETE /faults` heals all.

    curl -d '{{"fault": "listen_key_expired"}}' http://127.0.0.1:PORT/faults

@FAULTS@

## Script hooks

A program or test that runs `pms.sim.assembly.Simulator` in its own process reaches these from it. They act at once;
what they do to accounts is kept in the journal like everything else. Events leave at once, depth frames with
`venue.streams.flush(now)` or the next tick.

@HOOKS@

## What every keyed and signed route refuses

| case | HTTP | code |
| --- | --- | --- |
| no key, or one that cannot be a key | 401 | -2014 |
| unknown key | 401 | -2015 |
| signed: `timestamp` or `signature` missing | 400 | -1102 |
| signed: `timestamp` not a number | 400 | -1100 |
| signed: wrong signature | 400 | -1022 |
| signed: older than `recvWindow`, or 1000 ms ahead | 400 | -1021 |
| signed: `recvWindow` not within 1 to 60000 | 400 | -1130 |
| a parameter sent twice | 400 | -1101 |
| weight of the minute used up | 429 | -1003 |
| going on after that | 418 | -1003 |
| new orders of 10 seconds or of the minute used up | 429 | -1015 |

## The WebSocket API

`/ws-fapi/v1` on the stream port takes `id`, `method` and `params`, and answers with `id`, `status`, `result` or
`error`, and `rateLimits`, by the routes of the table below with their weights and counters; the handshake weighs 5. A
request is signed over its parameters by name (`signature` left out), or comes after `session.logon`, which takes
Ed25519 keys only (others: -2015) and weighs 2, as `session.status` and `session.logout` do. What is no JSON is -1135,
an unknown method -1020. A connection lives 24 hours.

| method | route |
| --- | --- |
@METHODS@

## Routes
"""


def _weight(route: Route) -> str:
    if isinstance(route.weight, int):
        return str(route.weight)
    if route.path.lower().endswith(("depth", "klines")):
        return "by limit"
    return f"{route.weight({'symbol': 'X'})}, {route.weight({})} without symbol"


def render() -> str:
    """The whole document."""
    methods = "\n".join(f"| `{name}` | {' '.join(route)} |" for name, route in METHODS.items())
    hooks = _rows("hook", HOOKS) + "\n\n" + _rows("counter", COUNTERS)
    lines = [
        _HEAD.replace("@FAULTS@", fault_rows.table()).replace("@HOOKS@", hooks).replace("@METHODS@", methods),
        "| method | path | who | weight | order counters 10 s, 1 m |",
        "| --- | --- | --- | --- | --- |",
    ]
    for route in ROUTES:
        who = {"NONE": "public", "KEY": "key", "SIGNED": "signed"}[route.security]
        counters = f"{route.orders[0]}, {route.orders[1]}" if any(route.orders) else ""
        lines.append(f"| {route.method} | {route.path} | {who} | {_weight(route)} | {counters} |")
    for (method, path), cases in groupby(
        sorted(CASES, key=lambda case: (case.path, case.method)), key=lambda case: (case.method, case.path)
    ):
        lines += ["", f"## {method} {path}", "", "| parameter | case | HTTP | code |", "| --- | --- | --- | --- |"]
        for case in cases:
            code = "" if case.code is None else str(case.code)
            lines.append(f"| {case.parameter} | {case.what} | {case.status} | {code} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(render())
