"""`tidemill graph`: the stages, who reads whom, and the state of each."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import (
    json_option,
    keep_apart,
    print_document,
    release_output,
    text_width,
)
from tidemill.cli.render.stage_graph import graph_mermaid, graph_svg, graph_text
from tidemill.cli.terminal.output import print_coloured, print_text
from tidemill.core.errors import StorageError
from tidemill.operations.stage_states import StageGraph, Surroundings

# Edges pass so many layers in a drawing that takes seconds.
_MOST_LANES = 20_000
# The limits that Mermaid has by default.
_MERMAID_EDGES, _MERMAID_TEXT = 500, 50_000


@click.command()
@click.option("--stage", default="", metavar="STAGE", help="Only STAGE and what is around it.")
@click.option(
    "--upstream", type=click.IntRange(min=0), metavar="N", help="Go up at most N steps from STAGE."
)
@click.option(
    "--downstream",
    type=click.IntRange(min=0),
    metavar="N",
    help="Go down at most N steps from STAGE.",
)
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw it to an SVG file.",
)
@click.option("--mermaid", is_flag=True, callback=keep_apart,
              help="Write it as a flowchart of Mermaid.")  # fmt: skip
@json_option
@project_options
def graph(
    stage: str,
    upstream: int | None,
    downstream: int | None,
    svg: Path | None,
    mermaid: bool,
    as_json: bool,
) -> None:
    """Draw the stages with their states: up to date, due, failed, waiting, stale, running, never run.

    Each stage stands below all that it reads. With --stage and only one of --upstream and --downstream, the
    other direction is left out.
    """
    if not stage and (upstream, downstream) != (None, None):
        raise click.UsageError("--upstream and --downstream need --stage")
    if mermaid and (svg is not None or as_json):
        raise click.UsageError("--mermaid can't be combined with --svg or --json")
    with project_session() as project:
        found = project.graph(_around(stage, upstream, downstream))
    if as_json:
        body = {"graph": {**asdict(found), "edges": [list(edge) for edge in found.edges]}}
        print_document("tidemill.graph/1", body)
    if svg is not None:
        _draw(found, svg)
    if svg is None and not as_json:
        release_output()
        _print(found, mermaid=mermaid)


def _around(stage: str, upstream: int | None, downstream: int | None) -> Surroundings | None:
    if not stage:
        return None
    if (upstream, downstream) != (None, None):
        upstream, downstream = upstream or 0, downstream or 0
    return Surroundings(stage=stage, upstream=upstream, downstream=downstream)


def _draw(found: StageGraph, target: Path) -> None:
    if found.lane_count() > _MOST_LANES:
        raise click.UsageError(
            f"a drawing of {len(found.nodes):,} stages with {len(found.edges):,} edges would take minutes: "
            "name a part with --stage, --upstream and --downstream"
        )
    try:
        target.write_text(graph_svg(found), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{target} can't be written: {error.strerror or error}") from error
    print_text(f"drawn to {target}", err=True)


def _print(found: StageGraph, *, mermaid: bool) -> None:
    if mermaid:
        text = graph_mermaid(found)
        print_text(text, end="")
        if len(found.edges) > _MERMAID_EDGES or len(text) > _MERMAID_TEXT:
            print_text(
                f"by default Mermaid draws at most {_MERMAID_EDGES} edges and {_MERMAID_TEXT:,} characters: "
                "name a part with --stage",
                err=True,
            )
        return
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    encoding = (sys.stdout.encoding or "ascii").lower()
    text = graph_text(
        found, text_width(), ascii_only=not encoding.startswith("utf"), colours=coloured
    )
    print_coloured(text) if coloured else print_text(text)
