"""The report on a version of a model: gates, figures with intervals, data, provenance, the way back."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from math import isfinite

from tidemill.core.counts import money_text, plural
from tidemill.core.figures import seconds, size
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import summarize_keys
from tidemill.core.signature import signature
from tidemill.core.text_table import drop_empty_columns
from tidemill.drawing.axes import Axis, Measure
from tidemill.drawing.chart import Chart
from tidemill.drawing.html_file import moment_text
from tidemill.drawing.line import Line
from tidemill.drawing.panel import draw_panel
from tidemill.governance.model_sections import compared_cells
from tidemill.governance.page_values import PageTable, page_table
from tidemill.ledger.model_version import (
    LivePeriod,
    MetricComparison,
    ModelVersion,
    VersionComparison,
    VersionState,
)
from tidemill.ledger.price import Price
from tidemill.models.charts.evaluation import evaluation_charts
from tidemill.models.intervals import metric_interval
from tidemill.models.version_notebook import DRAWN_STATES
from tidemill.reports.report import Report, ReportPart
from tidemill.workflow.environment import environment_option
from tidemill.workflow.gate import Goal, Scores

_BEST = {Goal.LOW: "lower is better", Goal.HIGH: "higher is better", Goal.ZERO: "best at zero"}
_MOST_CHARTS, _MOST_PERIODS, _MOST_VERSIONS = 10, 20, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """What is recorded about a version of a model, as of `now` (Unix seconds).

    `comparison` compares the live version with it, if that is another one. `baselines` are the scores of the
    trivial baseline by evaluation, as far as they are of the same rows. `versions` are all, the newest
    first, and `periods` those in which versions were live. Its training cost `price`.
    """

    workflow: str
    environment: str
    version: ModelVersion
    now: float
    price: Price
    comparison: VersionComparison | None = None
    baselines: Mapping[str, Scores] = field(default_factory=dict)
    versions: Sequence[ModelVersion] = ()
    periods: Sequence[LivePeriod] = ()


def model_report(found: ModelRecord) -> Report:
    """The report; of many slices, versions and partitions the first, with how many are left out."""
    version = found.version
    charts = [
        chart
        for stage, scores in version.latest_scores().items()
        for chart in evaluation_charts(stage, scores)
    ]
    return Report(
        title=f"{version.model} {version.id}",
        about=f"version {version.id} of {version.model}, {found.workflow} in {found.environment}",
        status=DRAWN_STATES[version.state],
        word=str(version.state),
        state=_state(found),
        facts=tuple(_facts(version)),
        parts=(
            _gates(version),
            ReportPart(
                title="Metrics", lines=tuple(_metric_lines(found)), tables=[_metrics(found)]
            ),
            ReportPart(
                title="Days, slices and curves",
                charts=charts[:_MOST_CHARTS],
                lines=tuple(_curve_lines(version, len(charts))),
            ),
            ReportPart(title="Slices", tables=[*_slices(found)]),
            ReportPart(title="Training data", tables=[_data(version)]),
            ReportPart(title="Provenance", facts=tuple(_provenance(found))),
            _versions(found),
            _way_back(found),
            ReportPart(title="See more", commands=tuple(_commands(found))),
        ),
        made=found.now,
    )


def _state(found: ModelRecord) -> str:
    version, comparison = found.version, found.comparison
    if version.state is VersionState.LIVE:
        current = next((each for each in _here(found) if each.until is None), None)
        since = f" since {moment_text(current.since)}" if current is not None else ""
        by = f", made live by {current.actor}" if current is not None else ""
        return f"it answers{since}{by}; {version.metrics_text or 'no scores'}"
    live = f"; live is {comparison.one.id}" if comparison is not None else "; no version is live"
    return f"{version.metrics_text or 'no scores'}{live}"


def _facts(version: ModelVersion) -> Iterator[tuple[str, str]]:
    artifact = version.artifact
    yield "predicts", f"{artifact.output} from {', '.join(artifact.inputs)}"
    yield "trained", f"{moment_text(version.trained_at)} by run {version.run}"
    yield "on", plural(artifact.rows, "row")
    yield "format", f"{artifact.format}, {size(version.bytes)}"
    yield "parameters", artifact.params
    if artifact.seed is not None:
        yield "seed", str(artifact.seed)
    if version.removed is not None:
        yield "removed", f"its objects were removed on {moment_text(version.removed)}"


def _gates(version: ModelVersion) -> ReportPart:
    lines = []
    for each in version.decisions[-_MOST_PERIODS:]:
        why = f": {each.reason}" if each.reason else ""
        who = signature(version.deciders(each), each.note)
        lines.append(f"{each.verdict} by {who} on {moment_text(each.at)}{why}")
    judged = [each for each in version.decisions if each.results]
    rows = [
        (result.gate, result.word, result.evidence)
        for each in judged[-1:]
        for result in each.results
    ]
    return ReportPart(
        title="Gates and decisions",
        lines=lines or ("No gate or person decided on it.",),
        tables=[page_table(("gate", "outcome", "evidence"), rows)],
    )


def _metric_lines(found: ModelRecord) -> Iterator[str]:
    for stage, scores in found.version.latest_scores().items():
        days = scores.daily.days if scores.daily is not None else ()
        over = f" of {plural(len(days), 'day')}, {days[0]} to {days[-1]}" if days else ""
        yield f"{stage}: {plural(scores.rows, 'row')}{over}"
    if found.comparison is not None:
        yield from found.comparison.notes


def _metrics(found: ModelRecord) -> PageTable:
    """Each metric with its interval, the live version's with the gain, and the baseline's."""
    rivals = {(each.stage, each.metric): each for each in _comparisons(found) if not each.slice}
    rows = []
    for stage, scores in found.version.latest_scores().items():
        baseline = found.baselines.get(stage)
        for name, value in scores.metrics.items():
            interval, rival = metric_interval(scores, name), rivals.get((stage, name))
            trivial = baseline.metrics.get(name) if baseline is not None else None
            rows.append(
                (
                    stage,
                    name,
                    f"{value:.5g}",
                    "-" if interval is None else f"{interval.low:.5g} to {interval.high:.5g}",
                    *(compared_cells(rival)[i] if rival is not None else "-" for i in (0, 3, 4)),
                    "-" if trivial is None else f"{trivial:.5g}",
                    _BEST[scores.goals.get(name, Goal.LOW)],
                )
            )
    headers = ("evaluation", "metric", ">value", "95 % interval", ">live", ">gain",
               "95 % interval of the gain", ">baseline", "")  # fmt: skip
    return page_table(*drop_empty_columns(headers, rows, *headers[3:8]))


def _comparisons(found: ModelRecord) -> Sequence[MetricComparison]:
    return found.comparison.metrics if found.comparison is not None else ()


def _curve_lines(version: ModelVersion, charts: int) -> Iterator[str]:
    if charts > _MOST_CHARTS:
        yield f"{charts - _MOST_CHARTS} more charts left out"
    curves = {name for scores in version.latest_scores().values() for name in scores.curves}
    if version.evaluations and "calibration" not in curves:
        yield "no calibration curve is recorded: add `tm.calibration(...)` to `tm.scores`"


def _slices(found: ModelRecord) -> Iterator[PageTable]:
    """The slices of each evaluation: against the live version the worst first, else the largest."""
    compared = sorted((each for each in _comparisons(found) if each.slice), key=_relative_gain)
    if compared:
        headers = ("slice", "metric", ">rows", ">live", ">this", ">change", ">gain",
                   "95 % interval of the gain")  # fmt: skip
        rows = [
            (each.slice, each.metric, f"{each.rows:,}", *compared_cells(each)) for each in compared
        ]
        yield page_table(headers, rows, "Against the live version, the worst first")
        return
    for stage, scores in found.version.latest_scores().items():
        names = [*scores.metrics]
        largest = sorted(scores.slices, key=lambda part: (-part.rows, part.value))
        yield page_table(
            (scores.by, ">rows", *(f">{name}" for name in names)),
            [
                (
                    part.value,
                    f"{part.rows:,}",
                    *(f"{part.metrics.get(n, float('nan')):.5g}" for n in names),
                )
                for part in largest
            ],
            f"{stage}, the largest first",
        )


def _relative_gain(each: MetricComparison) -> float:
    gain = each.gain / abs(each.one) if each.one else each.gain
    return gain if isfinite(gain) else float("-inf")


def _data(version: ModelVersion) -> PageTable:
    artifact = version.artifact
    rows = [
        (
            name,
            artifact.contracts.get(name, "-"),
            f"{len(keys):,}",
            summarize_keys(keys),
            ", ".join(version.columns.get(name, ())) or "-",
        )
        for name, keys in artifact.trained_on.items()
    ]
    return page_table(("input", "contract", ">partitions", "which", "columns read"), rows)


def _provenance(found: ModelRecord) -> Iterator[tuple[str, str]]:
    version, artifact, cost = found.version, found.version.artifact, found.version.cost
    yield "recipe", artifact.recipe
    yield "step", version.key
    yield "object", artifact.object
    if artifact.parent is not None:
        yield "continues", f"version {artifact.parent.id}, generation {artifact.generation}"
    if artifact.hardware:
        yield "machine", ", ".join(f"{name} {text}" for name, text in artifact.hardware.items())
    if artifact.packages:
        yield (
            "packages",
            ", ".join(f"{name} {number}" for name, number in artifact.packages.items()),
        )
    if cost is not None:
        amount = cost.amount(found.price)
        price = f", {money_text(amount, found.price.currency)}" if amount else ""
        yield (
            "training",
            f"{seconds(cost.wall_s)}, CPU {seconds(cost.cpu_s)}, {size(cost.peak_rss)}{price}",
        )


def _versions(found: ModelRecord) -> ReportPart:
    rows = [
        (
            each.id,
            str(each.state),
            moment_text(each.trained_at),
            f"{each.artifact.rows:,}",
            each.metrics_text,
        )
        for each in found.versions
    ]
    periods = [
        (
            each.version,
            moment_text(each.since),
            "now" if each.until is None else moment_text(each.until),
            each.actor,
            each.reason,
        )
        for each in reversed(_here(found))
    ]
    return ReportPart(
        title="Versions",
        charts=[*_trend(found)],
        tables=[
            page_table(("version", "state", "trained", ">rows", "metrics"), rows),
            page_table(("was live", "from", "to", "by", "reason"), periods[:_MOST_PERIODS],
                       f"the last of {plural(len(periods), 'period')}"),
        ],
    )  # fmt: skip


def _trend(found: ModelRecord) -> Iterator[Chart]:
    """The first metric of the last versions, by when they were trained."""
    name = next((n for s in found.version.latest_scores().values() for n in s.metrics), "")
    points = [
        (each.trained_at, scores.metrics[name], f"{each.id}: {name} {scores.metrics[name]:.4g}")
        for each in reversed(found.versions[:_MOST_VERSIONS])
        for scores in [*each.latest_scores().values()][:1]
        if name in scores.metrics
    ]
    if len(points) > 1:
        at, values, hints = (list(column) for column in zip(*points, strict=True))
        line = Line(x=at, y=values, hints=hints)
        yield Chart(
            title=f"{name} of the last {plural(len(points), 'version')}",
            subtitle="each by its newest evaluation, so of different rows",
            drawing=draw_panel(
                [line], x=Axis(measure=Measure.TIME), y=Axis(label=name), height=150
            ),
            description="; ".join(hints),
        )


def _here(found: ModelRecord) -> list[LivePeriod]:
    return [each for each in found.periods if each.environment == found.environment]


def _way_back(found: ModelRecord) -> ReportPart:
    """What makes the version that was live before live again, or this one."""
    version, title = found.version, "How to go back"
    if version.state is VersionState.LIVE:
        # What a rollback replaced was withdrawn: what was live before the version first was isn't.
        periods = (each for each in reversed(_here(found)) if each.version == version.id)
        target = next((each.replaced for each in periods if not each.rollback), "")
        line = f"This makes {target}, which was live before, live again at once:"
        none = "No other version was live before it."
    else:
        may_go_live = version.state in (VersionState.APPROVED, VersionState.WITHDRAWN)
        target = version.id if may_go_live else ""
        line = "This makes this version live:"
        none = "This version isn't approved, so that it can't be made live."
    if not target:
        return ReportPart(title=title, lines=(none,))
    name, place = shlex.quote(version.model), environment_option(found.environment)
    command = f'tidemill rollback {name}{place} --to {target} --reason "WHY"'
    return ReportPart(title=title, lines=(line,), commands=(command,))


def _commands(found: ModelRecord) -> Iterator[str]:
    place, name = environment_option(found.environment), shlex.quote(found.version.model)
    yield f"tidemill models show{place} {name} {found.version.id}"
    if found.comparison is not None:
        yield f"tidemill models compare{place} {name} {found.comparison.one.id} {found.version.id}"
    yield f"tidemill models card{place} {name} {found.version.id}"
    yield f"tidemill explain{place} {name}"
