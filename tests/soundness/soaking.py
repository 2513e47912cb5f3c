"""Play scenarios until some number of edits, or of seconds, is reached; say what was counted.

`SOAK_SECONDS` makes the tests of this folder search for that long, from seeds that were never played;
without it the same scenarios are played each time. `SOAK_REPORT` names a file for the counts.
"""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path
from random import SystemRandom

import pytest

from tests.soundness.counting import Scenario, Tally, Unsound, random_scenario, shrink
from tests.soundness.driver import play

SECONDS = float(os.environ.get("SOAK_SECONDS", "0"))
FULL = 600
REPORT = os.environ.get("SOAK_REPORT", "")
# Temporary projects live in memory where the system has such a place.
SHARED = Path("/dev/shm")
BASE = str(SHARED) if SHARED.is_dir() and os.access(SHARED, os.W_OK) else None
# The project has neither yet.
NOT_PLAYED = "release from quarantine, samples"
# Long scenarios keep more history, and cost more an edit: the doubles copy their state.
LENGTH = 30


def played(scenario: Scenario) -> Tally:
    """Play a scenario in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="soundness-", dir=BASE) as folder:
        return play(scenario, Path(folder))


def scenario_of(seed: int) -> Scenario:
    """Edits of every kind."""
    return random_scenario(seed, LENGTH)


def judged(scenario: Scenario) -> Tally | str:
    """What was counted, or the shortest scenario that fails as well, with what is wrong."""
    try:
        return played(scenario)
    except Unsound as error:
        first = "".join(traceback.format_exception(error))
        least = shrink(scenario, _fails)
    try:
        played(least)
    except Unsound as error:
        return str(error)
    return f"failed once, and not again:\n{first}"


def _fails(scenario: Scenario) -> bool:
    try:
        played(scenario)
    except Unsound:
        return True
    return False


def soak(
    judge: Callable[[Scenario], Tally | str],
    make: Callable[[int], Scenario],
    number: int,
    share: float,
    enough: Callable[[Tally], bool],
) -> Tally:
    """Judge so many scenarios, the same ones each time; in a soak others, on all cores.

    A soak takes a share of its seconds, and one of full length goes on until it was `enough`.
    """
    total, until = Tally(), time.monotonic() + SECONDS * share
    first = SystemRandom().randrange(1 << 40) if SECONDS else 0
    wanted = (make(seed) for seed in count(first))
    if not SECONDS:
        for scenario in islice(wanted, number):
            _add(total, judge(scenario))
        return total
    cores = os.cpu_count() or 1
    with (
        # A process a core: more threads would only wait for each other.
        pytest.MonkeyPatch.context() as patch,
        ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool,
    ):
        patch.setenv("POLARS_MAX_THREADS", "1")
        waiting = {pool.submit(judge, next(wanted)) for _ in range(2 * cores)}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                _add(total, future.result())
                if time.monotonic() < until or (SECONDS >= FULL and not enough(total)):
                    waiting.add(pool.submit(judge, next(wanted)))
    return total


def _add(total: Tally, found: Tally | str) -> None:
    if isinstance(found, str):
        pytest.fail(found)
    total.add(found)


def report(title: str, total: Tally) -> None:
    """Print what was counted, and keep it."""
    text = "\n".join([f"== {title}", *total.lines(), f"not played: {NOT_PLAYED}", ""])
    print(text)  # noqa: T201
    if REPORT:
        with Path(REPORT).open("a", encoding="utf-8") as file:
            file.write(text)
