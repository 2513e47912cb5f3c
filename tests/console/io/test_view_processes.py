"""Processes that have the workflow imported, as the console uses them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import edit
from tidemill.console.io import view_processes
from tidemill.console.io.view_channel import ViewOptions
from tidemill.console.io.view_processes import ViewProcesses
from tidemill.console.view_calls import ViewAnswer, ViewCall
from tidemill.project.project import Project


def stage_names(project: Project) -> tuple[str, ...]:
    """The stages."""
    return tuple(project.flow.names)


def process_id(project: Project) -> int:
    """The process that calls views."""
    return os.getpid()


def rule_ids(project: Project) -> list[str]:
    """The rules by which it is decided now."""
    return [rule.id for rule in project.workspace.rules.rules]


def sleep(project: Project) -> None:
    """Take longer than anybody waits."""
    time.sleep(600)


def end_process(project: Project) -> None:
    """End as a process that has no memory any more."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail(project: Project) -> None:
    """Fail as a bug does."""
    raise ZeroDivisionError("secret tm_0123456789_abcdefghijklmnopqrstuvwxyz")


def use(
    root: Path, play: Callable[[ViewProcesses], Coroutine[Any, Any, None]], idle: float = 60.0
) -> None:
    async def run() -> None:
        options = ViewOptions(root=str(root), workflow=None, environment="prod")
        pool = ViewProcesses(options, idle)
        try:
            await play(pool)
        finally:
            pool.close()

    asyncio.run(run())


@pytest.fixture(autouse=True)
def _found_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes find the views of this module."""
    path = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)


async def call(pool: ViewProcesses, view: Callable[..., Any], *, acts: bool = False) -> ViewAnswer:
    name = f"tests.console.io.test_view_processes:{view.__name__}"
    return await pool.call(ViewCall(view=name, arguments={}, acts=acts))


def test_views_are_called_in_a_process_that_stays(
    fresh: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def play(pool: ViewProcesses) -> None:
        names = await call(pool, stage_names)
        assert (names.status, "sales" in json.loads(names.body)) == (200, True)
        first, second = await call(pool, process_id), await call(pool, process_id)
        assert first == second
        assert json.loads(first.body) != os.getpid()
        failed = await call(pool, fail)
        assert failed.status == 500
        assert "ZeroDivisionError" in failed.body
        assert "abcdefghijklmnop" not in failed.body
        log = capfd.readouterr().err
        assert "Traceback" in log
        assert ", in fail" in log
        assert "abcdefghijklmnop" not in log
        assert await call(pool, process_id) == first

    use(fresh, play)


def test_a_process_that_ends_is_told_and_replaced(fresh: Path) -> None:
    async def play(pool: ViewProcesses) -> None:
        assert (await call(pool, end_process)).status == 500
        assert (await call(pool, stage_names)).status == 200

    use(fresh, play)


def test_a_process_that_ended_while_nobody_asked_is_replaced(fresh: Path) -> None:
    async def play(pool: ViewProcesses) -> None:
        first = int((await call(pool, process_id)).body)
        os.kill(first, signal.SIGKILL)
        # Until it has ended; whoever started it is still told.
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        second = await call(pool, process_id, acts=True)
        assert second.status == 200
        assert int(second.body) != first

    use(fresh, play)


def test_what_takes_too_long_is_ended_and_told(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(pool: ViewProcesses) -> None:
        assert (await call(pool, stage_names)).status == 200
        monkeypatch.setattr(view_processes, "_CALL_S", 0.01)
        read, action = await call(pool, sleep), await call(pool, sleep, acts=True)
        assert (read.status, action.status) == (503, 503)
        assert "reload" in read.body
        assert "it may have been done, so look before you repeat it" in action.body
        ended = await call(pool, end_process, acts=True)
        assert "it may have been done" in ended.body
        assert pool._free == []

    use(fresh, play)


def test_a_process_at_work_ends_once_it_has_answered_if_its_pool_was_closed(fresh: Path) -> None:
    async def play(pool: ViewProcesses) -> None:
        asked = asyncio.create_task(call(pool, process_id))
        await asyncio.sleep(0)
        pool.close()
        process = json.loads((await asked).body)
        assert pool._free == []
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)

    use(fresh, play)


def test_changed_code_is_imported_again_and_broken_code_is_told(fresh: Path) -> None:
    async def play(pool: ViewProcesses) -> None:
        before = await call(pool, stage_names)
        edit(fresh / "bakery.py", "def labels(", "def other_labels(")
        os.utime(fresh / "bakery.py", (1.0, 1.0))
        pool._looked = 0.0
        broken = await call(pool, stage_names)
        assert broken.status == 422
        assert "labels" in json.loads(broken.body)["detail"]
        edit(fresh / "bakery.py", "def other_labels(", "def labels(")
        assert await call(pool, stage_names) == before

    use(fresh, play)


RULE = """
[[rule]]
id = "{id}"
on = ["release"]
{when}
effect = "deny"
message = "nothing is released any more"
"""


def test_decisions_follow_rules_as_they_are_now(fresh: Path) -> None:
    file = fresh / "tidemill.rules.toml"
    file.unlink()

    async def play(pool: ViewProcesses) -> None:
        async def known() -> list[str]:
            answer = await call(pool, rule_ids, acts=True)
            assert answer.status == 200, answer.body
            found: list[str] = json.loads(answer.body)
            return found

        assert await known() == []
        file.write_text(RULE.format(id="no-release", when='when = "True"'))
        assert await known() == ["no-release"]
        file.write_text(RULE.format(id="nothing", when='when = "True"'))
        os.utime(file, (1.0, 1.0))
        assert await known() == ["nothing"]

    use(fresh, play)


def test_modules_that_only_rules_name_are_looked_at(fresh: Path) -> None:
    (fresh / "tidemill.rules.toml").write_text(
        RULE.format(id="own", when='function = "own_rules:refuse"')
    )
    module = fresh / "own_rules.py"
    module.write_text("def refuse(facts):\n    return True\n")

    async def play(pool: ViewProcesses) -> None:
        assert json.loads((await call(pool, rule_ids)).body) == ["own"]
        first = await call(pool, process_id)
        module.write_text("def refuse(facts):\n    return False\n")
        os.utime(module, (1.0, 1.0))
        assert await call(pool, process_id, acts=True) != first

    use(fresh, play)


def test_what_nobody_asks_for_any_more_ends(fresh: Path) -> None:
    async def play(pool: ViewProcesses) -> None:
        first = json.loads((await call(pool, process_id)).body)
        pool.end_idle()
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        assert json.loads((await call(pool, process_id)).body) != first

    use(fresh, play, idle=0.0)


def test_two_are_called_at_once_and_others_wait(fresh: Path) -> None:
    async def play(pool: ViewProcesses) -> None:
        answers = await asyncio.gather(*(call(pool, process_id) for _ in range(6)))
        assert {each.status for each in answers} == {200}
        assert len({each.body for each in answers}) <= 2

    use(fresh, play)
