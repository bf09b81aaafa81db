"""Algos of algos: starts an algo's children, ends them, tells it how they stand, and carries out its exit (algos.md:
one mechanism for all).

Owns the bond between a parent and its children: whatever changes a child is told to its parent in the same atomic step,
so that after a crash the records of both fit together. Refuses to decide anything: kinds are pure, and the gate judges
a child's orders as it judges any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from algos import step, tally
from algos.children import AmendAlgo, ChildChanged, ChildDone, ChildReport, Exit, ExitDone, Spawn, StopChild, StopEntry
from algos.registry import KINDS, PROTECTION
from algos.step import Action, Identity
from algos.view import View
from pms.exit_goals import STOPPED, Goal
from pms.runner import Runner
from schemas.chase import AlgoStatus
from schemas.market import ZERO

if TYPE_CHECKING:
    from pms.desk import Desk

_log = structlog.get_logger("pms.family")


def view_of(runner: Runner) -> View:
    """What the shell reads of an algo's state."""
    return runner.kind.view(runner.state)


class Family:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._told: dict[str, ChildReport] = {}  # what a child's parent heard last
        self._exits: dict[str, asyncio.Future[str]] = {}

    # --- who belongs to whom --------------------------------------------------------------------------

    def members(self, algo_id: str) -> Iterator[Runner]:
        """A live algo and all live ones below it, parents first."""
        runner = self._desk.runners.get(algo_id)
        if runner is None:
            return
        yield runner
        for child in view_of(runner).child_algos:
            yield from self.members(child)

    def orders(self, algo_id: str) -> tuple[str, ...]:
        """The client ids of the live orders of an algo and of all below it."""
        return tuple(name for member in self.members(algo_id) for name in view_of(member).live_children)

    def root(self, runner: Runner) -> Runner:
        """The topmost live algo above it, itself where there is none."""
        parent = self._desk.runners.get(runner.parent_id)
        return runner if parent is None else self.root(parent)

    # --- what a parent asks for -----------------------------------------------------------------------

    def carry_out(self, runner: Runner, action: Action) -> None:
        """One action of a parent, within its step."""
        match action:
            case Spawn():
                self._spawn(runner, action)
            case StopChild():
                self._offer(action.child_id, step.CancelRequest(self._desk.now(), action.reason))
            case AmendAlgo():
                self._offer(action.child_id, action.changes)
            case Exit():
                self._exit(runner, action)
            case StopEntry():
                self._desk.guards.stop(action.entry_id, action.reason)
            case _:
                raise TypeError(f"orders are the desk's: {action!r}")

    def _offer(self, child_id: str, given: step.Input) -> None:
        child = self._desk.runners.get(child_id)
        if child is not None:
            self._desk.offer(child, given)

    def _spawn(self, parent: Runner, action: Spawn) -> None:
        desk, kind = self._desk, KINDS[action.kind]
        symbol = action.params.symbol
        instrument, quote = desk.instruments.get(symbol), desk.market.quote(symbol)
        if instrument is None or quote is None:
            failed = ChildReport(action.child_id, action.slot, AlgoStatus.FAILED, "no_price")
            desk.offer(parent, ChildDone(desk.now(), failed))
            return
        who = self.identity(view_of(parent), action, getattr(parent.state, "request_id", ""))
        state, actions = kind.start(who, action.params, instrument, quote, desk.now())
        child = desk.begin(kind, state)
        kind.check(None, None, state, actions)
        with desk.step() as unit:
            desk.register(child)
            desk.record(unit, child, started=True)
            desk.act(unit, child, actions)
        if desk.follows(parent.algo_id):
            self.follow(child)

    @staticmethod
    def identity(parent: View, action: Spawn, request_id: str = "") -> Identity:
        """Who a child is."""
        return Identity(
            algo_id=action.child_id,
            sub_account_id=parent.sub_account_id,
            tag=parent.tag,
            epoch=parent.epoch,
            request_id=request_id,
            root_id=parent.root_id,
            parent_id=parent.algo_id,
            slot=action.slot,
        )

    def follow(self, runner: Runner) -> None:
        """Quotes reach a child, and all below it, from now on; one that has ended already needs none."""
        if runner.ended or self._desk.follows(runner.algo_id):
            return
        if runner.symbol:
            self._desk.market.share(runner.symbol)
        self._desk.follow(runner)

    def _exit(self, runner: Runner, action: Exit) -> None:
        """One exit of an algo at a time: what is under way stands for the same quantity."""
        desk, name = self._desk, runner.algo_id
        assert desk.closing is not None, "composed with the desk"
        if name in self._exits:
            return
        goal = Goal(
            runner.sub_account_id,
            action.symbol,
            action.side,
            action.quantity,
            origin=action.origin or runner.kind.origin,
            parent_id=name,
        )
        done = desk.closing.begin(goal).done
        self._exits[name] = done
        done.add_done_callback(partial(self._exited, name))

    def _exited(self, algo_id: str, done: asyncio.Future[str]) -> None:
        del self._exits[algo_id]
        runner = self._desk.runners.get(algo_id)
        if runner is not None and done.result() != STOPPED:
            self._desk.offer(runner, ExitDone(self._desk.now(), done.result(), self._desk.quote_of(runner)))

    # --- what a parent hears --------------------------------------------------------------------------

    def tell(self, runner: Runner) -> None:
        """A child's state changed: its parent hears of it in the same step, where that is news to it."""
        if not runner.parent_id:
            return
        report, name, ended = self._report(runner), runner.algo_id, runner.ended
        if self._told.get(name) == report:
            return
        self._told[name] = report
        parent = self._desk.runners.get(runner.parent_id)
        if parent is not None:
            self._desk.offer(parent, self._news(report, parent))
        if ended:
            self._told.pop(name, None)

    @staticmethod
    def _report(runner: Runner) -> ChildReport:
        assert runner.kind.report is not None, f"a {runner.kind.name} is never a child"
        return runner.kind.report(runner.state)

    def _news(self, report: ChildReport, parent: Runner) -> ChildChanged | ChildDone:
        kind = ChildDone if report.status.terminal else ChildChanged
        return kind(self._desk.now(), report, self._desk.quote_of(parent))

    def broken(self, runner: Runner) -> None:
        """An algo's code failed: its orders and its children end. What protects a position stays at the venue."""
        if runner.kind is not PROTECTION:
            for order in filter(None, map(self._desk.ledger.orders.get, view_of(runner).live_children)):
                self._desk.cancel(order)
        for child in view_of(runner).child_algos:
            self._offer(child, step.CancelRequest(self._desk.now(), "parent_failed"))

    # --- after a restart ------------------------------------------------------------------------------

    def reunite(self, runner: Runner, ended: Mapping[str, Any]) -> None:
        """Before it goes on, a parent hears how each child stands that it calls live, and a child without its parent
        ends."""
        for child_id in view_of(runner).child_algos:
            report = self._found(child_id, ended)
            self._desk.offer(runner, self._news(report, runner))
        if runner.parent_id and runner.parent_id not in self._desk.runners:
            _log.warning("child_without_parent", algo=runner.algo_id, parent=runner.parent_id)
            self._desk.offer(runner, step.CancelRequest(self._desk.now(), "parent_gone"))

    def _found(self, child_id: str, ended: Mapping[str, Any]) -> ChildReport:
        runner = self._desk.runners.get(child_id)
        if runner is not None:
            return self._report(runner)
        state = ended.get(child_id)
        kind = next((kind for kind in KINDS.values() if type(state) is kind.record), None)
        if kind is not None and kind.report is not None:
            return kind.report(state)
        orders = [order for order in self._desk.ledger.orders.values() if order.parent_id == child_id]
        filled, quote = tally.total_filled((order.filled_qty, order.quote_filled) for order in orders)
        _log.warning("child_record_lost", algo=child_id, filled=str(filled))
        fees = tally.added(*({order.commission_asset: order.commission} for order in orders if order.commission))
        return ChildReport(child_id, -1, AlgoStatus.FAILED, "record_lost", filled or ZERO, quote, fees)
