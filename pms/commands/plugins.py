"""algo_start and algo_cancel: algos of plug-ins at the door (contract.md).

Owns finding the approved plug-in and decoding its parameters, strictly at both doors. What starting is stands in
pms.commands.starting; a plug-in's own rules are its `plan`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from algos.plugin_kind import parked
from algos.registry import Kind
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands.algos import Algos
from pms.commands.needs import Needs, Planned
from pms.commands.starting import Starts
from pms.commands.table import Row, Tell
from pms.commands.terms import Terms
from pms.plugins import Loaded, Plugins
from schemas.commands_algos import AlgoCancel, AlgoStart
from schemas.door import Visit, read
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.market import Quote
from schemas.plugin import PluginParams, PluginState
from schemas.records import Request
from schemas.replies import AlgoReply, Success, ValidateReply

NOBODY = parked("algo")  # the kind behind the door of a command that was accepted by an earlier daemon


class PluginDoor:
    """A `starting.Door` of one plug-in."""

    command: type[Command] = AlgoStart
    id_name = "algoId"

    def __init__(self, terms: Terms, loaded: Loaded | None) -> None:
        self._terms = terms
        self._loaded = loaded
        self.kind: Kind = NOBODY if loaded is None else loaded.kind

    def needs(self, command: AlgoStart, sub_account: str) -> Sequence[Needs]:
        params = self._decoded(command)
        try:
            self._terms.instrument(params.symbol, params.reduce_only)
        except Invalid as error:
            raise _within(error) from error
        return (Needs(params.symbol, params.leverage, params.reduce_only),)

    def params(self, command: AlgoStart, sub_account: str, quotes: Mapping[str, Quote]) -> PluginParams:
        """Raises Invalid, what is wrong being named from `params` on."""
        params = self._decoded(command)
        self.planned(params, quotes)
        return params

    def planned(self, params: PluginParams, quotes: Mapping[str, Quote]) -> Sequence[Planned]:
        assert self._loaded is not None, "nothing is started without a plug-in"
        instrument = self._terms.instrument(params.symbol, params.reduce_only)
        try:
            plans = self._loaded.plugin.plan(params, instrument, quotes[params.symbol])
        except Invalid as error:
            raise _within(error) from error
        return [
            Planned(params.symbol, plan.side, plan.quantity, plan.price, params.leverage, params.reduce_only)
            for plan in plans
        ]

    def _decoded(self, command: AlgoStart) -> PluginParams:
        assert self._loaded is not None, "nothing is started without a plug-in"
        try:
            return read(self._loaded.plugin.params, command.params, Visit(strict=True))
        except Invalid as error:
            raise _within(error) from error

    def reply(self, state: PluginState) -> Success:
        return AlgoReply(algo_id=state.algo_id)


def _within(error: Invalid) -> Invalid:
    """A complaint about the parameters, from where they stand in the command."""
    path = error.details.get("path")
    details = error.details | {"path": f"params.{path}" if path else "params"}
    return Invalid(error.code, f"params: {error.message}", **details)


class PluginAlgos:
    """See the module."""

    def __init__(self, plugins: Plugins, starts: Starts, terms: Terms, algos: Algos) -> None:
        self._plugins = plugins
        self._starts = starts
        self._terms = terms
        self._algos = algos

    def rows(self) -> dict[type[Command], Row]:
        started = Row(self._start, was_started=self._was_started, preview=self._preview)
        return {AlgoStart: started, AlgoCancel: Row(self._cancel)}

    def _door(self, command: AlgoStart) -> PluginDoor:
        """Raises Invalid (PLUGIN_NOT_APPROVED)."""
        loaded = self._plugins.loaded.get(command.algo)
        if loaded is None:
            refusal = self._plugins.refusal_of(command.algo)
            details = {"line": refusal.line} if refusal.line else {}
            message = f"{refusal.message}. Nothing was done."
            raise Invalid(ErrorCode.PLUGIN_NOT_APPROVED, message, path="algo", **details)
        return PluginDoor(self._terms, loaded)

    async def _start(self, command: AlgoStart, context: Context) -> Reply:
        return await self._starts.start(self._door(command), command, context)

    async def _was_started(self, command: AlgoStart, request: Request, tell: Tell) -> Reply | None:
        return await self._starts.was_started(PluginDoor(self._terms, None), command, request, tell)

    async def _preview(self, command: AlgoStart, sub_account: str) -> ValidateReply:
        return await self._starts.preview(self._door(command), command, sub_account)

    async def _cancel(self, command: AlgoCancel, context: Context) -> Reply:
        """Raises Invalid (ALGO_NOT_FOUND) for what has a command of its own to end it."""
        runner: Any = self._algos.find(command.algo_id, context.sub_account)
        if not (runner.kind.plugin or runner.kind.common_keys):
            message = f"{command.algo_id} is a {runner.kind.name}: end it with {runner.kind.name}_cancel."
            raise Invalid(ErrorCode.ALGO_NOT_FOUND, message, path="algoId")
        return await self._algos.cancel(runner, "cancelled_by_command", context.request_id)
