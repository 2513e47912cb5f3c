"""The driver over real commands: SQLite, files, kill -9, other threads and hash seeds, two at once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.soundness import edits
from tests.soundness.counting import Scenario, Tally, Unsound, random_scenario, shrink
from tests.soundness.driver import ELSEWHERE, Options, Player, play
from tests.soundness.render import MODULE
from tests.soundness.soaking import BASE
from tidemill.ledger.run import Status
from tidemill.project.project import Project, open_project
from tidemill.workflow.environment import PRODUCTION

# Another version of Polars can't be installed in passing.
KINDS = tuple(kind for kind in edits.KINDS if kind != "polars upgrade")
# A process that is killed and two at once are what is only seen here: half of all edits.
WEIGHTED = (*KINDS, *("crash", "two at once") * (len(KINDS) // 4))
LENGTH = 6
_FLAGS = {"stage": "", "limit": "--limit", "since": "--from", "until": "--to"}
_SETTINGS = f'[tool.tidemill]\nworkflow = "{MODULE}:flow"\n'


class Commands(Player):
    """A project that is run by commands of their own; this process only reads."""

    def open(self) -> Project:
        """The project, with the adapters that commands use."""
        return self.fresh()

    def fresh(self, environment: str = PRODUCTION) -> Project:
        """The same in an environment."""
        flow = self.modules.load(self.now.flow)
        return open_project(self.root, workflow=flow, env=environment)

    def save(self) -> None:
        """Files, settings and modules, for the processes that come."""
        super().save()
        (self.root / "pyproject.toml").write_text(_SETTINGS, encoding="utf-8")
        self.modules.load(self.now.flow)

    def run(self, options: Options) -> tuple[int, str]:
        """`tidemill run` with these options."""
        return _ended(self._start(Random(str(options)), *_arguments(options)))

    def crash(self, rng: Random) -> bool:
        """`tidemill run`, killed at any moment: mostly while it works, also before and after."""
        with self.open() as project:
            done = self._last(project)
            process = self._start(rng)
            attempts = rng.randrange(-2, 6)
            until = time.monotonic() + rng.uniform(0.0, 0.8)
            while process.poll() is None:
                worked = attempts >= 0 and self._last(project) - done > attempts
                if worked or (attempts < 0 and time.monotonic() > until):
                    break
                time.sleep(0.001)
        process.kill()
        self.lost_calls = True
        _ended(process)
        return process.returncode < 0

    def twice(self) -> list[tuple[int, str]]:
        """Two commands at once."""
        rng = Random(self._writes)
        both = [self._start(rng, "--wait", "600s"), self._start(rng, "--wait", "600s")]
        return [_ended(process) for process in both]

    def run_elsewhere(self) -> tuple[int, str]:
        """`tidemill run` in another environment."""
        return _ended(self._start(Random(self._writes), "--env", ELSEWHERE, "--create"))

    def _start(self, rng: Random, *arguments: str) -> subprocess.Popen[str]:
        self.tally.steps["processes"] += 1
        environment = {
            **os.environ,
            "POLARS_MAX_THREADS": rng.choice("124"),
            "PYTHONHASHSEED": str(rng.randrange(1000)),
            # An edit within a second that keeps the size would be taken from the bytecode cache.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tidemill", "run", *arguments],
            cwd=self.root,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finish(self) -> None:
        """Every run that began has ended, also those that were killed."""
        with self.open() as project:
            left = [run.id for run in project.runs(10_000) if run.status is Status.RUNNING]
        if left:
            raise Unsound(f"{left} never ended")


def _arguments(options: Options) -> list[str]:
    known = {name: str(value) for name, value in options.items() if name in _FLAGS and value}
    given = [part for name, value in known.items() for part in (_FLAGS[name], value) if part]
    return [*given, *(["--again"] if options.get("again") else [])]


def _ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=600)
    return process.returncode, out + err


def scenario_of(seed: int) -> Scenario:
    """Edits, among which processes are killed or meet each other more often."""
    return random_scenario(seed, LENGTH, WEIGHTED)


def judged(scenario: Scenario) -> Tally | str:
    """What was counted, or a shorter scenario that fails as well, with what is wrong."""
    try:
        return _played(scenario)
    except Unsound as error:
        first = str(error)
    return f"{shrink(scenario, _fails)} or the longer {scenario}\n{first}"


def _fails(scenario: Scenario) -> bool:
    try:
        _played(scenario)
    except Unsound:
        return True
    return False


def _played(scenario: Scenario) -> Tally:
    with tempfile.TemporaryDirectory(prefix="soundness-", dir=BASE) as folder:
        return play(scenario, Path(folder), Commands)
