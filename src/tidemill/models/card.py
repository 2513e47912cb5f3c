"""A model card: Markdown about one version of a model, from recorded facts only.

Nothing is invented: what isn't recorded, such as a license or an intended use, is listed as missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime

from tidemill.contracts.column import Column
from tidemill.contracts.docs.phrases import conditions, type_name
from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.markdown import markdown_code, markdown_text
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.core.signature import signature
from tidemill.core.text_table import drop_empty_columns, markdown_table
from tidemill.drawing.chart import Chart
from tidemill.ledger.model_version import Evaluation, ModelVersion
from tidemill.models.card_front_matter import front_matter, library_of
from tidemill.models.charts.evaluation import evaluation_charts
from tidemill.models.input_compatibility import trained_inputs
from tidemill.models.intervals import MIN_DAYS, SHOWN_CONFIDENCE, metric_estimate
from tidemill.workflow.gate import Goal, Scores, Slice
from tidemill.workflow.model import Artifact

_MOST_SLICES = 20
_BEST = {Goal.LOW: "low", Goal.HIGH: "high", Goal.ZERO: "zero"}
_NEVER_RECORDED = ("license", "intended use", "ethical considerations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The text of a model card, and the pictures that it shows: SVG documents by file name."""

    markdown: str
    pictures: Mapping[str, str] = field(default_factory=dict)


def model_card(
    version: ModelVersion,
    *,
    workflow: str = "",
    owner: str = "",
    price: str = "",
    pictured: bool = False,
) -> Card:
    """Write the card of a version: front matter, then what it reads, was trained on, scored, and cost.

    `price` is the amount that its training cost. With `pictured` the card shows pictures of its scores,
    which are files beside it.
    """
    artifact = version.artifact
    charts = dict(_charts(version)) if pictured else {}
    missing: list[str] = list(_NEVER_RECORDED)
    parts = [
        f"# {markdown_text(version.model)} {markdown_code(version.id)}",
        _summary(version, workflow, owner),
        "## Model",
        markdown_table(("fact", "value"), _model_facts(version)),
        "## Inputs",
        *_inputs(artifact, missing),
        "## Training data",
        *_training(version),
        "## Evaluation",
        *_evaluations(version, charts, missing),
        "## Decisions",
        *_decisions(version, missing),
        "## Training environment and cost",
        *_environment(version, price, missing),
        "## Not recorded",
        f"This card holds recorded facts only. Not recorded: {', '.join(missing)}.",
    ]
    text = "\n\n".join([front_matter(version, workflow=workflow), *parts])
    return Card(markdown=f"{text}\n", pictures={n: chart.svg for n, chart in charts.items()})


def _summary(version: ModelVersion, workflow: str, owner: str) -> str:
    artifact = version.artifact
    what = f"Predicts {markdown_code(artifact.output)} with {markdown_text(library_of(artifact))}."
    where = f" Part of the workflow {markdown_text(workflow)}" if workflow else ""
    by = f", owned by {markdown_text(owner)}" if owner else ""
    return (
        f"{what}{where}{by}{'.' if where else ''} "
        f"State: {version.state}. Trained {_moment(version.trained_at)} by run "
        f"{markdown_code(version.run)}."
    )


def _model_facts(version: ModelVersion) -> Iterator[tuple[str, str]]:
    artifact = version.artifact
    yield "format", f"{markdown_text(artifact.format)}, {version.bytes:,} bytes"
    yield "predicts", markdown_code(artifact.output)
    if artifact.class_labels:
        shown = ", ".join(markdown_code(str(label)) for label in artifact.class_labels)
        yield "classes", shown
    yield "parameters", markdown_code(artifact.params)
    yield "seed", "none" if artifact.seed is None else str(artifact.seed)
    if artifact.parent is not None:
        lineage = f"version {markdown_code(artifact.parent.id)}, generation {artifact.generation}"
        yield "continues", lineage
    yield "baseline", f"{artifact.baseline:.6g}"
    if artifact.export_difference is not None:
        yield (
            "largest difference between the stored model and the trained one",
            f"{artifact.export_difference:.3g}",
        )
    yield "recipe", markdown_code(artifact.recipe)
    yield "object", markdown_code(artifact.object)


def _inputs(artifact: Artifact, missing: list[str]) -> Iterator[str]:
    known = trained_inputs(artifact)
    if known is None:
        missing.append("the contract of the inputs")
        yield "Reads " + ", ".join(map(markdown_code, artifact.inputs)) + "."
        return
    encodings = {each.name: each for each in artifact.encodings}
    rows = []
    for column in known.contract.columns:
        encoding = encodings.get(column.name)
        shown: str = encoding.kind if encoding is not None else "-"
        if encoding is not None and encoding.kind == "category":
            shown = f"category, {len(encoding.categories):,} known"
        rows.append([*_column(column), shown])
    headers = ("column", "type", "unit", "must be", "encoded as")
    name, number = known.contract.name, known.contract.version
    yield f"Contract {markdown_text(name)} {number}, in the order of the model:"
    yield markdown_table(*drop_empty_columns(headers, rows, "unit", "must be", "encoded as"))


def _column(column: Column) -> list[str]:
    return [
        markdown_code(column.name),
        markdown_text(type_name(column)),
        markdown_text(column.unit) or "-",
        markdown_text("; ".join(conditions(column))) or "-",
    ]


