"""The rules of style that a machine can see (design.md rule 12): each takes one source file and names its offences.

Owns the rules and their exceptions, each with its reason. Refuses to know pytest. A rule yields (line, what is wrong).
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).absolute().parents[2]  # links followed by nobody: an error is planted in a tree of links
PRODUCT = ("schemas", "algos", "recovery", "pms")
TEXT_SUFFIXES = frozenset(
    ".py .md .toml .lock .txt .json .yml .yaml .sh .js .mjs .ts .html .css .lua .cfg .ini .service .run".split()
)
FUNCTION_LINES = 50
FILE_LINES = 300
TEST_FILE_LINES = 600

Offence = tuple[int, str]


class Source(NamedTuple):
    """One text file of the project; `tree` only for Python."""

    path: str
    text: str
    tree: ast.Module

    @property
    def product(self) -> bool:
        return self.path.split("/")[0] in PRODUCT

    def among(self, *patterns: str) -> bool:
        return any(fnmatch(self.path, pattern) for pattern in patterns)


def read(path: str, text: str) -> Source:
    """A source from its text, as the rules want it."""
    return Source(path, text, ast.parse(text) if path.endswith(".py") else ast.Module([], []))


@cache
def sources() -> tuple[Source, ...]:
    """Every text file of the project, hidden and generated folders left out; read once."""
    return tuple(_sources())


def _sources() -> Iterator[Source]:
    for folder, below, names in os.walk(ROOT, followlinks=True):
        below[:] = sorted(name for name in below if (name == ".ci" or name[0] != ".") and name != "node_modules")
        for path in (Path(folder, name) for name in sorted(names) if name[0] != "."):
            if path.suffix in TEXT_SUFFIXES or path.parent.name == ".ci" or path.name == "Procfile":
                yield read(path.relative_to(ROOT).as_posix(), path.read_text())


def _imports(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


# What a floor may not import. The simulator is a program of its own: only the composition may know it, and it must not
# know the daemon, so that the two ends of the wire are never the same code.
# The records read what was published and nothing else.
_FLOORS = (
    ("schemas/*", ("algos", "recovery", "pms", "redis", "aiohttp", "websockets", "sqlalchemy", "structlog")),
    ("algos/*", ("recovery", "pms", "redis", "aiohttp", "websockets", "sqlalchemy", "structlog")),
    ("recovery/*", ("pms",)),
    ("pms/core/*", ("pms.binance", "pms.sim", "pms.bus", "redis", "aiohttp", "websockets", "structlog")),
    ("pms/venue.py", ("pms.binance", "pms.sim", "pms.bus")),
    ("pms/binance/*", ("pms.sim", "pms.bus")),
    ("pms/bus/*", ("pms.sim", "pms.binance")),
    ("pms/records/*", ("pms.sim", "pms.binance", "pms.daemon", "pms.desk", "pms.ledger")),
    ("pms/sim/*", ("pms.bus", "pms.core", "pms.binance.rest", "pms.binance.codec", "pms.binance.gateway", "redis")),
)


def floors(source: Source) -> Iterator[Offence]:
    """Imports point left: schemas <- algos <- recovery <- pms, and the venue wire keeps its two ends apart."""
    for pattern, forbidden in _FLOORS:
        if source.among(pattern):
            for line, module in _imports(source):
                if _within(module, *forbidden):
                    yield line, f"{pattern} may not import {module}"


# Decisions are pure. Of the simulator, what matches and keeps accounts is pure, what serves and paces is not.
_PURE = (
    "schemas/*",
    "algos/*",
    "recovery/plan.py",
    "pms/core/*",
    "pms/binance/codec.py",
    "pms/binance/signing.py",
    "pms/binance/ws_calls.py",
    "pms/binance/errors.py",
    *(f"pms/sim/{name}.py" for name in ("model", "rules", "book", "matching", "accounts", "reduce_only", "numbers")),
    "pms/sim/exchange.py",
    *(f"pms/records/{name}.py" for name in ("rows", "rows_algos", "rows_market", "draft", "columns", "state_check")),
    *(f"pms/report/{name}.py" for name in ("facts", "measures", "totals", "text", "frame", "charts", "page", "style")),
)
_PURE_BUT = ("schemas/export.py",)  # writes the generated files
_EFFECTS = ("asyncio", "redis", "time", "random", "os", "secrets", "socket", "subprocess", "threading", "uuid")


def purity(source: Source) -> Iterator[Offence]:
    """A pure module imports nothing that has effects, tells time or gives chance (design.md rule 1)."""
    if source.among(*_PURE) and not source.among(*_PURE_BUT):
        for line, module in _imports(source):
            if _within(module, *_EFFECTS):
                yield line, f"a pure module may not import {module}"


# Who may send an order without the risk gate and `Execution`, and why that is no hole (design.md, "One depth frame").
SENDERS = {
    "pms/execution.py": "the one way of every approved request",
    "pms/direct.py": "halts without the daemon: cancels, and closes under the venue's flag",
    "pms/hands.py": "the recovery cancels orphans; it places and amends nothing",
    "pms/surplus.py": "cancels what the venue took though it had refused it",
    "pms/dead_man.py": "sets the venue's timer, which only cancels",
    "pms/leverage.py": "sets leverage, before the order that wants it is judged",
    "pms/adapter.py": "makes the adapter from the settings",
    "pms/binance/*": "the adapter itself",
}
_SENDING = frozenset(("prepare", "place", "amend", "cancel", "cancel_many", "cancel_all", "set_leverage", "countdown"))
_PORTS = ("pms.venue.Venue", "pms.binance.gateway.BinanceVenue", "pms.binance.queries")  # what sends, or makes requests


def _sends(node: ast.Attribute) -> bool:
    """Whether it is a sending method of something called venue, or the adapter's own wire."""
    owner = ast.unparse(node.value).rpartition(".")[2].lstrip("_")
    return (owner == "venue" and node.attr in _SENDING) or (owner == "rest" and node.attr in ("order", "send"))


