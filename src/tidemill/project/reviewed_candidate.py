"""The candidate of a model that people are asked about, with its evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.governance.review_outcomes import is_evaluation_of
from tidemill.ledger.binding import Binding
from tidemill.models.gates import CANDIDATE
from tidemill.planning.live_days import day_of
from tidemill.ports.ledger import State
from tidemill.workflow.model import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedCandidate:
    """A model that was trained last, its evaluations, and the figures of days of the live one."""

    artifact: Artifact | None
    evaluated: Mapping[str, Binding | None]
    days: tuple[tuple[str, str], ...]
    heads: Mapping[str, int]

    def with_evaluated(self, artifact: Artifact) -> ReviewedCandidate:
        """The same with another version, if that is the one that all evaluations are of."""
        held = [each for each in self.evaluated.values() if each is not None]
        if held and all(is_evaluation_of(each, artifact) for each in held):
            return replace(self, artifact=artifact)
        return self


def read_candidate(state: State, model: str, evaluations: Iterable[str]) -> ReviewedCandidate:
    """The candidate of a model in a state; ConflictError if a run changes it meanwhile."""
    names = (model, *evaluations)
    heads = {name: state.heads[name] for name in names if name in state.heads}
    keys = {name: WHOLE if name == model else CANDIDATE for name in heads}
    bound = {name: head.partitions.get(keys[name]) for name, head in heads.items()}
    days = tuple((name, key) for name in heads for key in heads[name].partitions if day_of(key))
    trained = bound.pop(model, None)
    return ReviewedCandidate(
        artifact=trained.product.artifact if trained is not None else None,
        evaluated=bound,
        days=days,
        heads={name: head.version for name, head in heads.items()},
    )
