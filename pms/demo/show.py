"""What the demo does: waves of chases in every mode on both sides, until enough has happened, then an orderly end.

Owns the programme and its pace. Trades through the stream door and looks through the state keys and the event channel,
as any client does. Refuses to judge (tally).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pms.cli import wire
from pms.cli.feed import Event, read
from pms.cli.request import Client
from pms.clock import Clock
from schemas.keys import Keys

MODES = ("maintain", "trail", "none")
SIDES = ("BUY", "SELL")
WAVE_S = 10.0
LONGEST_S = 50.0  # of trading; chases that are not done by then are cancelled
# Sizes beyond a typical print (the recordings' median is 1 000 USDT), so that fills come in parts. The first rests
# behind the touch all the time, where it is rarely hit but always moved.
WAVES: tuple[dict[str, Any], ...] = (
    {"sizeUsdt": "8000", "stalkOffsetTicks": 300, "repriceMinMs": 100, "deadlineSeconds": LONGEST_S},
    {"sizeUsdt": "25000", "aggressive": True},
    {"sizeUsdt": "12000"},
    {"sizeUsdt": "40000", "aggressive": True, "repriceMinMs": 100},
)
SETTLE_S = 8.0  # for the last fills to be told everywhere
CHASES_LEAST, PARTIALS_LEAST, AMENDS_LEAST = 12, 3, 50
ACCOUNTS = ("main", "demo")
TERMINAL = ("chase_filled", "chase_cancelled", "chase_failed")


class Heard(msgspec.Struct):
    """What the subscriber has heard so far. `bodies` are the published bytes in order."""

    bodies: list[bytes] = []
    chases: dict[str, Event] = {}
    started: dict[str, Event] = {}
    partials: dict[str, int] = {}
    orders: int = 0
    amends: int = 0
    fills: int = 0
    refused: list[str] = []

    @property
    def live(self) -> list[str]:
        return [chase_id for chase_id, event in self.chases.items() if event["type"] not in TERMINAL]

    @property
    def enough(self) -> bool:
        """Whether the minima are reached."""
        partly = sum(count >= 2 for count in self.partials.values())
        return len(self.chases) >= CHASES_LEAST and partly >= PARTIALS_LEAST and self.amends >= AMENDS_LEAST

    def take(self, body: bytes) -> None:
        """One published event."""
        self.bodies.append(body)
        event = read(body)
        kind = event["type"]
        if kind.startswith("chase_"):
            self.chases[event["chaseId"]] = event
            if kind == "chase_started":
                self.started[event["chaseId"]] = event
        elif kind.startswith("order_"):
            self.orders += kind == "order_placed"
            self.amends += kind == "order_amended"
            self.fills += kind in ("order_partial", "order_filled")
            if kind == "order_partial":
                self.partials[event["parentId"]] = self.partials.get(event["parentId"], 0) + 1


class Show:
    """See the module. `draw` is told after each breath."""

    def __init__(self, url: str, keys: Keys, symbol: str, clock: Clock, draw: Callable[[Heard, float], None]) -> None:
        self._channel = wire.Redis(url)
        self._channel.call("PSUBSCRIBE", keys.event_channels)
        self._client = Client(url, keys)
        self._symbol = symbol
        self._clock = clock
        self._draw = draw
        self.heard = Heard()

    def run(self) -> Heard:
        """The whole programme; returns when the last event is in."""
        began = self._clock.monotonic()
        for number in range(int(LONGEST_S / WAVE_S)):
            self._wave(WAVES[number % len(WAVES)], number)
            self._listen(began + (number + 1) * WAVE_S, began)
            if self.heard.enough and number + 1 >= len(WAVES):
                break
        for chase_id in self.heard.live:
            self._client.ask("chase_cancel", {"chaseId": chase_id, "requestId": f"end-{chase_id}"})
        self._listen(self._clock.monotonic() + SETTLE_S, began, until=lambda: not self.heard.live)
        self._listen(self._clock.monotonic() + 1.0, began)  # what follows the last ending: replies, positions
        self._channel.close()
        return self.heard

    def _wave(self, shape: dict[str, Any], number: int) -> None:
        for mode in MODES:
            for side in SIDES:
                body = {
                    "symbol": self._symbol,
                    "side": side,
                    "stalkMode": mode,
                    "subAccountId": ACCOUNTS[number % len(ACCOUNTS)],
                    "requestId": f"demo-{number}-{mode}-{side}",
                    "leverage": 20,
                    "deadlineSeconds": 2 * WAVE_S,
                    **shape,
                }
                reply = self._client.ask("chase", body)
                if reply is None or not reply["success"]:
                    self.heard.refused.append(
                        "no reply" if reply is None else f"{reply['errorCode']}: {reply['error']}"
                    )

    def _listen(self, deadline: float, began: float, until: Callable[[], bool] = lambda: False) -> None:
        """Hear what comes until the time is over or the condition holds."""
        while (left := deadline - self._clock.monotonic()) > 0 and not until():
            message = self._channel.read(min(left, 0.2))
            while message is not False:
                self.heard.take(message[3])
                message = self._channel.read(0)
            self._draw(self.heard, self._clock.monotonic() - began)
