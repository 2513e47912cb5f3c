"""What people are told about a candidate model: what changes, why now, and what gets worse."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from math import inf, isnan

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import summarize_keys
from tidemill.governance.page_values import PageSection, PageTable, page_table, section
from tidemill.governance.review_page import moment
from tidemill.governance.rule_sections import rule_section
from tidemill.ledger.model_version import (
    Follower,
    MetricComparison,
    ModelVersion,
    VersionComparison,
)
from tidemill.ledger.policy import PolicyDecision, Waiver
from tidemill.ledger.review import Review
from tidemill.ledger.run import Attempt
from tidemill.workflow.trigger import TriggerEvidence

_SLICES, _PACKAGES, _LARGEST_CHANGE = 15, 5, 1_000
_FOLLOWING = {
    "keep": "keeps what was delivered; new partitions are scored by the new version",
    "rescore": "is scored again by the new version",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedExamples:
    """The rows whose prediction moved most between two versions, of `rows` that both scored.

    Cells are text. `share` of the rows have another prediction, and numbers move by `average` and at most by
    `largest`; None for classes. Columns with personal data are masked.
    """

    headers: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    rows: int
    share: float
    average: float | None = None
    largest: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEvidence:
    """What is recorded about a candidate and the version that it would replace, if there is one.

    `training` is the attempt that made it, and `request` what asked for it. Slices of fewer than `least_rows`
    count in no gate. `conditions` are the rules that ask, with the values that they saw. `code` and
    `contracts` are changes in words since the live version was trained, `diff` are those of the source text,
    and `amounts` the cost of the trainings by version. `live_since` says since when the live version is live,
    and by whom; `rollback_by` who may go back to it.
    """

    review: Review
    candidate: ModelVersion
    live: ModelVersion | None = None
    comparison: VersionComparison | None = None
    training: Attempt | None = None
    request: str = ""
    least_rows: int = 0
    conditions: Mapping[str, str] = field(default_factory=dict)
    decision: PolicyDecision | None = None
    waivers: tuple[Waiver, ...] = ()
    examples: MovedExamples | None = None
    code: tuple[str, ...] = ()
    diff: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    amounts: Mapping[str, str] | None = None
    followers: tuple[Follower, ...] = ()
    endpoints: tuple[str, ...] = ()
    place: str = ""
    code_command: str = ""
    live_since: str = ""
    rollback_by: str = ""


def model_sections(found: ModelEvidence) -> tuple[PageSection, ...]:
    """The sections about a candidate model, of which empty ones are left out."""
    metrics = found.comparison.metrics if found.comparison is not None else ()
    slices = [each for each in metrics if each.slice]
    parts = [
        section("What changes", _changes(found)),
        section("Why now", _reasons(found)),
        section("What gets worse", _worse(found, metrics)),
        _way_back(found),
        section(
            "Metrics",
            (*_directions(metrics), *_evaluated(found), *_notes(found)),
            table=_metric_table(found, metrics),
        ),
        section("Slices, the worst first", _cut(slices), table=_slice_table(found, slices)),
        _examples(found),
        section("Gates", table=_gates(found)),
        rule_section(found.decision, found.waivers),
        section("Data", _data(found)),
        section(
            "Contracts", found.contracts or _unchanged(found, "no contract of its inputs changed")
        ),
        section(
            "Code",
            (*found.code, *_packages(found)) or _unchanged(found, "the code is the same"),
            commands=filter(None, [found.code_command]),
            diff=found.diff,
        ),
        section("Cost", _costs(found)),
    ]
    return tuple(part for part in parts if not part.is_empty)


def _unchanged(found: ModelEvidence, text: str) -> tuple[str, ...]:
    """Say that something is the same as for the live version, if there is one."""
    return (text,) if found.live is not None else ()


def _changes(found: ModelEvidence) -> Iterator[str]:
    version, live, name = found.candidate, found.live, found.review.name
    if live is None:
        yield f"{name} {version.id} ({_trained(version)}) would be the first version that is live"
    else:
        yield (
            f"{name} {version.id} ({_trained(version)}) would replace {live.id} ({_trained(live)})"
        )
    yield f"it predicts {version.artifact.output} from {', '.join(version.artifact.inputs)}"
    for follower in found.followers:
        yield f"table {follower.table} {_FOLLOWING[follower.on_new_model]}"
    for endpoint in found.endpoints:
        yield f"endpoint {endpoint} answers with the new version"
    if live is not None and live.artifact.format != version.artifact.format:
        yield f"it is another kind of model: {version.artifact.format}, not {live.artifact.format}"
    yield from found.code
    if found.comparison is None:
        return
    for column, (mine, _) in found.comparison.inputs.items():
        yield f"it {'no longer reads' if mine else 'also reads'} {column}"
    for parameter, (before, after) in found.comparison.parameters.items():
        yield f"parameter {parameter}: {before!r} -> {after!r}"
    packages = [*_packages(found)]
    yield from packages[:_PACKAGES]
    if len(packages) > _PACKAGES:
        yield f"{plural(len(packages) - _PACKAGES, 'other package')} with another version (see the code)"


def _packages(found: ModelEvidence) -> Iterator[str]:
    changed = found.comparison.packages if found.comparison is not None else {}
    for package, (old, new) in changed.items():
        yield f"package {package}: {old} -> {new}"


def _trained(version: ModelVersion) -> str:
    return f"trained {moment(version.trained_at)} on {plural(version.artifact.rows, 'row')}"


def _reasons(found: ModelEvidence) -> Iterator[str]:
    training = found.training
    if found.request:
        yield found.request
    if training is not None:
        for reason in training.reasons:
            yield f"it was trained because: {reason}"
        if training.evidence is not None:
            yield from (f"the trigger saw: {seen}" for seen in _seen(training.evidence))
    for reason in found.review.reasons:
        yield f"people are asked because: {reason}"
    for rule, condition in found.conditions.items():
        yield f"the rule {rule} saw {condition}"
    if not found.review.reasons:
        yield "people are asked because the workflow wants a review of every version"


def _seen(evidence: TriggerEvidence) -> Iterator[str]:
    """What the parts of a trigger that fired looked at."""
    if evidence.parts:
        for part in evidence.parts:
            if part.fires:
                yield from _seen(part)
    elif evidence.seen:
        yield evidence.seen + (f" ({evidence.threshold})" if evidence.threshold else "")


def _worse(found: ModelEvidence, metrics: Iterable[MetricComparison]) -> Iterator[str]:
    if found.live is None:
        yield "there is no live version to be worse than; the gates compare it with a trivial baseline"
        return
    known = [*metrics]
    overall = [each for each in known if not each.slice]
    worse = [each for each in overall if may_be_worse(each)]
    for each in worse:
        yield f"{each.metric} of {each.stage}: {shown_figures(each)}"
    if overall and not worse:
        names = ", ".join(dict.fromkeys(each.metric for each in overall))
        yield f"no metric is worse over all rows ({names})"
    if not overall:
        yield "no evaluation scored both versions, so that nothing is known about what gets worse"
    yield from _worse_slices(found, [each for each in known if each.slice])
    shift = found.decision.facts.get("prediction_shift") if found.decision is not None else None
    if isinstance(shift, float):
        yield (
            f"the distribution of predictions shifts by {shift:.1%} of the evaluated rows "
            "(prediction_shift), for better or worse"
        )
    if found.examples is not None:
        yield _movement(found.examples)


def _worse_slices(found: ModelEvidence, slices: Sequence[MetricComparison]) -> Iterator[str]:
    worse = sorted(filter(may_be_worse, slices), key=_relative_gain)
    for each in worse[:3]:
        few = ", too few for the gates" if each.rows < found.least_rows else ""
        rows = plural(each.rows, "row")
        yield f"{each.slice}: {each.metric} {_figures(each)} over {rows}{few}{_certainty(each)}"
    if len(worse) > 3:
        yield f"{plural(len(worse) - 3, 'other slice')} with a worse figure (see the slices)"
    if len(slices) > 1:
        better = sum(each.gain > 0 for each in slices)
        yield f"{better or 'none'} of {len(slices)} slices {'get' if better > 1 else 'gets'} better"


def _movement(examples: MovedExamples) -> str:
    rows = plural(examples.rows, "recent row")
    if examples.average is None or examples.largest is None:
        return f"{examples.share:.1%} of {rows} get another class"
    return (
        f"{examples.share:.1%} of {rows} get another prediction: it moves by {examples.average:.4g} on "
        f"average, and at most by {examples.largest:.4g}"
    )


def shown_figures(each: MetricComparison) -> str:
    """The figures of two versions, and whether their difference could be noise."""
    return f"{_figures(each)}{_certainty(each)}"


def _figures(each: MetricComparison) -> str:
    return f"{each.one:.4g} -> {each.other:.4g}{_change(each, ' ({:+.0%})')}"


def _change(each: MetricComparison, form: str) -> str:
    """The relative change of a figure in a form, "" if there is none, or if it is beyond all measure."""
    change = (each.other - each.one) / abs(each.one) if each.one else inf
    return form.format(change) if abs(change) < _LARGEST_CHANGE else ""


def _cut(slices: Sequence[MetricComparison]) -> Iterator[str]:
    if len(slices) > _SLICES:
        yield f"the first {_SLICES} of {len(slices)}"


def _certainty(each: MetricComparison) -> str:
    if each.interval is None:
        return ", without an interval"
    return ", could be noise" if each.could_be_noise else ", beyond noise"


def may_be_worse(each: MetricComparison) -> bool:
    """Whether a figure is worse, or can't be compared: one of them is NaN, or both are infinite."""
    return not each.gain >= 0


