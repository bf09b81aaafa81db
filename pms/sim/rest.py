"""REST: from a request's bytes to an answer's bytes, through one table of routes (binance.md 3.1, 5).

Owns the order of the checks: route, ban and weight, key, signature, order counters, then the route itself. Refuses to
know what a route does and how the exchange works. Invariants: whatever is asked, the answer is a `Response`; a refusal
has changed nothing but counters; every answer carries the used weight. The WebSocket API answers by the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from pms.binance.transport import Response
from pms.sim.auth import Keys
from pms.sim.exchange import Exchange
from pms.sim.limits import Limited, Limits, Meter
from pms.sim.listenkeys import ListenKeys
from pms.sim.model import Rules, VenueError
from pms.sim.params import Params, Request, pairs_of

Security = Literal["NONE", "KEY", "SIGNED"]
_JSON = "application/json;charset=UTF-8"
_NOT_FOUND = b"<html><head><title>404 Not Found</title></head><body>404 Not Found</body></html>"


class Call(msgspec.Struct, frozen=True):
    """What a route is given. `account` is empty on public routes; `new_id` makes a missing client order id; the clock
    that the venue shows is `skew_ms` before `now`."""

    exchange: Exchange
    rules: Mapping[str, Rules]
    info: Mapping[str, object]
    limits: Limits
    keys: ListenKeys
    account: str
    params: Params
    now: int
    new_id: Callable[[], str]
    skew_ms: int = 0

    def symbol(self) -> str:
        """The compulsory `symbol`; -1102 when missing, -1121 when unknown."""
        return self.known(self.params.text("symbol"))

    def optional_symbol(self) -> str | None:
        """An optional `symbol`; -1121 when unknown."""
        symbol = self.params.get("symbol")
        return None if symbol is None else self.known(symbol)

    def known(self, symbol: str) -> str:
        """The symbol itself; -1121 when this venue does not have it."""
        if symbol not in self.rules:
            raise VenueError(-1121, "Invalid symbol.")
        return symbol


class Route(msgspec.Struct, frozen=True):
    """One row of the endpoint table: who may call, what it costs and what it does.

    `orders` are the counts on the 10-second and the minute counter. `run` returns what is written as JSON.
    """

    method: str
    path: str
    security: Security
    weight: int | Callable[[Mapping[str, str]], int]
    run: Callable[[Call], object]
    orders: tuple[int, int] = (0, 0)


def by_symbol(one: int, every: int) -> Callable[[Mapping[str, str]], int]:
    """A weight that depends on whether `symbol` was sent."""
    return lambda values: one if values.get("symbol") else every


class Rest:
    """The REST side of the venue."""

    def __init__(
        self,
        routes: Iterable[Route],
        api_keys: Keys,
        meter: Meter,
        call: Callable[[str, Params, int], Call],
        now: Callable[[], int],
    ) -> None:
        self.routes = {(route.method, route.path): route for route in routes}
        self._api_keys = api_keys
        self._meter = meter
        self._call = call
        self._now = now

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        path, _, query = request.target.partition("?")
        route = self.routes.get((request.method, path))
        if route is None:
            return Response(404, {"content-type": "text/html"}, _NOT_FOUND)
        now = self._now()
        form = "" if request.method == "GET" else request.body.decode("utf-8", "surrogateescape")
        values, malformed = _values(query, form)

        def account(params: Params) -> str:
            key = "" if route.security == "NONE" else self._api_keys.identify(request.headers.get("x-mbx-apikey"))
            if malformed is not None:
                raise malformed
            if route.security == "SIGNED":
                self._api_keys.verify(key, query, form, params, now)
            return key

        return self.answer(route, values, request, account, now)

    def answer(
        self,
        route: Route,
        values: Mapping[str, str],
        request: Request,
        account: Callable[[Params], str],
        now: int,
    ) -> Response:
        """Weigh, identify by `account` (which raises what it refuses), count and carry out."""
        headers = {"content-type": _JSON}
        try:
            self._meter.charge(request.ip, route.weight if isinstance(route.weight, int) else route.weight(values), now)
            params = Params(values)
            name = account(params)
            counted = self._meter.count_orders(name, *route.orders, now) if any(route.orders) else None
            result = route.run(self._call(name, params, now))
        except VenueError as error:
            return self.counted(refusal(error), request, now)
        if counted is not None:  # a refused order is not guaranteed to carry them (binance.md 3.1): here it does not
            headers["x-mbx-order-count-10s"], headers["x-mbx-order-count-1m"] = map(str, counted)
        body = result if isinstance(result, bytes) else msgspec.json.encode(result)
        return self.counted(Response(200, headers, body), request, now)

    def counted(self, response: Response, request: Request, now: int) -> Response:
        """The answer with the weight that its IP has used."""
        response.headers["x-mbx-used-weight-1m"] = str(self._meter.used(request.ip, now))
        return response


def refusal(error: VenueError) -> Response:
    """A refusal as an answer."""
    headers = {"content-type": _JSON}
    if isinstance(error, Limited):
        headers["retry-after"] = str(error.retry_after)
    return Response(error.status, headers, msgspec.json.encode({"code": error.code, "msg": error.message}))


def _values(query: str, form: str) -> tuple[dict[str, str], VenueError | None]:
    """Decoded parameters, the query string winning; a malformed request is told later, after its weight is paid."""
    try:
        return {**pairs_of(form), **pairs_of(query)}, None
    except VenueError as error:
        return {}, error
