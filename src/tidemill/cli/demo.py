"""`tidemill demo`: run a demo workflow on real flights, act by act, with a receipt for each."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib import import_module
from importlib.resources import files
from itertools import chain, count
from pathlib import Path
from typing import Any

import click

from tidemill.cli.demo_data import write_bad_batch, write_daily_files
from tidemill.cli.demo_governance import (
    REASON,
    declare_rules,
    edit_copy,
    keep_checkpoints,
    loosen_rule,
    open_review,
)
from tidemill.cli.terminal.output import print_text
from tidemill.core.errors import TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.python_command import python_module

# The history ends before December, whose weather makes delays harder to predict.
_FIRST, _LAST, _NEW = date(2013, 1, 1), date(2013, 11, 30), date(2013, 12, 1)
_DAMAGED = date(2013, 11, 15)
# With the second batch, enough new data for a training.
_DECEMBER = (date(2013, 12, 2), date(2013, 12, 5)), (date(2013, 12, 6), date(2013, 12, 15))
# What `delay_model` becomes in the last act, in place of the lines from `encoder = ` on.
_PIPELINE = """\
    text = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    pipeline = make_pipeline(
        ColumnTransformer([("text", text, ["origin"])], remainder="passthrough"),
        SimpleImputer(),
        StandardScaler(),
        Ridge(),
    )
    pipeline.fit(table.select("origin", *columns), table["delay"].to_numpy())
    inputs = Features.reads("origin", *columns)
    return tm.fitted(pipeline, inputs=inputs, output="delay")
"""
_LIGHTGBM = "    import lightgbm as lgb  # only the training needs it\n"
_SKLEARN = """\
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
"""


_ABOUT_PLANS = """
   A plan has a line for each stage and reason. `action`: what would be done, in how many `steps` (a step is
   one partition of a stage) and in `about` how much time. `up to date`: how many partitions stay as they are.
   `partitions` and `why`: which ones change, and the reason.
"""
# What to try next, in the project.
_NEXT = (
    "plan                               # nothing to do, until you change something",
    "show weather --bad                 # four rows that broke a rule",
    "explain delay_model                # why it was trained, and what its gates saw",
    "rollback delay_model               # make the booster live again",
    "runs                               # the runs of the demo",
    "policy explain                     # the facts of the last decision, and the rules that apply",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act: a change to the project, the commands that follow, and the expected exit code of the last.

    If `explained`, a text after the first command says what its columns mean.
    """

    title: str
    story: str
    change: Callable[[Path], str]
    commands: tuple[tuple[str, ...], ...] = (("run",),)
    exit_code: int = 0
    explained: bool = False


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
        for position, command in enumerate(act.commands, 1):
            code = _show(folder, command, echo)
            expected = act.exit_code if position == len(act.commands) else 0
            if code != expected:
                raise TidemillError(
                    f"`tidemill {' '.join(command)}` of act {number} ended with exit code {code}, not "
                    f"{expected}; the project is in {folder}"
                )
            if act.explained and position == 1:
                echo(_ABOUT_PLANS)
    echo(f"\n{summary(receipts_of(folder))}\n")
    echo(f"The project stays in {_from_here(folder)}. Read and change its flights.py, and try:\n")
    for line in _NEXT:
        echo(f"  {prompt_command(folder, line)}")


def _show(folder: Path, command: tuple[str, ...], echo: Callable[[str], None]) -> int:
    """Run a command in the project, after a line that shows it; return its exit code."""
    if _REVIEW in command:
        id = open_review(folder)
        command = tuple(id if word == _REVIEW else word for word in command)
    echo(f"\n   $ tidemill {shlex.join(command)}")
    ended = subprocess.run(python_module("tidemill", *command), cwd=folder, check=False)
    return ended.returncode