def _relative_gain(each: MetricComparison) -> float:
    """What orders figures from the worst to the best; those that can't be compared come first."""
    gain = each.gain / abs(each.one) if each.one else each.gain
    return -inf if isnan(gain) else gain


def _way_back(found: ModelEvidence) -> PageSection:
    name, live = found.review.name, found.live
    if live is None:
        lines = [
            f"no version of {name} is live now, so that there is none to go back to: reject it, or approve a "
            "better one later"
        ]
        return section("How to go back", lines)
    since = f", {found.live_since}" if found.live_since else ""
    lines = [
        f"{live.id} was live when people were asked{since}; it stays live if this is rejected",
        f"if {found.candidate.id} is approved and turns out to be wrong, the command below makes {live.id} "
        "live again at once",
        *(
            f"table {each.table} keeps what the new version scored until then"
            for each in found.followers
            if each.on_new_model == "keep"
        ),
        found.rollback_by and f"who may run it: {found.rollback_by}",
    ]
    command = f'tidemill rollback {shlex.quote(name)}{found.place} --to {live.id} --reason "WHY"'
    return section("How to go back", lines, commands=[command])


def _directions(metrics: Iterable[MetricComparison]) -> Iterator[str]:
    """Which way each metric is better."""
    for each in {each.metric: each for each in metrics}.values():
        lower = (each.other < each.one) == (each.gain > 0)
        if each.gain and not isnan(each.gain):
            yield f"{each.metric}: {'lower' if lower else 'higher'} is better"


