"""Many symbols over few sockets of one route (binance.md 6.1: 1024 streams are the most that one connection takes).

Owns which socket a symbol is on: the first with room for it, one more where none has. Refuses to know what the streams
carry. Invariants: a symbol's streams are all on one socket, which it keeps while it is wanted, and no socket has more
than `most` streams. So what one socket loses, or can't be heard on, touches the symbols on it and no others. A socket
whose last symbol has gone is closed, but for the only one, which stands ready for the next.
"""

from __future__ import annotations

from collections.abc import Callable

from pms.binance.route import Route
from pms.tasks import Tasks


class Spread:
    """`streams` names what is subscribed for a symbol, the same names each time; `open_` makes one more route."""

    def __init__(
        self, streams: Callable[[str], tuple[str, ...]], open_: Callable[[], Route], most: int, tasks: Tasks
    ) -> None:
        self._streams = streams
        self._open = open_
        self._most = most
        self._tasks = tasks
        self._routes: dict[Route, dict[str, None]] = {}
        self._of: dict[str, Route] = {}

    def want(self, symbol: str) -> None:
        """Subscribe, now or as soon as there is a socket."""
        if symbol not in self._of:
            route = self._of[symbol] = self._with_room(len(self._streams(symbol)))
            self._routes[route][symbol] = None
            route.want(self._streams(symbol))

    def unwant(self, symbol: str) -> None:
        route = self._of.pop(symbol, None)
        if route is None:
            return
        route.unwant(self._streams(symbol))
        del self._routes[route][symbol]
        if not self._routes[route] and len(self._routes) > 1:
            del self._routes[route]
            self._tasks.spawn(route.close(), "route-close")

    def renew(self, symbol: str) -> None:
        """Have the venue forget the streams of a wanted symbol and subscribe them anew."""
        if route := self._of.get(symbol):
            route.renew(self._streams(symbol))

    def confirmed(self, symbol: str) -> bool:
        """Whether an open socket has acknowledged the first of the symbol's streams."""
        route = self._of.get(symbol)
        return route is not None and route.confirmed(self._streams(symbol)[0])

    def symbols(self, route: Route) -> tuple[str, ...]:
        """Whose streams a socket carries."""
        return tuple(self._routes.get(route, ()))

    async def close(self) -> None:
        for route in tuple(self._routes):
            await route.close()

    def _with_room(self, more: int) -> Route:
        for route in self._routes:
            if route.wanted + more <= self._most:
                return route
        route = self._open()
        self._routes[route] = {}
        return route
