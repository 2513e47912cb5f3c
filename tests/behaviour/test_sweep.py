"""Sweeps of a whole project: what they remove, what they say, and what they leave to the next one."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tidemill as tm
from tests.support.commands import Ended, forgotten_imports, tidemill
from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.ledger.event import Published
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.retention_events import StagesUndeclared, SweepConfirmed, SweepMarked
from tidemill.operations.io.sweeper import Sweeper
from tidemill.ports.ledger import Guard
from tidemill.project.project import Project
from tidemill.project.workflow_ledger import shared_ledger
from tidemill.runs.io.lease import take_lease

DAY = 86_400.0
NOTHING = """keep_for = "0s"
grace = "0s"
restore_for = "0s"
models = 0
"""


class Clock:
    """The time now, and later if it is set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._now = time.time  # before it is replaced

    def __call__(self) -> float:
        return self._now() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("tidemill.project.clock.time.time", made)
    return made


@contextmanager
def opened(folder: Path, env: str = "prod") -> Iterator[Project]:
    with forgotten_imports(), tm.open(folder, env=env) as project:
        yield project


def keep(folder: Path, text: str) -> None:
    """Set what is kept for how long."""
    file = folder / "pyproject.toml"
    head = file.read_text().partition("[tool.tidemill.retention]")[0]
    file.write_text(f"{head}[tool.tidemill.retention]\n{text}\n")


def change_labels(folder: Path, before: str = "", after: str = " + 1.0") -> None:
    """Change what the stage `labels` computes."""
    file, plain = folder / "bakery.py", 'pl.col("sold").cast(pl.Float64)'
    assert plain + before in file.read_text()
    file.write_text(file.read_text().replace(plain + before, plain + after))


def ok(*words: str) -> Ended:
    ended = tidemill(*words)
    assert ended.code == 0, ended
    return ended


def stored_bytes(folder: Path) -> int:
    objects = folder / ".tidemill" / "objects"
    return sum(file.stat().st_size for file in objects.rglob("*") if file.is_file())


def stored(folder: Path) -> list[str]:
    return [file.name for file in (folder / ".tidemill" / "objects").rglob("*") if file.is_file()]