def _evaluated(found: ModelEvidence) -> Iterator[str]:
    """Which rows the evaluations scored."""
    for stage, scores in found.candidate.latest_scores().items():
        days = scores.daily.days if scores.daily is not None else ()
        rows = plural(scores.rows, "row")
        if days:
            yield f"{stage}: {rows} of {plural(len(days), 'day')}, {days[0]} to {days[-1]}"
        elif found.review.verdict is not None and found.review.verdict.through:
            yield f"{stage}: {rows}, the newest of {found.review.verdict.through}"
        else:
            yield f"{stage}: {rows}"


def _notes(found: ModelEvidence) -> tuple[str, ...]:
    return found.comparison.notes if found.comparison is not None else ()


def _metric_table(found: ModelEvidence, metrics: Iterable[MetricComparison]) -> PageTable:
    if found.live is None:
        first = [
            (stage, name, f"{scores.rows:,}", f"{value:.5g}")
            for stage, scores in found.candidate.latest_scores().items()
            for name, value in scores.metrics.items()
        ]
        return page_table(("evaluation", "metric", ">rows", ">candidate"), first)
    headers = (
        "evaluation",
        "metric",
        ">rows",
        ">live",
        ">candidate",
        ">change",
        ">gain",
        "95 % interval of the gain",
    )
    rows = [
        (each.stage, each.metric, f"{each.rows:,}", *compared_cells(each))
        for each in metrics
        if not each.slice
    ]
    return page_table(headers, rows)


