from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tidemill.project.rare_collections import THRESHOLDS, rare_collections

USUAL = (700, 10, 10)


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*USUAL)
    yield
    gc.set_threshold(*before)


def test_garbage_is_collected_rarely_during_a_run() -> None:
    seen = []

    @rare_collections()
    def fail() -> None:
        seen.append(gc.get_threshold())
        raise ValueError("it failed")

    with pytest.raises(ValueError, match="it failed"):
        fail()
    assert (seen, gc.get_threshold()) == ([THRESHOLDS], USUAL)


@pytest.mark.parametrize(
    "own",
    [
        (0, 10, 10),  # it is switched off
        (100_000, 50, 100),  # it collects more rarely still
    ],
)
def test_what_the_program_chose_stays(own: tuple[int, int, int]) -> None:
    gc.set_threshold(*own)
    with rare_collections():
        assert gc.get_threshold() == own
    assert gc.get_threshold() == own


def test_what_the_program_chooses_during_a_run_stays() -> None:
    with rare_collections():
        gc.set_threshold(900, 5, 5)
    assert gc.get_threshold() == (900, 5, 5)


@pytest.mark.parametrize("first", [0, 1])
def test_the_last_of_several_runs_restores_the_thresholds(first: int) -> None:
    runs = [ExitStack(), ExitStack()]
    for run in runs:
        run.enter_context(rare_collections())
    runs[first].close()
    assert gc.get_threshold() == THRESHOLDS
    runs[1 - first].close()
    assert gc.get_threshold() == USUAL