def report(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = ok("sweep", *words, "--json").document["sweep"]
    return found


def superseded(folder: Path, *words: str) -> int:
    """Make every result of `labels` superseded; return how many there are."""
    change_labels(folder)
    ok("run", *(words or ("labels",)))
    with opened(folder) as project:
        return len(project.workspace.bindings("labels"))


def test_a_project_works_as_before_and_is_smaller(built: Path, clock: Clock) -> None:
    keep(built, NOTHING)
    partitions = superseded(built, "--train", "demand")
    before = stored_bytes(built)
    planned = report("--dry-run")
    assert stored_bytes(built) == before
    removed = report()
    by_stage = {(each["stage"], each["reason"]): each for each in removed["stages"]}
    assert by_stage["labels", "superseded"]["objects"] == partitions
    assert ("demand", "earlier version") in by_stage
    assert before - stored_bytes(built) == sum(each["bytes"] for each in removed["stages"])
    # What is listed before is what goes.
    for name in ("objects", "bytes"):
        assert sum(each[name] for each in planned["stages"]) == sum(
            each[name] for each in removed["stages"]
        )
    assert "nothing to remove" in ok("sweep").out
    assert "nothing is damaged" in ok("verify", "--deep").out
    receipt = ok("run", "--json").document["receipt"]
    assert sum(each["ran"] + each["bound"] for each in receipt["stages"]) == 0
    ok("ledger", "rebuild")
    assert "nothing is damaged" in ok("verify").out
    with opened(built) as project:
        assert project.read("labels").collect().height
        marked = [*project.tools.ledger.events(kinds=("SweepMarked",))]
        assert all(isinstance(fact.event, SweepMarked) and fact.event.actor for fact in marked)
        ends = [fact.event for fact in project.tools.ledger.events(kinds=("SweepConfirmed",))]
        assert [isinstance(end, SweepConfirmed) and end.bytes > 0 for end in ends] == [True, False]


def test_what_was_removed_is_said_to_be(built: Path, clock: Clock) -> None:
    first = next(iter(ok("models", "list", "--json").document["versions"]))["artifact"]["id"]
    run = ok("runs", "--json").document["runs"][0]["id"]
    keep(built, NOTHING)
    with opened(built) as project:
        was = [each.product.objects[0] for each in project.workspace.bindings("labels").values()]
    superseded(built, "--train", "demand")
    ok("sweep")
    assert "removed" in ok("models", "list").out
    assert not set(was) & set(stored(built))
    for words in (["why", was[0]], ["pin", was[0], "--reason", "so"]):
        ended = tidemill("sweep", *words)
        assert (ended.code, "by a sweep" in ended.err, "labels 2026" in ended.err) == (
            2,
            True,
            True,
        )
    assert "on " in ok("models", "show", "demand", first).out.partition("  removed ")[2]
    ended = tidemill("rollback", "demand")
    assert (ended.code, "removed on 2" in ended.err, "by a sweep" in ended.err) == (1, True, True)
    ended = tidemill("restore", "forecast", run)
    assert ended.code in (0, 1)
    assert not ended.code or "by a sweep" in ended.err


def test_going_back_costs_nothing_for_a_time(built: Path, clock: Clock) -> None:
    keep(built, 'keep_for = "7d"')
    superseded(built)
    assert "nothing to remove" in ok("sweep").out
    clock.ahead = 6 * DAY
    assert "nothing to remove" in ok("sweep").out
    change_labels(built, before=" + 1.0", after="")
    receipt = ok("run", "labels", "--json").document["receipt"]
    [labels] = [each for each in receipt["stages"] if each["stage"] == "labels"]
    assert (labels["ran"], labels["bound"] > 0) == (0, True)
    change_labels(built)
    ok("run", "labels")
    clock.ahead = 14 * DAY
    assert report()["stages"]
    change_labels(built, before=" + 1.0", after="")
    receipt = ok("run", "labels", "--json").document["receipt"]
    [labels] = [each for each in receipt["stages"] if each["stage"] == "labels"]
    assert (labels["ran"] > 0, labels["bound"]) == (True, 0)


def test_pins_and_holds_keep_what_policies_would_not(built: Path, clock: Clock) -> None:
    keep(built, NOTHING)
    superseded(built)
    with opened(built) as project:
        partition = next(iter(project.workspace.bindings("labels")))
        first = next(iter(project.tools.ledger.events(kinds=("Published",), stage="features")))
        assert isinstance(first.event, Published)
        name = first.event.binding.product.objects[0]
    ended = tidemill("sweep", "pin", "labels", "--reason", " ")
    assert (ended.code, "needs a reason" in ended.err) == (2, True)
    ok("sweep", "pin", f"labels@{partition}", "--reason", "the auditor asks")
    assert "published" in ok("sweep", "why", name[:20]).out
    ok("sweep", "pin", name[:20], "--reason", "an example")
    shown = ok("sweep", "pins").out
    assert ("the auditor asks" in shown, name in shown) == (True, True)
    assert "pin " in ok("sweep", "why", f"labels@{partition}").out
    report()
    why = ok("sweep", "why", "labels", "--json").document["kept"]
    kept = [each for each in why if each["since"] is not None]
    assert [each["kept_by"].startswith("pin ") for each in kept] == [True]
    ok("sweep", "unpin", f"labels@{partition}", "--reason", "the audit is over")
    keep(built, NOTHING + "[tool.tidemill.retention.stages.labels]\nhold = true")
    assert "legal hold" in ok("sweep", "why", f"labels@{partition}").out
    assert report()["stages"] == []
    keep(built, "hold = true")
    assert (report("--dry-run")["stages"], report()["stages"]) == ([], [])
    keep(built, NOTHING)
    [gone] = report()["stages"]
    assert (gone["stage"], gone["objects"]) == ("labels", 1)
    for words in (["unpin", "p7"], ["pin", "nothing", "--reason", "so"], ["why", "0" * 20],
                  ["why", "nothing"], ["pin", "labels@2001-01-01", "--reason", "so"]):  # fmt: skip
        assert tidemill("sweep", *words).code == 2, words


def test_pins_are_found_without_the_rest_of_the_policy(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def policy(_: Sweeper) -> None:
        raise AssertionError

    with opened(built) as project:
        monkeypatch.setattr(Sweeper, "policy", policy)
        pin = project.retention.pin("labels", reason="the auditor asks")
        assert project.retention.pins() == (pin,)
        assert project.retention.unpin(pin.id, reason="the audit is over") == pin
        assert project.retention.pins() == ()


def test_a_pin_names_something(built: Path) -> None:
    for target in ("", "labels@"):
        ended = tidemill("sweep", "pin", target, "--reason", "so")
        assert (ended.code, f"{target!r} names nothing" in ended.err) == (2, True), ended
    ended = tidemill("sweep", "pin", "f" * 40, "--reason", "so")
    assert (ended.code, ended.err.strip()) == (2, f"error: no stored object begins with {'f' * 40}")
    assert ok("sweep", "pins").out.strip() == "nothing is pinned"


def test_a_hold_on_an_unknown_stage_holds_everything(built: Path, clock: Clock) -> None:
    hold = "[tool.tidemill.retention.stages.{}]\nhold = true"
    keep(built, NOTHING + hold.format("label"))
    count = superseded(built)
    for words in (["--dry-run"], []):
        found = report(*words)
        assert (found["stages"], found.get("objects", 0)) == ([], 0)
        assert "retention.stages.label]: there is no stage 'label'; nothing at all" in str(
            found["notes"]
        )
    with opened(built) as project:
        assert project.retention.is_due(clock() + 2 * DAY) is None
    ended = tidemill("check")
    assert (ended.code, "there is no stage 'label'" in ended.err) == (3, True), ended
    assert "'labels'" in ended.err
    # A stage that isn't declared any more is known as long as the ledger knows it.
    file = built / "bakery.py"
    text = file.read_text()
    file.write_text(text.replace("forecast", "outlook"))
    keep(built, NOTHING + hold.format("forecast"))
    assert report("--dry-run")["notes"] == []
    ok("check")
    file.write_text(text)
    # What is no hold keeps nothing else.
    keep(built, NOTHING + '[tool.tidemill.retention.stages.label]\nkeep_for = "9d"')
    found = report()
    assert ("nothing at all" in str(found["notes"]), len(found["notes"])) == (False, 1)
    assert [(each["stage"], each["results"]) for each in found["stages"]] == [("labels", count)]


def test_results_whose_objects_others_need_are_counted(built: Path, clock: Clock) -> None:
    keep(built, NOTHING)
    # The code is another one, and its rows are the same.
    change_labels(built, after=" * 1.0")
    ok("run", "labels")
    for words, verb in ((["--dry-run"], "would remove"), ([], "removed")):
        shown = ok("sweep", *words).out
        assert f"{verb} 28 results, and no object: others need theirs" in shown, shown
        assert "nothing to remove" not in shown
    assert "nothing to remove" in ok("sweep").out


def test_only_one_sweep_works_at_a_time(built: Path, clock: Clock) -> None:
    keep(built, NOTHING)
    with opened(built) as project:
        ledger = shared_ledger(project.tools.ledger)
        holder = this_process("tidemill sweep")
        lease = ledger.acquire("sweep", holder, now=clock(), ttl=60.0, dead=lambda _: False)
        ended = tidemill("sweep")
        assert (ended.code, "another sweep works: `tidemill sweep`" in ended.err) == (6, True)
        assert project.retention.sweep_if_due() == ()
        ledger.release(lease)
    ok("sweep")


def test_what_an_active_run_may_use_is_deleted_later(built: Path, clock: Clock) -> None:
    keep(built, NOTHING)
    superseded(built)
    before = stored_bytes(built)
    with opened(built, env="dev") as project:
        lease = take_lease(project.tools, "dev", this_process("tidemill run --env dev"), None)
        waits = ok("sweep").out
        lease.close()
    assert "wait until `tidemill run --env dev`" in waits
    # A hold that is declared meanwhile counts.
    keep(built, "hold = true")
    ok("sweep")
    keep(built, NOTHING)
    assert stored_bytes(built) == before
    assert "nothing is damaged" in ok("verify").out
    found = report()
    assert [each["reason"] for each in found["stages"]] == ["marked by an earlier sweep"]
    assert before - stored_bytes(built) == found["stages"][0]["bytes"] > 0


def test_what_a_run_binds_again_is_rescued(built: Path, clock: Clock) -> None:
    keep(built, NOTHING)
    superseded(built)
    with opened(built) as project:
        first = next(iter(project.tools.ledger.events(kinds=("Published",), stage="labels")))
        lease = take_lease(project.tools, "dev", this_process("tidemill run --env dev"), None)
        ok("sweep")
        # Its plan was made before the sweep.
        project.tools.ledger.append(
            [first.event],
            now=clock(),
            guard=Guard(find_missing=project.tools.artifacts.find_missing),
        )
        lease.close()
    report()
    assert "nothing is damaged" in ok("verify", "--deep").out


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_what_cannot_be_deleted_is_left_to_the_next_sweep(
    built: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    keep(built, NOTHING)
    superseded(built)
    before, rename = stored_bytes(built), os.rename

    def refuse(source: str, target: str) -> None:
        raise OSError(code, os.strerror(code), source)

    monkeypatch.setattr(os, "rename", refuse)
    ended = tidemill("sweep")
    assert (ended.code, os.strerror(code) in ended.out + ended.err) == (1, True), ended
    assert stored_bytes(built) == before
    monkeypatch.setattr(os, "rename", rename)
    assert "nothing is damaged" in ok("verify").out
    assert report()["stages"][0]["reason"] == "marked by an earlier sweep"
    assert stored_bytes(built) < before
    assert "nothing is damaged" in ok("verify", "--deep").out


def test_objects_that_are_gone_already_are_no_problem(
    built: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(built, NOTHING)
    superseded(built)
    discard = FileArtifacts._discard

    def remove_first(self: FileArtifacts, name: str, before: float) -> int | None:
        os.unlink(self.uri(name))
        return discard(self, name, before)

    monkeypatch.setattr(FileArtifacts, "_discard", remove_first)
    assert report()["failed"] == {}
    assert "nothing is damaged" in ok("verify").out


def test_expired_environments_and_undeclared_stages_go(built: Path, clock: Clock) -> None:
    keep(built, 'keep_for = "2d"')
    ok("env", "create", "dev", "--ttl", "1d")
    change_labels(built)
    ok("run", "labels", "--env", "dev")
    change_labels(built, before=" + 1.0", after="")
    file = built / "bakery.py"
    text = file.read_text()
    assert report()["environments_dropped"] == []
    clock.ahead = 1.5 * DAY
    assert report("--dry-run")["environments_dropped"] == ["dev"]
    assert report()["environments_dropped"] == ["dev"]
    before = stored_bytes(built)
    clock.ahead = 4 * DAY
    assert [each["stage"] for each in report()["stages"]] == ["labels"]
    assert stored_bytes(built) < before
    # For a stage to be missing once is no reason to remove it.
    file.write_text(text.replace("forecast", "outlook"))
    assert report()["stages_removed"] == []
    file.write_text(text)
    clock.ahead = 8 * DAY
    assert report()["stages_removed"] == []
    file.write_text(text.replace("forecast", "outlook"))
    assert report()["stages_removed"] == []
    clock.ahead = 9 * DAY
    assert report("--dry-run")["stages_removed"] == []
    clock.ahead = 10.1 * DAY
    assert report("--dry-run")["stages_removed"] == ["forecast"]
    assert report()["stages_removed"] == ["forecast"]
    with opened(built) as project:
        assert "forecast" not in project.workspace.undeclared(project.state())
        seen = [fact.event for fact in project.tools.ledger.events(kinds=("StagesUndeclared",))]
        stages = [each.stages for each in seen if isinstance(each, StagesUndeclared)]
    assert stages == [("forecast",), (), ("forecast",), ()]


def test_logs_orphans_and_leftovers_go(built: Path, clock: Clock) -> None:
    home = built / ".tidemill"
    keep(built, 'logs = "30d"\ngrace = "1h"')
    logs = home / "logs" / "20200101-000000-abcdef"
    logs.mkdir(parents=True)
    (logs / "1.jsonl").write_text("{}\n")
    (home / "ledger.db.verify-left").mkdir()
    (home / "tmp" / "left").write_text("half")
    with opened(built) as project:
        [name] = project.tools.artifacts.put_all([(b"never bound", ".bin")])
    found = report()
    assert (found["orphans"], found["files"]["logs"], logs.exists()) == (0, 3, False)
    assert not (home / "ledger.db.verify-left").exists()
    clock.ahead = 2 * 3_600.0
    assert report("--dry-run")["files"]["temporary"] == 4
    found = report()
    assert (found["orphans"], found["orphan_bytes"], found["files"]["temporary"]) == (1, 11, 4)
    with opened(built) as project:
        assert project.tools.artifacts.find_missing([name])


def test_a_sweep_is_due_each_night_and_when_there_is_enough(
    built: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(built, "automatic = false")
    with opened(built) as project:
        assert project.retention.is_due(clock()) is None
    keep(built, 'keep_for = "7d"')
    with opened(built) as project:
        retention = project.retention
        assert retention.is_due(clock()) == "nothing was swept so far"
        assert retention.is_due(clock(), nightly=False) is None
        assert retention.sweep_if_due() == ()
        assert retention.is_due(clock()) is None
        clock.ahead = 1.1 * DAY
        assert retention.is_due(clock()) == "the last sweep was a day ago or more"
    keep(built, NOTHING)
    monkeypatch.setattr("tidemill.project.due_sweep.ENOUGH", 20)
    before = stored_bytes(built)
    superseded(built)
    # A run sweeps what it left.
    with opened(built) as project:
        marked = [*project.tools.ledger.events(kinds=("SweepMarked",))]
    assert marked
    assert stored_bytes(built) < before + 400_000
    # What something keeps is no reason to sweep again each hour.
    ok("sweep", "pin", "labels", "--reason", "the auditor asks")
    change_labels(built, before=" + 1.0", after=" + 2.0")
    ok("run", "labels")
    clock.ahead += 0.1 * DAY
    with opened(built) as project:
        retention = project.retention
        assert "results were superseded" in str(retention.is_due(clock(), nightly=False))
        assert retention.sweep_if_due() == ()
        clock.ahead += 0.1 * DAY
        assert retention.is_due(clock(), nightly=False) is None
    keep(built, "automatic = false")
    clock.ahead = 5 * DAY
    with opened(built) as project:
        assert project.retention.is_due(clock()) is None