def order_requests(source: Source) -> Iterator[Offence]:
    """Orders leave through `Execution` alone, each with its `Approved`, and only the risk gate makes one."""
    if not source.among("pms/*") or source.among("pms/core/risk.py"):
        return
    senders = source.among(*SENDERS)
    for line, module in _imports(source):
        if not senders and _within(module, *_PORTS):
            yield line, f"{module} sends orders: ask pms.venue.Reads, send through pms.execution"
        if module == "pms.core.risk._SEAL" or module == "pms.core.risk._Seal":
            yield line, "the seal of an approved request is the risk gate's"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and not senders and _sends(node):
            yield node.lineno, f"{ast.unparse(node)}: orders are sent by pms.execution"
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Approved":
            yield node.lineno, "only pms.core.risk approves"
        if isinstance(node, ast.Attribute) and node.attr in ("_SEAL", "_Seal"):
            yield node.lineno, "the seal of an approved request is the risk gate's"


# The clock is the port; set-up, data directory and private Redis come before any loop; a bench measures the host.
_MAY_TELL_TIME = (
    *("pms/clock.py", "pms/bootstrap.py", "pms/datadir.py", "pms/embedded.py"),
    *("pms/bench.py", "pms/bench/*"),
)


def time_source(source: Source) -> Iterator[Offence]:
    """Time comes from the Clock port only (design.md, determinism)."""
    if source.product and not source.among(*_MAY_TELL_TIME):
        for line, module in _imports(source):
            if _within(module, "time"):
                yield line, "time is told by pms.clock only"


def task_source(source: Source) -> Iterator[Offence]:
    """Tasks start in pms/tasks.py only; asyncio.wait_for can swallow a cancellation on Python 3.11 (setup.md)."""
    for node in ast.walk(source.tree):
        if not source.product or not isinstance(node, ast.Attribute | ast.Name):
            continue
        name = node.attr if isinstance(node, ast.Attribute) else node.id
        if name in {"create_task", "ensure_future", "TaskGroup"} and source.path != "pms/tasks.py":
            yield node.lineno, f"{name}: start tasks with pms.tasks"
        if name == "wait_for" and isinstance(node, ast.Attribute) and ast.unparse(node.value) == "asyncio":
            yield node.lineno, "asyncio.wait_for: use asyncio.timeout"


def environment(source: Source) -> Iterator[Offence]:
    """The environment is read in the settings and in the bootstrap only."""
    if source.product and not source.among("pms/config.py", "pms/bootstrap.py"):
        for node in ast.walk(source.tree):
            name = getattr(node, "attr", None) or getattr(node, "id", None)
            if name in {"environ", "environb", "getenv", "putenv"}:
                yield getattr(node, "lineno", 0), f"{name}: settings come from pms.config"


def _docstrings(tree: ast.Module) -> set[int]:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, owners) and node.body]
    return {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}


