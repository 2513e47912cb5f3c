"""`tidemill env list`, `create`, `diff`, `adopt`, `forget` and `drop`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import place_options, project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import count, local_time, plural
from tidemill.cli.render.frame import frame_table
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.partition import WHOLE, place_name, summarize_keys
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.project.environments import StageDiff, options_text
from tidemill.workflow.environment import PRODUCTION, Environment

if TYPE_CHECKING:
    from tidemill.project.environments import RowDiff


@click.command("list")
@json_option
@place_options
def list_(as_json: bool) -> None:
    """List the environments: the parent, creation time and expiry of each."""
    with project_session(PRODUCTION) as project:
        found = project.environments.list()
    print_result(
        _environment_table(found),
        as_json,
        "tidemill.environments/1",
        lambda: {"environments": found},
    )


def _environment_table(found: Sequence[Environment]) -> str:
    headers = ("environment", "branch of", "created", "expires", "sample", "profile")
    lines = [
        [item.name, item.parent or "-", *_times(item), _share(item), item.profile or "-"]
        for item in found
    ]
    return text_table(*drop_empty_columns(headers, lines, "expires", "sample", "profile"))


def _times(item: Environment) -> tuple[str, str]:
    over = " (expired)" if item.has_expired(time.time()) else ""
    expires = "-" if item.expires is None else local_time(item.expires) + over
    return local_time(item.at) if item.since else "-", expires


def _share(item: Environment) -> str:
    return "-" if item.sample == 1.0 else f"{item.sample:g}"


@click.command("create")
@click.argument("name")
@click.option(
    "--from", "parent", metavar="NAME", help="The environment to branch off.  [default: prod]"
)
@click.option("--empty", is_flag=True, help="Start without any published data.")
@click.option(
    "--ttl", metavar="TIME", help="Let it expire after a time such as 12h or 14d; see drop."
)
@click.option("--sample", type=float, metavar="SHARE",
              help="Run on this share of the source rows, such as 0.05.")  # fmt: skip
@click.option("--profile", metavar="NAME", help="Run with this run profile of the settings.")
@json_option
@place_options
def create(
    name: str,
    parent: str | None,
    empty: bool,
    ttl: str | None,
    sample: float | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Create the environment NAME as a branch of another, without copying data."""
    if empty and parent:
        raise click.UsageError("--empty and --from can't be combined")
    begin = "" if empty else parent or PRODUCTION
    with project_session(PRODUCTION) as project:
        made = project.environments.create(
            name, parent=begin, ttl=ttl, sample=sample, profile=profile
        )
    text = f"{name} is a new branch of {made.parent}" if made.parent else f"{name} is new and empty"
    text += options_text(made)
    text += "" if made.expires is None else f", until {local_time(made.expires)}"
    print_result(text, as_json, "tidemill.environment/1", lambda: {"environment": made})


@click.command("adopt")
@click.argument("former", metavar="WORKFLOW")
@json_option
@place_options
def adopt(former: str, as_json: bool) -> None:
    """Continue the environments of WORKFLOW, the former name of this workflow, without copying data."""
    with project_session(PRODUCTION) as project:
        names = project.environments.adopt(former)
        own = project.flow.name
    print_result(
        f"{own} continues {', '.join(names)} of {former}",
        as_json,
        "tidemill.adopted/1",
        lambda: {"workflow": own, "from": former, "environments": names},
    )


@click.command("forget")
@click.argument("stages", nargs=-1, required=True, metavar="STAGE...")
@json_option
@project_options
def forget(stages: tuple[str, ...], as_json: bool) -> None:
    """Remove what each STAGE published that is no longer declared; results can still be reused."""
    with project_session() as project:
        done = project.environments.forget(stages)
        environment = project.environment
    print_result(
        "\n".join(
            f"removed {plural(number, 'partition')} of {name} from {environment}"
            for name, number in done.items()
        ),
        as_json,
        "tidemill.forgotten/1",
        lambda: {"environment": environment, "stages": done},
    )


@click.command("drop")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--expired", is_flag=True, help="Drop all expired environments.")
@json_option
@place_options
def drop(names: tuple[str, ...], expired: bool, as_json: bool) -> None:
    """Drop environments. Their results stay stored and can still be reused."""
    if not names and not expired:
        raise click.UsageError("name the environments to drop, or add --expired")
    with project_session(PRODUCTION) as project:
        done = project.environments.drop(names, expired=expired)
    lines = [f"dropped {name}" for name in done.dropped]
    lines += [
        f"{name} expired but is kept: "
        + (f"{', '.join(branches)} branched off it" if branches else "a run is active in it")
        for name, branches in done.kept.items()
    ]
    print_result(
        "\n".join(lines) or "no environment has expired",
        as_json,
        "tidemill.dropped/1",
        lambda: {"done": done},
    )


@click.command("diff")
@click.argument("one")
@click.argument("other", default=PRODUCTION, metavar="[OTHER]")
@click.argument("stage", default="", metavar="[STAGE]")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.option("--rows", is_flag=True, help="Compare the rows of a STAGE without partitions.")
@json_option
@place_options
def diff(one: str, other: str, stage: str, partition: str, rows: bool, as_json: bool) -> None:
    """Compare the published data of the environments ONE and OTHER (default: prod).

    Compares partitions and columns by their hashes; with a STAGE and a PARTITION, compares rows.
    """
    if rows and not stage:
        raise click.UsageError("--rows needs a STAGE")
    with project_session(one) as project:
        if partition or rows:
            apart = project.diff_rows(other, stage, partition or WHOLE)
            body: dict[str, Any] = {"rows": apart, "examples": apart.examples.to_dicts()}
            text = "\n".join(_row_diff_lines(place_name(stage, partition), one, apart))
        else:
            found = project.diff(other, stage)
            body, text = {"stages": found}, _stage_diff_text(found, one, other)
    sides = {"one": one, "other": other}
    print_result(
        text, as_json, "tidemill.environments.diff/1", lambda: {**sides, **body}, data=True
    )


def _stage_diff_text(found: Sequence[StageDiff], one: str, other: str) -> str:
    if not found:
        return f"{one} and {other} have the same data"
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
            item.stage if item.declared else f"{item.stage} (no longer declared)",
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
    return "\n".join([text_table(headers, lines), *([""] if recipes else []), *recipes])


def _columns(item: StageDiff) -> Iterator[str]:
    for name, number in item.columns.items():
        yield name if number == len(item.changed) else f"{name} ({number})"


def _places(item: StageDiff) -> Iterator[str]:
    for keys in (item.changed, item.added, item.removed):
        if places := [key for key in keys if key != WHOLE]:
            yield summarize_keys(places)


def _row_diff_lines(place: str, one: str, apart: RowDiff) -> Iterator[str]:
    kinds = [
        (apart.added, f"only in {one}"),
        (apart.removed, "missing there"),
        (apart.changed, "changed"),
    ]
    counts = [f"{plural(number, 'row')} {words}" for number, words in kinds if number]
    yield f"{place}: {', '.join(counts) or 'the rows are equal'}"
    if apart.unlike:
        yield f"not compared, because the types differ or a side lacks them: {', '.join(apart.unlike)}"
    for name, number in apart.columns.items():
        most = f", by at most {apart.largest[name]:.3g}" if name in apart.largest else ""
        yield f"- {name} differs in {plural(number, 'row')}{most}"
    if apart.examples.height:
        yield ""
        yield frame_table(apart.examples)
