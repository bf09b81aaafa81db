"""Modes that trade with real money, or could by a wrong address, are not entered by accident (design.md, modes)."""

from __future__ import annotations

import pytest

from pms import config, config_modes

VENUE = {"PMS_REST_URL": "https://fapi.example", "PMS_STREAM_URL": "wss://fstream.example"}
KEYS = {"PMS_API_KEY": "k", "PMS_API_SECRET": "s"}
LIVE = VENUE | KEYS | {"PMS_MODE": "live", "PMS_ACCOUNT_LABEL": "mine", "PMS_FOREIGN_ORDERS": "report"}


def refusal(settings: dict[str, str]) -> str:
    try:
        config.load(settings)
    except config.ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("mode", ["paper", "testnet"])
@pytest.mark.parametrize("name, place", list(zip(config_modes.ADDRESSES, config_modes.PRODUCTION, strict=True)))
def test_without_live_an_address_of_production_is_refused_whatever_keys_there_are(
    mode: str, name: str, place: str
) -> None:
    told = refusal({"PMS_MODE": mode, name: place} | KEYS)
    assert told.startswith(f"{name} is an address of the production venue, and PMS_MODE is '{mode}'")
    assert "Nothing was started" in told


def test_shadow_follows_production_and_has_no_key_and_no_address_to_trade_at() -> None:
    shadow = config.load({"PMS_MODE": "shadow"} | KEYS)
    assert shadow.followed == config_modes.PRODUCTION[:2]
    assert (shadow.rest_url, shadow.stream_url, shadow.ws_api_url) == ("", "", "")
    assert shadow.simulated
    assert shadow.foreign_policy == "cancel"
    assert shadow.data_dir.name == ".pms-shadow"
    elsewhere = config.load({"PMS_MODE": "shadow"} | VENUE)
    assert elsewhere.followed == tuple(VENUE.values())


def test_testnet_has_the_demo_addresses_and_wants_a_key() -> None:
    assert "needs PMS_API_KEY" in refusal({"PMS_MODE": "testnet"})
    testnet = config.load({"PMS_MODE": "testnet", "PMS_ORDER_ENTRY": "ws"} | KEYS)
    assert (testnet.rest_url, testnet.stream_url, testnet.ws_api_url) == config_modes.TESTNET
    assert (testnet.simulated, testnet.live, testnet.followed) == (False, False, None)
    assert testnet.data_dir.name == ".pms-testnet"


@pytest.mark.parametrize("mode", ["shadow", "testnet"])
def test_a_redis_of_others_is_entered_only_under_a_name_of_its_own(mode: str) -> None:
    shared = KEYS | {"PMS_MODE": mode, "PMS_REDIS_URL": "redis://127.0.0.1:6379"}
    assert "Set PMS_NAMESPACE" in refusal(shared)
    assert refusal(shared | {"PMS_NAMESPACE": "play"}) == ""


def test_live_needs_both_words_and_paper_neither() -> None:
    assert config.load({}).mode == "paper"
    assert config.load(LIVE, live_label="mine").live
    for label in ("", "other"):
        with pytest.raises(config.ConfigError, match="real money"):
            config.load(LIVE, live_label=label)
    with pytest.raises(config.ConfigError, match="PMS_MODE is 'paper'"):
        config.load({}, live_label="mine")
