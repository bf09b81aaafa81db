"""Listen keys: one per account, alive for 60 minutes from the last sign of life (binance.md 3.5, 7.1).

Owns the keys and their ends. Refuses to know sockets.
Invariants: while a key is active the account is given the same one; a key that ended never comes back.
"""

from __future__ import annotations

import hashlib

from pms.sim.model import VenueError

VALID_MS = 3_600_000


class ListenKeys:
    """The active keys. `seed` makes them repeatable in a simulated world."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._issued = 0
        self._by_account: dict[str, str] = {}
        self._account_of: dict[str, str] = {}
        self._ends_at: dict[str, int] = {}

    def issue(self, account: str, now: int) -> str:
        """The account's key, new or prolonged (POST)."""
        key = self._by_account.get(account)
        if key is None:
            self._issued += 1
            key = hashlib.sha256(f"{self._seed}|{account}|{self._issued}".encode()).hexdigest()
            self._by_account[account] = key
            self._account_of[key] = account
        self._ends_at[key] = now + VALID_MS
        return key

    def keep_alive(self, account: str, now: int) -> str:
        """Prolong by 60 minutes (PUT); -1125 when there is no active key."""
        key = self._by_account.get(account)
        if key is None:
            raise VenueError(-1125, "This listenKey does not exist.")
        self._ends_at[key] = now + VALID_MS
        return key

    def close(self, account: str) -> None:
        """End the account's key (DELETE): its sockets stay open and fall silent. Without a key nothing happens."""
        key = self._by_account.pop(account, None)
        if key is not None:
            del self._account_of[key], self._ends_at[key]

    def account_of(self, key: str) -> str | None:
        """The account of an active key, None for a bogus or ended one."""
        return self._account_of.get(key)

    def key_of(self, account: str) -> str | None:
        """The account's active key."""
        return self._by_account.get(account)

    def expire(self, now: int) -> list[str]:
        """End every key that is due and return them."""
        return self._end([key for key, end in self._ends_at.items() if end <= now])

    def expire_all(self) -> list[str]:
        """End every key, due or not, and return them."""
        return self._end(list(self._ends_at))

    def _end(self, keys: list[str]) -> list[str]:
        for key in keys:
            self.close(self._account_of[key])
        return keys

    def next_due(self) -> int | None:
        """When the next key ends, if any is active."""
        return min(self._ends_at.values(), default=None)
