"""Student's t, against closed forms and a table."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.student import t_quantile, t_upper_tail


@given(t=st.floats(-50, 50))
def test_with_one_degree_of_freedom_it_is_the_cauchy_distribution(t: float) -> None:
    assert t_upper_tail(t, 1) == pytest.approx(0.5 - math.atan(t) / math.pi, abs=1e-12)


@given(t=st.floats(-50, 50))
def test_with_two_degrees_of_freedom_it_has_a_closed_form(t: float) -> None:
    assert t_upper_tail(t, 2) == pytest.approx(0.5 - t / (2 * math.sqrt(2 + t * t)), abs=1e-12)


TABLE = [
    # probability, degrees of freedom, quantile to 4 digits (any table of t)
    (0.975, 1, 12.7062), (0.975, 4, 2.7764), (0.975, 13, 2.1604), (0.975, 59, 2.0010),
    (0.95, 13, 1.7709), (0.995, 30, 2.7500), (0.5, 7, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("probability", "df", "quantile"), TABLE)
def test_quantiles_are_those_of_the_tables(probability: float, df: float, quantile: float) -> None:
    assert t_quantile(probability, df) == pytest.approx(quantile, abs=5e-5)


@given(probability=st.floats(0.5, 0.9999), df=st.floats(1, 1e4))
def test_a_quantile_has_its_probability(probability: float, df: float) -> None:
    assert 1 - t_upper_tail(t_quantile(probability, df), df) == pytest.approx(probability, abs=1e-9)


@pytest.mark.parametrize("df", [1e7, 1e9, 1e15])
@pytest.mark.parametrize("t", [-1.96, 0.0, 0.01, 5.0])
def test_with_many_degrees_of_freedom_it_is_the_normal_distribution(t: float, df: float) -> None:
    assert t_upper_tail(t, df) == pytest.approx(0.5 * math.erfc(t / math.sqrt(2)), rel=1e-4)


def test_extreme_values() -> None:
    assert t_upper_tail(0.0, 5) == 0.5
    assert t_upper_tail(math.inf, 5) == 0.0
    assert t_upper_tail(1e200, 5) == pytest.approx(0.0, abs=1e-300)
