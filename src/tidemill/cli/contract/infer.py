"""`tidemill contract infer`: a contract scaffolded from files, or from what a stage gives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import click
import polars as pl

from tidemill.cli.lazy_group import where_options
from tidemill.cli.project_option import opened
from tidemill.cli.render.json_document import answer, document, json_option
from tidemill.contracts.column import Column
from tidemill.contracts.inference import infer as inference
from tidemill.contracts.inference.text_shape import codes_among
from tidemill.core.errors import SourceError, UsageError, did_you_mean
from tidemill.core.partition import UNPLACED, bounds_of, spread
from tidemill.reuse.output_schema import given
from tidemill.sources.io.file_readers import READERS
from tidemill.workflow.source import SUFFIXES, Format
from tidemill.workflow.stage import Stage

if TYPE_CHECKING:
    from tidemill.project.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Rows, what to call them, and what is known of them besides."""

    frame: pl.DataFrame
    name: str
    body: Mapping[str, object]
    about: str = ""
    known: Mapping[str, Column] = field(default_factory=dict)
    remarks: Sequence[str] = ()


@click.command()
@click.argument("path", metavar="PATH|STAGE")
@click.option("--stage", "is_stage", is_flag=True,
              help="It is a STAGE, although files have that name.")  # fmt: skip
@click.option("--from", "since", metavar="TIME",
              help="Of a STAGE only partitions that begin with TIME or later, such as 2013-03.")  # fmt: skip
@click.option("--to", "until", metavar="TIME",
              help="Of a STAGE only partitions that end by the end of TIME.")  # fmt: skip
@click.option(
    "--name", default="", help="The class's name.  [default: after the file or the stage]"
)
@click.option("--format", "form", type=click.Choice(get_args(Format)),
              help="The files' format.  [default: told by the suffix]")  # fmt: skip
@json_option
@where_options
def infer(
    path: str,
    is_stage: bool,
    since: str | None,
    until: str | None,
    name: str,
    form: str | None,
    as_json: bool,
) -> None:
    """Print a contract that fits the data in PATH: a file, a folder of files, or a glob in quotes.

    Or that fits what is published of a STAGE; of a transform that has published nothing, its query.
    """
    surely = bool(is_stage or since or until)
    files = [] if surely else _files(path)
    seen = _of_files(files, form) if files else _of_stage(path, since, until, surely=surely)
    named = name or seen.name
    if not named.isidentifier():
        raise UsageError(f"--name {named!r} can't be the name of a class")
    text = inference.infer(
        seen.frame, named, about=seen.about, known=seen.known, remarks=seen.remarks
    )
    body = {"name": named, **seen.body, "source": text}
    if as_json:
        answer(document("tidemill.contract/1", body))
    else:
        click.echo(text.rstrip())


def _files(path: str) -> list[Path]:
    """What PATH names."""
    at = Path(path)
    if at.is_dir():
        return sorted(p for p in at.iterdir() if p.suffix.lower() in SUFFIXES)
    if at.exists():
        return [at]
    return sorted(Path(at.anchor or ".").glob(str(at.relative_to(at.anchor))))


def _of_files(files: list[Path], form: str | None) -> _Seen:
    read_as = cast("Format", form) if form else _format_of(files[0])
    frame, codes = _read(files, read_as)
    return _Seen(
        frame=frame,
        name=_class_name(files[0].stem, files[0].absolute().parent.name),
        body={"files": [str(file) for file in files]},
        remarks=[_kept(codes)] if codes else [],
    )


def _format_of(file: Path) -> Format:
    form = SUFFIXES.get(file.suffix.lower())
    if form is None:
        known = ", ".join(SUFFIXES)
        raise SourceError(f"{file}: the suffix tells no format (known: {known}); say --format")
    return form


