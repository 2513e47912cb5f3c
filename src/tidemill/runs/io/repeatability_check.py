"""Run sampled steps twice in separate processes, publish nothing, and compare the results.

The two processes have different numbers of threads and hash seeds, so that output that depends on these,
on the clock or on chance differs. Nothing here needs Polars: only the processes do (see
`repeatability_worker`).
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tidemill.core.errors import TidemillError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.python_command import python_module
from tidemill.lineage.io.origins import ProvenanceFacts
from tidemill.lineage.upstream import Upstream
from tidemill.runs.repeatability import Comparison, RerunOutput, Sample, choose_sample, compare_runs
from tidemill.runs.training_repeatability import (
    RetrainedModel,
    TrainingComparison,
    choose_models,
    compare_trainings,
)

_SEED = "PYTHONHASHSEED"
# Polars, and the libraries that train.
_THREADS = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a process is to run: partitions of stages, and trainings of models."""

    partitions: Sample
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a process ran: outputs by stage and partition, and trainings by model.

    `published` has the digest of each model's published version that has the key of its training.
    """

    steps: Mapping[str, Mapping[str, RerunOutput]]
    models: Mapping[str, RetrainedModel]
    published: Mapping[str, str]


def run_variables() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the environment variables of the two runs: one thread, and at least four."""
    several = str(max(4, os.cpu_count() or 1))
    return {**dict.fromkeys(_THREADS, "1"), _SEED: "1"}, {
        **dict.fromkeys(_THREADS, several),
        _SEED: "2",
    }


def command_for(root: Path, workflow: str, environment: str) -> tuple[str, ...]:
    """Return the command of a process with the same project; UsageError if it can't import the workflow."""
    if ":" not in workflow:
        raise UsageError(
            f"workflow {workflow!r} isn't named as module:name, so no other process can run its stages; "
            "put it into a module"
        )
    where = ("-C", str(root), "-w", workflow, "--env", environment)
    return python_module("tidemill", *where, "check", "--answer")


def run_twice(
    facts: ProvenanceFacts, count: int, command: Sequence[str], *, models: bool = False
) -> tuple[tuple[Comparison, ...], tuple[TrainingComparison, ...]]:
    """Run up to `count` partitions of every transform twice; with `models` also train each model twice.

    `command` starts a process that calls `repeatability_worker.run_sample` with the two files whose names
    follow. Raises TidemillError when the process fails.
    """
    upstream = Upstream(flow=facts.flow, heads=facts.state.heads)
    sample = choose_sample(upstream, count)
    trained = choose_models(upstream) if models else ()
    if not sample and not trained:
        return (), ()
    first, second = (
        _run_elsewhere(command, Question(partitions=sample, models=trained), environment)
        for environment in run_variables()
    )
    stages = tuple(
        compare_runs(
            upstream, facts.recipes, facts.flow[name], first.steps[name], second.steps[name]
        )
        for name in sample
    )
    return stages, tuple(
        compare_trainings(
            facts.flow[name], first.models[name], second.models[name], first.published.get(name)
        )
        for name in trained
    )


def _run_elsewhere(
    command: Sequence[str], question: Question, environment: Mapping[str, str]
) -> Answer:
    with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
        asked, into = Path(folder) / "question.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(asdict(question)), encoding="utf-8")
        # Output that the stages print isn't part of the answer.
        done = subprocess.run(
            [*command, str(asked), str(into)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 or not into.exists():
            error = done.stderr.strip().rpartition("\n")[2].removeprefix("error: ")
            raise TidemillError(
                f"the process that ran the steps ended with exit code {done.returncode}: "
                f"{error or 'it printed no error'}"
            )
        found = json.loads(into.read_text(encoding="utf-8"))
    return Answer(
        steps={
            name: {key: RerunOutput(**gave) for key, gave in partitions.items()}
            for name, partitions in found["partitions"].items()
        },
        models={name: RetrainedModel(**gave) for name, gave in found["models"].items()},
        published=found["published"],
    )
