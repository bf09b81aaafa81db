"""The control port: faults over HTTP while the simulator runs, for the tests of frontends in any language.

GET /faults tells what has struck and what stands, POST takes one fault or a list of them as in a fault file, DELETE
heals all. Owns the listener, on loopback only. Refuses to know what a fault does; a browser's page may not ask.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from pms.sim import fault_kinds
from pms.sim.fault_schedule import Faults

HOST = "127.0.0.1"
PATH = "/faults"
OFF = -1


class Control:
    """The listener. A `port` of -1 means none, 0 a free one; `url` is known after `start`."""

    def __init__(self, faults: Faults, port: int) -> None:
        self.url = ""
        self._faults = faults
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises `OSError` where the port is taken."""
        if self._port == OFF:
            return
        app = web.Application(client_max_size=1 << 20)
        app.router.add_get(PATH, self._tell)
        app.router.add_post(PATH, self._take)
        app.router.add_delete(PATH, self._heal)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _tell(self, request: web.Request) -> web.Response:
        return self._state()

    async def _take(self, request: web.Request) -> web.Response:
        if "origin" in request.headers:
            return _answer(403, {"error": "a page in a browser may not inject faults"})
        body = await request.read()
        try:
            self._faults.inject(*fault_kinds.decode(body if body.lstrip()[:1] == b"[" else b"[%s]" % body))
        except ValueError as error:
            return _answer(400, {"error": str(error)})
        return self._state()

    async def _heal(self, request: web.Request) -> web.Response:
        self._faults.heal()
        return self._state()

    def _state(self) -> web.Response:
        faults = self._faults
        return _answer(200, {"fired": faults.fired, "standing": faults.standing, "waiting": faults.waiting})


def _answer(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
