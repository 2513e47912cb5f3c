"""Compare the rows and predictions that two versions of a workflow compute from the same data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from math import isfinite
from pathlib import Path
from typing import IO

import polars as pl

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.core.python_command import python_module
from tidemill.environments.row_diff import diff_rows
from tidemill.governance.personal_columns import personal_columns
from tidemill.lineage.io.git_ref import ProjectAtRef
from tidemill.lineage.version_changes import StageEdit
from tidemill.models.predictors import PREDICTION
from tidemill.project.moved_examples import distances
from tidemill.project.recompute_worker import (
    SampleAnswer,
    SampleQuestion,
    question_as_json,
    read_answers,
)
from tidemill.project.workspace import Workspace
from tidemill.workflow.stage import DATA, Kind

MAX_ROWS = 2_000_000
_BEFORE = "_before"
_SLOW = "the time limit of {seconds:g} s ended before it was computed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRows:
    """How the rows of some partitions of a stage differ between two versions of the workflow.

    `before` and `after` are the rows of both; `columns` counts the rows in which a column differs, `largest`
    has the largest difference of a number, and `unlike` are the columns that only one version has, or with
    another type. `new` stages have no rows before.
    """

    stage: str
    partitions: tuple[str, ...]
    before: int = 0
    after: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    largest: Mapping[str, float] = field(default_factory=dict)
    unlike: tuple[str, ...] = ()
    quarantined_before: int = 0
    quarantined_after: int = 0
    new: bool = False

    @property
    def is_same(self) -> bool:
        """Whether both versions computed the same rows, and quarantined as many."""
        moved = self.added + self.removed + self.changed + len(self.unlike)
        return not moved and not self.new and self.quarantined_before == self.quarantined_after


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedPredictions:
    """How far the predictions of a model move that both versions trained on the same data.

    `rows` were predicted by both; of them `differing` differ. `mean` and `largest` are differences of
    numbers, None for classes.
    """

    model: str
    trained_before: int
    trained_after: int
    rows: int
    differing: int
    mean: float | None = None
    largest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledComparison:
    """What two versions compute, and why something isn't compared, by stage."""

    tables: tuple[ComparedRows, ...] = ()
    models: tuple[ComparedPredictions, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLimits:
    """The newest partitions of each stage to compare, and the seconds that both versions may take."""

    partitions: int = 2
    seconds: float = 60.0
    max_rows: int = MAX_ROWS


def compare_versions(
    space: Workspace,
    base: ProjectAtRef,
    workflow: str | None,
    edits: Sequence[StageEdit],
    limits: SampleLimits,
) -> SampledComparison:
    """Compute what `edits` recompute by both versions, each in a process, and compare the results."""
    edits = [each for each in edits if each.recomputes and each.kind in (*DATA, Kind.MODEL)]
    if not edits:
        return SampledComparison()
    asked = SampleQuestion(
        root=str(space.root),
        home=str(space.home),
        home_url=space.settings.home_url,
        artifacts=space.settings.artifacts,
        environment=space.environment,
        stages=tuple(each.stage for each in edits),
        partitions=limits.partitions,
        max_rows=limits.max_rows,
    )
    then = tuple(each.was or each.stage for each in edits if each.what != "new")
    with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
        before, after = Path(folder) / "before", Path(folder) / "after"
        problems = _compute(
            (
                _Side(base.folder, workflow, replace(asked, stages=then), before),
                _Side(space.root, space.settings.workflow, asked, after),
            ),
            limits.seconds,
        )
        return _compare(space, edits, _Computed(before, after), problems, limits)


@dataclass(frozen=True, slots=True)
class _Side:
    """A version that computes a sample: the folder of its code, and where the answers go."""

    code: Path
    workflow: str | None
    asked: SampleQuestion
    into: Path


class _Computed:
    """The answers of both sides."""

    def __init__(self, before: Path, after: Path) -> None:
        self._folders = before, after
        self.before, self.after = read_answers(before), read_answers(after)

    def frames(self, old: SampleAnswer, new: SampleAnswer) -> tuple[pl.DataFrame, pl.DataFrame]:
        one, other = self._folders
        return pl.read_parquet(one / old.file), pl.read_parquet(other / new.file)


def _compute(sides: Sequence[_Side], seconds: float) -> str:
    """Run both sides at the same time; return what went wrong with them, if they didn't answer."""
    until = time.monotonic() + seconds
    started: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
    try:
        for side in sides:
            side.into.mkdir()
            question = side.into / "question.json"
            question.write_text(json.dumps(question_as_json(side.asked)), encoding="utf-8")
            named = ("-w", side.workflow) if side.workflow else ()
            errors: IO[bytes] = (side.into / "stderr").open("w+b")
            command = python_module("tidemill", "-C", str(side.code), *named, "plan", "--answer")
            process = subprocess.Popen(
                [*command, str(question), str(side.into)],
                cwd=side.code,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
            started.append((process, errors))
        return " ".join(dict.fromkeys(filter(None, (_problem(p, e, until) for p, e in started))))
    finally:
        for process, errors in started:
            # It may have started others, which end with it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            errors.close()


def _problem(process: subprocess.Popen[bytes], errors: IO[bytes], until: float) -> str:
    try:
        code = process.wait(timeout=max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return ""
    if code == 0:
        return ""
    errors.seek(0)
    said = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    return said or f"the process that computes it ended with {code}"


def _compare(
    space: Workspace,
    edits: Sequence[StageEdit],
    computed: _Computed,
    problem: str,
    limits: SampleLimits,
) -> SampledComparison:
    tables, models, skipped = list[ComparedRows](), list[ComparedPredictions](), {}
    hidden = frozenset(
        personal_columns(
            space.flow,
            space.recipes,
            {s.name: s.output.names for s in space.flow.stages if s.output is not None},
        )
    )
    for edit in edits:
        pairs, reason = _pairs(edit, computed, problem or _SLOW.format(seconds=limits.seconds))
        if reason:
            skipped[edit.stage] = reason
        if not pairs:
            continue
        if edit.kind == Kind.MODEL:
            found = _compare_predictions(edit.stage, computed, *pairs[0])
            if isinstance(found, str):
                skipped[edit.stage] = found
            else:
                models.append(found)
        else:
            tables.append(_compare_tables(space, edit.stage, computed, pairs, hidden))
    return SampledComparison(tables=tuple(tables), models=tuple(models), skipped=skipped)


def _pairs(
    edit: StageEdit, computed: _Computed, otherwise: str
) -> tuple[list[tuple[SampleAnswer | None, SampleAnswer]], str]:
    """The partitions that both versions computed, and why others aren't compared."""
    own = [answer for answer in computed.after.values() if answer.stage == edit.stage]
    if not own:
        return [], otherwise
    pairs: list[tuple[SampleAnswer | None, SampleAnswer]] = []
    reasons = list[str]()
    for new in own:
        old = computed.before.get((edit.was or edit.stage, new.partition))
        place = f"{new.partition}: " if new.partition not in ("", WHOLE) else ""
        if new.error:
            reasons.append(f"{place}{new.error}")
        elif edit.what == "new":
            pairs.append((None, new))
        elif old is None:
            reasons.append(f"{place}{otherwise}")
        elif old.error:
            reasons.append(f"{place}the earlier version: {old.error}")
        else:
            pairs.append((old, new))
    return pairs, "; ".join(dict.fromkeys(reasons))


def _compare_tables(
    space: Workspace,
    stage: str,
    computed: _Computed,
    pairs: Sequence[tuple[SampleAnswer | None, SampleAnswer]],
    hidden: Collection[str],
) -> ComparedRows:
    output = space.flow[stage].output
    key = output.key if output is not None else ()
    found = ComparedRows(stage=stage, partitions=(), new=pairs[0][0] is None)
    for old, new in pairs:
        found = replace(
            found,
            partitions=(*found.partitions, new.partition),
            after=found.after + new.rows,
            quarantined_after=found.quarantined_after + new.quarantined,
        )
        if old is None:
            continue
        before, after = computed.frames(old, new)
        diff = diff_rows(after, before, key, max_examples=0)
        columns, largest = {**found.columns}, {**found.largest}
        for name, many in diff.columns.items():
            columns[name] = columns.get(name, 0) + many
        for name, most in diff.largest.items():
            if f"{stage}.{name}" not in hidden:
                largest[name] = max(largest.get(name, 0.0), most)
        found = replace(
            found,
            before=found.before + old.rows,
            quarantined_before=found.quarantined_before + old.quarantined,
            added=found.added + diff.added,
            removed=found.removed + diff.removed,
            changed=found.changed + diff.changed,
            columns=columns,
            largest=largest,
            unlike=tuple(dict.fromkeys((*found.unlike, *diff.unlike))),
        )
    return found


def _compare_predictions(
    model: str, computed: _Computed, old: SampleAnswer | None, new: SampleAnswer
) -> ComparedPredictions | str:
    """The difference of the predictions; a reason where they can't be compared."""
    if old is None:
        return "it is new"
    before, after = computed.frames(old, new)
    key = [name for name in after.columns if name in before.columns and name != PREDICTION]
    if PREDICTION not in before.columns or PREDICTION not in after.columns or not key:
        return "none of its inputs has a key and all columns that it reads"
    both = after.join(before, on=key, how="inner", nulls_equal=True, suffix=_BEFORE)
    if not both.height:
        return "the rows that both versions predict have no key in common"
    one, other = both[PREDICTION + _BEFORE], both[PREDICTION]
    apart = distances(one, other)
    figures = dict(_figures(apart)) if one.dtype.is_numeric() and other.dtype.is_numeric() else {}
    return ComparedPredictions(
        model=model,
        trained_before=old.rows,
        trained_after=new.rows,
        rows=both.height,
        differing=apart.filter(apart > 0).len(),
        mean=figures.get("mean"),
        largest=figures.get("largest"),
    )


def _figures(apart: pl.Series) -> Iterator[tuple[str, float]]:
    for name, value in (("mean", apart.mean()), ("largest", apart.max())):
        if isinstance(value, int | float) and isfinite(value):
            yield name, float(value)
