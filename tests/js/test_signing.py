"""A command that the JavaScript example has signed is one that the daemon takes."""

from __future__ import annotations

import json
import subprocess

import pytest

from pms.bus import acceptance
from pms.bus.acceptance import Arrival
from pms.bus.auth import CommandKey, Keyring, Unauthorised
from schemas.commands import decode_command
from tests.conftest import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "js-client" / "sign.mjs"
NOW = 1_790_000_000_000
SECRET = "at least 16 characters"
BODY = {"requestId": "r-1", "subAccountId": "main", "clientOrderId": "pms-x", "maxAgeMs": 1000}
RING = Keyring([CommandKey(key_id="ui", secret=SECRET, sub_accounts=frozenset(("main",)), roles=frozenset(("trade",)))])

pytestmark = pytest.mark.js


def signed(node: str, secret: str) -> bytes:
    program = f"""
    import {{ signed }} from {json.dumps(EXAMPLE.as_uri())};
    process.stdout.write(signed("cancel", {json.dumps(BODY)}, "ui", {json.dumps(secret)}, {NOW}, "n-1"));
    """
    done = subprocess.run([node, "--input-type=module", "-e", program], capture_output=True, check=True)
    return done.stdout


def check(body: bytes) -> None:
    arrival = Arrival(key="pms:commands", type="cancel", body=body, entry_id="1-0")
    RING.check(acceptance.identify(arrival, decode_command("cancel", body, True), "main"), NOW)


def test_what_the_example_signs_is_taken(node: str) -> None:
    check(signed(node, SECRET))


def test_what_another_secret_signs_is_not(node: str) -> None:
    with pytest.raises(Unauthorised):
        check(signed(node, "some other secret here"))
