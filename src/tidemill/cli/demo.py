"""`tidemill demo`: run a demo workflow on real flights, act by act, with a receipt for each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from itertools import chain, count
from pathlib import Path

import click

from tidemill.cli.demo_data import write_bad_batch, write_daily_files
from tidemill.core.errors import TidemillError

_FIRST, _LAST, _NEW = date(2013, 1, 1), date(2013, 12, 30), date(2013, 12, 31)
_DAMAGED = date(2013, 12, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act: a change to the project, the command that follows, and its expected exit code."""

    title: str
    story: str
    change: Callable[[Path], str]
    command: tuple[str, ...] = ("run",)
    exit_code: int = 0


def unused_folder(wanted: Path) -> Path:
    """`wanted` if it is empty or doesn't exist, else the first such of `wanted-2`, `wanted-3`, ...

    An earlier demo is a project that may be in use, so it is never overwritten.
    """
    names = chain([wanted], (wanted.with_name(f"{wanted.name}-{n}") for n in count(2)))
    return next(path for path in names if not (path.exists() and any(path.iterdir())))


def play_acts(folder: Path, echo: Callable[[str], None]) -> None:
    """Play all acts in a new project in `folder`, and keep the project.

    Raises TidemillError when an act ends with an unexpected exit code.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, act in enumerate(ACTS, 1):
        echo(f"\n{number}. {act.title}\n   {act.story}")
        done = act.change(folder)
        if done:
            echo(f"   ({done})")
        echo(f"\n   $ tidemill {' '.join(act.command)}")
        ended = subprocess.run(
            [sys.executable, "-m", "tidemill", *act.command], cwd=folder, check=False
        )
        if ended.returncode != act.exit_code:
            raise TidemillError(
                f"act {number} ended with exit code {ended.returncode}, not {act.exit_code}; "
                f"the project is in {folder}"
            )
    echo(f"\nThe project stays in {folder}: read flights.py, change it, run `tidemill plan`.")


def _start(folder: Path) -> str:
    template = files("tidemill") / "templates" / "flights"
    for name in ("flights.py", "pyproject.toml"):
        (folder / name).write_bytes((template / name).read_bytes())
    laid = write_daily_files(folder / "data", first=_FIRST, last=_LAST)
    return f"{laid.files} files, {laid.rows:,} rows, {laid.bytes / 1e6:.1f} MB"


def _no_change(folder: Path) -> str:
    return ""


def _new_day(folder: Path) -> str:
    laid = write_daily_files(folder / "data", first=_NEW, last=_NEW)
    return f"data/flights/{_NEW}.parquet arrived; {laid.rows:,} rows"


def _edit(old: str, new: str) -> Callable[[Path], str]:
    def edit(folder: Path) -> str:
        file = folder / "flights.py"
        text = file.read_text(encoding="utf-8")
        if old not in text:
            raise TidemillError(f"{file} no longer contains {old!r}")
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
        return f"flights.py: {old.strip()}  ->  {new.strip()}"

    return edit


def _damage(folder: Path) -> str:
    file = folder / "data" / "flights" / f"{_DAMAGED}.parquet"
    faults = write_bad_batch(file, file, seed=7)
    return f"{file.name}: " + ", ".join(f"{count} {name}" for name, count in faults.items())


ACTS = (
    Act(
        title="Build the history",
        story="364 days of real flights out of New York, with the weather; a model, its gates, a table.",
        change=_start,
    ),
    Act(title="Run again", story="Nothing changed, so nothing runs.", change=_no_change),
    Act(
        title="A new day arrives",
        story="Only that day runs; its weather is still missing, which features allow.",
        change=_new_day,
    ),
    Act(
        title="A comment is edited",
        story="The code means the same, so nothing runs.",
        change=_edit("# A flight is scored when", "# Every flight is scored when"),
    ),
    Act(
        title="A feature changes",
        story="Only what reads it runs: labels and both ingests are up to date.",
        change=_edit("is_between(16, 20)", "is_between(15, 20)"),
    ),
    Act(
        title="A bad batch arrives",
        story="A day is sent again with damaged rows: they are quarantined with reasons, the rest is used.",
        change=_damage,
    ),
    Act(
        title="Look at the quarantine",
        story="Each rejected row is kept as it came, with the rules that it broke.",
        change=_no_change,
        command=("show", "flights", str(_DAMAGED), "--bad"),
    ),
    Act(
        title="A better model passes its gates",
        story="More rounds: better than the live model, and not much worse for any carrier.",
        change=_edit('"rounds": 20', '"rounds": 40'),
        command=("run", "--train", "delay_model"),
    ),
    Act(
        title="A worse model is stopped",
        story="It learns too slowly: the gates reject it (exit code 4), and the live model stays.",
        change=_edit('"learning_rate": 0.1', '"learning_rate": 0.02'),
        command=("run", "--train", "delay_model"),
        exit_code=4,
    ),
    Act(
        title="Back to the live model's parameters",
        story="That model was trained before, so it is reused.",
        change=_edit('"learning_rate": 0.02', '"learning_rate": 0.1'),
    ),
)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("tidemill-demo"))
def demo(folder: Path) -> None:
    """Run a demo in a new project in FOLDER: ten acts in the life of a workflow on real flights.

    If FOLDER isn't empty, FOLDER-2 is used.
    """
    play_acts(unused_folder(folder.resolve()), click.echo)
