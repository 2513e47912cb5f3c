"""Divide a model's outputs into kinds: tenths of the range of earlier outputs, or classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.serving.rollout_counts import Output

Floats = npt.NDArray[np.float64]
_TENTHS = np.arange(1, 10) / 10
# Rarer classes are one kind together.
_MOST_LABELS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputBins:
    """Kinds of outputs: numbers up to each of the `edges` and above the last, or each of the `labels`.

    One more kind, the last, is for all other outputs, such as a class that was never seen.
    """

    edges: Floats | None = None
    labels: tuple[Output, ...] = ()

    @classmethod
    def of(cls, outputs: Sequence[Output]) -> OutputBins:
        """Choose kinds by earlier outputs, of which there is at least one."""
        numbers = [value for value in outputs if isinstance(value, float) and np.isfinite(value)]
        if not numbers:
            known = Counter((type(value), value) for value in outputs)
            return cls(labels=tuple(value for (_, value), _ in known.most_common(_MOST_LABELS)))
        edges = np.unique(np.quantile(numbers, _TENTHS, method="inverted_cdf"))
        if edges.size < _TENTHS.size:
            # Many outputs are equal: they become a kind of their own.
            edges = np.unique(np.concatenate([edges, np.nextafter(edges, -np.inf)]))
        return cls(edges=edges)

    @property
    def size(self) -> int:
        """The number of kinds."""
        return (len(self.labels) if self.edges is None else self.edges.size + 1) + 1

    def counts(self, outputs: Sequence[Output]) -> Floats:
        """Count the outputs of each kind."""
        if self.edges is None:
            known = {(type(value), value): at for at, value in enumerate(self.labels)}
            places = [known.get((type(value), value), self.size - 1) for value in outputs]
            return np.bincount(np.array(places, np.int64), minlength=self.size).astype(np.float64)
        numbers = np.array([_number(value) for value in outputs], np.float64)
        at = np.searchsorted(self.edges, numbers, side="left")
        at[np.isnan(numbers)] = self.size - 1
        return np.bincount(at, minlength=self.size).astype(np.float64)


def _number(value: Output) -> float:
    return value if isinstance(value, float) else float("nan")
