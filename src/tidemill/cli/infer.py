"""`tidemill contract infer`: a contract scaffolded from data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast, get_args

import click
import polars as pl

from tidemill.act.sources import READERS
from tidemill.cli.document import document, json_option
from tidemill.decide import infer as inference
from tidemill.domain.errors import SourceError, UsageError
from tidemill.domain.source import SUFFIXES, Format


@click.command()
@click.argument("path")
@click.option("--name", default="", help="The class's name.  [default: after the file]")
@click.option("--format", "form", type=click.Choice(get_args(Format)),
              help="The files' format.  [default: told by the suffix]")  # fmt: skip
@json_option
def infer(path: str, name: str, form: str | None, as_json: bool) -> None:
    """Print a contract that fits the data in PATH: a file, a folder of files, or a glob in quotes."""
    files = _files(path)
    frame = _read(files, cast("Format", form) if form else _format_of(files[0]))
    named = name or _class_name(files[0])
    if not named.isidentifier():
        raise UsageError(f"--name {named!r} can't be the name of a class")
    text = inference.infer(frame, named)
    body = {"name": named, "files": [str(file) for file in files], "source": text}
    click.echo(document("tidemill.contract/1", body) if as_json else text.rstrip())


def _files(path: str) -> list[Path]:
    """What PATH names; SourceError when that is nothing."""
    given = Path(path)
    if given.is_dir():
        found = sorted(p for p in given.iterdir() if p.suffix.lower() in SUFFIXES)
    elif given.exists():
        found = [given]
    else:
        found = sorted(Path(given.anchor or ".").glob(str(given.relative_to(given.anchor))))
    if not found:
        raise SourceError(f"there are no data files at {path!r}")
    return found


def _format_of(file: Path) -> Format:
    form = SUFFIXES.get(file.suffix.lower())
    if form is None:
        known = ", ".join(SUFFIXES)
        raise SourceError(f"{file}: the suffix tells no format (known: {known}); say --format")
    return form


def _read(files: list[Path], form: Format) -> pl.DataFrame:
    options = {"try_parse_dates": True} if form == "csv" else {}
    try:
        parts = [READERS[form](file, **options) for file in files]
        return pl.concat(parts, how="diagonal_relaxed").collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{files[0]} can't be read as {form}: {error}") from error


def _class_name(file: Path) -> str:
    """`daily-sales.csv` is DailySales; a file that is named after a day is named after its folder."""
    for part in (file.stem, file.absolute().parent.name):
        words = re.findall(r"[A-Za-z][A-Za-z0-9]*", part)
        if words:
            return "".join(word[:1].upper() + word[1:] for word in words)
    return "Rows"
