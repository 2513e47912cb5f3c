"""A version of a model in a line, and the verdicts on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.delivery import Decision
from tidemill.ledger.model_version import ModelVersion, VersionState
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.price import Price
from tidemill.ledger.review import Review
from tidemill.project.project import Project
from tidemill.workflow.gate import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLine:
    """The verdict of a gate with the values that it saw; `word` is passed, FAILED or UNDECIDED."""

    gate: str
    word: str
    evidence: str
    difference: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRows:
    """The rows that figures are of: how many, of which `days` ("" if that isn't known).

    With equal digests the same rows were scored.
    """

    rows: int
    days: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine:
    """A version of a model: its state, when and on how much it was trained, its newest figures, and its cost.

    `metrics` has the `figures` in one line, and `scored` the rows that each of them is of. `gates` says how
    many gates passed, "" where none judged it. `removed` is when a sweep removed it, if one did.
    """

    version: str
    state: VersionState
    format: str
    trained_at: float
    run: str
    rows: int
    metrics: str
    figures: Mapping[str, float]
    scored: Mapping[str, FigureRows]
    gates: str
    bytes: int
    cpu_s: float | None
    cost: float | None
    currency: str
    removed: float | None


def version_line(version: ModelVersion, price: Price, review: Review | None = None) -> VersionLine:
    """A version in a line, with the cost of its training at a price, and the open `review` of its model."""
    cost = version.cost
    results = version_gates(version, review)
    passed = sum(each.word == "passed" for each in results)
    return VersionLine(
        version=version.id,
        state=version.state,
        format=version.artifact.format,
        trained_at=version.trained_at,
        run=version.run,
        rows=version.artifact.rows,
        metrics=version.metrics_text,
        figures=version.figures,
        scored=_scored_rows(version),
        gates=f"{passed} of {len(results)} passed" if results else "",
        bytes=version.bytes,
        cpu_s=cost.cpu_s if cost is not None else None,
        cost=cost.amount(price) if cost is not None else None,
        currency=price.currency,
        removed=version.removed,
    )


def _scored_rows(version: ModelVersion) -> Mapping[str, FigureRows]:
    """The rows that each of the newest figures of a version is of."""
    newest = {each.stage: each for each in version.evaluations}
    found = {}
    for stage, each in newest.items():
        days = each.scores.daily.days if each.scores.daily is not None else ()
        rows = FigureRows(
            rows=each.scores.rows,
            days=f"{days[0]} to {days[-1]}" if days else "",
            digest=each.rows_read,
        )
        for name in each.scores.metrics:
            found[f"{stage}.{name}" if len(newest) > 1 else name] = rows
    return found


def gate_lines(decisions: Iterable[Decision]) -> tuple[GateLine, ...]:
    """The verdicts of the newest decision that gates made."""
    judged = [decision for decision in decisions if decision.results]
    return tuple(
        GateLine(
            gate=result.gate,
            word=result.word,
            evidence=result.evidence,
            difference=result.difference,
        )
        for result in (judged[-1].results if judged else ())
    )


def version_gates(version: ModelVersion, review: Review | None) -> tuple[GateLine, ...]:
    """The verdicts on a version: those that a review rests on which is open, else the newest."""
    if review is not None and review.verdict is not None and review.artifact == version.id:
        return gate_lines([review.verdict])
    return gate_lines(version.decisions)


def waiting_reviews(project: Project) -> Mapping[str, Review]:
    """The open review of a version of each model."""
    return {
        state.review.name: state.review
        for state in project.reviews.list()
        if state.review.kind is SubjectKind.DELIVERY
    }
