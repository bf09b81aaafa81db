"""The way from a durable record to the wire has tests that bite: one error planted turns a test red (design.md rules 3
and 5, algos.md law 9)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

PROMPT, CHASE = "tests/contract/test_prompt.py::", "tests/world/test_chase.py::"

# what is wrong: path, right, wrong, the test that finds it
ERRORS = {
    "the collector looks at all that stands, again and again": (
        "pms/collector.py",
        "    gc.freeze()\n",
        "",
        "tests/contract/test_collector.py::test_what_stands_is_left_alone_and_later_garbage_goes",
    ),
    "an order in flight is another's": (
        "pms/order_entry.py",
        "unit.afterwards(lambda _:",
        "str(lambda _:",
        CHASE + "test_an_order_in_flight_is_no_touch_to_follow_though_frames_show_it_already",
    ),
    "an entry waits for its turn though its record stands": (
        "pms/bus/batch.py",
        "if isinstance(outcome, Committed):",
        "if False:",
        PROMPT + "test_what_waits_for_its_record_leaves_within_the_answer_that_it_stands",
    ),
    "whoever hears a bad answer acts in the middle of the queue": (
        "pms/bus/batch.py",
        "if isinstance(outcome, Committed):",
        "if True:",
        PROMPT + "test_an_answer_on_which_nothing_leaves_disturbs_nobody_in_the_middle_of_the_queue",
    ),
    "one task is run within another": (
        "pms/tasks.py",
        "if self._waker is None or asyncio.current_task() is not None:",
        "if self._waker is None:",
        PROMPT + "test_told_from_within_a_task_it_is_an_ordinary_future",
    ),
    "a cancelled task is never woken": (
        "pms/tasks.py",
        "    def cancel(self, msg: object = None) -> bool:\n        self._hand_over()\n",
        "    def cancel(self, msg: object = None) -> bool:\n",
        PROMPT + "test_a_waiting_task_can_be_cancelled_and_what_is_told_then_is_lost",
    ),
    "an error never wakes who waits": (
        "pms/tasks.py",
        "    def set_exception(self, exception: type | BaseException) -> None:\n        self._hand_over()\n",
        "    def set_exception(self, exception: type | BaseException) -> None:\n",
        PROMPT + "test_an_error_reaches_the_waiting_task",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(Planted(0, *ERRORS[name]))
