"""Modes that trade with real money, or could by a wrong address, are not entered by accident (design.md, modes)."""

from __future__ import annotations

import pytest

from pms import config

VENUE = {"PMS_REST_URL": "https://fapi.example", "PMS_STREAM_URL": "wss://fstream.example"}
KEYS = {"PMS_API_KEY": "k", "PMS_API_SECRET": "s"}
LIVE = VENUE | KEYS | {"PMS_MODE": "live", "PMS_ACCOUNT_LABEL": "mine", "PMS_FOREIGN_ORDERS": "report"}


@pytest.mark.parametrize("mode", ["shadow", "testnet"])
@pytest.mark.parametrize("more", [{}, VENUE, VENUE | KEYS])
def test_a_mode_of_later_work_is_refused_whatever_else_is_set(mode: str, more: dict[str, str]) -> None:
    refused = None
    try:
        config.load({"PMS_MODE": mode} | more)
    except config.ConfigError as error:
        refused = str(error)
    assert refused is not None
    assert refused.startswith(f"PMS_MODE={mode} is not available yet. Nothing was started.")


def test_live_needs_both_words_and_paper_neither() -> None:
    assert config.load({}).mode == "paper"
    assert config.load(LIVE, live_label="mine").live
    for label in ("", "other"):
        with pytest.raises(config.ConfigError, match="real money"):
            config.load(LIVE, live_label=label)
    with pytest.raises(config.ConfigError, match="PMS_MODE is 'paper'"):
        config.load({}, live_label="mine")
