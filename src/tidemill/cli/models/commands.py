"""`tidemill models list`, `show`, `history` and `export`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import count, local_time, seconds, size
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.show import artifact_lines
from tidemill.core.counts import money_text
from tidemill.core.signature import signature
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.ledger.model_version import LivePeriod, ModelVersion
from tidemill.ledger.price import Price

_LIST = ("model", "version", "state", "format", "trained", ">rows", "metrics", ">size", ">CPU s")
_HISTORY = ("environment", "live since", "until", "version", "in place of", "by", "reason")


@click.command("list")
@click.argument("model", default="", metavar="[MODEL]")
@json_option
@project_options
def list_(model: str, as_json: bool) -> None:
    """List the versions of all models, or of MODEL, the one that was trained last first.

    A version is live, approved (it was live before, or may be), withdrawn (a person replaced it), refused
    by gates, the candidate, or only trained.
    """
    with project_session() as project:
        chosen = [project.models[model]] if model else list(project.models.values())
        found = [version for each in chosen for version in each.versions]
    text = (
        text_table(_LIST, map(_row, found)) if found else "no versions yet; `tidemill run` trains"
    )
    print_result(text, as_json, "tidemill.models/1", lambda: {"versions": found})


def _row(version: ModelVersion) -> list[str]:
    cost = version.cost
    return [
        version.model,
        version.id,
        str(version.state),
        version.artifact.format,
        local_time(version.trained_at),
        count(version.artifact.rows),
        version.metrics_text,
        "removed" if version.removed is not None else size(version.bytes),
        f"{cost.cpu_s:.2f}" if cost is not None else "-",
    ]


@click.command("show")
@click.argument("model")
@click.argument("version", default="", metavar="[VERSION]")
@json_option
@project_options
def show(model: str, version: str, as_json: bool) -> None:
    """Show a version of MODEL: what it was trained on and with, how it was judged, what it cost.

    VERSION is a unique prefix of its id, or `live` or `newest`.  [default: the live one, else the newest]
    """
    with project_session() as project:
        found, price = project.models[model].version(version), project.price
    text = "\n".join(_lines(found, price))
    print_result(text, as_json, "tidemill.model_version/1", lambda: {"version": found})


def _lines(version: ModelVersion, price: Price) -> Iterator[str]:
    artifact = version.artifact
    yield f"{version.model} {version.id}: {version.state}, {artifact.format}, {size(version.bytes)}"
    yield f"  trained     {local_time(version.trained_at)} by run {version.run}{_cost(version, price)}"
    if version.removed is not None:
        yield f"  removed     on {local_time(version.removed)[:10]} by a sweep"
    yield from artifact_lines(artifact)
    yield f"  recipe      {artifact.recipe[:12]}, key {version.key[:12]}"
    for name, columns in version.columns.items():
        yield f"  read of     {name}: {', '.join(columns) or 'all columns'}"
    if artifact.hardware:
        yield f"  machine     {_machine(artifact.hardware)}"
    if artifact.packages:
        yield f"  packages    {', '.join(f'{n} {v}' for n, v in artifact.packages.items())}"
    for stage, scores in version.latest_scores().items():
        figures = ", ".join(f"{name} {figure:.5g}" for name, figure in scores.metrics.items())
        yield f"  {stage}: {figures} ({count(scores.rows)} rows)"
    for decision in version.decisions:
        reason = f": {decision.reason}" if decision.reason else ""
        who = signature(version.deciders(decision), decision.note)
        yield f"  {decision.verdict} by {who} at {local_time(decision.at)}{reason}"
        for result in decision.results:
            yield f"    {result.word} {result.gate}: {result.evidence}"


def _cost(version: ModelVersion, price: Price) -> str:
    cost = version.cost
    if cost is None:
        return ""
    amount = "" if price.is_free else f", {money_text(cost.amount(price), price.currency)}"
    memory = f", peak RSS {size(cost.peak_rss)}" if cost.peak_rss else ""
    return f" in {seconds(cost.wall_s)}, CPU {seconds(cost.cpu_s)}{memory}{amount}"


def _machine(hardware: dict[str, str]) -> str:
    memory = size(int(hardware["memory"])) if "memory" in hardware else ""
    parts = (
        hardware.get("cpu", ""),
        f"{hardware['cores']} cores" if "cores" in hardware else "",
        memory,
        hardware.get("gpu", ""),
        hardware.get("system", ""),
    )
    return ", ".join(filter(None, parts))


@click.command("history")
@click.argument("model")
@json_option
@project_options
def history(model: str, as_json: bool) -> None:
    """Show what was live of MODEL when, in each environment: made live by whom, and why."""
    with project_session() as project:
        found = project.models[model].history
    print_result(
        _history_text(model, found),
        as_json,
        "tidemill.model_history/1",
        lambda: {"model": model, "periods": found},
    )


def _history_text(model: str, found: Sequence[LivePeriod]) -> str:
    if not found:
        return f"no version of {model} was live yet"
    lines = [
        [
            period.environment,
            local_time(period.since),
            local_time(period.until) if period.until is not None else "now",
            period.version,
            period.replaced or "-",
            signature(
                ", ".join(period.approvers) or period.actor,
                ", ".join(filter(None, (period.note, "rollback" * period.rollback))),
            ),
            period.reason or "-",
        ]
        for period in found
    ]
    return text_table(*drop_empty_columns(_HISTORY, lines, "in place of", "reason"))


@click.command("export")
@click.argument("model")
@click.argument("names", nargs=-1, required=True, metavar="[VERSION] PATH")
@json_option
@project_options
def export(model: str, names: tuple[str, ...], as_json: bool) -> None:
    """Write a version of MODEL to the folder PATH: its file, and a manifest with all about it as JSON.

    The file is in the format of the model's library; the manifest has its SHA-256, its inputs with their
    contract and encodings, and where it came from.  [VERSION default: the live one, else the newest]
    """
    if len(names) > 2:
        raise click.UsageError("give MODEL, VERSION and PATH, or MODEL and PATH")
    version, folder = names if len(names) == 2 else ("", names[0])
    with project_session() as project:
        found = project.models[model].version(version)
        manifest = project.models[model].export(Path(folder), found.id)
    print_result(
        f"wrote {model} {found.id} and {manifest}",
        as_json,
        "tidemill.model_export/1",
        lambda: {"model": model, "version": found.id, "manifest": str(manifest)},
    )
