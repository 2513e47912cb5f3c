"""`tidemill contract sample`: generate synthetic rows of a contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click
import polars as pl
from polars.exceptions import PolarsError

from tidemill.cli.contract.reference import find_contract
from tidemill.cli.lazy_group import project_options
from tidemill.cli.render.frame import frame_table
from tidemill.cli.terminal.output import print_text
from tidemill.contracts.formula_guard import guard_formulas
from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.project.contract_files import sample as sampled

_WRITERS: Mapping[str, Callable[[pl.DataFrame, Path], object]] = {
    ".csv": pl.DataFrame.write_csv,
    ".ndjson": pl.DataFrame.write_ndjson,
    ".parquet": pl.DataFrame.write_parquet,
}


@click.command()
@click.argument("name", metavar="STAGE|MODULE:CLASS")
@click.option("--rows", type=click.IntRange(min=0), default=10, show_default=True,
              help="The number of rows.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of the rows.")
@click.option("--bad", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="The share of rows that each break a rule; they come last.")  # fmt: skip
@click.option(
    "--partition",
    metavar="KEY",
    help="Put all rows into one partition.  [default: a few]",
)
@click.option("--to", type=click.Path(path_type=Path), metavar="FILE",
              help="Write a .csv, .ndjson or .parquet file.  [default: stdout]")  # fmt: skip
@click.option("--guard", is_flag=True,
              help="Put an apostrophe before text that a spreadsheet would execute.")  # fmt: skip
@project_options
def sample(
    name: str,
    rows: int,
    seed: int,
    bad: float,
    partition: str | None,
    to: Path | None,
    guard: bool,
) -> None:
    """Generate synthetic rows that a contract allows; the same seed gives the same rows."""
    if guard and (to is None or to.suffix != ".csv"):
        raise UsageError("--guard needs --to with a .csv file")
    if to is not None and to.suffix not in _WRITERS:
        raise UsageError(f"{to}: the suffix is none of {', '.join(_WRITERS)}")
    frame = sampled(find_contract(name).spec, rows, seed=seed, bad=bad, partition=partition)
    if to is None:
        print_text(frame_table(frame), data=True)
        return
    try:
        _WRITERS[to.suffix](guard_formulas(frame) if guard else frame, to)
    except (PolarsError, OSError) as error:
        raise UsageError(f"{to} can't be written: {error}") from error
    print_text(f"{to}: {plural(frame.height, 'row')} of {name}")
