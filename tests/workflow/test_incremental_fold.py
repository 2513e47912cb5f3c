"""Folds as text, and the sum of their work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.workflow.incremental_fold import Fold, FoldUsage

_COUNTS = st.integers(0, 1_000)
USAGES = st.builds(FoldUsage, kept=_COUNTS, computed=_COUNTS, rows=_COUNTS)


@pytest.mark.parametrize(
    ("fold", "text"),
    [
        (tm.fold("a", "b"), "by a, b: "),
        (tm.fold("a", n=tm.fold.count()), "by a: n=count()"),
        (tm.fold(n=tm.fold.count(), late=tm.fold.sum("delay")), "n=count(), late=sum(delay)"),
    ],
)
def test_a_fold_as_text(fold: Fold, text: str) -> None:
    assert str(fold) == text


@given(one=USAGES, other=USAGES)
def test_usages_add_up(one: FoldUsage, other: FoldUsage) -> None:
    total = one + other

    assert total == other + one
    assert one + FoldUsage() == one
    assert total.kept - one.kept == other.kept
    assert total.computed - one.computed == other.computed
    assert total.rows - one.rows == other.rows
