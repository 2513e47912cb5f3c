"""`tidemill explain`: show lineage and provenance of a stage."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time, plural
from tidemill.cli.render.frozen import frozen_line
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.render.recipe import recipe_line
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.core.signature import signature
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.lineage.upstream import ColumnTrace
from tidemill.planning.plan_remarks import trigger_lines
from tidemill.project.lineage import ColumnFacts, Explanation, Origin
from tidemill.workflow.stage import Kind

_ORIGINS = ("input", "kind", "partitions", ">rows", "published", "runs", "changed since")
_ROWS_ONLY = "(number of rows)"
_FILES = 5
_DIGITS = 12


@click.command()
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.argument("column", default="", metavar="[COLUMN]")
@json_option
@project_options
def explain(stage: str, partition: str, column: str, as_json: bool) -> None:
    """Show lineage and provenance of STAGE: its recipe, its inputs down to source files, its runs.

    With COLUMN, show the columns that it depends on, stage by stage. For a model, also show the
    decisions of its gates. PARTITION is `all` for a stage without partitions.
    """
    with project_session() as project:
        found = project.lineage.explain(stage, partition, column)
    print_result(render(found), as_json, "tidemill.explain/1", lambda: {"explanation": found})


def render(found: Explanation) -> str:
    """Render an explanation: summary, recipe, column lineage, model, inputs, runs."""
    blocks = (
        _head(found),
        _recipe(found),
        _column(found.column) if found.column else _reads(found),
        _lineage(found),
        _model(found),
        _origins(found),
        _runs(found),
    )
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _head(found: Explanation) -> list[str]:
    keys = summarize_keys(set(found.partitions) - {WHOLE})
    contract = f", contract {found.contract}" if found.contract else ""
    lines = [f"{found.stage} {keys}".strip() + f": {found.kind} at {found.place}{contract}"]
    if not found.partitions:
        return [*lines, "  nothing is published yet"]
    figures = f"{plural(found.rows, 'row')}, {found.quarantined:,} quarantined"
    lines.append(f"  {figures}; published {local_time(found.at)}")
    lines += [
        f"  {finding.severity}: {finding.message or finding.rule}" for finding in found.findings
    ]
    lines += [f"  {frozen_line(item)}" for item in found.frozen]
    if found.key:
        lines.append(f"  key {found.key[:_DIGITS]}, content {found.content[:_DIGITS]}")
    return lines


def _recipe(found: Explanation) -> list[str]:
    lines = [recipe_line(found.recipe, found.recipe_parts, found.judged_by, found.opaque)]
    lines += [f"  changed since: {reason}" for reason in found.stale]
    lines += [f"  never reused: {reason}" for reason in found.unproven]
    rest = (word for word in found.touched if word not in found.unproven)
    return lines + [f"  never reused: when it ran, {word}" for word in rest]


def _reads(found: Explanation) -> list[str]:
    """A table of the columns that a stage's key covers, and of those that it doesn't."""
    if not found.reads:
        return []
    rows = [
        (item.name, ", ".join(item.reads) or _ROWS_ONLY, ", ".join(item.ignores) or "-")
        for item in found.reads
    ]
    folded = [f"  {item.name} is folded {item.fold}" for item in found.reads if item.fold]
    return [text_table(("reads of", "columns", "not read"), rows, indent="  "), *folded]


def _column(facts: ColumnFacts) -> list[str]:
    description = f", {facts.description}" if facts.description else ""
    lines = [f"column {facts.name}: {facts.type}{description}"]
    if not facts.hash:
        return [*lines, "  add a PARTITION to see the history of its values"]
    origin = f"the same values as {', '.join(facts.same_as)}" if facts.same_as else "computed here"
    lines.append(f"  values {facts.hash[:_DIGITS]}: {origin}")
    return lines + [
        f"  changed to {version.hash[:_DIGITS]} at {local_time(version.at)} by run {version.run}"
        for version in facts.history
    ]


def _lineage(found: Explanation) -> list[str]:
    """A line per column; for an opaque stage, the reason why it depends on all columns."""
    if found.column is None or found.kind is Kind.INGEST:
        return []
    rows: list[tuple[str, str]] = []
    opaque: dict[str, str] = {}
    for item in found.column.lineage:
        rows.append((f"{item.stage}.{item.column or '(rows)'}", _depends(item)))
        if item.opaque:
            opaque[item.stage] = item.opaque
    lines = [text_table(("column", "depends on"), rows, indent="  ")]
    return lines + [
        f"  {stage} is judged by its code ({reason}), so it depends on all columns of its inputs"
        for stage, reason in opaque.items()
    ]


def _depends(item: ColumnTrace) -> str:
    if not item.reads:
        return "its files"
    return "; ".join(
        f"{name}: {', '.join(columns) or _ROWS_ONLY}" for name, columns in item.reads.items()
    )


def _model(found: Explanation) -> list[str]:
    lines = [f"scored by model {found.model}"] if found.model else []
    artifact = found.artifact
    if artifact is None:
        return lines
    state = "live" if found.live == artifact.id else f"not live (live: {found.live or 'none'})"
    lines.append(
        f"model {artifact.id} is {state}; parameters {artifact.params}, seed {artifact.seed}"
    )
    if artifact.lineage:
        lines.append(f"  {artifact.lineage}")
    if found.trained_because:
        lines.append(f"  trained because: {'; '.join(found.trained_because)}")
    lines += trigger_lines(found.evidence, indent="    ")
    for decision in found.decisions:
        who = signature(decision.actor, decision.note)
        said = f"  {decision.verdict} by {who} at {local_time(decision.at)}"
        lines.append(f"{said}:" if decision.results else said)
        lines += [
            f"    {result.word} {result.gate}: {result.evidence}" for result in decision.results
        ]
    return lines


def _origins(found: Explanation) -> list[str]:
    if not found.origins:
        return []
    rows = map(_origin, found.origins)
    lines = [text_table(*drop_empty_columns(_ORIGINS, rows, "changed since"), indent="  ")]
    for origin in found.origins:
        shown = [f"{file.path} ({file.digest[:_DIGITS]})" for file in origin.files[:_FILES]]
        rest = len(origin.files) - len(shown)
        more = [f"and {rest:,} more"] if rest else []
        if shown:
            lines.append(f"  {origin.stage} from {', '.join([*shown, *more])}")
    return lines


def _origin(origin: Origin) -> list[str]:
    keys = summarize_keys(set(origin.partitions) - {WHOLE})
    made = local_time(origin.last) if origin.last else "not published"
    changed = ", ".join(origin.changed_columns) or "yes" if origin.changed else "-"
    rows = f"{origin.rows:,}" if origin.rows else "-"
    runs = ", ".join(origin.runs[:2]) + (", ..." if len(origin.runs) > 2 else "")
    return [origin.stage, str(origin.kind), keys, rows, made, runs, changed]


def _runs(found: Explanation) -> list[str]:
    lines = [
        f"run {made.run}: `{made.command}` on {made.host}, {local_time(made.started)}"
        for made in found.runs
    ]
    if found.earlier_runs:
        lines.append(
            f"{plural(found.earlier_runs, 'earlier run')}: name a PARTITION to see its own"
        )
    return lines
