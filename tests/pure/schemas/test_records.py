"""Every record reads back equal behind the head that the atomic function gives it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec, records
from schemas.chase import ChaseState
from schemas.orders import Order
from tests.pure.schemas.strategies import structs

HEAD = set(codec.Meta.__struct_fields__)
STEPWISE = records.Record.__subclasses__()
WHOLE = records.Put.__subclasses__()


@settings(max_examples=100)
@given(st.sampled_from(STEPWISE).flatmap(structs))
def test_a_record_reads_back_equal_behind_its_head(record) -> None:
    stored = b'{"v":1,"epoch":3,"rev":2,"seq":9,' + codec.encode(record)[1:]
    assert codec.decode_record(type(record), stored) == (record, codec.Meta(1, 3, 2, 9))


@settings(max_examples=100)
@given(st.sampled_from(WHOLE).flatmap(structs))
def test_a_record_written_whole_reads_back_equal(record) -> None:
    assert codec.decode(type(record), codec.encode(record)) == record


@pytest.mark.parametrize("kind", [*STEPWISE, Order, ChaseState])
def test_a_record_leaves_the_heads_names_free(kind) -> None:
    assert not set(kind.__struct_fields__) & HEAD


@pytest.mark.parametrize("kind", WHOLE)
def test_a_record_written_whole_carries_its_version(kind) -> None:
    assert kind.__struct_fields__[0] == "v"


@settings(max_examples=100)
@given(st.sampled_from([Order, ChaseState]).flatmap(structs))
def test_an_order_and_a_chase_read_back_equal(record) -> None:
    assert codec.decode(type(record), codec.encode(record)) == record
