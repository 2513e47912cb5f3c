"""What a worker process does when it is given an errand: it opens the project, works, and stores."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_crash import PROJECT
from tests.support.tides import Tides, day, flow_of
from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.core.errors import StorageError
from tidemill.ports.execution import Fate, TaskError, TaskEvent
from tidemill.project import worker as working
from tidemill.steps.io.task_codec import (
    decode_payload,
    decode_result,
    encode_context,
    encode_payload,
)
from tidemill.steps.project_context import ProjectContext
from tidemill.steps.step_messages import StepFailure, StepOutput, Work
from tidemill.workflow.retry_policy import Retries


@pytest.fixture
def tides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tides]:
    """A project of two days whose first stage is published, as a process finds it."""
    tides = Tides(tmp_path)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for number in range(2):
        tides.send(number)
    tides.ok("raw")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["worker", "7"])
    mine = working.WorkerContext()
    monkeypatch.setattr(working, "_worker", mine)
    flow_of(tmp_path, tides.text)
    before = sys.stdout
    yield tides
    working._worker.opened.close()
    mine.opened.close()
    assert sys.stdout is before


def work_on(tides: Tides, **other: Any) -> Work:
    project = tides.open()
    head = project.state().heads["raw"].partitions[day(1)]
    recipe = project.recipes["doubled"].digest
    project.close()
    usual = {
        "stage": "doubled",
        "partition": day(1),
        "recipe": recipe,
        "inputs": {"raw": {day(1): head}},
    }
    return Work(**usual | other)


def asked(tides: Tides, work: Work) -> StepOutput | StepFailure:
    """What a worker answers."""
    context = ProjectContext(
        root=str(tides.root), workflow="tides:flow", home=".tidemill", environment="prod",
        run="r", path=(str(tides.root),), argv=("mine.py", "--fast"),
    )  # fmt: skip
    result = working.make(encode_payload(encode_context(context), work), (), "")
    event = TaskEvent(task="1", fate=Fate.OK, worker="7", at=0.0, result=result)
    return decode_result(event, Retries())


def test_what_it_made_is_stored_and_named(tides: Tides) -> None:
    found = asked(tides, work_on(tides))
    assert isinstance(found, StepOutput)
    assert found.objects == ()
    assert found.product.rows == 3
    assert FileArtifacts(tides.root / ".tidemill").find_missing(found.product.all_objects) == {}
    assert str(tides.root) in sys.path
    # As the run was called: a module that reads its arguments is the same there.
    assert sys.argv == ["mine.py", "--fast"]
    tides.ok()
    assert tides.contents()["doubled"][day(1)] == found.product.content


def test_what_fails_there_is_told(tides: Tides) -> None:
    binding = work_on(tides).inputs["raw"][day(1)]
    [name] = binding.product.objects
    [path] = tides.root.glob(f".tidemill/**/{name}*")
    path.unlink()
    found = asked(tides, work_on(tides))
    assert isinstance(found, StepFailure)
    assert "missing from the store" in found.message
    assert not found.other_code


def test_another_recipe_is_not_tried(tides: Tides) -> None:
    found = asked(tides, work_on(tides, recipe="another"))
    assert isinstance(found, StepFailure)
    assert found.other_code


def test_a_store_that_takes_nothing_is_told(tides: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(FileArtifacts, "put_all", full)
    found = asked(tides, work_on(tides))
    assert isinstance(found, StepFailure)
    assert "the disk is full" in found.message


def test_an_errand_leaves_out_what_only_the_record_is_for(tides: Tides) -> None:
    work = work_on(tides)
    errand = decode_payload(encode_payload(b"context", work))
    [binding] = errand.work.inputs["raw"].values()
    assert (binding.inputs, binding.seen, binding.verdict) == ({}, {}, None)
    assert binding.product == work.inputs["raw"][day(1)].product
    assert (errand.context, errand.work.recipe) == (b"context", work.recipe)


@pytest.mark.parametrize(
    ("fate", "error", "on", "transient"),
    [
        (Fate.TIMEOUT, None, (TimeoutError,), True),
        (Fate.TIMEOUT, None, (ConnectionError,), False),
        (Fate.OOM, None, (MemoryError,), True),
        (Fate.OOM, None, (TimeoutError,), False),
        (Fate.LOST, TaskError(type="LOST", message="by SIGKILL"), (), False),
        (Fate.CANCELLED, None, (TimeoutError,), False),
        (Fate.ERROR, TaskError(type="ImportError", message="no numpy"), (ImportError,), False),
    ],
)
def test_how_a_task_ended(fate: Fate, error: TaskError | None, on: Any, transient: bool) -> None:
    event = TaskEvent(task="1", fate=fate, worker="7", at=0.0, error=error)
    found = decode_result(event, Retries(times=1, on=on))
    assert isinstance(found, StepFailure)
    assert (found.fate, found.transient) == (fate, transient)
    assert (error.message if error else f"it was {fate}") in found.message


def test_another_machine_follows_a_shared_home_in_a_folder_of_its_own(
    tides: Tides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_home: Callable[[], str]
) -> None:
    """Its ledger is asked by the URL as soon as it is read, not before."""
    node = tmp_path / "node"
    monkeypatch.setenv("TIDEMILL_NODE_CODE", str(tides.root))
    monkeypatch.setenv("TIDEMILL_NODE_HOME", str(node))
    context = ProjectContext(
        root="/project/elsewhere", workflow="tides:flow", home=".tidemill-team", home_url=new_home(),
        artifacts=f"file://{tmp_path}/objects", environment="prod", run="r",
    )  # fmt: skip
    runner = working._open_runner(encode_context(context))
    assert not (node / "ledger.db").exists()
    assert runner.data._encoder._profiles._grids_of("raw") == {}
    assert (node / "ledger.db").is_file()
    assert not (tides.root / ".tidemill-team").exists()


def test_another_machine_has_code_and_home_in_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    context = ProjectContext(
        root=str(root), home=".tidemill", path=(str(root), str(root / "lib"), "/usr/lib/python3")
    )
    assert working._relocate(context) is context
    monkeypatch.setenv("TIDEMILL_NODE_CODE", "/cache/code")
    monkeypatch.setenv("TIDEMILL_NODE_HOME", "/cache/home")
    moved = working._relocate(context)
    assert (moved.root, moved.home) == ("/cache/code", "/cache/home")
    # Libraries are those of that machine.
    assert moved.path == ("/cache/code", "/cache/code/lib")
