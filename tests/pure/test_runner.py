"""A runner takes one input after the other, and a bug of its algo ends that algo alone (design.md rules 6 and 10)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from algos import step
from algos.registry import CHASE
from pms.clock import SystemClock
from pms.runner import MAILBOX_LIMIT, Decided, Overflow, Runner
from schemas.chase import AlgoStatus, ChaseParams, ChaseState
from schemas.market import Quote, Side
from tests.pure.algos.stage import RULES, WHO

CALM = step.Timer(0, None)


class Taker:
    """Keeps what it is told, and does `meanwhile` for each decision."""

    def __init__(self, meanwhile: Callable[[Runner], None]) -> None:
        self.meanwhile = meanwhile
        self.told: list[str] = []
        self.errors: list[Exception] = []

    def on_decided(self, runner: Runner, decided: Decided) -> None:
        self.told.append(f"{decided.state.reason} begins")
        self.meanwhile(runner)
        self.told.append(f"{decided.state.reason} ends")

    def on_wake(self, runner: Runner) -> None:
        raise AssertionError("no alarm was set")

    def on_broken(self, runner: Runner, error: Exception) -> None:
        self.errors.append(error)


def a_runner(taker: Taker, decide: Callable[[ChaseState, Any], ChaseState]) -> Runner:
    touch = Quote(1_000, 1_001, Decimal(1), Decimal(1), 2_001, 2_001, 0, 0)
    asked = ChaseParams(symbol=RULES.symbol, side=Side.BUY, quantity=Decimal(1))
    state, _ = CHASE.start(WHO, asked, RULES, touch, 0)
    kind = msgspec.structs.replace(
        CHASE, step=lambda before, given: (decide(before, given), ()), check=lambda *seen: None
    )
    clock = SystemClock()
    return Runner(kind, state, clock, clock.now_ms, taker)


def numbered(state: ChaseState, given: Any) -> ChaseState:
    return msgspec.structs.replace(state, reason=f"{given.now}")


def test_what_comes_in_while_a_decision_is_carried_out_is_taken_after_it() -> None:
    coming = [step.Timer(2, None), step.Timer(3, None)]
    taker = Taker(lambda runner: runner.offer(coming.pop(0)) if coming else None)
    runner = a_runner(taker, numbered)
    runner.offer(step.Timer(1, None))
    assert taker.told == ["1 begins", "1 ends", "2 begins", "2 ends", "3 begins", "3 ends"]
    runner.offer(step.Timer(4, None))
    assert taker.told[6:] == ["4 begins", "4 ends"], "it is free again"


def test_a_step_that_raises_fails_its_algo_and_nothing_else() -> None:
    taker = Taker(lambda runner: None)
    runner = a_runner(taker, lambda state, given: 1 // 0)
    runner.take(CALM)
    assert [type(error) for error in taker.errors] == [ZeroDivisionError]
    assert runner.ended
    assert (runner.state.status, runner.state.reason) == (
        AlgoStatus.FAILED,
        "internal error: ZeroDivisionError('integer division or modulo by zero')",
    )


def test_inputs_that_cause_ever_more_of_themselves_fail_the_algo() -> None:
    def flood(runner: Runner) -> None:
        for number in range(MAILBOX_LIMIT + 1):
            runner.offer(step.Timer(number, None))

    taker = Taker(flood)
    runner = a_runner(taker, lambda state, given: state if state.status.terminal else numbered(state, given))
    runner.offer(CALM)
    assert [type(error) for error in taker.errors] == [Overflow]
    assert taker.told == ["0 begins", "0 ends"]
    assert runner.ended


def test_who_it_is_is_known_without_its_record() -> None:
    runner = a_runner(Taker(lambda one: None), numbered)
    state: ChaseState = runner.state
    assert (runner.algo_id, runner.root_id, runner.parent_id) == (state.chase_id, state.root_id, state.parent_id)
    assert (runner.sub_account_id, runner.symbol) == (state.sub_account_id, state.symbol)
