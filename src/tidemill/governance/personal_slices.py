"""Scores that are split by a column with personal data, without the values that name their slices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tidemill.governance.personal_columns import personal_marks
from tidemill.ledger.model_version import MetricComparison
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.gate import Scores
from tidemill.workflow.stage import Flow


def has_personal_slices(
    flow: Flow, recipes: Mapping[str, Recipe], evaluation: str, by: str
) -> bool:
    """Whether an evaluation that splits its scores by a column names personal values with them.

    It does if the column is personal in what it reads, and if the evaluation isn't known.
    """
    if not by or evaluation not in flow.names:
        return bool(by)
    frames = flow[evaluation].frames
    return any(personal_marks(flow, recipes, item.name, (by,)) for item in frames)


def mask_slices(scores: Scores, mask: str) -> Scores:
    """The scores with `mask` in place of the values that name their slices."""
    return replace(scores, slices=tuple(replace(part, value=mask) for part in scores.slices))


def mask_compared(
    metrics: Iterable[MetricComparison], is_personal: Callable[[str, str], bool], mask: str
) -> tuple[MetricComparison, ...]:
    """The comparisons with `mask` in place of values of a column that `is_personal` in an evaluation."""
    found = []
    for each in metrics:
        by, _, value = each.slice.partition("=")
        is_masked = bool(value) and is_personal(each.stage, by)
        found.append(replace(each, slice=f"{by}={mask}") if is_masked else each)
    return tuple(found)
