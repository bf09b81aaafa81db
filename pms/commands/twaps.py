"""twap and twap_basket at the door: the plan, made and checked before anything is sent (contract.md, algos.md).

The very plan that is answered and previewed is the one that runs (algos.twap_plan). Starting, ending and pausing are
what all kinds share (pms.commands.starting, pms.commands.algos).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from algos import pricing, twap_plan
from algos.registry import TWAP, TWAP_BASKET
from pms.commands.needs import Needs, Planned
from pms.commands.terms import Terms
from pms.core import exits
from pms.desk import Desk
from schemas.commands_algos import Twap, TwapBasket
from schemas.commands_orders import Leg
from schemas.errors import ErrorCode, Invalid
from schemas.fields import SECONDS_MAX, Command
from schemas.market import ZERO, Instrument, Quote
from schemas.replies import PlannedLot, Success, TwapBasketReply, TwapReply
from schemas.twap import SLIPPAGE_BPS, TwapBasketParams, TwapBasketState, TwapParams, TwapState

INTERVAL_DEFAULT_S = Decimal(60)
INTERVAL_MIN_MS = 100  # an order takes some ten ms to be answered: faster slots would only wait for each other
CHASE_SHARE = Decimal("0.8")  # of its interval, for a child chase that is not told its time


class TwapDoor:
    """A `starting.Door`."""

    kind = TWAP
    command: type[Command] = Twap
    id_name = "twapId"

    def __init__(self, desk: Desk, terms: Terms) -> None:
        self._desk = desk
        self._terms = terms

    def needs(self, command: Twap, sub_account: str) -> Sequence[Needs]:
        return (Needs(command.symbol, command.leverage, command.reduce_only),)

    def params(self, command: Twap, sub_account: str, quotes: Mapping[str, Quote]) -> TwapParams:
        """Raises Invalid (QUANTITY_OFF_GRID, INVALID_FIELD, BELOW_MINIMUM, VALIDATION_TWAP_LOTS_INVALID,
        REDUCE_ONLY_EXCEEDS)."""
        quote = quotes[command.symbol]
        params = self.slices(command, command, sub_account, quote)
        return msgspec.structs.replace(params, price_limit=command.price_limit or ZERO, on_limit=command.on_limit)

    def slices(self, schedule: Twap | TwapBasket, leg: Twap | Leg, sub_account: str, quote: Quote) -> TwapParams:
        """One symbol's TWAP on a schedule. Raises Invalid as `params` does."""
        instrument = self._terms.instrument(leg.symbol, schedule.reduce_only)
        if schedule.reduce_only:
            self._check_position(leg, sub_account)
        mid = quote.mid2 * instrument.tick / 2
        quantity = self._terms.quantity(instrument, leg.quantity, leg.size_usdt, mid)
        price = twap_plan.planning_price(leg.side, quote, SLIPPAGE_BPS, instrument)
        self._terms.sendable(instrument, quantity, price, schedule.reduce_only)
        least = twap_plan.least_lot(instrument, price, schedule.reduce_only)
        _check_lots(instrument, schedule.lots, twap_plan.most_lots(quantity, least), least)
        duration_ms = _duration_ms(schedule)
        return TwapParams(
            symbol=leg.symbol,
            side=leg.side,
            quantity=quantity,
            lots=schedule.lots,
            duration_ms=duration_ms,
            lot_step=instrument.step,
            lot_least=least,
            leverage=leg.leverage,
            reduce_only=schedule.reduce_only,
            jitter_pct=schedule.jitter_pct,
            irregular=schedule.irregular,
            style=schedule.style,
            child_timeout_ms=_child_timeout_ms(schedule, duration_ms),
            on_child_fail=schedule.on_child_fail,
            catch_up_max=schedule.catch_up_max,
        )

    def _check_position(self, leg: Twap | Leg, sub_account: str) -> None:
        """There must be something to reduce; how much is seen lot by lot. Raises Invalid."""
        held = self._desk.ledger.position(sub_account, leg.symbol).signed_quantity
        if not held or exits.closing_side(held) is not leg.side:
            message = f"no position of {sub_account} in {leg.symbol} is reduced by {leg.side}."
            raise Invalid(ErrorCode.REDUCE_ONLY_EXCEEDS, message, path="reduceOnly", limit=ZERO, value=abs(held))

    def planned(self, params: TwapParams, quotes: Mapping[str, Quote]) -> Sequence[Planned]:
        instrument, quote = self._terms.instrument(params.symbol, params.reduce_only), quotes[params.symbol]
        if params.style == "chase":
            ticks = pricing.follow_ticks(params.side, quote.bid, quote.ask, 0, 0, False, 0)
        else:
            ticks = pricing.bound_ticks(params.side, quote, params.max_slippage_bps, instrument)
        price = instrument.price(ticks)
        return (Planned(params.symbol, params.side, params.quantity, price, params.leverage, params.reduce_only),)

    def reply(self, state: TwapState) -> Success:
        return TwapReply(
            twap_id=state.twap_id,
            plan=planned_lots(state.params, state.seed, state.started_at),
            symbol=state.symbol,
            side=state.side,
            quantity=state.params.quantity,
        )


