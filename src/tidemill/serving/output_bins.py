"""Divide a model's outputs into kinds: tenths of the range of earlier outputs, or classes.

Numbers of a retrained model differ a little, and probabilities are often crowded near 0 and 1. So tenths
that are close together are one kind, and a kind of one version is compared with a wider one of the other,
by a tenth of a standard deviation on either side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.rollout_counts import Output

Floats = npt.NDArray[np.float64]
_TENTHS = np.arange(1, 10) / 10
# In standard deviations, and for a constant in parts of its size.
_MARGIN, _ROUNDING = 0.1, 1e-6
# Larger numbers would overflow, and are as good as infinite; no margin is 0.
_HUGE, _TINY = 1e100, 1e-300
# Rarer classes are one kind together.
_MOST_LABELS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputBins:
    """Kinds of outputs: numbers up to each of the `edges` and above the last, or each of the `labels`.

    One more kind, the last, is for all other outputs, such as a class that was never seen. Numbers are
    compared with a `margin`.
    """

    edges: Floats | None = None
    labels: tuple[Output, ...] = ()
    margin: float = 0.0

    @classmethod
    def of(cls, outputs: Sequence[Output]) -> OutputBins:
        """Choose kinds by earlier outputs, of which there is at least one."""
        numbers = _numbers([value for value in outputs if value not in (np.inf, -np.inf)])
        if not numbers.size:
            known = Counter((type(value), value) for value in outputs)
            return cls(labels=tuple(value for (_, value), _ in known.most_common(_MOST_LABELS)))
        margin = float(max(_MARGIN * numbers.std(), _ROUNDING * np.abs(numbers).max(), _TINY))
        tenths = np.quantile(numbers, _TENTHS, method="inverted_cdf")
        # What is beyond all earlier outputs, also with the margin, is a kind of its own.
        beyond = [numbers.min() - 2 * margin, numbers.max() + 2 * margin]
        edges = np.unique([*_far_apart(tenths.tolist(), 2 * margin), *beyond])
        return cls(edges=edges, margin=margin)

    @property
    def size(self) -> int:
        """The number of kinds."""
        return (len(self.labels) if self.edges is None else self.edges.size + 1) + 1

    def counts(self, outputs: Sequence[Output]) -> tuple[Floats, Floats]:
        """Count the outputs of each kind, and those of the kind with its margins."""
        if self.edges is None:
            known = {(type(value), value): at for at, value in enumerate(self.labels)}
            places = [known.get((type(value), value), self.size - 1) for value in outputs]
            found = np.bincount(np.array(places, np.int64), minlength=self.size).astype(np.float64)
            return found, found
        numbers = np.sort(_numbers(outputs))
        return (
            self._between(numbers, self.edges, self.edges, len(outputs)),
            self._between(
                numbers, self.edges - self.margin, self.edges + self.margin, len(outputs)
            ),
        )

    @staticmethod
    def _between(numbers: Floats, low: Floats, high: Floats, total: int) -> Floats:
        """Count sorted numbers from above each low edge to each high one, and the rest of the total."""
        first = np.searchsorted(numbers, low, side="right")
        last = np.searchsorted(numbers, high, side="right")
        inside = np.array([*last, numbers.size]) - np.array([0, *first])
        found: Floats = np.array([*inside, total - numbers.size], np.float64)
        return found


def _far_apart(edges: Sequence[float], distance: float) -> list[float]:
    """The last of the sorted edges in each group that spans at most a distance.

    Tenths that lie close together are one kind: what leaves all of them is seen then.
    """
    kept: list[float] = []
    first = -np.inf
    for edge in edges:
        if edge - first > distance:
            kept.append(edge)
            first = edge
        else:
            kept[-1] = edge
    return kept


def _numbers(outputs: Sequence[Output]) -> Floats:
    """The outputs that are numbers, in their order."""
    found = np.array([value for value in outputs if isinstance(value, float)], np.float64)
    return np.clip(found[~np.isnan(found)], -_HUGE, _HUGE)
