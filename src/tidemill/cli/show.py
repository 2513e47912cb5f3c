"""`tidemill show`: show published rows with their profile, a model's artifact, or scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import count, local_time, plural, size
from tidemill.cli.render.frame import cell_text, frame_table
from tidemill.cli.render.frozen import frozen_line
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.contracts.finding import Finding
from tidemill.core.partition import WHOLE, place_name, shown_key, summarize_keys
from tidemill.core.text_table import text_table
from tidemill.ledger.binding import Binding, contract_versions
from tidemill.workflow.gate import Interval, Scores, Threshold
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import UNDECLARED, Kind, Stage

if TYPE_CHECKING:
    from tidemill.project.data import QuarantineView, TableView


@click.command()
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.option(
    "--bad", is_flag=True, help="Show quarantined rows instead, with the rules that each broke."
)
@click.option("--rows", default=10, show_default=True, type=click.IntRange(min=0), metavar="N",
              help="Show the first N rows.")  # fmt: skip
@json_option
@project_options
def show(stage: str, partition: str, bad: bool, rows: int, as_json: bool) -> None:
    """Show what STAGE has published: schema with contract conditions, profile, and the first rows.

    Shows the artifact of a model, and the scores of an evaluation.
    """
    with project_session() as project:
        subject = project.known_stage(stage)
        if bad:
            text, body = _quarantine_text(
                stage, partition, project.data.show_quarantined(stage, partition or None, rows)
            )
        elif subject.kind is Kind.MODEL:
            text, body = _artifact_text(project.models.artifact(stage, partition))
        elif subject.kind is Kind.EVALUATE:
            models = project.models
            text, body = _score_text(
                stage,
                models.scores(stage, partition),
                models.intervals(stage, partition),
                models.findings(stage, partition),
            )
        else:
            text, body = _table_text(project.data.show(stage, partition or None, rows))
    if not subject.is_declared and not text.partition("\n")[0].count(UNDECLARED):
        text = f"{text}\n\n{stage} is {UNDECLARED}"
    what = {
        "stage": stage,
        "kind": subject.kind,
        "declared": subject.is_declared,
        "partition": partition or None,
    }
    print_result(text, as_json, "tidemill.show/1", lambda: {**what, **body}, data=True)


def _table_text(view: TableView) -> tuple[str, dict[str, Any]]:
    bindings = view.bindings
    findings = {key: b.findings for key, b in bindings.items() if b.findings}
    title, columns = _title(view.stage, bindings), _profile_table(view.columns)
    remarks = [*_no_good_rows(view), *map(frozen_line, view.frozen)]
    lines = [title, *remarks, "", columns, "", frame_table(view.head), *_finding_lines(findings)]
    text = "\n".join(lines)
    body = {
        "partitions": list(bindings),
        "versions": {key: binding.contract for key, binding in bindings.items()},
        "rows": sum(b.product.rows for b in bindings.values()),
        "quarantined": sum(b.product.quarantined for b in bindings.values()),
        "columns": view.columns,
        "findings": findings,
        "frozen": view.frozen,
        "head": view.head.to_dicts(),
    }
    return text, body


def _no_good_rows(view: TableView) -> list[str]:
    """Say that all rows of published partitions are in quarantine, and how to see them."""
    products = [binding.product for binding in view.bindings.values()]
    bad = sum(product.quarantined for product in products)
    if not bad or any(product.rows for product in products):
        return []
    only = "its only row is" if bad == 1 else f"all {bad:,} rows are"
    name = view.stage.name
    return [f"no good rows: {only} quarantined; see `tidemill quarantine show {name}`"]


def _title(stage: Stage, bound: Mapping[str, Binding]) -> str:
    products = [binding.product for binding in bound.values()]
    contract = (
        f", contract {stage.output.name} {contract_versions(bound.values())}".rstrip()
        if stage.output
        else ""
    )
    keys = summarize_keys(set(bound) - {WHOLE})
    figures = (
        plural(sum(p.rows for p in products), "row"),
        f"{sum(p.quarantined for p in products):,} quarantined",
        size(sum(p.bytes for p in products)),
    )
    gone = "" if stage.is_declared else f", {UNDECLARED}"
    return f"{stage.name} {keys}".strip() + f": {stage.kind}{contract}{gone}, {', '.join(figures)}"


def _profile_table(columns: list[dict[str, Any]]) -> str:
    headers = ("column", "type", ">nulls", ">min", ">max", ">distinct", "contract")
    lines = [
        [
            known["name"],
            cell_text(known["type"]),
            count(known["nulls"]),
            "" if known["min"] is None else cell_text(known["min"]),
            "" if known["max"] is None else cell_text(known["max"]),
            "" if known["unique"] is None else _distinct(known),
            known["contract"],
        ]
        for known in columns
    ]
    return text_table(headers, lines)


def _distinct(known: Mapping[str, Any]) -> str:
    return f"{'~' if known.get('about') else ''}{count(known['unique'])}"


def _finding_lines(findings: Mapping[str, tuple[Finding, ...]]) -> list[str]:
    lines = [
        f"- {'' if key == WHOLE else f'{shown_key(key)} '}{f.severity}: {f.message or f.rule}"
        for key, found in findings.items()
        for f in found
    ]
    if not lines:
        return []
    return ["", *lines[:20], *([f"- and {len(lines) - 20} more"] if len(lines) > 20 else [])]


def _quarantine_text(
    stage: str, partition: str, view: QuarantineView
) -> tuple[str, dict[str, Any]]:
    text = place_name(stage, partition) + f": {plural(view.rows, 'quarantined row')}"
    if 0 < view.head.height < view.rows:
        text += f", the first {view.head.height:,} below (--rows {view.rows} shows all)"
    if view.rows:
        text = "\n".join([text, "", frame_table(view.reasons), "", frame_table(view.head)])
    reasons, head = view.reasons.to_dicts(), view.head.to_dicts()
    return text, {"rows": view.rows, "reasons": reasons, "head": head}


def _artifact_text(binding: Binding) -> tuple[str, dict[str, Any]]:
    artifact = binding.product.artifact
    assert artifact is not None
    lines = [
        f"{artifact.stage} {artifact.id}: {artifact.format}, {size(binding.product.bytes)}, "
        f"trained by run {binding.run} at {local_time(binding.at)}",
        *artifact_lines(artifact),
        *_finding_lines({WHOLE: binding.findings}),
    ]
    body = {
        "artifact": artifact,
        "run": binding.run,
        "at": binding.at,
        "findings": binding.findings,
    }
    return "\n".join(lines), body


def artifact_lines(artifact: Artifact) -> list[str]:
    """Describe a model artifact: output, inputs, training data, contracts, parameters."""
    trained = ", ".join(
        f"{name} {summarize_keys(keys)}" for name, keys in artifact.trained_on.items()
    )
    contracts = ", ".join(f"{name} {version}" for name, version in artifact.contracts.items())
    return [
        f"  predicts    {artifact.output} from {', '.join(artifact.inputs)}",
        f"  trained on  {trained} ({plural(artifact.rows, 'row')})",
        f"  contracts   {contracts}",
        f"  parameters  {artifact.params}, seed {artifact.seed}",
        f"  baseline    {artifact.baseline:.6g}",
        *([f"  search      {artifact.study}"] if artifact.study else []),
        *([f"  lineage     {artifact.lineage}"] if artifact.lineage else []),
    ]


def _score_text(
    stage: str,
    scores: Mapping[str, Scores],
    intervals: Mapping[str, Mapping[str, Interval]],
    findings: Mapping[str, tuple[Finding, ...]],
) -> tuple[str, dict[str, Any]]:
    names = list(dict.fromkeys(name for each in scores.values() for name in each.metrics))
    headers = ("of", "by", "slice", ">rows", *(f">{name}" for name in names))
    lines = [line for subject, each in scores.items() for line in _score_rows(subject, each, names)]
    text = f"{stage}\n\n{text_table(headers, lines)}"
    ranges = [_interval_line(s, m, one) for s, of in intervals.items() for m, one in of.items()]
    chosen = [
        _threshold_line(s, m, one) for s, of in scores.items() for m, one in of.thresholds.items()
    ]
    notes = [*ranges, *chosen]
    text = "\n".join([text, *([""] if notes else []), *notes, *_finding_lines(findings)])
    return text, {"scores": scores, "intervals": intervals, "findings": findings}


def _interval_line(subject: str, metric: str, one: Interval) -> str:
    over = f"{one.confidence:.0%} interval over {one.days} days"
    return f"- {subject} {metric} {one.value:.5g}: {over} {one.low:.5g} to {one.high:.5g}"


def _threshold_line(subject: str, metric: str, chosen: Threshold) -> str:
    return f"- {subject} {metric} judges the threshold {chosen}"


def _score_rows(subject: str, scores: Scores, names: list[str]) -> list[list[str]]:
    whole = [subject, "", "", count(scores.rows), *_figures(scores.metrics, names)]
    slices = [
        ["", scores.by, part.value, count(part.rows), *_figures(part.metrics, names)]
        for part in scores.slices
    ]
    return [whole, *slices]


def _figures(metrics: Mapping[str, float], names: list[str]) -> list[str]:
    return [f"{metrics[name]:.5g}" if name in metrics else "" for name in names]
