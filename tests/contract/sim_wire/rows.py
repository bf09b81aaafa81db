"""How a case of the simulator's endpoint table is written: a base is a request that succeeds; a case names the one
thing that differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tests.contract.sim_wire.client import START

V1, V2, V3 = "/fapi/v1", "/fapi/v2", "/fapi/v3"
BTC = {"symbol": "BTCUSDT"}
Step = tuple[str, str, Mapping[str, str]]


class Case(NamedTuple):
    """One row: `code` None means success. `given` are requests made before."""

    method: str
    path: str
    parameter: str
    what: str
    params: Mapping[str, str]
    code: int | None = None
    status: int = 400
    given: tuple[Step, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.method} {self.path} {self.parameter}: {self.what}"


class Base(NamedTuple):
    """A request that succeeds, and the cases that differ from it."""

    method: str
    path: str
    params: Mapping[str, str]
    given: tuple[Step, ...] = ()

    def fine(self, parameter: str = "", what: str = "as it should be", **changes: str | None) -> Case:
        """A case that succeeds."""
        return Case(self.method, self.path, parameter, what, self._changed(changes), None, 200, self.given)

    def but(self, parameter: str, what: str, value: str | None, code: int, **more: str | None) -> Case:
        """`parameter` set to `value` (None: left out) is refused with `code`."""
        changed = self._changed({parameter: value, **more})
        return Case(self.method, self.path, parameter, what, changed, code, 400, self.given)

    def after(self, what: str, *given: Step, code: int | None, parameter: str = "", **changes: str | None) -> Case:
        """The same request in another state of the venue."""
        status = 200 if code is None else 400
        return Case(self.method, self.path, parameter, what, self._changed(changes), code, status, given)

    def _changed(self, changes: Mapping[str, str | None]) -> dict[str, str]:
        return {name: value for name, value in {**self.params, **changes}.items() if value is not None}


def symbol_cases(base: Base, compulsory: bool = True) -> list[Case]:
    """What every route with a symbol refuses."""
    cases = [base.but("symbol", "unknown", "XYZUSDT", -1121), base.but("symbol", "lower case", "btcusdt", -1121)]
    if compulsory:
        return [base.but("symbol", "missing", None, -1102), base.but("symbol", "empty", "", -1102), *cases]
    return [*cases, base.but("symbol", "empty", "", -1105)]


def limit_cases(base: Base, highest: int) -> list[Case]:
    """Of every listing."""
    return [
        base.fine("limit", f"{highest}, the most", limit=str(highest)),
        base.but("limit", "0", "0", -1130),
        base.but("limit", f"{highest + 1}", str(highest + 1), -1130),
        base.but("limit", "not a number", "ten", -1100),
    ]


def window_cases(base: Base, longest_ms: int) -> list[Case]:
    """Of every listing by time."""
    start = START - 1_000
    return [
        base.fine("startTime", "a window", startTime=str(start), endTime=str(START)),
        base.but("startTime", "after endTime", str(START), -1023, endTime=str(start)),
        base.but("endTime", "window too long", str(start + longest_ms + 1), -4166, startTime=str(start)),
        base.but("startTime", "not a number", "yesterday", -1100),
    ]
