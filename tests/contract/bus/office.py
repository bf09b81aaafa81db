"""A daemon's front on one bed: store, inbox, and a desk that notes what it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pms.bus.auth import CommandKey, Keyring
from pms.bus.batch import Batch, Duplicate, Event
from pms.bus.executor import Context
from pms.bus.inbox import Inbox
from pms.bus.outcomes import Reply
from schemas.errors import ErrorCode, Failure
from schemas.fields import Command
from schemas.records import Request
from schemas.replies import Success
from tests.contract.bus.bed import Bed

CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 1}


class Desk:
    """An executor that notes what it is asked; `gates` hold a sub-account's commands back until they are set."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.done: list[tuple[str, str, str]] = []
        self.began: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.reply: Reply | Exception = Success()
        self.started_before: dict[str, Reply] = {}
        self.meanwhile: dict[str, Reply] = {}
        self.claims = True
        self.first = False
        self.store: Any = None

    async def handle(self, command: Command, context: Context) -> Reply:
        self.began.append(context.request_id)
        if gate := self.gates.get(context.sub_account):
            await gate.wait()
        if isinstance(self.reply, Exception):
            raise self.reply
        if self.claims:
            body = json.dumps({"type": "chase_started", "v": 1, "requestId": context.request_id}).encode()
            started = Event(context.sub_account, "chase_started", body)
            step = await self.store.commit(Batch(events=(started,), claim=context.claim(chase="c1")))
            if isinstance(step, Duplicate):
                context.claimed = None
                return Failure.of(ErrorCode.REQUEST_ID_REUSED, "taken before")
        self.done.append((context.sub_account, command.type, context.request_id))
        return self.reply

    def may_claim_first(self, command: Command) -> bool:
        return self.first

    def claims_first(self, command: Command, sub_account: str) -> bool:
        return self.first

    def owner(self, command: Command) -> str:
        return "main" if getattr(command, "chase_id", None) == "c1" else ""

    async def was_started(
        self, command: Command, request: Request, tell: Callable[[Reply], Awaitable[None]]
    ) -> Reply | None:
        known = self.meanwhile.get(request.ids.get("chase", ""))
        if known is not None:
            await tell(known)
            await self.gates[request.ids["chase"]].wait()
        return self.started_before.get(request.ids.get("chase", ""))


class Office:
    """A daemon's front: store, inbox and desk on one bed."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.desk = Desk(bed)
        self.venue_ms = 0
        self.sent = 0
        self.inbox: Inbox | None = None
        self.lease = bed.lease()

    async def start(
        self, admin_only: bool = False, reading: bool = True, signed_by: tuple[CommandKey, ...] = ()
    ) -> None:
        self.desk.store = await self.bed.store(lease=self.lease)
        self.inbox = Inbox(
            self.bed.caller,
            self.desk.store,
            self.bed.keys,
            self.desk,
            self.bed.clock,
            self.bed.tasks,
            self.now,
            admin_only,
            Keyring(signed_by),
        )
        if reading:
            await self.inbox.open()

    def now(self) -> int:
        return self.bed.clock.now_ms() + self.venue_ms

    async def send(self, kind: str, door: str, *, admin: bool = False, **body: Any) -> str:
        """Through one door; the stream gives the entry id where no requestId is given."""
        text = body.pop("raw", None) or json.dumps({"subAccountId": "main", **body})
        keys = self.bed.keys
        if door == "list":
            await self.bed.redis.lpush(keys.command_list(kind, admin), text)
            return str(body.get("requestId", ""))
        entry = await self.bed.redis.xadd(keys.admin if admin else keys.commands, {"type": kind, "body": text})
        return str(body.get("requestId", entry.decode()))

    async def answer(self, request_id: str) -> dict[str, Any]:
        """The reply, waited for, as a client would."""
        key = self.bed.keys.result(request_id)
        await self.bed.eventually(lambda: self.bed.redis.exists(key))
        return json.loads(await self.bed.redis.get(key))

    async def ask(self, kind: str, door: str, **body: Any) -> dict[str, Any]:
        self.sent += 1
        body.setdefault("requestId", f"r-{self.sent}")
        await self.send(kind, door, **body)
        return await self.answer(body["requestId"])

    async def events(self, kind: str = "command_result") -> list[dict[str, Any]]:
        return [told for text in await self.bed.stream() if (told := json.loads(text))["type"] == kind]

    async def settled(self, count: int) -> None:
        """Wait for so many outcomes."""

        async def there() -> bool:
            return len(await self.events()) >= count

        await self.bed.eventually(there)

    async def begun(self, request_id: str) -> None:
        async def there() -> bool:
            return request_id in self.desk.began

        await self.bed.eventually(there)

    async def all_read(self) -> None:
        """Wait until nothing lies unread in the chase list."""

        async def empty() -> bool:
            return not await self.bed.redis.llen(self.bed.keys.command_list("chase"))

        await self.bed.eventually(empty)

    async def all_acknowledged(self) -> None:
        async def empty() -> bool:
            return not await self.bed.redis.xlen(self.bed.keys.commands)

        await self.bed.eventually(empty)
