"""Algos from installed packages: which there are, which of them may be loaded, and what becomes of those that may not.

Owns the approval list and the refusals. A package is loaded only when a line of the list names it, its version and the
SHA-256 over its files; nothing of it is imported before. Refuses to end the daemon for a plug-in: what can't be loaded
is told, and its algos stay parked (`algos.plugin_kind.parked`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import stat
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from algos.plugin import Plugin
from algos.plugin_kind import kind_of, parked, record_of, revived
from algos.plugin_step import MISSING
from algos.registry import KINDS, Kind
from pms.alarms import Alarms
from pms.plugin_files import Package, Verified, approving, installed
from pms.runner import Runner
from pms.tasks import Tasks
from schemas import codec
from schemas.door import Visit, read
from schemas.errors import Invalid
from schemas.plugin import ParkedState, PluginParams

ALARM = "plugin_missing"

_LINE = re.compile(r"([A-Za-z0-9._-]+)==(\S+)\s+sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_BUILT_IN = frozenset((*KINDS, "algo"))

_log = structlog.get_logger("pms.plugins")


class Approvals(msgspec.Struct, frozen=True):
    """The approval list as it stands. `problem`: why none of it counts; `unread`: lines that say nothing."""

    path: Path
    lines: frozenset[str] = frozenset()
    problem: str = ""
    unread: tuple[str, ...] = ()


def approvals(path: Path) -> Approvals:
    """The list in a file: one `name==version sha256:…` a line, `#` begins a comment. None of it counts where somebody
    else than we and root could have written it; a file that is not there approves nothing."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return Approvals(path)
    except OSError as error:
        return Approvals(path, problem=f"{path} can't be read: {error.strerror}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or found.st_uid not in (0, os.geteuid()):
        problem = f"{path} can be written by others, so nothing in it counts: chown it to yourself and chmod go-w it"
        return Approvals(path, problem=problem)
    return _parsed(path, text)


def _parsed(path: Path, text: str) -> Approvals:
    lines, unread = set(), []
    for row in text.splitlines():
        given = row.partition("#")[0].strip()
        if match := _LINE.fullmatch(given):
            lines.add(approving(*match.groups()))
        elif given:
            unread.append(given)
    return Approvals(path, frozenset(lines), unread=tuple(unread))


class Refusal(msgspec.Struct, frozen=True):
    """Why a plug-in is not there, as a sentence; `line` approves it, where that is what is missing."""

    message: str
    line: str = ""


def refusals(packages: list[Package], approved: Approvals) -> dict[str, Refusal]:
    """Of each package that may not be loaded, by its name, why."""
    owners = Counter(entry.algo for package in packages for entry in package.entries)
    found: dict[str, Refusal] = {}
    for package in packages:
        names = [entry.algo for entry in package.entries]
        known = f"{package.name} {package.version}"
        if package.problem:
            found[package.name] = Refusal(f"{known} can't be loaded: {package.problem}")
        elif wrong := [name for name in names if name in _BUILT_IN or not _NAME.fullmatch(name)]:
            found[package.name] = Refusal(f"{known} names an algo {wrong[0]}, which no plug-in may")
        elif twice := [name for name in names if owners[name] > 1]:
            found[package.name] = Refusal(f"{twice[0]} is brought by two packages: remove one, {known} is one of them")
        elif approved.problem:
            found[package.name] = Refusal(f"{known} is not approved: {approved.problem}", package.line)
        elif package.line not in approved.lines:
            message = f"{known} is not approved: add the line `{package.line}` to {approved.path} and restart"
            found[package.name] = Refusal(message, package.line)
    return found


class Loaded(msgspec.Struct, frozen=True):
    """An approved plug-in: `line` is the one that approves its package."""

    plugin: Plugin
    kind: Kind
    line: str


class Plugins:
    """What one daemon knows of plug-ins: those that are loaded and those that are refused, by the algo's name."""

    def __init__(self, path: Path, alarms: Alarms) -> None:
        self._path = path
        self._alarms = alarms
        self.loaded: dict[str, Loaded] = {}
        self.refused: dict[str, Refusal] = {}
        self._unreadable: dict[str, str] = {}

    async def load(self, tasks: Tasks) -> None:
        """Load what is approved. Each is loaded in a task of its own: an error in its code is its own."""
        packages, approved = installed(), approvals(self._path)
        for row in approved.unread:
            _log.warning("approval_not_read", file=str(approved.path), line=row)
        refused = refusals(packages, approved)
        for package in packages:
            refusal = refused.get(package.name) or await self._load(package, tasks)
            if refusal is not None:
                _log.warning("plugin_refused", package=package.name, why=refusal.message, line=refusal.line)
                self.refused |= {entry.algo: refusal for entry in package.entries}

    async def _load(self, package: Package, tasks: Tasks) -> Refusal | None:
        loading = tasks.spawn(_import(package), f"plug-in {package.name}")
        await asyncio.wait((loading,))
        if (error := loading.exception()) is not None:
            return Refusal(f"{package.name} {package.version} can't be loaded: {error!r}")
        for plugin in loading.result():
            self.loaded[plugin.name] = Loaded(plugin, kind_of(plugin, package.line), package.line)
        _log.info("plugin_loaded", package=package.name, version=package.version, sha256=package.sha256)
        return None

    def refusal_of(self, algo: str) -> Refusal:
        """Why an algo that is not loaded is not."""
        missing = Refusal(f"no installed package brings an algo {algo}; `pms plugins` lists those that there are")
        return self.refused.get(algo, missing)

    def revive(self, state: ParkedState) -> tuple[Kind, Any]:
        """A record of a former life for its plug-in, or for the stand-in where that is missing or can't read it."""
        loaded = self.loaded.get(state.algo)
        if loaded is not None:
            try:
                return loaded.kind, revived(loaded.plugin, loaded.line, state)
            except Invalid as error:
                self._unreadable[state.algo_id] = f"{loaded.line} can't read what {state.made_by} wrote: {error}"
        return parked(state.algo), state

    def tell(self, runners: Mapping[str, Runner], now: int) -> None:
        """Sound the alarm of each algo that is parked, and clear those that are over."""
        for alarm in tuple(self._alarms.open.values()):
            runner = runners.get(alarm.subject)
            if alarm.code == ALARM and (runner is None or not is_parked(runner)):
                self._alarms.clear(ALARM, alarm.subject, now)
                if runner is not None and runner.state.paused == MISSING:
                    message = f"{alarm.subject} stays paused though its plug-in is back. Resume or cancel it."
                    self._alarms.sound("algo_paused", "warning", alarm.subject, message, now)
        for name, runner in runners.items():
            if is_parked(runner):
                message = (
                    f"{name} can't go on: {self.missing(runner)}. Its entries leave the market, what only reduces "
                    "rests on. Mend it and restart the daemon, or end it with algo_cancel."
                )
                self._alarms.sound("plugin_missing", "critical", name, message, now)

    def missing(self, runner: Runner) -> str:
        """Why a parked algo is parked."""
        state = runner.state
        return self._unreadable.get(state.algo_id) or self.refusal_of(state.algo).message


def is_parked(runner: Runner) -> bool:
    """Whether the algo's plug-in is missing."""
    return isinstance(runner.state, ParkedState)


async def _import(package: Package) -> list[Plugin]:
    """Its plug-ins, each proven to be one. Raises whatever its code raises."""
    verified = Verified(package)
    found = [(entry.algo, verified.load(entry)) for entry in package.entries]
    for name, plugin in found:
        check_made(name, plugin)
    return [plugin for _, plugin in found]


def check_made(name: str, plugin: object) -> None:
    """That an entry point's object can be run as the algo `name`. Raises TypeError."""
    if not isinstance(plugin, Plugin) or plugin.name != name:
        raise TypeError(f"the entry point {name} is no algos.plugin.Plugin of that name")
    if not issubclass(plugin.params, PluginParams):
        raise TypeError(f"the params of {name} are no schemas.plugin.PluginParams")
    with contextlib.suppress(Invalid):  # a field is missing; one of a type that no command has is a TypeError
        read(plugin.params, {}, Visit(strict=True))
    fresh = plugin.own()
    if codec.decode(plugin.own, codec.encode(fresh)) != fresh:
        raise TypeError(f"what {name} keeps as its own can't be read back from a record")
    record_of(plugin)
