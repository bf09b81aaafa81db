"""A Redis whose append-only file is put back, under clients in JavaScript that go on listening: they are told of the
jump and lose nothing without knowing it (contract.md, events out)."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.keys import STREAM_FIELD
from tests.js.conftest import LIBRARIES
from tests.process import stack
from tests.process.stack import KEYS, START_LIMIT_S, STOP_LIMIT_S, SYMBOL, Json, Stack
from tests.waiting import until

pytestmark = [pytest.mark.js, pytest.mark.crash]
AOF = "appendonlydir"
SINCE = 30  # events after the copy


class Listener:
    """A client that listens, and what it has heard."""

    def __init__(self, node: str, client: Path, library: str, url: str) -> None:
        command = [node, "hears.mjs", library, url]
        self._process = subprocess.Popen(
            command, cwd=client, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def heard(self) -> list[Json]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def last(self) -> int:
        """Number of the newest event that it has heard."""
        return max((event.get("seq", 0) for event in self.heard()), default=0)

    def end(self) -> None:
        """Its input ends, and so does it, with nothing to complain of."""
        _, complaints = self._process.communicate(timeout=STOP_LIMIT_S)
        assert (self._process.returncode, complaints) == (0, "")


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Stack]:
    """A daemon whose market does not move."""
    with stack.running(tmp_path, "--profile", "still", "--symbols", SYMBOL) as standing:
        standing.daemon().opened()
        yield standing


@pytest.fixture
def listeners(node: str, client: Path, still: Stack) -> Iterator[list[Listener]]:
    """One of each library."""
    started = [Listener(node, client, library, still.endpoint.url_read) for library in LIBRARIES]
    with contextlib.ExitStack() as ends:
        for listener in started:
            ends.callback(listener._process.kill)
        yield started


def _trades(still: Stack, events: int) -> None:
    """Orders come and go until so many events have been told."""
    wanted = still.last_seq() + events
    while still.last_seq() < wanted:
        reply = still.command("limit", symbol=SYMBOL, side="BUY", quantity="0.010", price="61000.00")
        assert still.command("cancel", clientOrderId=reply["clientOrderId"])["success"]


def _put_back(still: Stack, saved: Path) -> None:
    """Redis ends, and starts with the older file."""
    still.kill_redis()
    until(still.server.ended, 5, "Redis has ended")
    kept = still.folder / "redis" / AOF
    shutil.rmtree(kept)
    shutil.copytree(saved, kept)
    still.start_redis()


def test_clients_are_told_of_a_redis_that_was_put_back_and_hear_all_that_comes_after(still, listeners) -> None:
    for listener in listeners:
        assert listener.heard() == []
    _trades(still, SINCE)
    saved = still.folder / "saved"
    shutil.copytree(still.folder / "redis" / AOF, saved)  # under the running server
    copied = still.last_seq()
    _trades(still, SINCE)
    known = still.last_seq()
    for listener in listeners:
        until(lambda listener=listener: listener.last() == known, 5, "all is heard")
    still.daemons[-1].stop()
    ended = still.last_seq()

    _put_back(still, saved)
    assert copied <= still.last_seq() < known, "an older Redis"
    still.daemon().opened()
    assert still.command("resume", scope="all")["success"]
    _trades(still, SINCE)
    after = still.last_seq()
    kept = [json.loads(row[STREAM_FIELD]) for _, row in still.redis.xrange(KEYS.event_stream)]
    _, jump = [event for event in kept if event["type"] == "seq_jump"]  # the first is of a new Redis
    assert (jump["from"], jump["to"]) == (ended, jump["seq"])
    assert jump["seq"] > ended, "no number is given twice"
    for listener in listeners:
        until(lambda listener=listener: listener.last() == after, START_LIMIT_S, "all is heard")
        _is_told(listener.heard(), jump, kept)
        listener.end()


def _is_told(heard: list[Json], jump: Json, kept: list[Json]) -> None:
    """Before the jump no hole, then the jump, then all that the stream holds after it."""
    (reload,) = [number for number, event in enumerate(heard) if event["type"] == "reload"]
    before, after = heard[:reload], heard[reload + 1 :]
    seqs = [event["seq"] for event in before]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert (heard[reload]["from"], heard[reload]["to"]) == (seqs[-1], jump["seq"])
    assert after == [event for event in kept if event["seq"] >= jump["seq"]]
