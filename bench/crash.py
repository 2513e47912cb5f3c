"""A run that is killed, and the one command after it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from bench import projects
from bench.building import RUN
from bench.common import TIDEMILL, Row, inside, measure

MOMENTS = (150, 500, 950)
CHANGE = ("is_between(16, 20)", "is_between(15, 20)")
PATIENCE_S = 120.0


def recovery(work: Path, data: Path, undisturbed: Path) -> list[Row]:
    """Rows of runs that were killed at some moments, and once more with the code changed then."""
    expected = _published(undisturbed)
    redone = running = differing = kept = 0
    for objects in MOMENTS:
        project = projects.flights(work / f"killed-{objects}", data)
        before = _killed(project, objects)
        attempts = _recovered(project)
        kept += len(before)
        redone += len(attempts & before.keys())
        running += _running(project)
        differing += _differing(expected, _published(project))
        shutil.rmtree(project)
    told = f"after {len(MOMENTS)} kills; {kept} steps had been published, and are kept"
    return [
        _none("killed and run again: published steps that ran again", redone, told),
        _none("killed and run again: runs left running", running),
        _none("killed and run again: partitions unlike an undisturbed run's", differing),
        *_changed(work, data),
    ]


def _changed(work: Path, data: Path) -> list[Row]:
    project = projects.flights(work / "changed", data)
    before = _killed(project, MOMENTS[1])
    fresh = projects.flights(work / "changed-fresh", data)
    for folder in (project, fresh):
        module = folder / "flights.py"
        module.write_text(module.read_text(encoding="utf-8").replace(*CHANGE), encoding="utf-8")
    measure(RUN, fresh)
    attempts = _recovered(project)
    # The change is to features: those that were published have to run again, and nothing else.
    kept = {name for name in before if not name.startswith("features/")}
    differing = _differing(_published(fresh), _published(project))
    told = f"{len(kept)} steps of other stages had been published"
    return [
        _none("killed and the code changed: published steps of other stages that ran again",
              len(attempts & kept), told),
        _none("killed and the code changed: runs left running", _running(project)),
        _none("killed and the code changed: partitions unlike an undisturbed run's", differing),
    ]  # fmt: skip


def _killed(project: Path, objects: int) -> dict[str, str]:
    """Start the build, kill it once it has stored so many objects; what is published then."""
    devnull = subprocess.DEVNULL
    process = subprocess.Popen(RUN, cwd=project, stdout=devnull, stderr=devnull)
    limit = time.monotonic() + PATIENCE_S
    while _stored(project) < objects:
        if process.poll() is not None or time.monotonic() > limit:
            process.kill()
            raise RuntimeError(f"the build ended before it had stored {objects} objects")
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise RuntimeError("the build ended before it was killed")
    return _published(project)


def _stored(project: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(project / ".tidemill" / "objects"))


def _recovered(project: Path) -> set[str]:
    """The steps that the next command attempts."""
    receipt = json.loads(measure((*RUN, "--json"), project).out)["receipt"]
    told = json.loads(measure((TIDEMILL, "runs", receipt["run"], "--json"), project).out)
    return {f"{each['stage']}/{each['partition']}" for each in told["attempts"]}


def _running(project: Path) -> int:
    told = json.loads(measure((TIDEMILL, "runs", "--json"), project).out)
    return sum(run["status"] == "running" for run in told["runs"])


def _published(project: Path) -> dict[str, str]:
    return {name: str(content) for name, content in inside(project, "published", "flights").items()}


def _differing(expected: dict[str, str], found: dict[str, str]) -> int:
    return sum(expected.get(name) != found.get(name) for name in {*expected, *found})


def _none(name: str, value: int, baseline: str = "") -> Row:
    return Row(name=name, value=value, unit="", goal=0, baseline=baseline)
