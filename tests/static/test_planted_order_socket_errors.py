"""Each rule of order entry over one socket, and of who may ask there, has a test that bites: one error planted turns it
red (binance.md 1.3, 2, 3.6; execution.md 1 to 4)."""

from __future__ import annotations

import pytest

from tests.static.planting import Planted, assert_found

SOCKET = "pms/binance/ws_api.py"
CALLS = "pms/binance/ws_calls.py"
VENUE = "pms/sim/ws_api.py"
LIVES = "tests/contract/binance/test_ws_api.py"
TEXTS = "tests/pure/binance/test_ws_calls.py"
SIMULATED = "tests/contract/sim_wire/test_ws_api.py"
KEYS = "tests/pure/sim_wire/test_key_types.py"
UNDER_A_REQUEST = f"{LIVES}::test_a_socket_that_ends_under_a_request_leaves_its_fate_unknown_and_nothing_is_sent_again"

# what is wrong: path, right, wrong, the test that finds it
ERRORS = {
    "what was written is sent again over REST": (
        "pms/binance/rest.py",
        "                if not looks:\n                    raise",
        "                if False:\n                    raise",
        UNDER_A_REQUEST,
    ),
    "a socket's end is taken for proof that nothing was done": (
        SOCKET,
        'waiter.set_exception(Lost(f"the order socket ended',
        'waiter.set_exception(NotSent(f"the order socket ended',
        UNDER_A_REQUEST,
    ),
    "no answer in time is taken for proof that nothing was done": (
        SOCKET,
        'waiter.set_exception(Lost(f"no answer',
        'waiter.set_exception(NotSent(f"no answer',
        f"{LIVES}::test_one_lost_answer_does_not_end_a_socket_that_answers_others",
    ),
    "a silent socket is kept": (
        SOCKET,
        "if self.heard == heard and within_s >= ANSWER_S:",
        "if False:",
        f"{LIVES}::test_a_socket_that_fell_silent_is_found_out_before_an_order_needs_it",
    ),
    "one lost answer ends the socket": (
        SOCKET,
        "if self.heard == heard and within_s >= ANSWER_S:",
        "if within_s >= ANSWER_S:",
        f"{LIVES}::test_one_lost_answer_does_not_end_a_socket_that_answers_others",
    ),
    "an answer goes to whoever asked first": (
        SOCKET,
        "self.waiting.get(frame.id) if isinstance(frame.id, int) else None",
        "next(iter(self.waiting.values()), None)",
        f"{LIVES}::test_answers_in_another_order_go_to_their_own_requests",
    ),
    "what can't be read is passed over": (
        SOCKET,
        '            self.end(f"a frame can\'t be read ({error})")\n            return',
        "            _log.warning(str(error))\n            return",
        f"{LIVES}::test_a_frame_that_cannot_be_read_leaves_all_in_flight_unknown",
    ),
    "an accepted socket is used before it has answered": (
        SOCKET,
        "            await self._prove(link)\n",
        "",
        f"{LIVES}::test_a_socket_that_never_answers_is_not_used",
    ),
    "the venue's going away is not heard": (
        SOCKET,
        'if frame.event.e == "serverShutdown":',
        "if False:",
        f"{LIVES}::test_another_socket_takes_over_before_the_venue_goes_away",
    ),
    "the old socket is let go with requests in flight": (
        SOCKET,
        "        while link.waiting:\n            await self._clock.sleep(0.05)\n",
        "",
        f"{LIVES}::test_another_socket_takes_over_before_the_venue_goes_away",
    ),
    "a connection's day runs out": (
        SOCKET,
        'link.leave("its day is nearly over")',
        "link.wake.clear()",
        f"{LIVES}::test_a_socket_is_renewed_before_its_day_is_over",
    ),
    "a ban is probed": (
        SOCKET,
        ' and not self._gate.wait_ms("GET", PATH):',
        ":",
        f"{LIVES}::test_a_ban_heard_over_the_socket_silences_rest_too",
    ),
    "what leaves past the gate is not counted": (
        SOCKET,
        "        governor.answered(charge, None, governor.sent(charge, Lane.EXIT))",
        "        assert governor is not None, charge",
        f"{LIVES}::test_what_leaves_over_the_socket_is_counted",
    ),
    "there is no limit on what is in flight": (
        SOCKET,
        " and len(framed.link.waiting) < IN_FLIGHT_MAX",
        "",
        f"{LIVES}::test_requests_beyond_the_most_in_flight_leave_over_rest",
    ),
    "a look-up waits as long as an order": (
        "pms/binance/rest.py",
        "LOOK_UP_S if looks else ANSWER_S",
        "ANSWER_S",
        f"{LIVES}::test_a_look_up_that_is_left_unanswered_is_made_over_rest",
    ),
    "the weight that the socket counts is believed": (
        CALLS,
        '    ("ORDERS", "MINUTE"): "x-mbx-order-count-1m",\n',
        '    ("ORDERS", "MINUTE"): "x-mbx-order-count-1m",\n    ("REQUEST_WEIGHT", "MINUTE"): "x-mbx-weight",\n',
        f"{TEXTS}::test_a_success_has_its_result_as_body_and_the_order_counters_as_headers",
    ),
    "what needs quoting is sent unquoted": (
        CALLS,
        "    return is_plain(params)",
        "    return is_plain([])",
        f"{TEXTS}::test_what_needs_quoting_goes_the_other_way",
    ),
    "the moment to come again is rounded down": (
        CALLS,
        "-(((told.server_time or now_ms) - told.retry_after) // 1000)",
        "(told.retry_after - (told.server_time or now_ms)) // 1000",
        f"{TEXTS}::test_the_moment_to_come_again_is_told_in_whole_seconds",
    ),
    "the simulator lets any key log on": (
        VENUE,
        "if not self._keys.may_log_on(account):",
        "if False:",
        f"{SIMULATED}::test_only_an_ed25519_key_logs_on",
    ),
    "a session's request may be as old as it likes": (
        VENUE,
        "                self._keys.verify_time(params, now)\n",
        "                assert now\n",
        f"{SIMULATED}::test_after_a_logon_neither_key_nor_signature_is_needed",
    ),
    "a session's logon stands for every key": (
        VENUE,
        'if session.account and "apiKey" not in params and "signature" not in params:',
        "if session.account:",
        f"{SIMULATED}::test_after_a_logon_neither_key_nor_signature_is_needed",
    ),
    "a lost answer leaves its socket open": (
        "pms/sim/faults.py",
        "            line.cut(ABNORMAL)\n",
        "            assert line is not None\n",
        f"{SIMULATED}::test_a_lost_answer_takes_its_socket_along",
    ),
    "the simulator takes any signature of a public key": (
        "pms/sim/auth.py",
        "        except (InvalidSignature, ValueError):  # a wrong one, or no base64\n            return False",
        "        except (InvalidSignature, ValueError):  # a wrong one, or no base64\n            return True",
        f"{KEYS}::test_a_signature_by_another_key_is_wrong",
    ),
    "a base64 signature is sent in a URL as it is": (
        "pms/binance/signing.py",
        'signature = quote(signature, safe="")',
        "signature = str(signature)",
        f"{KEYS}::test_what_the_adapter_signs_the_venue_takes",
    ),
    "what is quoted in JSON tells a signature": (
        "pms/binance/signing.py",
        r'listenKey)\\*"?\s*[:=]\s*\\*"?)',
        r'listenKey)"?\s*[:=]\s*"?)',
        "tests/contract/binance/test_secrets.py::test_no_answer_over_the_order_socket_tells_a_secret",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.slow  # test_planting.py holds that each still has its place
def test_a_planted_error_turns_its_test_red(name: str) -> None:
    assert_found(Planted(0, *ERRORS[name]))
