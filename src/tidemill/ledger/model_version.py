"""Versions of models as people see them: what each is, what was live when, and moves of what is live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from importlib import import_module

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.delivery import Decision
from tidemill.ledger.price import Price
from tidemill.workflow.gate import Interval, Scores
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import OnNewModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A table that a model scores, and what happens to its delivered rows when another version is live."""

    table: str
    on_new_model: OnNewModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The version that is live after a move, and the one before; not `moved` if it was live already."""

    model: str
    environment: str
    version: str
    replaced: str
    moved: bool
    actor: str
    reason: str
    at: float
    followers: tuple[Follower, ...] = ()
    note: str = ""


class VersionState(StrEnum):
    """The state of a version now. A withdrawn one was approved, and a person replaced it."""

    LIVE = "live"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    CANDIDATE = "candidate"
    TRAINED = "trained"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCost:
    """The cost of all attempts at a training; `rows` are those that it read, `spent` is money of memos."""

    attempts: int
    wall_s: float
    cpu_s: float
    peak_rss: int
    rows: int
    memory_gb_s: float = 0.0
    gpu_s: float = 0.0
    egress_gb: float = 0.0
    units: Mapping[str, float] = field(default_factory=dict)
    spent: float = 0.0

    def amount(self, price: Price) -> float:
        """The money that it cost at a price."""
        return self.spent + price.of(
            self.cpu_s,
            self.memory_gb_s,
            gpu_s=self.gpu_s,
            egress_gb=self.egress_gb,
            units=self.units,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The scores of a version by an evaluation stage; with equal `rows_read` the same rows were scored."""

    stage: str
    scores: Scores
    run: str
    at: float
    rows_read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A version of a model: what it is, what it was trained on, how it was judged, what it cost.

    `columns` are those that the training read of each input. `evaluations` are those by which it was
    scored, and `decisions` those on it, oldest first; `approvers` are who approved, by review. `cost` is
    None if its training isn't recorded. `removed` is when a sweep removed its objects, if one did.
    """

    artifact: Artifact
    state: VersionState
    trained_at: float
    run: str
    bytes: int
    key: str
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()
    decisions: tuple[Decision, ...] = ()
    cost: TrainingCost | None = None
    approvers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    removed: float | None = None

    def _repr_html_(self) -> str:
        """Render the figures, the gates' verdicts and the provenance, for notebooks."""
        html: str = import_module("tidemill.models.version_notebook").version_html(self)
        return html

    def deciders(self, decision: Decision) -> str:
        """Who made a decision: everybody who approved it in its review, or whoever decided."""
        people = self.approvers.get(decision.review, ()) if decision.approved else ()
        return ", ".join(people) or decision.actor

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.artifact.stage

    @property
    def id(self) -> str:
        """The id of the version."""
        return self.artifact.id

    def latest_scores(self) -> dict[str, Scores]:
        """The newest scores by evaluation stage."""
        return {found.stage: found.scores for found in self.evaluations}

    @property
    def figures(self) -> dict[str, float]:
        """The newest figures by their names; of several evaluations, with the names of those."""
        scores = self.latest_scores()
        return {
            f"{stage}.{name}" if len(scores) > 1 else name: figure
            for stage, each in scores.items()
            for name, figure in each.metrics.items()
        }

    @property
    def metrics_text(self) -> str:
        """The newest figures in one line: `mae 1.975`; of several evaluations, with their names."""
        return ", ".join(f"{name} {figure:.4g}" for name, figure in self.figures.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePeriod:
    """A time in which a version was live in an environment; `until` is None if it is live now.

    `actor` made it live, for a `reason`, in place of `replaced`; `evidence` are the gates that approved it.
    `approvers` are all who approved it in a review.
    """

    environment: str
    version: str
    since: float
    until: float | None
    actor: str
    reason: str = ""
    replaced: str = ""
    rollback: bool = False
    evidence: tuple[str, ...] = ()
    note: str = ""
    approvers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """A metric of two versions; `slice` is "column=value", or empty for all rows.

    `gain` is by how much the second is better (negative: worse), with its interval over days where both
    were scored on the same days. Without an interval only the figures are known.
    """

    stage: str
    slice: str
    rows: int
    metric: str
    one: float
    other: float
    gain: float
    interval: Interval | None = None

    @property
    def could_be_noise(self) -> bool | None:
        """Whether the difference may be chance; None if there is no interval."""
        if self.interval is None:
            return None
        return self.interval.low <= 0 <= self.interval.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long a version takes to predict: one row, and `rows` rows together, in seconds (medians)."""

    one_row_s: float
    batch_s: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionComparison:
    """Two versions of a model, and how they differ.

    `same_rows` maps each evaluation to whether both were scored on the same rows. `inputs` and `parameters`
    map what differs to the values of both (None: absent).
    """

    one: ModelVersion
    other: ModelVersion
    metrics: tuple[MetricComparison, ...] = ()
    same_rows: Mapping[str, bool] = field(default_factory=dict)
    inputs: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    parameters: Mapping[str, tuple[object, object]] = field(default_factory=dict)
    packages: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    latency: Mapping[str, Latency] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
