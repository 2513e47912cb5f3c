"""The bounds within which a model's predictions are expected: those of the label that it was trained on."""

from __future__ import annotations

import math
from decimal import Decimal

from tidemill.contracts.column import Bound
from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.rollout_counts import Output
from tidemill.workflow.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputBounds:
    """The least and the largest expected prediction."""

    low: float = -math.inf
    high: float = math.inf

    def exclude(self, output: Output) -> bool:
        """Whether a prediction is outside: missing, no finite number, or beyond a bound. Labels never are."""
        if isinstance(output, (str, bool)):
            return False
        return output is None or not (self.low <= output <= self.high and math.isfinite(output))


def output_bounds(model: Stage, label: str) -> OutputBounds:
    """Return the bounds that the contracts of a model's inputs declare for its label."""
    contracts = [item.contract for item in model.frames if item.contract is not None]
    found = next((spec for spec in contracts if label in spec.names), None)
    return OutputBounds() if found is None else _bounds(found, label)


def _bounds(contract: ContractSpec, label: str) -> OutputBounds:
    column = contract.column(label)
    low = _numbers(column.min, column.min_exclusive)
    high = _numbers(column.max, column.max_exclusive)
    return OutputBounds(low=max(low, default=-math.inf), high=min(high, default=math.inf))


def _numbers(*bounds: Bound) -> list[float]:
    # An exclusive bound counts as inclusive: a prediction may come near it by rounding.
    return [float(bound) for bound in bounds if isinstance(bound, (int, float, Decimal))]