def _training(version: ModelVersion) -> Iterator[str]:
    artifact = version.artifact
    is_timed = artifact.anchor not in ("", WHOLE)
    until = f", up to {markdown_text(artifact.anchor)}" if is_timed else ""
    yield f"{plural(artifact.rows, 'row')}{until}."
    rows = [
        [
            markdown_code(name),
            markdown_text(artifact.contracts.get(name, "")) or "-",
            markdown_text(summarize_keys(keys)) or "-",
            ", ".join(map(markdown_code, version.columns.get(name, ()))) or "-",
        ]
        for name, keys in artifact.trained_on.items()
    ]
    headers = ("input", "contract", "partitions", "columns read")
    yield markdown_table(*drop_empty_columns(headers, rows, "contract", "columns read"))


def _evaluations(
    version: ModelVersion, charts: Mapping[str, Chart], missing: list[str]
) -> Iterator[str]:
    latest = {found.stage: found for found in version.evaluations}
    if not latest:
        missing.append("scores")
        yield "This version wasn't evaluated."
    for found in latest.values():
        yield from _evaluation(found)
    for name, chart in charts.items():
        yield f"![{markdown_text(chart.title)}]({name})"


def _evaluation(found: Evaluation) -> Iterator[str]:
    scores = found.scores
    days = "" if scores.daily is None else f" of {plural(len(scores.daily.days), 'day')}"
    yield f"### {markdown_text(found.stage)}"
    yield f"{plural(scores.rows, 'row')}{days}, by run {markdown_code(found.run)} {_moment(found.at)}."
    rows = [
        [markdown_code(name), _figure(value), _interval(scores, name), _best(scores, name)]
        for name, value in scores.metrics.items()
    ]
    yield markdown_table(("metric", ">value", "95 % interval over days", "best"), rows)
    for name, chosen in scores.thresholds.items():
        yield f"{markdown_code(name)} judges the threshold {markdown_text(str(chosen))}."
    if not scores.slices:
        return
    largest = sorted(scores.slices, key=lambda part: (-part.rows, part.value))[:_MOST_SLICES]
    hidden = len(scores.slices) - len(largest)
    yield f"By {markdown_code(scores.by)}" + (
        f"; the {len(largest)} largest of {len(scores.slices)}:" if hidden else ":"
    )
    names = list(scores.metrics)
    yield markdown_table(
        (markdown_code(scores.by), ">rows", *(f">{markdown_code(name)}" for name in names)),
        [
            [
                markdown_text(part.value),
                f"{part.rows:,}",
                *(_with_interval(scores, part, name) for name in names),
            ]
            for part in scores.slices
            if part in largest
        ],
    )


def _best(scores: Scores, name: str) -> str:
    return _BEST[scores.goals.get(name, Goal.LOW)]


def _figure(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else "not a finite number"


def _interval(scores: Scores, name: str) -> str:
    """The interval of a metric, or why there is none."""
    estimate = metric_estimate(scores, name)
    if estimate is None:
        return "days not recorded" if scores.daily is None else "can't be told"
    if not estimate.is_enough:
        return f"too few days ({estimate.days} of at least {MIN_DAYS})"
    interval = estimate.interval(SHOWN_CONFIDENCE)
    return f"{interval.low:.5g} to {interval.high:.5g}"


def _with_interval(scores: Scores, part: Slice, name: str) -> str:
    value = part.metrics.get(name, math.nan)
    estimate = metric_estimate(scores, name, part)
    if estimate is None or not estimate.is_enough:
        return _figure(value)
    interval = estimate.interval(SHOWN_CONFIDENCE)
    return f"{_figure(value)} ({interval.low:.4g} to {interval.high:.4g})"


def _decisions(version: ModelVersion, missing: list[str]) -> Iterator[str]:
    if not version.decisions:
        missing.append("decisions of gates")
        yield "No gate or person decided on this version."
    for decision in version.decisions:
        reason = f": {markdown_text(decision.reason)}" if decision.reason else ""
        by = f"{decision.verdict.capitalize()} by {markdown_text(signature(decision.actor, decision.note))}"
        yield f"{by} {_moment(decision.at)}{reason}."
        if decision.results:
            yield markdown_table(
                ("gate", "verdict", "evidence"),
                [
                    [
                        markdown_code(result.gate),
                        str(result.outcome),
                        markdown_text(result.evidence),
                    ]
                    for result in decision.results
                ],
            )


def _environment(version: ModelVersion, price: str, missing: list[str]) -> Iterator[str]:
    artifact, cost = version.artifact, version.cost
    rows = [(name, _hardware(name, text)) for name, text in artifact.hardware.items()]
    if not artifact.hardware:
        missing.append("the machine")
    if artifact.packages:
        packages = ", ".join(f"{name} {number}" for name, number in artifact.packages.items())
        rows.append(("packages", markdown_text(packages)))
    else:
        missing.append("package versions")
    if cost is None:
        missing.append("cost of the training")
    else:
        rows.append(("wall time", f"{cost.wall_s:.3g} s"))
        rows.append(("CPU time", f"{cost.cpu_s:.3g} s"))
        if cost.peak_rss:
            rows.append(("peak memory", f"{cost.peak_rss:,} bytes"))
        if price:
            rows.append(("price", markdown_text(price)))
    if rows:
        yield markdown_table(("fact", "value"), rows)
    else:
        yield "Nothing is recorded."


def _hardware(name: str, text: str) -> str:
    return f"{int(text):,} bytes" if name == "memory" and text.isdecimal() else markdown_text(text)


def _charts(version: ModelVersion) -> Iterator[tuple[str, Chart]]:
    """The pictures of the newest scores, by file name."""
    for number, (stage, scores) in enumerate(version.latest_scores().items(), 1):
        for picture, chart in enumerate(evaluation_charts(stage, scores), 1):
            # A name of the user isn't part of a path.
            yield f"evaluation-{number}-{picture}.svg", chart


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
