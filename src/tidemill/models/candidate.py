"""What a gate of the user sees of a candidate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact

if TYPE_CHECKING:
    import polars as pl


class Figures(dict[str, float]):
    """Metrics by name; asking for one that isn't a finite number raises ValueError.

    A comparison with NaN is always false, so that a gate that looks for what is wrong would find nothing.
    """

    def __getitem__(self, name: str) -> float:
        return self._finite(name, super().__getitem__(name))

    def get(self, name: str, default: Any = None) -> Any:
        """Return a metric, or `default` if there is none; ValueError if it isn't finite."""
        return self._finite(name, super().__getitem__(name)) if name in self else default

    def _finite(self, name: str, value: float) -> float:
        if not math.isfinite(value):
            raise ValueError(f"the metric {name} is {value}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The scores of a candidate in one evaluation, those of the live model if any, and of the baseline."""

    scores: Scores
    live: Scores | None = None
    baseline: Scores | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A trained model that gates judge: `model` is its stage, `artifact` its record.

    `evaluations` has the scores by evaluation, in the order of the workflow.
    """

    model: str
    artifact: Artifact
    evaluations: Mapping[str, Compared]
    _rows: Callable[[], pl.DataFrame] = field(repr=False)
    _predict: Callable[[pl.DataFrame], pl.DataFrame] = field(repr=False)

    @property
    def scores(self) -> Scores:
        """The candidate's scores in the first evaluation."""
        return self._first.scores

    @property
    def live(self) -> Scores | None:
        """The live model's scores on the same rows; None if no model is live."""
        return self._first.live

    @property
    def baseline(self) -> Scores | None:
        """The scores of the trivial baseline on the same rows."""
        return self._first.baseline

    @property
    def rows(self) -> pl.DataFrame:
        """Input rows that were recorded in training: evenly spread ones, extremes, nulls, all categories."""
        return self._rows()

    def predict(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add the candidate's predictions to rows, as an evaluation gets them."""
        return self._predict(rows)

    @property
    def _first(self) -> Compared:
        return next(iter(self.evaluations.values()))


def with_figures(scores: Scores | None) -> Scores | None:
    """The scores with metrics that can't be read where they aren't finite."""
    if scores is None:
        return None
    slices = tuple(replace(part, metrics=Figures(part.metrics)) for part in scores.slices)
    return replace(scores, metrics=Figures(scores.metrics), slices=slices)
