"""`tidemill explain`: why something is what it is."""

from __future__ import annotations

import click

from tidemill.act.explaining import ColumnFacts, Explanation, Known, Origin
from tidemill.act.explaining import explain as explanation_of
from tidemill.cli.document import json_option, tell
from tidemill.cli.group import where_options
from tidemill.cli.opening import opened
from tidemill.cli.tables import moment, plural, table
from tidemill.domain.partition import WHOLE
from tidemill.domain.plan import spread
from tidemill.domain.stage import Stage

_FILES = 5
_DIGITS = 12


@click.command()
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.argument("column", default="", metavar="[COLUMN]")
@json_option
@where_options
def explain(stage: str, partition: str, column: str, as_json: bool) -> None:
    """Say why STAGE is what it is: its recipe, what it was made of and by whom, down to source files.

    For a model also what its gates decided. PARTITION is `all` for a stage that has only one.
    """
    with opened() as project:
        known = Known(
            flow=project.flow,
            recipes=project.recipes,
            state=project.state(),
            ledger=project.tools.ledger,
        )
        subject = project.stage(stage)
        if not column and _is_column(known, subject, partition):
            partition, column = "", partition
        found = explanation_of(known, subject, partition, column)
    tell(render(found), as_json, "tidemill.explain/1", lambda: {"explanation": found})


def _is_column(known: Known, stage: Stage, name: str) -> bool:
    """Whether what stands in the place of a partition can only be a column."""
    return (
        name not in known.bound(stage.name)
        and stage.output is not None
        and name in stage.output.names
    )


def render(found: Explanation) -> str:
    """An explanation as text: what it is, its recipe, its column, its model, where it comes from."""
    blocks = (_head(found), _recipe(found), _column(found.column), _model(found), _origins(found))
    return "\n\n".join("\n".join(lines) for lines in (*blocks, _runs(found)) if lines)


def _head(found: Explanation) -> list[str]:
    keys = spread(set(found.partitions) - {WHOLE})
    contract = f", contract {found.contract}" if found.contract else ""
    lines = [f"{found.stage} {keys}".strip() + f": {found.kind} at {found.place}{contract}"]
    if not found.partitions:
        return [*lines, "  nothing is published yet"]
    figures = f"{plural(found.rows, 'row')}, {found.quarantined:,} quarantined"
    lines.append(f"  {figures}; made {moment(found.at)}")
    lines += [
        f"  {finding.severity}: {finding.message or finding.rule}" for finding in found.findings
    ]
    if found.key:
        lines.append(f"  key {found.key[:_DIGITS]}, content {found.content[:_DIGITS]}")
    return lines


def _recipe(found: Explanation) -> list[str]:
    parts = ", ".join(f"{name} {digest[:8]}" for name, digest in found.recipe_parts.items())
    lines = [f"recipe {found.recipe[:_DIGITS]}: {parts}"]
    lines += [f"  changed since: {reason}" for reason in found.stale]
    return lines + [f"  never reused: {reason}" for reason in found.unproven]


def _column(facts: ColumnFacts | None) -> list[str]:
    if facts is None:
        return []
    told = f", {facts.description}" if facts.description else ""
    lines = [f"column {facts.name}: {facts.type}{told}"]
    if not facts.hash:
        return [*lines, "  name a PARTITION to see its values' history"]
    origin = f"the same values as {', '.join(facts.same_as)}" if facts.same_as else "computed here"
    lines.append(f"  values {facts.hash[:_DIGITS]}: {origin}")
    return lines + [
        f"  became {version.hash[:_DIGITS]} at {moment(version.at)} by run {version.run}"
        for version in facts.history
    ]


def _model(found: Explanation) -> list[str]:
    lines = [f"scored by model {found.model}"] if found.model else []
    artifact = found.artifact
    if artifact is None:
        return lines
    state = "live" if found.live == artifact.id else f"not live (live is {found.live or 'none'})"
    lines.append(
        f"model {artifact.id} is {state}; parameters {artifact.params}, seed {artifact.seed}"
    )
    for decision in found.decisions:
        verdict = "approved" if decision.approved else "refused"
        lines.append(f"  {verdict} by {decision.actor} at {moment(decision.at)}:")
        lines += [
            f"    {'passed' if result.passed else 'FAILED'} {result.gate}: {result.evidence}"
            for result in decision.results
        ]
    return lines


def _origins(found: Explanation) -> list[str]:
    if not found.origins:
        return []
    headers = ("made of", "kind", "partitions", ">rows", "made", "runs")
    lines = [table(headers, map(_origin, found.origins), indent="  ")]
    for origin in found.origins:
        shown = [f"{file.path} ({file.digest[:_DIGITS]})" for file in origin.files[:_FILES]]
        rest = len(origin.files) - len(shown)
        more = [f"and {rest:,} more"] if rest else []
        if shown:
            lines.append(f"  {origin.stage} from {', '.join([*shown, *more])}")
    return lines


def _origin(origin: Origin) -> list[str]:
    keys = spread(set(origin.partitions) - {WHOLE})
    made = moment(origin.last) if origin.last else "not published"
    changed = " (changed since)" if origin.changed else ""
    rows = f"{origin.rows:,}" if origin.rows else "-"
    runs = ", ".join(origin.runs[:2]) + (", ..." if len(origin.runs) > 2 else "")
    return [origin.stage, str(origin.kind), keys + changed, rows, made, runs]


def _runs(found: Explanation) -> list[str]:
    return [
        f"run {made.run}: `{made.command}` on {made.host}, {moment(made.started)}"
        for made in found.runs
    ]
