"""Every model, and all of one: its versions, what was live when, and moves of what is live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tidemill.console.personal_values import shown_comparisons
from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.console.views.version_lines import (
    GateLine,
    VersionLine,
    version_gates,
    version_line,
    waiting_reviews,
)
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.moved_text import moved_text
from tidemill.governance.permissions import Permission
from tidemill.governance.review_page import moment
from tidemill.history.comparison_verdict import Better, change_of, comparison_verdict
from tidemill.ledger.model_version import (
    LivePeriod,
    MetricComparison,
    ModelVersion,
    Moved,
    VersionState,
)
from tidemill.ledger.review import Review
from tidemill.project.attest_hooks import attest_live
from tidemill.project.project import Project
from tidemill.workflow.stage import Kind

_MOST, _PERIODS = 100, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveNow:
    """What is live of a model now: the `version` ("" if none), since when, by whom, and why."""

    model: str
    version: str = ""
    since: float | None = None
    actor: str = ""
    reason: str = ""
    is_rollback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointTraffic:
    """What an endpoint of a model answered in the last 28 days; None for what wasn't counted."""

    endpoint: str
    requests: int | None = None
    failed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLine:
    """A model: what is live, the `newest` version, the open `review` of one, and its last training.

    Without gates (`is_gated`) the newest version is always used. `gates` are the verdicts on the newest. One
    that isn't declared any more has versions still.
    """

    name: str
    is_declared: bool
    is_gated: bool
    live: LiveNow
    newest: VersionLine | None
    gates: tuple[GateLine, ...]
    review: str
    versions: int
    traffic: tuple[EndpointTraffic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsView:
    """Every model, and how many days of traffic are counted."""

    models: tuple[ModelLine, ...]
    traffic_days: int = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackTarget:
    """A version that one can go back to: its state, until when it was live, and its newest figures.

    The one that `is_preset` comes first: the newest approved version that nobody ever withdrew.
    """

    version: str
    state: VersionState
    until: float
    metrics: str
    is_preset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model: what is live, its versions, newest first, and the `history` of what was live, newest first.

    `next` is the `before` of the next page of versions; "" if there are no more. `rollback_to` are the
    versions that were live here before and are still stored: first the one to choose, unless all of them were
    withdrawn, then the others, the last one first. `right` says who may move what is live.
    """

    model: str
    is_declared: bool
    is_gated: bool
    live: LiveNow
    versions: tuple[VersionLine, ...]
    next: str
    total: int
    history: tuple[LivePeriod, ...]
    is_history_cut: bool
    rollback_to: tuple[RollbackTarget, ...]
    right: ActionRight
    review: str
    traffic: tuple[EndpointTraffic, ...]
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedMetric:
    """A metric of two versions, and whether the second is better beyond noise."""

    metric: MetricComparison
    better: Better


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """Two versions of a model side by side: which is `better`, why, and in what they differ.

    `known` are the versions that can be compared, newest first.
    """

    model: str
    one: VersionLine
    other: VersionLine
    better: Better
    lines: tuple[str, ...]
    metrics: tuple[ComparedMetric, ...]
    inputs: Mapping[str, tuple[bool, bool]]
    parameters: Mapping[str, tuple[str, str]]
    packages: Mapping[str, tuple[str, str]]
    latency: tuple[VersionLatency, ...]
    notes: tuple[str, ...]
    known: tuple[str, ...]
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLatency:
    """How long a version took to predict just now: one row, and `rows` rows together, in seconds."""

    version: str
    one_row_s: float
    batch_s: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveView:
    """What a move of what is live did, in words, and as it was recorded."""

    told: str
    moved: Moved
    notes: tuple[str, ...]


def list_models(project: Project) -> ModelsView:
    """List every model: what is live, the newest version with the gates' verdicts, what waits, traffic."""
    project.workspace.require(Permission.READ)
    requests = _traffic(project)
    waiting = waiting_reviews(project)
    return ModelsView(
        models=tuple(_model_line(project, name, requests, waiting) for name in project.models)
    )


def show_model(project: Project, model: str, before: str = "", limit: int = 20) -> ModelView:
    """Show a model: its versions, newest first, and what was live when, by whom and why.

    `before` is the `next` of the page before; `limit` is at most 100.
    """
    project.workspace.require(Permission.READ)
    found = project.models[model]
    versions, history = found.versions, found.history
    ids = [version.id for version in versions]
    if before and before not in ids:
        raise UsageError(f"{model} has no version {before!r}")
    start = ids.index(before) + 1 if before else 0
    shown = versions[start : start + min(max(limit, 1), _MOST)]
    live = show_live(project, model)
    end = start + len(shown)
    review = waiting_reviews(project).get(model)
    return ModelView(
        model=model,
        is_declared=model in project.flow.names,
        is_gated=_is_gated(project, model),
        live=live,
        versions=tuple(version_line(each, project.price, review) for each in shown),
        next=shown[-1].id if shown and end < len(versions) else "",
        total=len(versions),
        history=tuple(reversed(history[-_PERIODS:])),
        is_history_cut=len(history) > _PERIODS,
        rollback_to=rollback_targets(history, versions, live.version, project.environment),
        right=action_right(project, Permission.DELIVER),
        review=review.id if review is not None else "",
        traffic=tuple(_traffic_of(project, model, _traffic(project))),
        tables=tuple(
            table.name for table in project.flow.readers(model) if table.kind is Kind.DELIVER
        ),
    )


def show_live(project: Project, model: str) -> LiveNow:
    """Show what is live of a model; the entity tag of this guards moves of it."""
    project.workspace.require(Permission.READ)
    if model not in project.models:
        # It names the models there are.
        raise UsageError(f"there is no model {model!r}")
    found = project.state().live.get(model)
    if found is None:
        return LiveNow(model=model)
    return LiveNow(
        model=model,
        version=found.artifact.id,
        since=found.at,
        actor=found.actor,
        reason=found.reason,
        is_rollback=found.rollback,
    )


def compare_models(
    project: Project, model: str, one: str = "", other: str = "", latency: bool = False
) -> ComparisonView:
    """Compare two versions of a model: metrics with intervals, slices, inputs, parameters, packages, cost.

    Without names `other` is the newest version, and `one` the live one, or the one that it replaced. With
    `latency` both predict recent rows now, and are timed.
    """
    project.workspace.require(Permission.READ)
    found = project.models[model]
    compared = found.compare(one, other, latency=latency)
    compared = replace(compared, metrics=shown_comparisons(project, compared.metrics))
    better, lines = comparison_verdict(compared)
    return ComparisonView(
        model=model,
        one=version_line(compared.one, project.price),
        other=version_line(compared.other, project.price),
        better=better,
        lines=lines,
        metrics=tuple(
            ComparedMetric(metric=each, better=change_of(each)) for each in compared.metrics
        ),
        inputs=compared.inputs,
        parameters={name: (repr(a), repr(b)) for name, (a, b) in compared.parameters.items()},
        packages=compared.packages,
        latency=tuple(
            VersionLatency(
                version=id, one_row_s=each.one_row_s, batch_s=each.batch_s, rows=each.rows
            )
            for id, each in compared.latency.items()
        ),
        notes=compared.notes,
        known=tuple(version.id for version in found.versions),
        currency=project.price.currency,
    )


def deliver_version(
    project: Project, model: str, version: str, reason: str, note: str = ""
) -> MoveView:
    """Make an approved version of a model live, for a reason. The version that was live stays stored."""
    moved = project.models.moves.deliver(model, version, reason=reason, note=note)
    return _move_view(project, moved)


def roll_back(project: Project, model: str, reason: str, to: str = "", note: str = "") -> MoveView:
    """Make the version live again that was live before, or the version `to`, for a reason."""
    moved = project.models.moves.rollback(model, to=to or None, reason=reason, note=note)
    return _move_view(project, moved)


def _move_view(project: Project, moved: Moved) -> MoveView:
    notes = attest_live(project.workspace, moved.model)
    return MoveView(
        told="\n".join((moved_text(moved, moment(moved.at)), *notes)), moved=moved, notes=notes
    )


def _is_gated(project: Project, model: str) -> bool:
    return model in project.flow.names and project.flow[model].approval is not None


def _model_line(
    project: Project,
    name: str,
    requests: Mapping[str, EndpointTraffic],
    waiting: Mapping[str, Review],
) -> ModelLine:
    versions = project.models[name].versions
    newest = versions[0] if versions else None
    review = waiting.get(name)
    return ModelLine(
        name=name,
        is_declared=name in project.flow.names,
        is_gated=_is_gated(project, name),
        live=show_live(project, name),
        newest=version_line(newest, project.price, review) if newest is not None else None,
        gates=version_gates(newest, review) if newest is not None else (),
        review=review.id if review is not None else "",
        versions=len(versions),
        traffic=tuple(_traffic_of(project, name, requests)),
    )


def _traffic(project: Project) -> Mapping[str, EndpointTraffic]:
    if not project.flow.endpoints:
        return {}
    return {
        each.endpoint: EndpointTraffic(
            endpoint=each.endpoint, requests=each.requests, failed=each.failed
        )
        for each in project.metrics.report().endpoints
    }


def _traffic_of(
    project: Project, model: str, requests: Mapping[str, EndpointTraffic]
) -> Iterable[EndpointTraffic]:
    for endpoint in project.flow.endpoints:
        if endpoint.model == model:
            yield requests.get(endpoint.name, EndpointTraffic(endpoint=endpoint.name))


def rollback_targets(
    history: Sequence[LivePeriod], versions: Iterable[ModelVersion], live: str, environment: str
) -> tuple[RollbackTarget, ...]:
    """The versions to go back to: the one that is preset, then the others, the last one first."""
    known = {each.id: each for each in versions if each.removed is None and each.id != live}
    found: dict[str, RollbackTarget] = {}
    for period in reversed(history):
        version = known.get(period.version)
        if version is None or period.environment != environment or version.id in found:
            continue
        found[version.id] = RollbackTarget(
            version=version.id,
            state=version.state,
            until=period.since if period.until is None else period.until,
            metrics=version.metrics_text,
        )
    # The versions are the newest ones first.
    sound = (name for name, each in known.items() if name in found and _was_never_withdrawn(each))
    preset = next(sound, None)
    if preset is None:
        return (*found.values(),)
    return (replace(found.pop(preset), is_preset=True), *found.values())


def _was_never_withdrawn(version: ModelVersion) -> bool:
    if version.state is not VersionState.APPROVED:
        return False
    return all(decision.verdict != "withdrawn" for decision in version.decisions)