def _read(files: list[Path], form: Format) -> tuple[pl.DataFrame, list[str]]:
    """The rows of files, and the columns that are text because their numbers are codes."""
    try:
        if form != "csv":
            return _joined(READERS[form](file) for file in files), []
        parts = [READERS[form](file, try_parse_dates=True) for file in files]
        codes = _codes(files, parts)
        kept = dict.fromkeys(codes, pl.String)
        read = (READERS[form](f, try_parse_dates=True, schema_overrides=kept) for f in files)
        return _joined(read if codes else parts), codes
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{files[0]} can't be read as {form}: {error}") from error


def _joined(parts: Iterator[pl.LazyFrame] | Sequence[pl.LazyFrame]) -> pl.DataFrame:
    return pl.concat(list(parts), how="diagonal_relaxed").collect()


def _codes(files: Sequence[Path], parts: Sequence[pl.LazyFrame]) -> list[str]:
    """Numbers that begin with a zero, such as 01234, are codes: as numbers they would be others."""
    found: dict[str, None] = {}
    for file, part in zip(files, parts, strict=True):
        numbers = [name for name, dtype in part.collect_schema().items() if dtype.is_numeric()]
        text = READERS["csv"](file, infer_schema=False)
        found |= dict.fromkeys(codes_among(text, numbers))
    return list(found)


def _kept(codes: Sequence[str]) -> str:
    options = ", ".join(f'"{name}": pl.String' for name in codes)
    verb = "is text" if len(codes) == 1 else "are text"
    return (
        f"{', '.join(codes)} {verb}: numbers with leading zeros are codes. Have the stage read them so: "
        f"tm.files(..., schema_overrides={{{options}}})"
    )


def _of_stage(name: str, since: str | None, until: str | None, *, surely: bool) -> _Seen:
    if not (surely or name.isidentifier()):
        raise SourceError(f"there are no data files at {name!r}")
    with opened() as project:
        if name not in project.flow.names and not surely:
            advice = did_you_mean(name, project.flow.names)
            raise SourceError(
                f"there are no data files at {name!r}, and no stage of that name ({advice})"
            )
        return _published(project, project.stage(name), since, until)


def _published(project: Project, stage: Stage, since: str | None, until: str | None) -> _Seen:
    head = project.state().heads.get(stage.name)
    keys = _within(sorted(head.partitions if head else ()), stage, since, until)
    if keys:
        frame = pl.concat([project.read(stage.name, key) for key in keys]).collect()
        about = ""
    else:
        frame = given(stage)
        about = (
            f"What the query of {stage.name} gives, of which no row was seen: say what one row is."
        )
    return _Seen(
        frame=frame,
        name=_class_name(stage.name),
        body={"stage": stage.name, "partitions": keys},
        about=about,
        known={column.name: column for column in stage.output.columns} if stage.output else {},
    )


def _within(keys: list[str], stage: Stage, since: str | None, until: str | None) -> list[str]:
    """The partitions from `since` to `until`; UsageError when there are others only."""
    kept = [key for key in keys if key != UNPLACED]
    if not (since or until):
        return kept
    if not stage.partitioning.is_time:
        raise UsageError(f"{stage.name} is cut {stage.partitioning}: --from and --to name times")
    first = bounds_of(since)[0] if since else None
    end = bounds_of(until)[1] if until else None
    found = [
        key
        for key in kept
        if (first is None or bounds_of(key)[0] >= first)
        and (end is None or bounds_of(key)[1] <= end)
    ]
    if not found:
        there = spread(set(kept)) or "nothing published yet"
        asked = " ".join(f"{w} {t}" for w, t in (("from", since), ("to", until)) if t)
        raise UsageError(f"{stage.name} has no partition {asked}: there is {there}")
    return found


def _class_name(*names: str) -> str:
    """`daily-sales.csv` is DailySales; a file that is named after a day is named after its folder."""
    for part in names:
        words = re.findall(r"[A-Za-z][A-Za-z0-9]*", part)
        if words:
            return "".join(word[:1].upper() + word[1:] for word in words)
    return "Rows"
