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
from pathlib import Path

from tidemill.core.errors import TidemillError, UsageError
from tidemill.core.python_command import python_module
from tidemill.lineage.io.origins import ProvenanceFacts
from tidemill.lineage.upstream import Upstream
from tidemill.runs.repeatability import Comparison, RerunOutput, Sample, choose_sample, compare_runs

_THREADS, _SEED = "POLARS_MAX_THREADS", "PYTHONHASHSEED"


def run_variables() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the environment variables of the two runs: one thread, and at least four."""
    return {_THREADS: "1", _SEED: "1"}, {_THREADS: str(max(4, os.cpu_count() or 1)), _SEED: "2"}


def command_for(root: Path, workflow: str, environment: str) -> tuple[str, ...]:
    """Return the command of a process with the same project; UsageError if it can't import the workflow."""
    if ":" not in workflow:
        raise UsageError(
            f"workflow {workflow!r} isn't named as module:name, so no other process can run its stages; "
            "put it into a module"
        )
    where = ("-C", str(root), "-w", workflow, "--env", environment)
    return python_module("tidemill", *where, "check", "--answer")


def run_twice(facts: ProvenanceFacts, count: int, command: Sequence[str]) -> tuple[Comparison, ...]:
    """Run up to `count` partitions of every transform twice.

    `command` starts a process that calls `repeatability_worker.run_sample` with the two files whose names
    follow. Raises TidemillError when the process fails.
    """
    upstream = Upstream(flow=facts.flow, heads=facts.state.heads)
    sample = choose_sample(upstream, count)
    if not sample:
        return ()
    first, second = (
        _run_elsewhere(command, sample, environment) for environment in run_variables()
    )
    return tuple(
        compare_runs(upstream, facts.recipes, facts.flow[name], first[name], second[name])
        for name in sample
    )


def _run_elsewhere(
    command: Sequence[str], sample: Sample, environment: Mapping[str, str]
) -> Mapping[str, Mapping[str, RerunOutput]]:
    with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
        question, into = Path(folder) / "question.json", Path(folder) / "answer.json"
        question.write_text(json.dumps(sample), encoding="utf-8")
        # Output that the stages print isn't part of the answer.
        done = subprocess.run(
            [*command, str(question), str(into)],
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
    return {
        name: {key: RerunOutput(**gave) for key, gave in partitions.items()}
        for name, partitions in found.items()
    }
