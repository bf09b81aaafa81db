"""Two sockets on one listen key tell the same events for a while (binance.md 7.1): which of them were told already.

Pure. Owns the comparison by the frames' bytes. Refuses to know sockets and time. Invariant: of the frames that both
carry each is told once, whichever socket brings it first and wherever the old one ends; what only one of them carries
is told as well.
"""

from __future__ import annotations

from collections import Counter

HELD_MAX = 10_000  # frames of an overlap of seconds; with more the two do not carry the same


class Overlap:
    """While both are open the old socket is told and the new one is held; `take_over` turns that round."""

    def __init__(self) -> None:
        self._ahead: Counter[bytes] = Counter()  # told by the old one, not yet carried by the new one
        self._held: list[bytes] = []  # carried by the new one, not yet told by the old one
        self._brought = False
        self.over = False

    def on_old(self, frame: bytes) -> None:
        """The old socket has told a frame."""
        if frame in self._held:
            self._held.remove(frame)
        else:
            self._ahead[frame] += 1

    def is_news(self, frame: bytes) -> bool:
        """The new socket has brought a frame: whether to tell it now."""
        self._brought = True
        if self._ahead[frame] > 0:
            self._ahead[frame] -= 1
            return False
        if not self.over:
            self._held.append(frame)
        return self.over

    @property
    def deaf(self) -> bool:
        """Whether the old one told something and the new one has brought nothing at all."""
        return self._ahead.total() > 0 and not self._brought

    @property
    def too_much(self) -> bool:
        """Whether more is held than an overlap can explain."""
        return len(self._held) + self._ahead.total() > HELD_MAX

    def take_over(self) -> list[bytes]:
        """The old socket is told no more. What only the new one has brought so far, in its order: tell it now."""
        self.over = True
        held, self._held = self._held, []
        return held
