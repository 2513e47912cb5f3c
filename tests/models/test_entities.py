"""Entities on both sides of an evaluation, from a small sample."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.entities import SIZE, entity_finding, entity_sample

ids = st.sets(st.one_of(st.integers(0, 30), st.text(max_size=2)), max_size=40)


@given(trained=ids, evaluated=ids)
def test_few_entities_are_compared_exactly(trained: set[object], evaluated: set[object]) -> None:
    finding = entity_finding("customer", entity_sample(trained), evaluated)
    both = trained & evaluated
    assert (finding is None) == (not both)
    if finding is not None:
        assert finding.rows == len(both)
        assert finding.message.startswith(
            f"{len(both) / len(evaluated):.0%} of the values of `customer`"
        )


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_many_entities_are_estimated(share: float) -> None:
    size = 20_000
    sample = entity_sample(range(size))
    assert len(sample) == 12 * SIZE
    both = int(size * share)
    finding = entity_finding("customer", sample, range(size - both, 2 * size - both))
    if share == 0.0:
        assert finding is None
        return
    assert finding is not None
    told = float(finding.message.removeprefix("about ").partition("%")[0]) / 100
    # The sample is fixed; its standard error is at most 2.3 %.
    assert told == pytest.approx(share, abs=0.05)


def test_null_is_no_entity() -> None:
    assert entity_sample([None]) == ""
    assert entity_finding("customer", entity_sample([None, "a"]), [None, "b"]) is None
