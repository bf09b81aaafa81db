"""Who protects a position by a price: the running algos that follow one, by symbol.

Refuses to know where prices come from (pms.market, pms.sight).
"""

from __future__ import annotations

from algos.view import View
from pms.runner import Runner


class Protections:
    """See the module."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, dict[str, Runner]] = {}

    def add(self, view: View, runner: Runner) -> None:
        """An algo begins to follow its symbol; nothing where it never protects anything."""
        if runner.kind.blind is not None:
            self._by_symbol.setdefault(view.symbol, {})[view.algo_id] = runner

    def discard(self, symbol: str, algo_id: str) -> None:
        """An algo has ended."""
        found = self._by_symbol.get(symbol, {})
        found.pop(algo_id, None)
        if not found:
            self._by_symbol.pop(symbol, None)

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self._by_symbol)

    def on(self, symbol: str) -> tuple[Runner, ...]:
        """Those of a symbol."""
        return tuple(self._by_symbol.get(symbol, {}).values())
