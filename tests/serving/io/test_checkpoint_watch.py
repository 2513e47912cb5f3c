"""A server makes checkpoints while it serves, if it judges; what fails is logged and counted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.serving import sales_project, served
from tidemill.governance.audit_settings import AuditSettings
from tidemill.governance.checkpoint import Checkpoint
from tidemill.governance.io.checkpoint_places import CheckpointFile
from tidemill.serving.io.checkpoint_watch import CheckpointOptions, CheckpointWatch


def watch(problems: Sequence[str | Exception], judges: Sequence[bool]) -> CheckpointWatch:
    """A watch that ran so often, with what happened each time."""
    left, turns = [*problems], [*judges]
    done = asyncio.Event()

    def seal() -> str:
        assert threading.current_thread() is not threading.main_thread()
        problem = left.pop(0)
        if isinstance(problem, Exception):
            raise problem
        return problem

    def is_judge() -> bool:
        if not turns:
            done.set()
            return False
        return turns.pop(0)

    found = CheckpointWatch(CheckpointOptions(seal, 0.0), is_judge)

    async def serve() -> None:
        task = asyncio.create_task(found.run())
        await done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(serve())
    assert left == []
    return found


def test_checkpoints_are_made_by_who_judges() -> None:
    found = watch(["", ""], [True, False, False, True])
    assert (found.fault, found.failures) == ("", 0)


def test_a_failure_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    found = watch(["no key", "no key", RuntimeError("x")], [True] * 3)
    assert found.failures == 3
    assert "RuntimeError: x" in found.fault
    assert [each.getMessage() for each in caplog.records] == ["no key", found.fault]
    assert watch(["no key", ""], [True] * 2).fault == ""


def test_a_server_seals_its_events_while_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = sales_project(tmp_path / "project")
    project.keys.create(tmp_path / "audit.pem")
    outside = tmp_path / "outside.jsonl"
    audit = AuditSettings(key=str(tmp_path / "audit.pem"), file=str(outside), every=0.02, events=1)
    tables = {**project.settings.tables, "audit": audit}
    object.__setattr__(project.settings, "tables", tables)
    sizes, grown, real = list[int](), threading.Event(), CheckpointFile.write

    def write(place: CheckpointFile, points: Sequence[Checkpoint]) -> None:
        real(place, points)
        sizes.append(points[-1].size)
        grown.set()

    monkeypatch.setattr(CheckpointFile, "write", write)
    with served(project) as server:
        before = project.state().seq
        project.tokens.create("ana")
        while not sizes or sizes[-1] <= before:
            assert grown.wait(60)
            grown.clear()
        assert project.audit.verify().sealed > before
        assert "tidemill_checkpoint_failures_total 0" in server.ask("/metrics").body.decode()
        # A key that is gone stops no request.
        (tmp_path / "audit.pem").unlink()
        project.tokens.create("ben")
        while "tidemill_checkpoint_failures_total 0" in server.ask("/metrics").body.decode():
            pass
        assert any(
            "no checkpoint was made: the key" in fault
            for fault in server.ask("/status").json["faults"]
        )