def key_prefix(source: Source) -> Iterator[Offence]:
    """Redis names are spelled in schemas/keys.py only; docstrings may speak of them."""
    if source.path == "schemas/keys.py" or not (source.product or source.path.endswith(".lua")):
        return
    if source.path.endswith(".lua"):
        yield from ((n, "a key in Lua") for n, line in enumerate(source.text.splitlines(), 1) if "pms:" in line)
    spoken = _docstrings(source.tree)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in spoken:
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            if re.search(r"\bpms:(?!\s)", text):
                yield node.lineno, f"the key {text!r} belongs in schemas/keys.py"


# What is not money there: paces, rates, statistics, ages, percentages on a screen.
_MAY_FLOAT = (
    *(f"pms/sim/{name}.py" for name in ("synthetic", "stats", "feed", "replay", "captures", "faults", "program")),
    *("pms/cli.py", "pms/cli/*", "pms/config.py", "pms/bootstrap.py", "pms/bench.py", "pms/bench/*", "pms/metrics.py"),
)


def no_float(source: Source) -> Iterator[Offence]:
    """Prices, quantities and money are Decimal or scaled integers, never made into floats."""
    if source.product and not source.among(*_MAY_FLOAT):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
                yield node.lineno, "float( on what may be money"


def _caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    parts = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(part) for part in parts}


def broad_except(source: Source) -> Iterator[Offence]:
    """Errors are caught by name and answered; broadly in one place only, the runner (design.md rule 10)."""
    if not source.product:
        return
    allowed = 1 if source.path == "pms/runner.py" else 0
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            if _caught(node) & {"Exception", "BaseException"}:
                allowed -= 1
                if allowed < 0:
                    yield node.lineno, "a broad except"
            if all(isinstance(step, ast.Pass) for step in node.body):
                yield node.lineno, "an error passed over in silence"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            if {ast.unparse(part) for part in node.args} & {"Exception", "BaseException"}:
                yield node.lineno, "a broad suppress"


def sizes(source: Source) -> Iterator[Offence]:
    """Functions up to 50 lines, files up to 300 (tests 600)."""
    if not source.path.endswith(".py"):
        return
    lines = source.text.count("\n")
    limit = TEST_FILE_LINES if source.path.startswith("tests/") else FILE_LINES
    if lines > limit:
        yield 1, f"{lines} lines, over {limit}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {length} lines, over {FUNCTION_LINES}"


_VAGUE = frozenset("manager managers helper helpers util utils handler handlers engine base common misc".split())


def names(source: Source) -> Iterator[Offence]:
    """Modules carry the field's nouns and say what they own; tests are named by sentences."""
    if not source.path.endswith(".py"):
        return
    vague = {part.removesuffix(".py") for part in source.path.split("/")} & _VAGUE
    if vague:
        yield 1, f"{vague.pop()} is no noun of the field"
    if source.product and ast.get_docstring(source.tree) is None:
        yield 1, "no module docstring"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and source.path.startswith("tests/"):
            if node.name.startswith("test_") and node.name.count("_") < 3:
                yield node.lineno, f"{node.name} is no sentence"


def sleeps(source: Source) -> Iterator[Offence]:
    """No test sleeps: it waits for what it wants to see (tests/waiting.py polls, for real processes)."""
    if source.path.startswith("tests/") and source.path != "tests/waiting.py":
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep":
                yield node.lineno, "a test that sleeps"


# Written in pieces, so that this file does not offend.
_LEFT = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")
_UNFINISHED = re.compile(rf"\b({'|'.join(_LEFT)})\b")
_HERE = re.compile(re.escape(str(ROOT)) + r"\b")
_REGISTRIES = re.compile(
    "|".join(("py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.(org|com)", r"deb\." + r"debian\.org"))
)


def unfinished(source: Source) -> Iterator[Offence]:
    """Nothing is left for later in the code."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := _UNFINISHED.search(line):
            yield number, found.group()


def places(source: Source) -> Iterator[Offence]:
    """No path of the machine it was written on; no registry host but the one public default in the bootstrap."""
    allowed = 1 if source.path == "pms/bootstrap.py" else 0
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := _HERE.search(line):
            yield number, f"{found.group()} is one machine's business"
        for found in _REGISTRIES.finditer(line):
            allowed -= 1
            if allowed < 0:
                yield number, f"the registry host {found.group()}"


RULES: tuple[Callable[[Source], Iterator[Offence]], ...] = (
    floors, purity, order_requests, time_source, task_source, environment, key_prefix, no_float,
    broad_except, sizes, names, sleeps, unfinished, places,
)  # fmt: skip
