"""A task that must not wait for its turn: who tells a `Prompt` has the waiting task carried on there and then, and what
waits for a commit's answer leaves within it (design.md rule 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps

import pytest

from pms.bus.batch import Batch, Committed, Duplicate, Durable
from pms.bus.outbox import Entry
from pms.tasks import Prompt, Tasks


async def _follow(prompt: Prompt[int], seen: list[str]) -> int:
    value = await prompt
    seen.append(f"told {value}")
    await asyncio.sleep(0)
    seen.append("went on")
    return value


def _on_a_loop_of_its_own(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """A task that is never woken would hold up the end of the loop that tests share."""

    @wraps(test)
    def run() -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(test())
        finally:
            loop.close()

    return run


async def _turns() -> None:
    """Whatever is ready has run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def _told() -> tuple[list[str], asyncio.Task[int], Prompt[int]]:
    """A task that waits; `loop.call_soon` tells, as data that arrives does, outside of any task."""
    seen: list[str] = []
    prompt: Prompt[int] = Prompt()
    task = Tasks().spawn(_follow(prompt, seen), "follower")
    await asyncio.sleep(0)

    def data_received() -> None:
        prompt.tell(7)
        seen.append("the teller goes on")

    asyncio.get_running_loop().call_soon(data_received)
    return seen, task, prompt


async def test_the_waiting_task_runs_to_its_next_wait_before_tell_returns() -> None:
    seen, task, _ = await _told()
    assert await task == 7
    assert seen == ["told 7", "the teller goes on", "went on"]


@_on_a_loop_of_its_own
async def test_told_from_within_a_task_it_is_an_ordinary_future() -> None:
    seen: list[str] = []
    prompt: Prompt[int] = Prompt()
    task = Tasks().spawn(_follow(prompt, seen), "follower")
    await asyncio.sleep(0)

    async def tells() -> list[str]:
        prompt.tell(1)
        return list(seen)

    assert await asyncio.gather(tells(), return_exceptions=True) == [[]]
    assert await task == 1


async def test_told_before_anybody_waits_it_is_there() -> None:
    prompt: Prompt[int] = Prompt()
    asyncio.get_running_loop().call_soon(prompt.tell, 3)
    await asyncio.sleep(0)
    assert await prompt == 3


async def test_the_error_of_the_woken_task_is_its_own() -> None:
    prompt: Prompt[int] = Prompt()
    tasks, after = Tasks(), []

    async def fails() -> None:
        raise ArithmeticError(await prompt)

    task = tasks.spawn(fails(), "fails")
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: (prompt.tell(1), after.append("unharmed")))
    with pytest.raises(ArithmeticError):
        await task
    assert (after, tasks.failures) == (["unharmed"], 1)


async def test_a_woken_task_may_set_itself_a_time_limit() -> None:
    prompt: Prompt[int] = Prompt()

    async def limited() -> int:
        async with asyncio.timeout(60):
            value = await prompt
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
                return value

    task = Tasks().spawn(limited(), "limited")
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(prompt.tell, 5)
    assert await task == 5


@_on_a_loop_of_its_own
async def test_a_waiting_task_can_be_cancelled_and_what_is_told_then_is_lost() -> None:
    prompt: Prompt[int] = Prompt()
    task = Tasks().spawn(_follow(prompt, seen := []), "follower")
    await asyncio.sleep(0)
    task.cancel()
    await _turns()
    assert (task.cancelled(), prompt.cancelled(), seen) == (True, True, [])


@_on_a_loop_of_its_own
async def test_an_error_reaches_the_waiting_task() -> None:
    prompt: Prompt[int] = Prompt()
    task = Tasks().spawn(_follow(prompt, []), "follower")
    await asyncio.sleep(0)
    prompt.set_exception(ConnectionError("gone"))
    await _turns()
    assert task.done()
    with pytest.raises(ConnectionError, match="gone"):
        await task


async def _ends(outcome: object) -> list[str]:
    """The order in which those hear of an answer that wait for it: who acts on it, who awaits it, who brings it."""
    durable, seen = Durable(), []

    async def acts() -> None:
        seen.append(f"acts on {type(await durable.ahead()).__name__}")

    async def awaits() -> None:
        await durable
        seen.append("awaits")

    tasks = Tasks()
    waiting = [tasks.spawn(work(), work.__name__) for work in (awaits, acts)]
    durable.add_done_callback(lambda _: seen.append("afterwards"))
    await asyncio.sleep(0)

    def data_received() -> None:
        Entry(Batch(), durable).resolve(outcome)  # type: ignore[arg-type]
        seen.append("answered")

    asyncio.get_running_loop().call_soon(data_received)
    await asyncio.gather(*waiting)
    return seen


async def test_what_waits_for_its_record_leaves_within_the_answer_that_it_stands() -> None:
    first, second, *others = await _ends(Committed())
    assert (first, second) == ("acts on Committed", "answered")
    assert sorted(others) == ["afterwards", "awaits"]


async def test_an_answer_on_which_nothing_leaves_disturbs_nobody_in_the_middle_of_the_queue() -> None:
    assert (await _ends(Duplicate(b"")))[0] == "answered"


async def test_who_comes_late_hears_what_was_answered() -> None:
    durable = Durable()
    durable.end(Committed((4,)))
    assert await durable.ahead() == Committed((4,))