class TwapBasketDoor:
    """A `starting.Door`: every leg is checked as a TWAP of its own before any of them starts."""

    kind = TWAP_BASKET
    command: type[Command] = TwapBasket
    id_name = "twapBasketId"

    def __init__(self, leg: TwapDoor) -> None:
        self._leg = leg

    def needs(self, command: TwapBasket, sub_account: str) -> Sequence[Needs]:
        return tuple(Needs(leg.symbol, leg.leverage, command.reduce_only) for leg in command.legs)

    def params(self, command: TwapBasket, sub_account: str, quotes: Mapping[str, Quote]) -> TwapBasketParams:
        """Raises Invalid as a TWAP does; the path names the leg."""
        legs = []
        for number, leg in enumerate(command.legs):
            try:
                legs.append(self._leg.slices(command, leg, sub_account, quotes[leg.symbol]))
            except Invalid as error:
                path = f"legs[{number}]"
                where = f"{path}.{error.details['path']}" if "path" in error.details else path
                raise Invalid(error.code, f"{path}: {error.message}", **error.details | {"path": where}) from error
        return TwapBasketParams(basket_name=command.basket_name, legs=tuple(legs))

    def planned(self, params: TwapBasketParams, quotes: Mapping[str, Quote]) -> Sequence[Planned]:
        return tuple(one for leg in params.legs for one in self._leg.planned(leg, quotes))

    def reply(self, state: TwapBasketState) -> Success:
        return TwapBasketReply(twap_basket_id=state.twap_basket_id, twap_ids=tuple(leg.twap_id for leg in state.legs))


def planned_lots(params: TwapParams, seed: str, started_at: int) -> tuple[PlannedLot, ...]:
    """A plan as it is answered."""
    plan = twap_plan.plan(params, seed)
    return tuple(
        PlannedLot(quantity=lot, due_at=started_at + due)
        for lot, due in zip(plan.lots, plan.due[: params.lots], strict=True)
    )


def _check_lots(instrument: Instrument, lots: int, most: int, least: Decimal) -> None:
    """Raises Invalid (VALIDATION_TWAP_LOTS_INVALID), saying the most that would work."""
    if lots > most:
        message = (
            f"{lots} lots are too many: each has to be {least} {instrument.symbol} or more, so at most {most} work."
        )
        raise Invalid(
            ErrorCode.VALIDATION_TWAP_LOTS_INVALID,
            message,
            path="lots",
            maxLots=most,
            minNotional=instrument.min_notional,
            minQty=instrument.min_qty,
        )


def _duration_ms(schedule: Twap | TwapBasket) -> int:
    """The whole schedule. Raises Invalid where its slots would be too close, or it ends too far ahead."""
    if schedule.duration_minutes is not None:
        path, duration_ms = "durationMinutes", int(schedule.duration_minutes * 60_000)
    else:
        interval = INTERVAL_DEFAULT_S if schedule.interval_seconds is None else schedule.interval_seconds
        path, duration_ms = "intervalSeconds", int(interval * 1000 * schedule.lots)
    if duration_ms < INTERVAL_MIN_MS * schedule.lots:
        message = f"slots come every {INTERVAL_MIN_MS} ms at most; give the {schedule.lots} lots more time."
        raise Invalid(ErrorCode.INVALID_FIELD, message, path=path, limit=INTERVAL_MIN_MS)
    if duration_ms > SECONDS_MAX * 1000:
        message = f"nothing is planned further ahead than {SECONDS_MAX // 86_400} days."
        raise Invalid(ErrorCode.INVALID_FIELD, message, path=path, limit=SECONDS_MAX)
    return duration_ms


def _child_timeout_ms(schedule: Twap | TwapBasket, duration_ms: int) -> int:
    """How long a child chase may work on its lot; at least a millisecond, since 0 is no deadline."""
    if schedule.child_timeout_seconds is not None:
        return max(int(schedule.child_timeout_seconds * 1000), 1)
    return int(duration_ms * CHASE_SHARE / schedule.lots)
