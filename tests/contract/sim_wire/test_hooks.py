"""The table of script hooks in docs/simulator.md says what is there: each row is carried out, and none is left out."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import pms.sim
from pms.sim.exchange import Exchange
from tests.contract.sim_wire.hooks import COUNTERS, HOOKS, Stage

ALL = (*HOOKS, *COUNTERS)
SOURCES = Path(pms.sim.__path__[0])


@pytest.mark.parametrize("hook", ALL, ids=[hook.path for hook in ALL])
async def test_a_hook_does_what_its_row_says(hook) -> None:
    stage = await Stage().open()
    done = hook.proof(stage)
    assert (await done) if inspect.isawaitable(done) else done
    await stage.tasks.close()


def test_no_hook_of_the_exchange_is_left_out_of_the_table() -> None:
    """What nothing in the simulator calls is there for scripts, and what calls itself a script's is."""
    called = {
        node.attr
        for path in SOURCES.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }
    acts = {name: act for name, act in vars(Exchange).items() if inspect.isfunction(act) and name[0] != "_"}
    scripts = {name for name, act in acts.items() if "a script's" in (act.__doc__ or "")}
    assert scripts == {"adl", "liquidate", "margin_call", "fund"}
    listed = {hook.path.rpartition(".")[2] for hook in HOOKS}
    assert not (scripts | (acts.keys() - called)) - listed - {"open_account"}
