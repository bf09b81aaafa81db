"""The list of algos: each has keys of its own, as contract.md names them, and a letter of its own."""

from __future__ import annotations

import msgspec
import pytest

from algos.registry import CHASE, KINDS
from schemas.keys import Keys

KEYS = {
    "chase": ("pms:chase:x1", "pms:active_chase:main"),
    "twap": ("pms:twap:x1", "pms:active_twap:main"),
    "twap_basket": ("pms:twap_basket:x1", "pms:active_twap_basket:main"),
    "trail_stop": ("pms:trailstop:x1", "pms:active_trail_stop:main"),
    "scalper": ("pms:scalper:x1", "pms:active_scalper:main"),
    "protection": ("pms:algo:protection:x1", "pms:active_algo:main"),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_records_of_a_kind_stand_where_the_contract_says(name: str) -> None:
    kind = KINDS[name]
    assert (kind.key(Keys(), "x1"), kind.active_key(Keys(), "main")) == KEYS[name]


def test_those_of_a_plug_in_stand_beside_those_of_all_plug_ins() -> None:
    kind = msgspec.structs.replace(CHASE, name="iceberg", plugin=True)
    assert kind.key(Keys(), "x1") == "pms:algo:iceberg:x1"
    assert kind.active_key(Keys(), "main") == "pms:active_algo:main"


def test_an_ids_first_letter_tells_its_kind() -> None:
    assert len({kind.letter for kind in KINDS.values()}) == len(KINDS)
