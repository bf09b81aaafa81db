"""What the rate governor says to the running algos, and what it must know of their requests (execution.md 18).

Owns the translation between the two. Refuses to count and to decide: the governor counts, an algo decides. An algo
hears of it only when it sends something, so what rests quietly costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from algos import step
from pms.core.limiter import Lane
from pms.desk import Desk
from pms.governor import Errand, Heard
from pms.venue import Amend, Cancel, Place
from schemas.chase import Throttle as Word
from schemas.market import Side

NEAR_BPS = 10  # of the touch: there an order fills before others, and its price ages first
PATIENCE_S = 2.0  # a new order's price is old news by then (as `execution.ENTRY_WAIT_S`)
STARVING = "rate_starved"


class Throttle(Heard):
    """Implements `governor.Heard`. `desk` is asked for late: the venue is made before it."""

    def __init__(self, desk: Callable[[], Desk]) -> None:
        self._desk = desk

    def errand(self, order: Place | Amend | Cancel, exits: bool) -> Errand:
        """Cancels wait as long as it takes; new orders as long as their price may be true. An algo's amend is taken
        back at once: its newer self goes instead."""
        desk = self._desk()
        known = desk.ledger.orders.get(order.client_id)
        account = "" if known is None else known.sub_account_id
        if isinstance(order, Cancel):
            return Errand(Lane.EXIT, account)
        lane = Lane.EXIT if exits else self._entry_lane(desk, order)
        owner = known.parent_id if known is not None and known.parent_id in desk.runners else ""
        at_once = owner and isinstance(order, Amend)
        return Errand(lane, account, owner, 0 if at_once else PATIENCE_S)

    @staticmethod
    def _entry_lane(desk: Desk, order: Place | Amend) -> Lane:
        quote, instrument = desk.market.quote(order.symbol), desk.instruments.get(order.symbol)
        if quote is None or instrument is None:
            return Lane.FAR
        touch = instrument.price(quote.bid if order.side is Side.BUY else quote.ask)
        behind = (touch - order.price) * order.side.sign
        return Lane.NEAR if behind * 10_000 <= touch * NEAR_BPS else Lane.FAR

    def on_scarce(self, owner: str) -> None:
        self._tell(owner, "scarce")

    def on_turn(self, owner: str) -> None:
        self._tell(owner, "scarce")

    def on_ample(self, owner: str) -> None:
        self._tell(owner, "")

    def _tell(self, owner: str, throttle: Word) -> None:
        desk = self._desk()
        runner = desk.runners.get(owner)
        if runner is not None:
            desk.offer(runner, step.Budget(desk.now(), throttle, desk.quote_of(runner)))

    def on_starving(self, waiting: int, used: str) -> None:
        desk = self._desk()
        if not waiting:
            desk.alarms.clear(STARVING, "venue", desk.now())
            return
        message = (
            f"{waiting} requests wait for the venue's rate limit ({used}), entries for more than 15 s. Exits and "
            "cancels leave by their reserve. Run fewer algos, or raise their repriceMinMs and repriceMinTicks; other "
            "programs on this address or account count as well."
        )
        desk.alarms.sound(STARVING, "warning", "venue", message, desk.now())
