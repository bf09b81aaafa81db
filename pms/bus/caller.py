"""Request and answer over one link, for everything but the writing of state: the doors, the lease, look-ups.

Owns nothing but the order of answers. Refuses to send a command twice: where the answer is lost, the caller is told and
decides.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from pms.bus.batch import Gone
from pms.bus.link import Command, Link, Refusal, Reply, Word
from pms.tasks import Prompt

ANSWER_S = 2.0  # a local answer takes 0.1 ms; a server this late is stopped or swapping


Answers = list[Prompt[Reply]]


class Caller:
    """Calls over a link that is opened when needed.

    Concurrent calls are pipelined; a blocking command wants its own Caller.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waiting: deque[Prompt[Reply]] = deque()
        self._open = False
        self._opening = asyncio.Lock()

    async def call(self, *words: Word, within_s: float = ANSWER_S) -> Reply:
        """The reply. Raises Gone (it may have been executed) and Refusal (an error reply)."""
        if not self._open:
            await self._connect()
        (answer,) = self.begin((words,))
        try:
            async with asyncio.timeout(within_s):
                reply = await answer
        except TimeoutError:
            raise self._too_late(within_s) from None
        if isinstance(reply, Refusal):
            raise reply
        return reply

    async def calls(self, commands: Sequence[Command], within_s: float = ANSWER_S) -> list[Reply]:
        """Several in one write; error replies stand in the list as `Refusal`. Raises Gone."""
        if not self._open:
            await self._connect()
        return await self.answers(self.begin(commands), within_s)

    def begin(self, commands: Sequence[Command]) -> Answers:
        """Send now and await the `answers` later: while a task gets its turn the server has answered. Empty where not
        connected.
        """
        if not self._open:
            return []
        futures: Answers = [Prompt() for _ in commands]
        self._waiting.extend(futures)
        for command in commands:
            self._link.send(command)
        return futures

    async def answers(self, begun: Answers, within_s: float = ANSWER_S) -> list[Reply]:
        """What `begin` began. Raises Gone."""
        try:
            async with asyncio.timeout(within_s):
                return [await future for future in begun]
        except TimeoutError:
            raise self._too_late(within_s) from None

    def _too_late(self, within_s: float) -> Gone:
        self._drop("no answer in time")
        return Gone(f"no answer within {within_s} s")

    async def _connect(self) -> None:
        async with self._opening:
            if not self._open:
                await self._link.open((), self._on_reply, self._drop)
                self._open = True

    def _on_reply(self, reply: Reply) -> None:
        future = self._waiting.popleft()
        if not future.done():
            future.tell(reply)

    def _drop(self, reason: str) -> None:
        self._open = False
        self._link.close()
        waiting, self._waiting = self._waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_exception(Gone(reason))
                future.exception()  # its waiter may have left: then nobody is to be told

    def close(self) -> None:
        """Drop the connection; a command that waits ends with Gone."""
        self._drop("closed")
