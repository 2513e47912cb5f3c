"""`tidemill show`: what is published: rows with their profile, a model's artifact, scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from tidemill.cli.lazy_group import where_options
from tidemill.cli.project_option import opened
from tidemill.cli.render.figures import count, moment, plural, size, table
from tidemill.cli.render.frame import cell, head_table
from tidemill.cli.render.json_document import json_option, tell
from tidemill.cli.render.profile import profile, told
from tidemill.contracts.docs.phrases import terms
from tidemill.contracts.finding import Finding
from tidemill.core.errors import UsageError
from tidemill.core.partition import WHOLE, spread
from tidemill.ledger.binding import Binding, passed
from tidemill.store.published import verified
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Kind, Stage

if TYPE_CHECKING:
    from tidemill.project.project import Project


@click.command()
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.option("--bad", is_flag=True, help="The quarantined rows, with the rules that each broke.")
@click.option("--rows", default=10, show_default=True, type=click.IntRange(min=0), metavar="N",
              help="The first N rows.")  # fmt: skip
@json_option
@where_options
def show(stage: str, partition: str, bad: bool, rows: int, as_json: bool) -> None:
    """Show the published rows of STAGE: schema with contract, profile, and the first rows.

    For a model its artifact, for an evaluation its scores.
    """
    with opened() as project:
        subject = project.stage(stage)
        try:
            text, body = _told(project, subject, partition, rows, bad=bad)
        except pl.exceptions.PolarsError:
            # A damaged object is named by its own error, if that is what it is.
            verified(project.tools, project.state(), stage)
            raise
    what = {"stage": stage, "kind": subject.kind, "partition": partition or None}
    tell(text, as_json, "tidemill.show/1", lambda: {**what, **body})


def _told(
    project: Project, stage: Stage, partition: str, rows: int, *, bad: bool
) -> tuple[str, dict[str, Any]]:
    if bad:
        return _bad(project, stage.name, partition or None, rows)
    if stage.kind in (Kind.MODEL, Kind.EVALUATE):
        bound = _bound(project, stage, partition)
        return _artifact(bound) if stage.kind is Kind.MODEL else _scores(stage.name, bound)
    return _rows(project, stage, partition or None, rows)


def _bound(project: Project, stage: Stage, partition: str) -> Mapping[str, Binding]:
    head = project.state().heads.get(stage.name)
    held = head.partitions if head else {}
    found = {key: held[key] for key in sorted(held) if key == (partition or key)}
    if not found:
        there = spread(held) or f"nothing published yet; run `tidemill run {stage.name}`"
        raise UsageError(f"{stage.name} has no {partition or 'partition'}: there is {there}")
    return found


def _rows(
    project: Project, stage: Stage, partition: str | None, rows: int
) -> tuple[str, dict[str, Any]]:
    frame = project.read(stage.name, partition)
    bound = _bound(project, stage, partition or "")
    stored = project.stored_profile(stage.name, partition)
    columns = profile(frame) if stored is None else told(stored, frame.collect_schema())
    spec = {column.name: column for column in stage.output.columns} if stage.output else {}
    for known in columns:
        known["contract"] = terms(spec[known["name"]]) if known["name"] in spec else ""
    head = frame.head(rows).collect()
    findings = {key: b.findings for key, b in bound.items() if b.findings}
    text = "\n".join(
        [_title(stage, bound), "", _profile_table(columns), "", head_table(head), *_found(findings)]
    )
    body = {
        "partitions": list(bound),
        "versions": {key: binding.contract for key, binding in bound.items()},
        "rows": sum(b.product.rows for b in bound.values()),
        "quarantined": sum(b.product.quarantined for b in bound.values()),
        "columns": columns,
        "findings": findings,
        "head": head.to_dicts(),
    }
    return text, body


def _title(stage: Stage, bound: Mapping[str, Binding]) -> str:
    products = [binding.product for binding in bound.values()]
    contract = f", contract {stage.output.name} {passed(bound.values())}" if stage.output else ""
    keys = spread(set(bound) - {WHOLE})
    figures = (
        plural(sum(p.rows for p in products), "row"),
        f"{sum(p.quarantined for p in products):,} quarantined",
        size(sum(p.bytes for p in products)),
    )
    return f"{stage.name} {keys}".strip() + f": {stage.kind}{contract}, {', '.join(figures)}"


def _profile_table(columns: list[dict[str, Any]]) -> str:
    headers = ("column", "type", ">nulls", ">min", ">max", ">distinct", "contract")
    lines = [
        [
            known["name"],
            cell(known["type"]),
            count(known["nulls"]),
            "" if known["min"] is None else cell(known["min"]),
            "" if known["max"] is None else cell(known["max"]),
            "" if known["unique"] is None else _distinct(known),
            known["contract"],
        ]
        for known in columns
    ]
    return table(headers, lines)


def _distinct(known: Mapping[str, Any]) -> str:
    return f"{'~' if known.get('about') else ''}{count(known['unique'])}"


def _found(findings: Mapping[str, tuple[Finding, ...]]) -> list[str]:
    lines = [
        f"- {'' if key == WHOLE else f'{key} '}{f.severity}: {f.message or f.rule}"
        for key, found in findings.items()
        for f in found
    ]
    return ["", *lines[:20], *([f"- and {len(lines) - 20} more"] if len(lines) > 20 else [])]


def _bad(
    project: Project, stage: str, partition: str | None, rows: int
) -> tuple[str, dict[str, Any]]:
    bad = project.quarantined(stage, partition).collect()
    reasons = (
        bad.select(pl.col("_reasons").explode().alias("rule"))
        .group_by("rule")
        .len("rows")
        .sort("rows", "rule", descending=[True, False])
        if bad.height
        else pl.DataFrame(schema={"rule": pl.String, "rows": pl.UInt32})
    )
    head = _reasons_first(bad.head(rows))
    text = f"{stage} {partition or ''}".strip() + f": {plural(bad.height, 'quarantined row')}"
    if bad.height:
        text = "\n".join([text, "", head_table(reasons), "", head_table(head)])
    body = {"rows": bad.height, "reasons": reasons.to_dicts(), "head": head.to_dicts()}
    return text, body


def _reasons_first(bad: pl.DataFrame) -> pl.DataFrame:
    return bad.select("_reasons", *(name for name in bad.columns if name != "_reasons"))


def _artifact(bound: Mapping[str, Binding]) -> tuple[str, dict[str, Any]]:
    binding = next(iter(bound.values()))
    artifact = binding.product.artifact
    assert artifact is not None
    lines = [
        f"{artifact.stage} {artifact.id}: {artifact.format}, {size(binding.product.bytes)}, "
        f"trained by run {binding.run} at {moment(binding.at)}",
        *artifact_lines(artifact),
    ]
    return "\n".join(lines), {"artifact": artifact, "run": binding.run, "at": binding.at}


def artifact_lines(artifact: Artifact) -> list[str]:
    """What users of a model must know about it."""
    trained = ", ".join(f"{name} {spread(keys)}" for name, keys in artifact.trained_on.items())
    contracts = ", ".join(f"{name} {version}" for name, version in artifact.contracts.items())
    return [
        f"  predicts    {artifact.output} from {', '.join(artifact.inputs)}",
        f"  trained on  {trained} ({plural(artifact.rows, 'row')})",
        f"  contracts   {contracts}",
        f"  parameters  {artifact.params}, seed {artifact.seed}",
        f"  baseline    {artifact.baseline:.6g}",
    ]


def _scores(stage: str, bound: Mapping[str, Binding]) -> tuple[str, dict[str, Any]]:
    scores = {
        key: binding.product.scores
        for key, binding in bound.items()
        if binding.product.scores is not None
    }
    names = list(dict.fromkeys(name for each in scores.values() for name in each.metrics))
    headers = ("of", "by", "slice", ">rows", *(f">{name}" for name in names))
    lines = [line for subject, each in scores.items() for line in _score_rows(subject, each, names)]
    return f"{stage}\n\n{table(headers, lines)}", {"scores": scores}


def _score_rows(subject: str, scores: Scores, names: list[str]) -> list[list[str]]:
    whole = [subject, "", "", count(scores.rows), *_figures(scores.metrics, names)]
    slices = [
        ["", scores.by, part.value, count(part.rows), *_figures(part.metrics, names)]
        for part in scores.slices
    ]
    return [whole, *slices]


def _figures(metrics: Mapping[str, float], names: list[str]) -> list[str]:
    return [f"{metrics[name]:.5g}" if name in metrics else "" for name in names]
