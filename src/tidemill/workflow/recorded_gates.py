"""Gates on what is recorded of a candidate: its calibration, size, age, contracts and personal columns."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal, TypeAlias, get_args

from tidemill.core.callsite import caller
from tidemill.core.errors import raise_faults
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_number, parse_bytes, parse_seconds

# The data whose age counts: the newest of both, or that of the training alone.
DataOf: TypeAlias = Literal["any", "training", "evaluation"]
CALIBRATION_ERROR = "calibration_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The mean gap between predicted probabilities and outcomes is at most `max_error`."""

    metric: str = CALIBRATION_ERROR
    max_error: float = 0.05
    confidence: float | None = None

    def __str__(self) -> str:
        return "calibrated" if self.metric == CALIBRATION_ERROR else f"calibrated({self.metric})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The stored objects of the model have at most `most` bytes."""

    most: int

    def __str__(self) -> str:
        return "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """The newest data that the model was trained or evaluated on is at most so many seconds old."""

    within_s: float
    of: DataOf = "any"

    def __str__(self) -> str:
        return "fresh" if self.of == "any" else f"fresh({self.of})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractOk:
    """The model fits the current contracts of all that it is fed with, and its training data is accepted.

    At most the share `max_quarantined` of the rows that it might have been trained on is in quarantine.
    """

    max_quarantined: float = 1.0

    def __str__(self) -> str:
        return "contract_ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPiiTo:
    """Nothing with personal data reaches the endpoints, tables and sinks that `targets` match."""

    targets: tuple[str, ...]

    def __str__(self) -> str:
        return f"no_pii_to({', '.join(self.targets)})"

    def matches(self, names: tuple[str, ...]) -> bool:
        """Whether one of the patterns matches one of the names of a place."""
        return any(fnmatchcase(name, pattern) for pattern in self.targets for name in names)


# Those on facts beside the scores.
FactGate: TypeAlias = Size | Fresh | ContractOk | NoPiiTo
RecordedGate: TypeAlias = Calibrated | FactGate


def calibrated(
    max_error: float = 0.05,
    *,
    metric: str = CALIBRATION_ERROR,
    confidence: float | None = None,
) -> Calibrated:
    """Require that predicted probabilities are right on average: a calibration error of at most `max_error`.

    The error is the metric `tm.metrics.calibration_error` of the scores, or that of their curve
    `tm.calibration`. With several evaluations `metric` is `EVALUATION.calibration_error`.

    Few rows have an error by chance alone. Where that of perfect probabilities would be above `max_error`,
    the outcome is "not enough data". With `confidence`, such as 0.95, the whole confidence interval over
    days must be below `max_error`, for which the scores need the metric, `day=` and at least 14 days.
    """
    problems = []
    if not (is_number(max_error) and 0 < max_error < 1):
        problems.append(f"max_error={max_error!r} is not between 0 and 1, such as 0.05")
    if confidence is not None and not (is_number(confidence) and 0.5 <= confidence < 1):
        problems.append(f"confidence={confidence!r} must be from 0.5 to below 1, such as 0.95")
    if not (isinstance(metric, str) and metric.strip()):
        problems.append(f"metric={metric!r} is not the name of a metric")
    raise_faults("tm.calibrated(...)", problems, caller(1))
    return Calibrated(metric=metric, max_error=max_error, confidence=confidence)


def size(most: str | int) -> Size:
    """Require that the model's stored objects have at most `most` bytes (`"50MB"`, or bytes) together.

    That is the model itself, and the recorded rows on which it is verified before each use.
    """
    problems, found = [], 0
    try:
        found = parse_bytes(most)
    except ValueError as error:
        problems.append(str(error))
    raise_faults("tm.size(...)", problems, caller(1))
    return Size(most=found)


def fresh(within: str | float, *, of: DataOf = "any") -> Fresh:
    """Require that the newest data of the candidate is at most `within` (`"2d"`, or seconds) old.

    With `of="training"` only the data that it was trained on counts, with "evaluation" only the newest
    partition that it was evaluated on. The age of a partition by time counts from its end; training data
    without partitions by time is as old as its publication.
    """
    problems, seconds = [], 0.0
    try:
        seconds = parse_seconds(within)
    except ValueError as error:
        problems.append(str(error))
    if of not in get_args(DataOf):
        problems.append(f"of={of!r} is not one of {', '.join(get_args(DataOf))}")
    raise_faults("tm.fresh(...)", problems, caller(1))
    return Fresh(within_s=seconds, of=of)


def contract_ok(*, max_quarantined: float = 1.0) -> ContractOk:
    """Require that the candidate fits the current contracts, and that its training data is accepted.

    It must be able to read the rows of every stage that feeds it: in training, in its evaluations, for its
    tables and endpoints. No partition that it was trained on may have a finding that refuses it or be gone,
    and at most the share `max_quarantined` of their rows may be in quarantine.
    """
    if not (is_number(max_quarantined) and 0 <= max_quarantined <= 1):
        problem = f"max_quarantined={max_quarantined!r} is not a share from 0 to 1, such as 0.01"
        raise_faults("tm.contract_ok(...)", [problem], caller(1))
    return ContractOk(max_quarantined=max_quarantined)


def no_pii_to(*targets: str) -> NoPiiTo:
    """Require that no column marked with `pii=` reaches some endpoints, tables or sinks.

    `targets` are names of endpoints and tables that use the model, kinds of sinks (`"postgres"`), or places
    (`"parquet:out/public/*"`); `*` matches any text. Personal are the marked columns that the model reads,
    and those that a table delivers beside its predictions. A target that matches nothing is refused.
    """
    problems = [] if targets else ["name at least one endpoint, table or sink"]
    problems += [
        f"{target!r} is not the name of an endpoint, table or sink"
        for target in targets
        if not (isinstance(target, str) and target.strip())
    ]
    raise_faults("tm.no_pii_to(...)", problems, caller(1))
    return NoPiiTo(targets=targets)
