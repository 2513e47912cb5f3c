"""`tidemill contract sample`: synthetic rows of a contract, as a file or on the screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click
import polars as pl
from polars.exceptions import PolarsError

from tidemill.cli.contract.reference import contract_named
from tidemill.cli.lazy_group import where_options
from tidemill.cli.render.frame import head_table
from tidemill.core.errors import UsageError
from tidemill.project.contracts import sample as sampled

_WRITERS: Mapping[str, Callable[[pl.DataFrame, Path], object]] = {
    ".csv": pl.DataFrame.write_csv,
    ".ndjson": pl.DataFrame.write_ndjson,
    ".parquet": pl.DataFrame.write_parquet,
}


@click.command()
@click.argument("name", metavar="STAGE|MODULE:CLASS")
@click.option("--rows", type=click.IntRange(min=0), default=10, show_default=True,
              help="How many rows.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Other seeds, other rows.")
@click.option("--bad", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="The share of rows that break a rule each; they come last.")  # fmt: skip
@click.option("--partition", metavar="KEY", help="All rows of one partition.  [default: a few]")
@click.option("--to", type=click.Path(path_type=Path), metavar="FILE",
              help="Write .csv, .ndjson or .parquet.  [default: stdout]")  # fmt: skip
@where_options
def sample(
    name: str, rows: int, seed: int, bad: float, partition: str | None, to: Path | None
) -> None:
    """Print or write synthetic rows that a contract allows, always the same for a seed."""
    if to is not None and to.suffix not in _WRITERS:
        raise UsageError(f"{to}: the suffix is none of {', '.join(_WRITERS)}")
    frame = sampled(contract_named(name).spec, rows, seed=seed, bad=bad, partition=partition)
    if to is None:
        click.echo(head_table(frame))
        return
    try:
        _WRITERS[to.suffix](frame, to)
    except (PolarsError, OSError) as error:
        raise UsageError(f"{to} can't be written: {error}") from error
    click.echo(f"{to}: {frame.height:,} rows of {name}")
