"""Every reason of the risk gate has a command that is refused with it, and every number of a preview is the gate's: one
error planted turns a test red (contract.md, the RISK row and `validate`)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found
from tests.world.test_risk_codes import ROWS, name_of

CODES = (
    "tests/world/test_risk_codes.py::test_a_refusal_names_its_reason_and_numbers_and_is_told_and_nothing_is_sent[{}]"
)
PREVIEWS = "tests/world/test_previews.py::"
CHANGES = "tests/world/test_manual_changes.py::"
LIMITS, ALLOWANCES = "pms/core/limits.py", "pms/allowances.py"


def case(code: str, kind: str) -> str:
    """The first case of a code by a kind of command."""
    return CODES.format(next(name_of(row) for row in ROWS if row[0] == code and row[1].kind == kind))


# what is wrong: path, right, wrong, the test that finds it
ERRORS = {
    "any leverage will do": (
        LIMITS,
        "intent.leverage > limits.max_leverage",
        "False",
        case("MAX_LEVERAGE", "chase"),
    ),
    "any price will do": (
        LIMITS,
        "if (intent.price - bound) * intent.side.sign <= 0:",
        "if True:",
        case("PRICE_COLLAR", "limit"),
    ),
    "a circuit never opens": (
        ALLOWANCES,
        "        if wait_ms:",
        "        if False:",
        case("REJECTION_CIRCUIT", "limit"),
    ),
    "a frozen one trades": (
        ALLOWANCES,
        'if account.status == "frozen":',
        "if False:",
        case("SUBACCOUNT_FROZEN", "chase"),
    ),
    "drift does not matter": (
        ALLOWANCES,
        "if (reason := self._blocked.get(intent.symbol)) is not None:",
        "if reason := '':",
        case("POSITION_DRIFT", "limit"),
    ),
    "a refused chase is not told": (
        "pms/commands/starting.py",
        "                self._desk.entry.tell(unit, order, denied)",
        "                assert unit",
        case("MAX_ORDER_NOTIONAL", "chase"),
    ),
    "a chase sets leverage before it is judged": (
        "pms/commands/starting.py",
        "_refuse(runner, actions, planned, context.request_id)\n                for one in wanted:",
        "_look(door, account, params, quotes)\n                for one in wanted:",
        case("SUBACCOUNT_FROZEN", "chase"),
    ),
    "what was approved before its step counts for no rate": (
        "pms/order_entry.py",
        "        self._count(order)\n        unit.event(",
        "        unit.event(",
        case("ORDER_RATE", "chase"),
    ),
    "a refusal has no numbers": (
        "pms/commands/denials.py",
        "limit=_exact(denied.limit), value=_exact(denied.value)",
        "limit=None, value=None",
        case("MAX_OPEN_ORDERS", "limit"),
    ),
    "a preview asks for the price's margin": (
        LIMITS,
        "return Weight(after.notional, after.margin - before.margin,",
        "return Weight(after.notional, after.notional / intent.leverage,",
        PREVIEWS + "test_the_margins_of_a_preview_are_those_that_the_gate_judges[limit]",
    ),
    "a preview sums the fees of several": (
        LIMITS,
        "required = max(weight.required + first.available - weight.available for weight in weights)",
        "required = sum(weight.required for weight in weights)",
        PREVIEWS + "test_the_margins_of_a_preview_are_those_that_the_gate_judges[scale]",
    ),
    "a preview leaves out what rests": (
        LIMITS,
        "after.exposure, after.equity)",
        "after.position, after.equity)",
        PREVIEWS + "test_the_exposure_of_a_preview_is_the_value_that_the_gate_judges[limit]",
    ),
    "a chase is always valid": (
        "pms/commands/starting.py",
        'errors = tuple(answers.denial("", denied) for _, denied in denials)',
        "errors = ()",
        PREVIEWS + "test_a_preview_says_what_the_gate_would_say[chase]",
    ),
    "what is only looked at leaves its leverage behind": (
        "pms/core/exposure.py",
        "        if tried:\n",
        "        if False:\n",
        PREVIEWS + "test_the_margins_of_a_preview_are_those_that_the_gate_judges[basket]",
    ),
    "an amend has no price": (
        "pms/commands/amends.py",
        "            while not (order.reduce_only or market.quote(order.symbol))",
        "            while False",
        CHANGES + "test_an_order_whose_symbol_nobody_watches_any_more_can_be_amended",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(Planted(0, *ERRORS[name]))
