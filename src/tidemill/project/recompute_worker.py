"""Compute a sample of changed stages in a process of its own, for who compares two versions of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl

from tidemill.core.errors import TidemillError, describe_error
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.core.printable import shorten
from tidemill.project.recomputation import Recomputation, refusal_of
from tidemill.project.settings import find_settings, load_workflow
from tidemill.project.workspace import Workspace
from tidemill.workflow.stage import DATA, Kind

INDEX = "index.jsonl"
# The characters of an error that are shown.
_LONGEST = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleQuestion:
    """What to compute: `partitions` of each of the `stages`, on the data of the project in `root`.

    `home` holds its state, or that of this machine if others share what is at `home_url`; objects are at
    `artifacts`, or in the home. Partitions with more than `max_rows` published rows are left out.
    """

    root: str
    home: str
    environment: str
    stages: tuple[str, ...]
    partitions: int
    max_rows: int
    home_url: str = ""
    artifacts: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleAnswer:
    """What became of a partition of a stage: a `file` with its rows or predictions, or an `error`."""

    stage: str
    partition: str
    file: str = ""
    rows: int = 0
    quarantined: int = 0
    error: str = ""


def answer_question(folder: Path, workflow: str | None, question: Path, into: Path) -> None:
    """Compute what the file `question` asks for by the code in `folder`; write it into the folder `into`.

    Each answer is written as soon as it is known: who waits may end this process at any time.
    """
    asked = question_from_json(json.loads(question.read_text(encoding="utf-8")))
    settings = find_settings(folder.resolve(), workflow)
    flow = load_workflow(settings)
    # The code is that of a git ref, while data and state are the project's.
    there = replace(
        settings,
        root=Path(asked.root),
        home=asked.home,
        home_url=asked.home_url,
        artifacts=asked.artifacts,
    )
    space = Workspace(there, flow, asked.environment)
    try:
        with (into / INDEX).open("a", encoding="utf-8") as index:
            for number, (answer, rows) in enumerate(_answers(space, asked, into / "objects")):
                if rows is not None:
                    answer = replace(answer, file=f"{number}.parquet")
                    rows.write_parquet(into / answer.file)
                index.write(json.dumps(asdict(answer)) + "\n")
                index.flush()
    finally:
        space.close()


def question_as_json(asked: SampleQuestion) -> dict[str, Any]:
    """Encode a question as JSON."""
    return asdict(asked)


def question_from_json(found: Mapping[str, Any]) -> SampleQuestion:
    """Decode what `question_as_json` encoded."""
    return SampleQuestion(**{**found, "stages": tuple(found["stages"])})


def read_answers(folder: Path) -> dict[tuple[str, str], SampleAnswer]:
    """The answers that a worker wrote so far, by stage and partition."""
    index = folder / INDEX
    if not index.exists():
        return {}
    # The last line may be cut where a worker was ended.
    lines = index.read_text(encoding="utf-8").split("\n")[:-1]
    answers = (SampleAnswer(**json.loads(line)) for line in lines)
    return {(each.stage, each.partition): each for each in answers}


def _answers(
    space: Workspace, asked: SampleQuestion, folder: Path
) -> Iterator[tuple[SampleAnswer, pl.DataFrame | None]]:
    computed = Recomputation(space, asked.stages, folder)
    for name in asked.stages:
        kind = space.flow[name].kind
        if reason := refusal_of(space, name):
            yield SampleAnswer(stage=name, partition="", error=reason), None
        elif kind in DATA:
            keys = computed.newest_keys(name, asked.partitions)
            if not keys:
                yield (
                    SampleAnswer(stage=name, partition="", error="nothing of it is published"),
                    None,
                )
            for key in keys:
                yield _rows(computed, asked, name, key)
        elif kind is Kind.MODEL:
            yield _predictions(computed, name)


def _rows(
    computed: Recomputation, asked: SampleQuestion, name: str, key: str
) -> tuple[SampleAnswer, pl.DataFrame | None]:
    many = computed.published_rows(name, key)
    if many > asked.max_rows:
        error = f"it has {many:,} rows, more than {asked.max_rows:,}"
        return SampleAnswer(stage=name, partition=key, error=error), None
    try:
        found = computed.rows(name, key)
    except Exception as error:  # noqa: BLE001 - the code of users may raise anything
        return SampleAnswer(stage=name, partition=key, error=_text(error)), None
    answer = SampleAnswer(
        stage=name,
        partition=key,
        rows=found.rows.height,
        quarantined=found.product.quarantined,
    )
    return answer, found.rows


def _predictions(computed: Recomputation, name: str) -> tuple[SampleAnswer, pl.DataFrame | None]:
    try:
        trial = computed.training(name)
    except Exception as error:  # noqa: BLE001 - the code of users may raise anything
        return SampleAnswer(stage=name, partition=WHOLE, error=_text(error)), None
    answer = SampleAnswer(stage=name, partition=WHOLE, rows=trial.artifact.rows)
    return answer, trial.keyed


def _text(error: Exception) -> str:
    """The error in one line."""
    text = str(error) if isinstance(error, TidemillError) else describe_error(error)
    return shorten(" ".join(text.split()), _LONGEST)
