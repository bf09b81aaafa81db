"""The plan of a recovery: one verdict for each thing found (design.md, "Recovery policy"; execution.md 11, 22-24)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery import plan as planning
from recovery import reconcile
from recovery.plan import Adopt, Book, CancelOrder, Drift, Plan, Resolve, Settle, Show
from schemas.ids import make, parse
from schemas.orders import OrderState
from schemas.reports import VenueStatus
from tests.pure.recovery.account import ALGO, GONE, NOW, SYMBOL, Account, Hands, at_once, no_pause, order_id, view

D = Decimal
_replace = msgspec.structs.replace
FOREIGN, LIQUIDATION = "web_1", "autoclose-1"
DAMAGED = order_id()[:-1] + ("0" if order_id()[-1] != "0" else "1")


def made(account: Account, policy: planning.ForeignPolicy = "cancel") -> Plan:
    return at_once(reconcile.examine(account, Hands(account), policy, no_pause))[1]


def carry_out(account: Account, policy: planning.ForeignPolicy = "cancel") -> Plan:
    found, plan = at_once(reconcile.examine(account, Hands(account), policy, no_pause))
    at_once(reconcile.apply(plan, found, Hands(account), no_pause))
    return plan


def kinds(plan: Plan) -> list[type]:
    return [type(verdict) for verdict in plan.verdicts]


# --- the rows of the policy ---------------------------------------------------------------------------


def known(account: Account, **more: Any) -> None:
    """The venue shows what the records say."""
    report = account.at_venue(order_id())
    account.record(order_id(), exchange_order_id=report.order_id, **more)
    account.algos[ALGO] = view(ALGO, order_id())


def test_what_agrees_needs_nothing() -> None:
    account = Account()
    known(account)
    assert made(account).verdicts == ()


@pytest.mark.parametrize("state", [OrderState.PLACING, OrderState.AMENDING, OrderState.CANCELLING, OrderState.UNKNOWN])
def test_a_recorded_order_that_rests_is_settled_whatever_was_in_flight(state) -> None:
    account = Account()
    known(account, state=state)
    assert kinds(made(account)) == [Settle]


@pytest.mark.parametrize(
    "change", [{"price": D(101)}, {"quantity": D(11)}, {"venue_filled": D(1)}, {"exchange_order_id": 0}]
)
def test_a_recorded_order_that_differs_is_settled(change) -> None:
    account = Account()
    known(account)
    account.records[order_id()] = _replace(account.records[order_id()], **change)
    assert kinds(made(account)) == [Settle]


def test_a_child_gone_from_the_venue_is_looked_up_and_its_fills_booked() -> None:
    account = Account()
    account.at_venue(order_id(), VenueStatus.CANCELLED, filled=4)
    account.record(order_id())
    account.algos[ALGO] = view(ALGO, order_id())
    plan = carry_out(account)
    assert kinds(plan) == [Settle, Book]
    order = account.records[order_id()]
    assert (order.state, order.filled_qty, account.book_of) == (OrderState.CANCELLED, 4, {"main": D(4)})
    assert made(account).verdicts == ()


def test_trades_made_while_down_are_booked_once_by_their_id() -> None:
    account = Account()
    account.at_venue(order_id(), filled=4)
    account.record(order_id())
    account.algos[ALGO] = view(ALGO, order_id())
    assert kinds(carry_out(account)) == [Settle, Book]
    assert account.book_of == {"main": D(4)}
    assert made(account).verdicts == ()


def test_a_trade_of_an_order_without_a_record_goes_to_its_client_id() -> None:
    account = Account()
    account.at_venue(order_id(GONE), VenueStatus.FILLED, filled=10)
    (book,) = carry_out(account).verdicts
    assert (type(book), book.client_id) == (Book, order_id(GONE))
    assert made(account).verdicts == ()


def test_a_trade_that_joins_no_order_is_nobodys() -> None:
    """execution.md 11: sub-account `external`, never guessed."""
    account = Account()
    account.at_venue(FOREIGN, VenueStatus.FILLED, filled=10)
    del account.truth[FOREIGN]
    (book,) = made(account).verdicts
    assert (type(book), book.client_id) == (Book, "")


def test_the_newest_attempt_of_a_live_algo_is_adopted_and_older_ones_are_cancelled() -> None:
    account = Account()
    older = [order_id(attempt=9, epoch=4), order_id(attempt=2), order_id(attempt=1)]
    for name in (*older[:2], order_id(attempt=3), older[2]):
        account.at_venue(name)
    account.algos[ALGO] = view(ALGO)
    plan = carry_out(account)
    assert kinds(plan) == [Adopt, CancelOrder, CancelOrder, CancelOrder]
    assert plan.verdicts[0].report.client_id == order_id(attempt=3)
    assert plan.verdicts[0].algo_id == ALGO
    assert {verdict.report.client_id for verdict in plan.verdicts[1:]} == set(older)
    assert made(account).verdicts == ()


def test_nothing_is_adopted_while_a_known_child_may_still_fill() -> None:
    account = Account()
    known(account)
    account.at_venue(order_id(attempt=2))
    plan = made(account)
    assert kinds(plan) == [CancelOrder]
    assert plan.verdicts[0].report.client_id == order_id(attempt=2)


@pytest.mark.parametrize("status, adopts", [(VenueStatus.CANCELLED, True), (VenueStatus.OPEN, False), (None, False)])
def test_a_known_child_must_be_accounted_for_before_another_is_adopted(status, adopts) -> None:
    account = Account()
    if status is not None:
        account.at_venue(order_id(), status)
    account.record(order_id())
    account.algos[ALGO] = view(ALGO, order_id())
    account.at_venue(order_id(attempt=2))
    assert (Adopt in kinds(made(account))) is adopts


@pytest.mark.parametrize(
    "client_id, parent, state",
    [
        (order_id(GONE), None, None),  # no record
        (order_id(GONE), GONE, OrderState.ACTIVE),  # its algo is no more
        (order_id(), ALGO, OrderState.CANCELLED),  # its record has ended
        (order_id(), ALGO, OrderState.FAILED),
        (order_id(), "", OrderState.CANCELLED),
        (order_id(), ALGO, OrderState.ACTIVE),  # the algo stands for another
        (DAMAGED, None, None),
    ],
)
def test_an_order_of_ours_that_nobody_stands_for_is_cancelled(client_id, parent, state) -> None:
    account = Account()
    account.algos[ALGO] = view(ALGO, order_id(attempt=8))
    report = account.at_venue(client_id)
    if state is not None:
        account.record(client_id, state, parent, exchange_order_id=report.order_id)
    (verdict,) = made(account, "report").verdicts
    assert isinstance(verdict, CancelOrder)
    assert verdict.evidence
    carry_out(account, "report")
    assert made(account, "report").verdicts == ()


def test_an_order_placed_by_hand_stays() -> None:
    account = Account()
    report = account.at_venue(order_id("m000000001"))
    account.record(order_id("m000000001"), parent="", exchange_order_id=report.order_id)
    assert made(account).verdicts == ()


@pytest.mark.parametrize(
    "client_id, more, policy, verdict",
    [
        (FOREIGN, {}, "cancel", CancelOrder),
        (FOREIGN, {}, "ours", Show),
        (FOREIGN, {}, "report", Show),
        (FOREIGN, {"reduce_only": True}, "cancel", Show),
        (FOREIGN, {"order_type": "STOP_MARKET"}, "cancel", Show),  # closePosition and conditional
        (order_id(GONE), {"order_type": "STOP_MARKET"}, "cancel", CancelOrder),
        (order_id(GONE), {"order_type": "STOP_MARKET"}, "report", CancelOrder),
        (DAMAGED, {"order_type": "TAKE_PROFIT"}, "cancel", Show),
        (LIQUIDATION, {}, "cancel", Show),
        ("adl_autoclose", {}, "cancel", Show),
    ],
)
def test_other_orders_are_judged_by_kind_and_policy(client_id, more, policy, verdict) -> None:
    account = Account()
    account.truth[client_id] = _replace(account.at_venue(client_id), **more)
    (one,) = made(account, policy).verdicts
    assert type(one) is verdict
    assert client_id in (one.subject if isinstance(one, Show) else one.report.client_id)


def test_a_backstop_without_a_record_is_taken_up_by_its_stop_and_cancelled_where_another_stands() -> None:
    account = Account()
    report = account.at_venue(order_id())
    account.truth[order_id()] = _replace(report, order_type="STOP_MARKET")
    account.algos[ALGO] = _replace(view(ALGO), backstop=D(1))
    assert [type(verdict) for verdict in made(account).verdicts] == [Adopt]
    account.algos[ALGO] = _replace(view(ALGO, order_id()), backstop=D(1))
    assert [type(verdict) for verdict in made(account).verdicts] == [Adopt], "it stands for it already"
    account.algos[ALGO] = view(ALGO)
    assert [type(verdict) for verdict in made(account).verdicts] == [CancelOrder], "it has no use for one"
    known = account.at_venue(order_id(attempt=0))
    account.record(order_id(attempt=0), exchange_order_id=known.order_id)
    account.algos[ALGO] = _replace(view(ALGO, order_id(attempt=0)), backstop=D(1))
    assert [type(verdict) for verdict in made(account).verdicts] == [CancelOrder]


@pytest.mark.parametrize("age_ms, window", [(planning.SETTLE_MS - 1, "within"), (planning.SETTLE_MS, "past")])
def test_an_order_looked_up_and_not_found_stays_unknown_and_is_asked_for_on(age_ms, window) -> None:
    account = Account()
    account.record(order_id(), OrderState.UNKNOWN, created_at=NOW - age_ms)
    plan = made(account)
    (resolve,) = plan.verdicts
    assert isinstance(resolve, Resolve)
    assert window in resolve.evidence
    assert plan.unresolved == (order_id(),)


def test_an_order_that_was_placed_while_the_venue_was_read_is_not_judged() -> None:
    """execution.md 22: absence needs a look-up."""
    account = Account()
    found = at_once(reconcile.gather(account, Hands(account)))
    account.record(order_id(), OrderState.PLACING)
    account.algos[ALGO] = view(ALGO, order_id())
    assert planning.plan(found, Hands(account).recorded(), "cancel").verdicts == ()


def test_a_position_that_is_not_the_sum_of_the_books_is_drift() -> None:
    account = Account()
    account.position = D(3)
    account.book_of["main"] = D(1)
    account.book_of["other"] = D(1)
    plan = made(account)
    (drift,) = plan.verdicts
    assert (type(drift), drift.symbol, drift.venue, drift.books) == (Drift, SYMBOL, D(3), D(2))
    assert plan.unresolved == (SYMBOL,)
    account.book_of["other"] = D(2)
    assert made(account).verdicts == ()


def test_drift_is_judged_with_the_plans_own_trades_booked() -> None:
    account = Account()
    account.at_venue(order_id(), filled=4)
    account.record(order_id())
    account.algos[ALGO] = view(ALGO, order_id())
    assert Drift not in kinds(made(account))
    account.position += 1
    assert Drift in kinds(made(account))


def test_a_plan_counts_its_verdicts() -> None:
    account = Account()
    account.at_venue(FOREIGN)
    account.at_venue(order_id(GONE))
    account.record(order_id(), OrderState.UNKNOWN)
    assert made(account).counts() == {"resolve": 1, "cancelorder": 2}


# --- gather and apply ---------------------------------------------------------------------------------


def test_presence_is_read_from_the_venue_before_our_own_memory() -> None:
    """execution.md 22: an order placed between two reads is never taken for an orphan."""
    account = Account()
    at_once(reconcile.gather(account, Hands(account)))
    assert account.asked.index("open_orders") < account.asked.index("recorded")
    assert account.asked.index("positions") < account.asked.index("recorded")


def test_only_live_orders_that_do_not_rest_are_looked_up() -> None:
    account = Account()
    known(account)
    account.record(order_id(attempt=2), OrderState.CANCELLED)
    account.record(order_id(attempt=3), OrderState.UNKNOWN)
    at_once(reconcile.gather(account, Hands(account)))
    assert [asked for asked in account.asked if asked.startswith("look_up")] == [f"look_up {order_id(attempt=3)}"]


def test_orders_are_read_only_where_a_trade_has_no_record() -> None:
    account = Account()
    report = account.at_venue(order_id(), filled=4)
    account.record(order_id(), exchange_order_id=report.order_id)
    account.algos[ALGO] = view(ALGO, order_id())
    assert at_once(reconcile.gather(account, Hands(account))).strangers == {}
    assert "orders" not in account.asked
    account.at_venue(FOREIGN, VenueStatus.FILLED, filled=1)
    found = at_once(reconcile.gather(account, Hands(account)))
    assert [report.client_id for report in found.strangers.values()] == [FOREIGN]


def test_one_difference_of_positions_says_nothing() -> None:
    """execution.md 13: two reads, two seconds apart."""
    account = Account()
    account.position = D(3)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        account.book_of["main"] = D(3)

    _, plan = at_once(reconcile.examine(account, Hands(account), "cancel", pause))
    assert plan.verdicts == ()
    assert pauses == [reconcile.DRIFT_PAUSE_S]


def test_a_difference_that_trading_makes_anew_at_each_look_is_none() -> None:
    account = Account()
    account.position = D(3)

    async def pause(seconds: float) -> None:
        account.position = D(4)

    _, plan = at_once(reconcile.examine(account, Hands(account), "cancel", pause))
    assert plan.verdicts == ()


def test_a_difference_is_not_judged_while_an_order_is_in_flight() -> None:
    """execution.md 13; the order was placed after the venue had been read."""
    account = Account()
    account.position = D(3)
    found = at_once(reconcile.gather(account, Hands(account)))
    account.record(order_id(), OrderState.PLACING)
    account.algos[ALGO] = view(ALGO, order_id())
    assert planning.plan(found, Hands(account).recorded(), "cancel").verdicts == ()


def test_what_a_person_took_over_is_not_booked_again() -> None:
    """drift_accept: the trade behind the difference may be read later."""
    account = Account()
    account.at_venue(FOREIGN, VenueStatus.FILLED, filled=1)
    found = at_once(reconcile.gather(account, Hands(account)))
    recorded = Hands(account).recorded()
    assert kinds(planning.plan(found, recorded, "cancel")) == [Book]
    taken = msgspec.structs.replace(recorded, accepted={SYMBOL: NOW}, books={SYMBOL: D(1)})
    assert planning.plan(found, taken, "cancel").verdicts == ()
    later = msgspec.structs.replace(recorded, accepted={SYMBOL: NOW - 1})
    assert kinds(planning.plan(found, later, "cancel")) == [Book]


def test_every_act_is_told_with_its_outcome_in_the_plans_order() -> None:
    account = Account()
    account.position = D(1)
    account.at_venue(FOREIGN)
    account.at_venue(LIQUIDATION)
    account.record(order_id(attempt=3), OrderState.UNKNOWN)
    account.at_venue(order_id(attempt=2))
    account.algos[ALGO] = view(ALGO)
    found, plan = at_once(reconcile.examine(account, Hands(account), "cancel", no_pause))
    outcomes = at_once(reconcile.apply(plan, found, Hands(account), no_pause))
    assert kinds(plan) == [Adopt, Resolve, CancelOrder, Show, Drift]
    assert outcomes == ["done", "asking on", "cancelled", "left alone", "new risk blocked"]
    assert [act.split()[0] for act in account.acts] == ["adopt", "resolve", "cancel", "drift"]


# --- twice is once ------------------------------------------------------------------------------------

OWNERS = st.sampled_from([ALGO, GONE, "m000000001"])
NAMES = st.one_of(
    st.builds(order_id, OWNERS, st.integers(1, 3), st.integers(4, 6)),
    st.sampled_from([FOREIGN, "web_2", LIQUIDATION, DAMAGED]),
)
STATUSES = st.sampled_from([None, *VenueStatus])
STATES = st.sampled_from([None, *(state for state in OrderState if state is not OrderState.FAILED)])


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Records and venue that were torn apart at any moment of an order's life."""
    account = Account()
    for client_id in draw(st.lists(NAMES, max_size=6, unique=True)):
        status, state = draw(STATUSES), draw(STATES)
        filled = 10 if status is VenueStatus.FILLED else draw(st.sampled_from([0, 4]))
        report = None if status is None else account.at_venue(client_id, status, filled)
        whose = parse(client_id)
        if state is None or not hasattr(whose, "owner"):
            continue
        if report is None and state.terminal:
            continue
        owner = "" if whose.owner.startswith("m") else whose.owner
        seen = report is not None and draw(st.booleans())
        absent = report is None and state not in (OrderState.PLACING, OrderState.UNKNOWN)
        if absent or (state.terminal and not seen):
            continue
        account.record(client_id, state, owner, exchange_order_id=report.order_id if report and seen else 0)
    children = [name for name, order in account.records.items() if order.parent_id == ALGO and not order.state.terminal]
    account.algos[ALGO] = view(ALGO, *children[:1])
    return account


@settings(max_examples=500, deadline=None)
@given(accounts(), st.sampled_from(["cancel", "ours", "report"]))
def test_a_second_recovery_finds_nothing_to_do(account, policy) -> None:
    first = carry_out(account, policy)
    assert Drift not in kinds(first), "all that the venue holds was explained by trades"
    acts = list(account.acts)
    second = carry_out(account, policy)
    assert set(kinds(second)) <= {Show}
    assert account.acts == acts
    assert sum(account.book_of.values()) == account.position
    resting = [parse(name) for name, report in account.truth.items() if report.status is VenueStatus.OPEN]
    children = [whose for whose in resting if getattr(whose, "owner", "") in (ALGO, GONE)]
    assert len(children) <= 1, "at most one order of a slot is left"
    assert all(whose.owner == ALGO for whose in children)


def test_a_verdict_names_an_id_that_parses_back() -> None:
    assert make(parse(order_id())) == order_id()
