"""The example client in JavaScript, with each library: commands by both doors, replies, events without a hole."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.keys import STREAM_FIELD
from tests.js.conftest import LIBRARIES, RUN_LIMIT_S
from tests.process.stack import KEYS, SYMBOL, Stack

# real processes: not beside those of the process layer
pytestmark = pytest.mark.js


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_client_that_loses_its_connection_hears_every_event_once_and_in_order(run, standing, library) -> None:
    at = standing.endpoint
    told = json.loads(run("session.mjs", library, at.url_read, at.url_command, at.url_tcp))

    assert [reply["success"] for reply in told["replies"]] == [True] * 4
    heard = told["heard"]
    seqs = [event["seq"] for event in heard]
    assert seqs == list(range(seqs[0], seqs[-1] + 1))
    kept = standing.redis.xrange(KEYS.event_stream, f"{seqs[0]}-0", f"{seqs[-1]}-0")
    assert heard == [json.loads(row[STREAM_FIELD]) for _, row in kept]
    assert told["resumed"]
    assert told["recovered"] >= 5
    assert {event["seq"] for event in heard} >= set(range(told["missedFrom"], told["missedFrom"] + 6))
    for reply in told["replies"][:2]:
        (shown,) = [record for record in told["records"] if record["chaseId"] == reply["chaseId"]]
        kept = json.loads(standing.redis.get(KEYS.algo("chase", reply["chaseId"])))
        for field in ("status", "filledQuantity", "repriceCount", "currentOrderPrice", "seq"):
            assert shown[field] == kept[field], field
        assert shown["status"] == "cancelled"
        assert shown["repriceCount"] > 0


@pytest.fixture
def chase(node: str, client: Path, standing: Stack) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the example's program."""

    def chase(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [node, "chase.mjs", *arguments]
        environment = {"PMS_REDIS_URL": standing.endpoint.url_tcp}
        return subprocess.run(
            command, cwd=client, env=environment, capture_output=True, text=True, check=False, timeout=RUN_LIMIT_S
        )

    return chase


def test_the_examples_program_starts_a_chase_and_follows_it_to_its_end(chase) -> None:
    done = chase(SYMBOL, "BUY", "0.002")
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0].startswith("chase_started 0/0.002 at ")
    assert told[-1].startswith("chase_filled 0.002/0.002 at ")


def test_the_examples_program_says_why_a_command_was_refused(chase) -> None:
    done = chase("NOPEUSDT", "BUY", "1")
    assert done.returncode == 1
    assert done.stderr.startswith("UNKNOWN_SYMBOL: ")
