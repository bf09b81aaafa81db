"""Keys of each type: the adapter signs, the venue verifies, and neither takes another type or another key."""

from __future__ import annotations

import pytest

from pms import config
from pms.adapter import credentials
from pms.binance.signing import Credentials, KeyType, Signer
from pms.sim.auth import Keys
from pms.sim.model import VenueError
from pms.sim.params import Params, pairs_of
from tests.key_pairs import KEY, KINDS, PASSPHRASE, pair

NOW = 1_790_526_539_000
QUERY = "symbol=BTCUSDT&newClientOrderId=a"


def verified(known: str, query: str) -> int:
    """0, or the venue's code."""
    try:
        Keys({KEY: known}).verify(KEY, query, "", Params(pairs_of(query)), NOW)
    except VenueError as refused:
        return refused.code
    return 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_adapter_signs_the_venue_takes(kind: KeyType) -> None:
    made = pair(kind)
    sent = made.credentials.signer().sign(QUERY, NOW, 2_000)
    assert verified(made.known, sent) == 0
    assert verified(made.known, sent.replace("=a&", "=b&")) == -1022
    assert " " not in sent
    assert "+" not in sent


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_by_another_key_is_wrong(kind: KeyType) -> None:
    for other in KINDS:
        if other != kind:
            assert verified(pair(kind).known, pair(other).credentials.signer().sign(QUERY, NOW, 2_000)) == -1022


@pytest.mark.parametrize("signature", ["", "%00", "abc", "====", "%C3%A4", "QUJD"])
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_what_is_no_signature_at_all_is_refused(kind: KeyType, signature: str) -> None:
    code = verified(pair(kind).known, f"{QUERY}&timestamp={NOW}&signature={signature}")
    assert code == (-1022 if signature else -1102)


def test_only_an_ed25519_key_may_log_on() -> None:
    keys = Keys({kind: pair(kind).known for kind in KINDS})
    assert [kind for kind in KINDS if keys.may_log_on(kind)] == ["ed25519"]


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_an_encrypted_key_needs_its_passphrase(kind: KeyType) -> None:
    made = pair(kind, PASSPHRASE)
    assert verified(made.known, made.credentials.signer().sign(QUERY, NOW, 2_000)) == 0
    for wrong in ("", "open"):
        with pytest.raises(ValueError, match="passphrase"):
            Signer(made.credentials.secret, kind, wrong)


@pytest.mark.parametrize("kind, given", [("ed25519", "rsa"), ("rsa", "ed25519")])
def test_a_key_of_another_type_than_named_is_refused(kind: KeyType, given: KeyType) -> None:
    with pytest.raises(ValueError, match=f"no key of type {kind}"):
        Signer(pair(given).credentials.secret, kind)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_the_key_file_of_the_settings_signs(tmp_path, kind: KeyType) -> None:
    file, made = tmp_path / "key.pem", pair(kind, PASSPHRASE)
    file.write_text(made.credentials.secret)
    settings = {"PMS_API_KEY": KEY, "PMS_API_KEY_TYPE": kind, "PMS_API_KEY_FILE": str(file)}
    loaded = config.load(settings | {"PMS_API_SECRET": PASSPHRASE.replace(" ", "")})
    with pytest.raises(config.ConfigError, match="passphrase") as refused:
        credentials(loaded)
    assert "BEGIN" not in str(refused.value)
    file.write_text(pair(kind).credentials.secret)
    loaded = config.load(settings | {"PMS_API_SECRET": ""})
    assert credentials(loaded) == Credentials(KEY, pair(kind).credentials.secret, kind)
    assert "BEGIN" not in f"{loaded!r} {loaded.private_key!r} {credentials(loaded)!r}"


@pytest.mark.parametrize("given", [{}, {"PMS_API_KEY_FILE": "/none"}])
def test_a_key_file_that_cannot_be_read_is_named(given: dict[str, str]) -> None:
    with pytest.raises(config.ConfigError, match="PMS_API_KEY_FILE"):
        config.load({"PMS_API_KEY_TYPE": "rsa", **given})


def test_live_needs_the_file_of_a_key_that_has_one() -> None:
    live = {"PMS_MODE": "live", "PMS_ACCOUNT_LABEL": "x", "PMS_API_KEY_TYPE": "rsa", "PMS_API_KEY": "k"}
    with pytest.raises(config.ConfigError, match=r"PMS_API_KEY_FILE, PMS_REST_URL"):
        config.load(live, "x")
