"""The facts about a model that passed its gates and would go live."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from math import isfinite

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.quantities import total_quantities
from tidemill.governance.common_facts import ChangeContext, common_facts
from tidemill.ledger.policy import FactValue
from tidemill.ledger.price import Price
from tidemill.ledger.run import Attempt
from tidemill.models.comparison import slices_worse_than
from tidemill.models.gates import is_live
from tidemill.models.shifted_predictions import changed_share
from tidemill.workflow.gate import GateResult, Scores, split_metric
from tidemill.workflow.model import Artifact

# The reason of a training that a person asked for.
REQUESTED = "training requested"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateEvidence:
    """What is recorded about a candidate, and the live model; None for what can't be known.

    `scores` are by evaluation, `metrics` those that gates look at. `sample` is the share of source rows that
    the candidate was trained on, `training` the attempts at its training, which cost what `price` says.
    `personal` are the columns with personal data that it reads, `pinned` the packages with a pinned version.
    """

    artifact: Artifact
    live: Artifact | None
    results: tuple[GateResult, ...]
    scores: Mapping[str, Scores]
    live_scores: Mapping[str, Scores] | None
    metrics: tuple[str, ...] = ()
    sample: float = 1.0
    training: tuple[Attempt, ...] | None = None
    price: Price = field(default_factory=Price)
    personal: tuple[str, ...] | None = None
    pinned: Collection[str] | None = None
    stale: bool | None = None

    @property
    def is_first(self) -> bool:
        return self.live is None


def delivery_facts(context: ChangeContext, found: CandidateEvidence) -> dict[str, FactValue]:
    """The facts about a candidate; those that can't be known are None."""
    artifact = found.artifact
    rows = [scores.rows for scores in found.scores.values()]
    return {
        **common_facts(context, artifact.stage),
        "sampled": context.sample < 1 or found.sample < 1,
        "first_delivery": found.is_first,
        "gates_passed": all(result.passed for result in found.results),
        "prediction_shift": _prediction_shift(found),
        "worse_slices": _worse_slices(found),
        "unpinned_packages": _unpinned_packages(found),
        "stale": found.stale,
        "budget_declared": context.budget,
        "training_rows": artifact.rows,
        "evaluation_rows": min(rows) if rows else None,
        "cost": _training_cost(found),
        "personal_columns": found.personal,
        "automatic": _is_automatic(found),
        "code_changed": _has_other_code(found),
        "retention_declared": context.keeps,
    }


def _prediction_shift(found: CandidateEvidence) -> float | None:
    """The largest shift of all evaluations; 0 where no predictions are live, None if one isn't known."""
    if found.live is None or is_live(found.live, found.artifact):
        return 0.0
    if not found.live_scores or not found.scores:
        return None
    shifts = []
    for name, scores in found.scores.items():
        other = found.live_scores.get(name)
        shifts.append(None if other is None else changed_share(other, scores))
    return None if None in shifts else max(filter(None, shifts), default=0.0)


def _worse_slices(found: CandidateEvidence) -> tuple[str, ...] | None:
    """The slices whose gated metrics are worse than those of the live model."""
    if found.is_first:
        return ()
    if not found.live_scores:
        return None
    worse: dict[str, None] = {}
    for wanted in found.metrics:
        evaluation, metric = split_metric(wanted)
        name = evaluation or next(iter(found.scores), "")
        mine, other = found.scores.get(name), found.live_scores.get(name)
        if mine is None or other is None:
            return None
        if mine.by:
            worse.update(dict.fromkeys(slices_worse_than(metric, mine, other)))
    return tuple(worse)


def _unpinned_packages(found: CandidateEvidence) -> tuple[str, ...] | None:
    """The packages that were loaded in training, besides Python, whose versions the project doesn't pin."""
    if found.pinned is None or not found.artifact.packages:
        return None
    known = {normal_name(name) for name in found.pinned}
    loaded = (name for name in found.artifact.packages if name.lower() != "python")
    return tuple(sorted(name for name in loaded if normal_name(name) not in known))


def normal_name(package: str) -> str:
    """The name of a package as PyPI compares it."""
    return "-".join(filter(None, package.lower().replace("_", "-").replace(".", "-").split("-")))


def _training_cost(found: CandidateEvidence) -> float | None:
    """The cost of all attempts at the training; None without a price, or if they aren't recorded."""
    if not found.training or found.price.is_free:
        return None
    cost = total_quantities(found.training).cost(found.price)
    return cost if isfinite(cost) else None


def _has_other_code(found: CandidateEvidence) -> bool:
    """Whether the recipe of the training isn't that of the live model; False for the first one."""
    return found.live is not None and found.live.recipe != found.artifact.recipe


def _is_automatic(found: CandidateEvidence) -> bool | None:
    """Whether only new data and a trigger led to the training, and no person or change of code."""
    if found.is_first or _has_other_code(found):
        return False
    if not found.training:
        return None
    return REQUESTED not in found.training[-1].reasons