def _slice_table(found: ModelEvidence, slices: Iterable[MetricComparison]) -> PageTable:
    ordered = sorted(slices, key=_relative_gain)
    headers = (
        "slice",
        "metric",
        ">rows",
        ">live",
        ">candidate",
        ">change",
        ">gain",
        "95 % interval of the gain",
    )
    rows = [
        (each.slice, each.metric, f"{each.rows:,}", *compared_cells(each))
        for each in ordered[:_SLICES]
    ]
    return page_table(headers, rows)


def compared_cells(each: MetricComparison) -> tuple[str, ...]:
    interval = "-"
    if each.interval is not None:
        noise = ", could be noise" if each.could_be_noise else ""
        interval = f"{each.interval.low:+.4g} .. {each.interval.high:+.4g}{noise}"
    change = _change(each, "{:+.1%}") or "-"
    return f"{each.one:.5g}", f"{each.other:.5g}", change, f"{each.gain:+.4g}", interval


def _examples(found: ModelEvidence) -> PageSection:
    examples = found.examples
    if examples is None:
        return section("Predictions that move most")
    lines = [f"of {plural(examples.rows, 'row')}{examples.source}, scored by both versions"]
    table = page_table(examples.headers, examples.cells)
    return section("Predictions that move most", lines, table=table)


def _gates(found: ModelEvidence) -> PageTable:
    verdict = found.review.verdict
    results = verdict.results if verdict is not None else ()
    return page_table(
        ("gate", "outcome", "evidence"), [(each.gate, each.word, each.evidence) for each in results]
    )


def _data(found: ModelEvidence) -> Iterator[str]:
    mine = found.candidate.artifact.snapshot or _bare(found.candidate)
    theirs = (found.live.artifact.snapshot or _bare(found.live)) if found.live is not None else {}
    for name, partitions in mine.items():
        known = theirs.get(name, {})
        if found.live is None:
            yield f"{name}: {summarize_keys(partitions)}"
            continue
        more = [key for key in partitions if key not in known]
        gone = [key for key in known if key not in partitions]
        other = [key for key in partitions if key in known and partitions[key] != known[key]]
        parts = [
            f"{label} {summarize_keys(keys)}"
            for label, keys in (("also", more), ("no longer", gone), ("with other values", other))
            if keys
        ]
        yield f"{name}: {'; '.join(parts) or 'the same partitions with the same values'}"


def _bare(version: ModelVersion) -> dict[str, dict[str, str]]:
    """The partitions of a version that was stored before their content was recorded."""
    trained = version.artifact.trained_on
    return {name: dict.fromkeys(partitions, "") for name, partitions in trained.items()}


def _costs(found: ModelEvidence) -> Iterator[str]:
    for version, label in ((found.candidate, "candidate"), (found.live, "live version")):
        if version is None or version.cost is None:
            continue
        amount = (found.amounts or {}).get(version.id, "")
        price = f", {amount}" if amount else ""
        yield (
            f"training the {label} took {version.cost.cpu_s:,.1f} CPU seconds{price}; it is stored in "
            f"{version.bytes:,} bytes"
        )
