"""Parts add up to the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.costs.allocation import divide_quantities
from tidemill.costs.quantities import Quantities

USED = st.builds(Quantities, cpu_s=st.floats(0, 1e6), memory_gb_s=st.floats(0, 1e6))


@given(USED, st.dictionaries(st.text(max_size=2), USED, max_size=4))
def test_nothing_is_lost(shared: Quantities, among: dict[str, Quantities]) -> None:
    parts = divide_quantities(shared, among)
    if any(used.cpu_s or used.memory_gb_s for used in among.values()):
        assert sum(part.cpu_s for part in parts.values()) == pytest.approx(shared.cpu_s)
        assert sum(part.memory_gb_s for part in parts.values()) == pytest.approx(shared.memory_gb_s)
    else:
        assert parts == {}


def test_each_is_divided_by_its_own_use() -> None:
    shared = Quantities(cpu_s=8.0, memory_gb_s=8.0)
    among = {"a": Quantities(cpu_s=3.0), "b": Quantities(cpu_s=1.0)}
    assert divide_quantities(shared, among) == {
        "a": Quantities(cpu_s=6.0, memory_gb_s=6.0),
        "b": Quantities(cpu_s=2.0, memory_gb_s=2.0),
    }
    among["b"].memory_gb_s = 1.0
    assert divide_quantities(shared, among)["b"] == Quantities(cpu_s=2.0, memory_gb_s=8.0)
