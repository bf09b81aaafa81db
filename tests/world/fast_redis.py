"""The world's Redis: fakeredis without its wire, so that a command costs what it does and no more.

Owns how a command comes from a client to the fake server, and what would cost most there: waits, and scripts, which are
compiled once for each process. Refuses to know what a command means: that is fakeredis'. That the real one does the
same, and takes our scripts as they are (which may set no global), tests/contract shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any

import fakeredis
import lupa.lua51
from fakeredis._core import Database
from fakeredis._helpers import NoResponse, SimpleError
from fakeredis._msgs import CONNECTION_ERROR_MSG, SCRIPT_ERROR_MSG
from fakeredis._socket import AsyncFakeSocket
from redis.exceptions import ConnectionError as Unreachable

TURNS = 3  # of the loop, until an answer is there: meanwhile others do what they do beside a step


class Lua:
    """One for all servers of this process: between two scripts it keeps nothing but what it compiled."""

    def __init__(self) -> None:
        self._runtime = lupa.lua51.LuaRuntime(encoding=None, unpack_returned_tuples=True)
        self.table_from = self._runtime.table_from
        self._compiled: dict[bytes, Callable[[], Any]] = {}
        self._caller: Any = None
        prepare = self._runtime.eval(
            """function(call, pcall)
                redis = {call = call, pcall = pcall}
                redis.error_reply = function(message) return {err = message} end
                redis.status_reply = function(message) return {ok = message} end
                return function(keys, argv) KEYS = keys; ARGV = argv end
            end"""
        )
        self._give = prepare(
            lambda *words: self._caller._lua_redis_call(self, frozenset(), *words),
            lambda *words: self._caller._lua_redis_pcall(self, frozenset(), *words),
        )

    def globals(self) -> dict[bytes, Any]:
        """What a script may have left behind. Not looked for here (see the module)."""
        return {}

    def run(self, caller: AsyncFakeSocket, script: bytes, keys: tuple[bytes, ...], values: tuple[bytes, ...]) -> Any:
        """What a script returns, called over a socket."""
        if (compiled := self._compiled.get(script)) is None:
            compiled = self._compiled[script] = self._runtime.compile(script)
        self._caller = caller
        self._give(self.table_from(keys), self.table_from(values))
        return compiled()


the_lua = cache(Lua)


class FastDatabase(Database):
    """Takes a missing key for no exception, and wakes who waits in the order in which they came."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._waiting: dict[Callable[[], None], None] = {}

    def get(self, key: bytes, default: Any = None) -> Any:
        if (item := self._dict.get(key)) is None:
            return default
        if self.expired(item):
            del self._dict[key]
            return default
        return item

    def add_change_callback(self, callback: Callable[[], None]) -> None:
        self._waiting[callback] = None

    def remove_change_callback(self, callback: Callable[[], None]) -> None:
        del self._waiting[callback]

    def wake_all(self) -> None:
        for callback in self._waiting:
            callback()


class FastSocket(AsyncFakeSocket):
    """Takes one command at a time."""

    _answer: Any = None
    _wait: Coroutine[Any, Any, Any] | None = None

    async def ask(self, words: list[bytes]) -> None:
        """Run a command; its answer can be read afterwards. It has taken place before anybody else has a turn."""
        self._wait = None
        self._process_command(words)
        if self._wait is not None:
            self._answer = await self._wait
        else:
            for _ in range(TURNS):
                await asyncio.sleep(0)

    async def read_response(self, **_: Any) -> Any:
        """What redis-py asks of a connection. Raises the error that was answered."""
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def put_response(self, msg: Any) -> None:
        self._answer = msg

    def _blocking(self, timeout: float | None, func: Callable[[bool], Any], shape: Any = None) -> Any:
        found = func(True)
        if found is None and not self._in_transaction:
            self._wait = self._found(timeout, func, shape)
            return NoResponse()
        return found if shape is None else shape(found)

    async def _found(self, timeout: float | None, func: Callable[[bool], Any], shape: Any) -> Any:
        """What there is once something has changed, or the answer that there is nothing."""
        changed, found = asyncio.Event(), None
        self._db.add_change_callback(changed.set)
        try:
            async with asyncio.timeout(timeout or None):
                while found is None:
                    await changed.wait()
                    changed.clear()
                    found = func(False)
        except TimeoutError:
            found = None
        finally:
            self._db.remove_change_callback(changed.set)
        return self._decode_result(found if shape is None else shape(found))

    def _bpop_pass(self, keys: list[bytes], op: Callable[[list[bytes]], bytes], first_pass: bool) -> Any:
        """Most often none of the lists is there."""
        return None if self._db._dict.keys().isdisjoint(keys) else super()._bpop_pass(keys, op, first_pass)

    def _xreadgroup(self, *given: Any) -> Any:
        """The fake's XREADGROUP with BLOCK and COUNT answers an empty map at once where Redis waits: None waits."""
        return super()._xreadgroup(*given) or None

    def eval(self, script: bytes, numkeys: int, *given: bytes) -> Any:
        """As the fake's, but compiled once, and without a full collection of Lua's garbage after each call."""
        try:
            result = the_lua().run(self, script, given[:numkeys], given[numkeys:])
        except lupa.lua51.LuaError as error:
            raise SimpleError(SCRIPT_ERROR_MSG.format("", error)) from error
        return self._convert_lua_result(result, nested=False)


class FastServer(fakeredis.FakeServer):
    """A server with one database."""

    def __init__(self) -> None:
        super().__init__(version=(7,))
        self.dbs[0] = FastDatabase(self.lock)


class FastClient(fakeredis.FakeAsyncRedis):
    """A client of redis-py whose commands go to the server by plain call."""

    def __init__(self, server: FastServer) -> None:
        super().__init__(server=server, protocol=2)
        self._server = server
        self._idle: list[FastSocket] = []

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        if not self._server.connected:
            raise Unreachable(CONNECTION_ERROR_MSG)
        name = words[0]
        socket = self._idle.pop() if self._idle else FastSocket(self._server, 0, client_class=type(self))
        await socket.ask([*name.encode().split(), *map(_encoded, words[1:])])
        self._idle.append(socket)  # one whose caller gave up in the middle is not used again
        return await self.parse_response(socket, name, **options)


def _encoded(word: Any) -> bytes:
    if isinstance(word, str):
        return word.encode()
    return word if isinstance(word, bytes) else repr(word).encode()
