"""What the store needs of the lease, and what it tells its owner: values and the port, nothing that acts."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Standing(msgspec.Struct, frozen=True):
    """What stands in Redis under our lease: the event counter and the last id of the event stream."""

    seq: int
    stream_last: int


class Fence(Protocol):
    """The lease, as the store needs it (pms/bus/lease.py)."""

    @property
    def epoch(self) -> int: ...

    async def confirm(self) -> Standing:
        """Prove that the lease is still ours, or take it again where Redis came back empty. Raises Gone, Fenced."""
        ...

    async def jump(self, last: int) -> int:
        """Continuity can't be shown: set the counter beyond `last` and the clock. Returns it. Raises Gone, Fenced."""
        ...


class Down(msgspec.Struct, frozen=True):
    """Redis takes no writes since `since` (monotonic seconds): when the first one left that was not answered."""

    reason: str
    since: float


class Restored(msgspec.Struct, frozen=True):
    """Redis takes writes again.

    `continuous` False: it came back empty or older, rewrite every record with `expected_rev=None`.
    """

    continuous: bool


class Lost(msgspec.Struct, frozen=True):
    """Another daemon holds the account: stop acting at once."""

    reason: str


Notice = Down | Restored | Lost