def receipts_of(folder: Path) -> list[dict[str, Any]]:
    """The receipts of all runs of a project."""
    command = python_module("tidemill", "runs", "--limit", "1000", "--json")
    listed = subprocess.run(
        command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return [run["receipt"] for run in json.loads(listed.stdout)["runs"] if run["receipt"]]


def summary(receipts: Sequence[Mapping[str, Any]]) -> str:
    """Sum up what the runs computed, of all that they would compute without reuse."""
    tallies = [tally for receipt in receipts for tally in receipt["stages"]]
    computed = sum(tally["ran"] - tally["removed"] + tally["failed"] for tally in tallies)
    kept = sum(tally["bound"] + tally["rechecked"] + tally["current"] for tally in tallies)
    return (
        f"{len(receipts)} runs: {computed:,} of {computed + kept:,} steps computed; the others were up to "
        "date or reused."
    )


def prompt_command(folder: Path, command: str) -> str:
    """A command line that works where the demo was started, also where `tidemill` isn't on the path."""
    script = Path(sys.executable).with_name("tidemill")
    found = shutil.which("tidemill")
    on_path = found is not None and Path(found).resolve() == script.resolve()
    if on_path:
        program = "tidemill"
    else:
        program = (
            _from_here(script)
            if script.exists()
            else f"{_from_here(Path(sys.executable))} -m tidemill"
        )
    return f"{program} -C {_from_here(folder)} {command}"


def _from_here(path: Path) -> str:
    """The path as it is typed in the current folder."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _start(folder: Path) -> str:
    return start_project(folder, _FIRST, _LAST)


def start_project(folder: Path, first: date, last: date) -> str:
    """Write the template of the flights, and the data of a time, into a folder; return what was written."""
    template = files("tidemill") / "templates" / "flights"
    for name in ("flights.py", "pyproject.toml"):
        (folder / name).write_bytes((template / name).read_bytes())
    laid = write_daily_files(folder / "data", first=first, last=last)
    return f"{laid.files} files, {laid.rows:,} rows, {laid.bytes / 1e6:.1f} MB"


def _no_change(folder: Path) -> str:
    return ""


def _new_days(first: date, last: date) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        write_daily_files(folder / "data", first=first, last=last)
        days = str(first) if first == last else f"{first} .. {last}"
        return f"data/flights and data/weather: {days} arrived"

    return write


def _edit(*changes: tuple[str, str]) -> Callable[[Path], str]:
    """Replace pieces of `flights.py`."""

    def edit(folder: Path) -> str:
        file = folder / "flights.py"
        text, written = file.read_text(encoding="utf-8"), int(file.stat().st_mtime)
        for old, new in changes:
            if old not in text:
                raise TidemillError(f"{file} no longer contains {old!r}")
            text = text.replace(old, new, 1)
        file.write_text(text, encoding="utf-8")
        # Python tells bytecode by size and whole seconds, and nobody edits twice within one.
        later = max(file.stat().st_mtime, written + 1)
        os.utime(file, (later, later))
        return "flights.py: " + "; ".join(
            f"{old.strip()}  ->  {new.strip()}" for old, new in changes
        )

    return edit


def _use_pipeline(folder: Path) -> str:
    """Train a pipeline of scikit-learn in place of the booster."""
    file = folder / "flights.py"
    before, middle, after = file.read_text(encoding="utf-8").partition("    encoder = ")
    _, fitted, rest = after.partition('inputs=encoder, output="delay")\n')
    if not middle or not fitted:
        raise TidemillError(f"{file} no longer trains a booster with an encoder")
    before = before.replace(_LIGHTGBM, _SKLEARN)
    file.write_text(before + _PIPELINE + rest, encoding="utf-8")
    return "flights.py: delay_model trains a linear pipeline, with the airport as text"


def _damage(folder: Path) -> str:
    file = folder / "data" / "flights" / f"{_DAMAGED}.parquet"
    faults = write_bad_batch(file, file, seed=7)
    return f"{file.name}: " + ", ".join(f"{count} {name}" for name, count in faults.items())


TRAIN = ("run", "--train", "delay_model")
_ANA, _BEN = (("--token-file", f"{person}.token") for person in ("ana", "ben"))
# In a command it stands for the id of the review that waits.
_REVIEW = "REVIEW"
_COPY = ("-C", "edited")
_KEPT = ("--checkpoints", "outside/checkpoints.jsonl", "--key", "outside/audit.pem.pub")
_WITHOUT, _WITH = 'columns = ["hour"', 'columns = ["carrier", "hour"'
ACTS = (
    Act(
        title="Build the history",
        story="334 days of real flights out of New York, with the weather; a model, its gates, a table.",
        change=_start,
    ),
    Act(title="Run again", story="Nothing changed, so nothing runs.", change=_no_change),
    Act(
        title="A new day arrives",
        story="Only that day runs, and the live model is evaluated on it.",
        change=_new_days(_NEW, _NEW),
    ),
    Act(
        title="A comment is edited",
        story="The code means the same, so nothing runs.",
        change=_edit(("# A flight is scored when", "# Every flight is scored when")),
    ),
    Act(
        title="A feature changes",
        story="Only what reads it runs: labels and both ingests are up to date.",
        change=_edit(("is_between(16, 20)", "is_between(15, 20)")),
        commands=(("plan",), ("run",)),
        explained=True,
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
        commands=(("show", "flights", str(_DAMAGED), "--bad"),),
    ),
    Act(
        title="A better model passes its gates",
        story="More rounds: better than the live model beyond noise, and much worse for no carrier.",
        change=_edit(('"rounds": 20', '"rounds": 40')),
        commands=(TRAIN,),
    ),
    Act(
        title="A model that is worse for one carrier is stopped",
        story="It learns the carrier: better overall, and much worse for a carrier with few flights.",
        change=_edit((_WITHOUT, _WITH), ('"rounds": 40', '"rounds": 120')),
        commands=(TRAIN,),
        exit_code=4,
    ),
    Act(
        title="Back to the live model",
        story="That model was trained before, so it is reused.",
        change=_edit((_WITH, _WITHOUT), ('"rounds": 120', '"rounds": 40')),
    ),
    Act(
        title="December arrives",
        story="Four days: the plan shows what each trigger saw, and how far it is from firing.",
        change=_new_days(*_DECEMBER[0]),
        commands=(("run",), ("plan",)),
    ),
    Act(
        title="Triggers fire",
        story="Ten more days: now there is enough new data, so a candidate is trained and judged.",
        change=_new_days(*_DECEMBER[1]),
        commands=(("plan",), ("run",)),
    ),
    Act(
        title="Rules and roles are declared",
        story="Rules are data over declared facts. ana may run, ben may review: each has a token.",
        change=declare_rules,
        commands=(("policy", "list"),),
    ),
    Act(
        title="A scikit-learn pipeline replaces the booster",
        story="It passes the same gates, but moves many predictions: a rule asks for a second person.",
        change=_use_pipeline,
        commands=((*_ANA, *TRAIN),),
        exit_code=4,
    ),
    Act(
        title="The second person decides",
        story="One page has all that is needed. ben approves with a reason, and the pipeline is live.",
        change=_no_change,
        commands=(
            ("review", "show"),
            (*_BEN, "review", "approve", _REVIEW, "--reason", REASON),
            ("models",),
            ("models", "compare", "delay_model"),
        ),
    ),
    Act(
        title="A model of a sample is refused",
        story="An experiment on 5 % of the flights passes its gates, and a rule refuses it.",
        change=_no_change,
        commands=(("--env", "dev", *TRAIN, "--create", "--sample", "0.05"),),
        exit_code=4,
    ),
    Act(
        title="What would other rules have decided?",
        story="Decisions are recorded with their facts, so they can be made once more.",
        change=loosen_rule,
        commands=(("policy", "replay", "--against", "looser.rules.toml"),),
    ),
    Act(
        title="The records are sealed",
        story="With a key there is a signed checkpoint outside; all that was recorded agrees with it.",
        change=keep_checkpoints,
        commands=(
            ("keys", "create", "outside/audit.pem"),
            ("audit", "show", "--what", "review"),
            ("audit", "verify"),
        ),
    ),
    Act(
        title="An edited copy is noticed",
        story="Somebody rewrites in a copy of the ledger why the pipeline was approved.",
        change=edit_copy,
        commands=((*_COPY, "audit", "verify", *_KEPT),),
        exit_code=1,
    ),
)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("tidemill-demo"))
@click.option(
    "--live", is_flag=True, help="Replay a month under `tidemill up`, about a day a second."
)
def demo(folder: Path, live: bool) -> None:
    """Run a demo in a new project in FOLDER: nineteen acts in the life of a workflow on real flights.

    If FOLDER isn't empty, FOLDER-2 is used.
    """
    unused = unused_folder(folder.resolve())
    if live:
        import_module("tidemill.cli.demo_live").play_month(unused, print_text, start_project)
    else:
        play_acts(unused, print_text)
