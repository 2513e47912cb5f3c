"""`tidemill env list`, `create`, `diff` and `drop`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import click

from tidemill.cli.lazy_group import where_options
from tidemill.cli.project_option import opened
from tidemill.cli.render.figures import count, moment, plural, table, without_empty
from tidemill.cli.render.frame import head_table
from tidemill.cli.render.json_document import json_option, tell
from tidemill.core.partition import WHOLE, spread
from tidemill.project.environments import StageApart
from tidemill.project.environments import told as terms_told
from tidemill.workflow.environment import PRODUCTION, Environment


@click.command("list")
@json_option
@where_options
def list_(as_json: bool) -> None:
    """List the environments: what each branched off, when it began, and when it expires."""
    with opened(PRODUCTION) as project:
        found = project.environments.list()
    tell(_listed(found), as_json, "tidemill.environments/1", lambda: {"environments": found})


def _listed(found: Sequence[Environment]) -> str:
    headers = ("environment", "branch of", "began", "expires", "sample", "profile")
    lines = [
        [item.name, item.parent or "-", *_times(item), _share(item), item.profile or "-"]
        for item in found
    ]
    return table(*without_empty(headers, lines, "expires", "sample", "profile"))


def _times(item: Environment) -> tuple[str, str]:
    over = " (over)" if item.expired(time.time()) else ""
    expires = "-" if item.expires is None else moment(item.expires) + over
    return moment(item.at) if item.since else "-", expires


def _share(item: Environment) -> str:
    return "-" if item.sample == 1.0 else f"{item.sample:g}"


@click.command("create")
@click.argument("name")
@click.option("--from", "parent", metavar="NAME", help="What it begins with.  [default: prod]")
@click.option("--empty", is_flag=True, help="It begins with nothing.")
@click.option("--ttl", metavar="TIME", help="It expires after such a time as 12h or 14d; see drop.")
@click.option("--sample", type=float, metavar="SHARE",
              help="It works on this share of rows, such as 0.05.")  # fmt: skip
@click.option("--profile", metavar="NAME", help="It works with this profile of the settings.")
@json_option
@where_options
def create(
    name: str,
    parent: str | None,
    empty: bool,
    ttl: str | None,
    sample: float | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Begin the environment NAME with all that another has now; nothing is copied."""
    if empty and parent:
        raise click.UsageError("--empty and --from are two ways to begin; choose one")
    begin = "" if empty else parent or PRODUCTION
    with opened(PRODUCTION) as project:
        made = project.environments.create(
            name, parent=begin, ttl=ttl, sample=sample, profile=profile
        )
    told = f"{name} is a new branch of {made.parent}" if made.parent else f"{name} is new and empty"
    told += terms_told(made)
    told += "" if made.expires is None else f", until {moment(made.expires)}"
    tell(told, as_json, "tidemill.environment/1", lambda: {"environment": made})


@click.command("drop")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--expired", is_flag=True, help="All whose time is over.")
@json_option
@where_options
def drop(names: tuple[str, ...], expired: bool, as_json: bool) -> None:
    """End environments. What was computed in them stays known, and everything stays stored."""
    if not names and not expired:
        raise click.UsageError("name the environments to drop, or say --expired")
    with opened(PRODUCTION) as project:
        done = project.environments.drop(names, expired=expired)
    lines = [f"dropped {name}" for name in done.dropped]
    lines += [
        f"{name} expired and stays, because "
        + (f"{', '.join(branches)} branched off it" if branches else "something is at work in it")
        for name, branches in done.kept.items()
    ]
    tell("\n".join(lines) or "none expired", as_json, "tidemill.dropped/1", lambda: {"done": done})


@click.command("diff")
@click.argument("one")
@click.argument("other", default=PRODUCTION, metavar="[OTHER]")
@click.argument("stage", default="", metavar="[STAGE]")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.option("--rows", is_flag=True, help="Also the rows of a STAGE that has one partition.")
@json_option
@where_options
def diff(one: str, other: str, stage: str, partition: str, rows: bool, as_json: bool) -> None:
    """Show what the environment ONE holds differently than OTHER (default: prod).

    By partitions and columns, which reads no data; with a STAGE and a PARTITION, row by row.
    """
    if rows and not stage:
        raise click.UsageError("--rows needs a STAGE")
    with opened(one) as project:
        if partition or rows:
            apart = project.diff_rows(other, stage, partition or WHOLE)
            body: dict[str, Any] = {"rows": apart, "examples": apart.examples.to_dicts()}
            text = "\n".join(_rows_told(f"{stage} {partition}".strip(), one, apart))
        else:
            found = project.diff(other, stage)
            body, text = {"stages": found}, _stages_told(found, one, other)
    tell(
        text, as_json, "tidemill.environments.diff/1", lambda: {"one": one, "other": other, **body}
    )


def _stages_told(found: Sequence[StageApart], one: str, other: str) -> str:
    if not found:
        return f"{one} holds what {other} holds"
    headers = (
        "stage",
        ">same",
        ">changed",
        f">only {one}",
        f">only {other}",
        "columns",
        "partitions",
    )
    lines = [
        [
            item.stage,
            count(item.same),
            count(len(item.changed)),
            count(len(item.added)),
            count(len(item.removed)),
            ", ".join(_columns(item)),
            "; ".join(_places(item)),
        ]
        for item in found
    ]
    recipes = [f"{item.stage}: {', '.join(item.recipe)}" for item in found if item.recipe]
    return "\n".join([table(headers, lines), *([""] if recipes else []), *recipes])


def _columns(item: StageApart) -> Iterator[str]:
    for name, number in item.columns.items():
        yield name if number == len(item.changed) else f"{name} ({number})"


def _places(item: StageApart) -> Iterator[str]:
    for keys in (item.changed, item.added, item.removed):
        if places := [key for key in keys if key != WHOLE]:
            yield spread(places)


def _rows_told(place: str, one: str, apart: Any) -> Iterator[str]:
    told = [
        (apart.added, f"only in {one}"),
        (apart.removed, "missing there"),
        (apart.changed, "changed"),
    ]
    counts = [f"{plural(number, 'row')} {words}" for number, words in told if number]
    yield f"{place}: {', '.join(counts) or 'the rows are the same'}"
    if apart.unlike:
        yield f"not compared, because not both have them alike: {', '.join(apart.unlike)}"
    for name, number in apart.columns.items():
        most = f", by at most {apart.largest[name]:.3g}" if name in apart.largest else ""
        yield f"- {name} differs in {plural(number, 'row')}{most}"
    if apart.examples.height:
        yield ""
        yield head_table(apart.examples)
