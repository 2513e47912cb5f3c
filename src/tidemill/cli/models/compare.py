"""`tidemill models compare`: compare two versions of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import count, seconds, size
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.counts import money_text
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.ledger.model_version import MetricComparison, ModelVersion, VersionComparison
from tidemill.ledger.price import Price


@click.command("compare")
@click.argument("model")
@click.argument("one", default="", metavar="[ONE]")
@click.argument("other", default="", metavar="[OTHER]")
@json_option
@project_options
def compare(model: str, one: str, other: str, as_json: bool) -> None:
    """Compare the version OTHER of MODEL with ONE: metrics, slices, inputs, parameters, size, latency, cost.

    By default OTHER is the newest version, and ONE the live one, or the one that it replaced if it is the
    newest.

    Metrics are those of the newest evaluation that scored both on the same rows. A gain is positive where
    OTHER is better; its 95 % interval is shown where both have daily figures of at least 14 days. Latency is
    measured now, on up to 1,000 recent rows.
    """
    with project_session() as project:
        found, price = project.models[model].compare(one, other, latency=True), project.price
    print_result(
        "\n".join(_lines(found, price)),
        as_json,
        "tidemill.model_comparison/1",
        lambda: {"comparison": found},
    )


def _lines(found: VersionComparison, price: Price) -> Iterator[str]:
    one, other = found.one, found.other
    yield f"{one.model}: {other.id} ({other.state}) compared with {one.id} ({one.state})"
    if found.metrics:
        yield from ("", _metric_table(found.metrics, one.id, other.id))
    yield from ("", text_table(("", f">{one.id}", f">{other.id}"), _facts(found, price)))
    for name, (mine, _) in found.inputs.items():
        yield f"- only {one.id if mine else other.id} reads {name}"
    for name, (before, after) in found.parameters.items():
        yield f"- {name}: {before!r} -> {after!r}"
    for name, (first, second) in found.packages.items():
        yield f"- package {name}: {first or 'none'} -> {second or 'none'}"
    for note in found.notes:
        yield f"- {note}"


def _metric_table(metrics: Iterable[MetricComparison], one: str, other: str) -> str:
    headers = (
        "evaluation",
        "metric",
        "slice",
        ">rows",
        f">{one}",
        f">{other}",
        ">gain",
        "95 % interval",
    )
    rows = [
        [
            found.stage,
            found.metric,
            found.slice or "-",
            count(found.rows),
            f"{found.one:.5g}",
            f"{found.other:.5g}",
            f"{found.gain:+.4g}",
            _interval(found),
        ]
        for found in metrics
    ]
    return text_table(*drop_empty_columns(headers, rows, "slice", "95 % interval"))


def _interval(found: MetricComparison) -> str:
    if found.interval is None:
        return "-"
    noise = ", could be noise" if found.could_be_noise else ""
    return f"{found.interval.low:+.4g} .. {found.interval.high:+.4g}{noise}"


def _facts(found: VersionComparison, price: Price) -> Iterator[tuple[str, str, str]]:
    pair = (found.one, found.other)

    def row(name: str, values: Iterable[str]) -> tuple[str, str, str]:
        first, second = values
        return name, first, second

    yield row("rows trained on", (count(version.artifact.rows) for version in pair))
    if any(version.artifact.parent for version in pair):
        yield row("continues", (_parent(version) for version in pair))
        yield row("generation", (str(version.artifact.generation) for version in pair))
    yield row("size", (size(version.bytes) for version in pair))
    yield row("training, CPU", (_training(version) for version in pair))
    if not price.is_free:
        yield row("training, cost", (_amount(version, price) for version in pair))
    if len(found.latency) == len({version.id for version in pair}):
        latency = [found.latency[version.id] for version in pair]
        yield row("predict 1 row", (f"{1e3 * each.one_row_s:.3g} ms" for each in latency))
        rows = count(latency[0].rows)
        yield row(f"predict {rows} rows", (f"{1e3 * each.batch_s:.3g} ms" for each in latency))


def _parent(version: ModelVersion) -> str:
    return version.artifact.parent.id if version.artifact.parent is not None else "-"


def _training(version: ModelVersion) -> str:
    return seconds(version.cost.cpu_s) if version.cost is not None else "-"


def _amount(version: ModelVersion, price: Price) -> str:
    return (
        money_text(version.cost.amount(price), price.currency) if version.cost is not None else "-"
    )
