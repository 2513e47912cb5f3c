"""Workflows that share a home keep what their own settings say, whoever of them sweeps."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.tides import CHAIN, Tides
from tidemill.adapters.sqlite.compaction import SqliteCompaction
from tidemill.ledger.compaction_report import CompactionReport, CompactionTerms
from tidemill.ledger.retention_events import RetentionDeclared
from tidemill.ledger.retention_settings import RetentionSettings, StageRetention
from tidemill.operations.swept import SweepReport
from tidemill.project.project import Project
from tidemill.project.workflow_ledger import shared_ledger

DAY_S = 86_400.0
NOTHING = RetentionSettings(keep_for=0.0, grace=0.0, restore_for=0.0)
OTHER = CHAIN.replace('tm.Workflow("tides")', 'tm.Workflow("other")').replace(
    "return value * 2", "return value * 5"
)


class Owner:
    """A workflow and its settings; the clock is that of both."""

    def __init__(self, root: Path, text: str, settings: RetentionSettings) -> None:
        self.tides, self.settings, self.now = Tides(root, text), settings, time.time()

    def open(self) -> Project:
        project = self.tides.open()
        tables = {**project.settings.tables, "retention": self.settings}
        object.__setattr__(project.settings, "tables", tables)
        # The ledger knows them from the time when it was opened.
        project.tools.ledger._retention = self.settings  # type: ignore[attr-defined]
        project.workspace.tools = replace(project.tools, clock=lambda: self.now)
        return project

    def publish(self, values: list[float]) -> None:
        self.tides.send(0, values)
        with closing(self.open()) as project:
            project.run()

    def sweep(self, *, by_itself: bool = False) -> SweepReport:
        with closing(self.open()) as project:
            retention = project.retention
            found = retention.sweep_by_itself() if by_itself else retention.sweep()
        assert found is not None
        return found


def declared(owner: Owner) -> list[tuple[str, RetentionSettings]]:
    """The settings that the ledger knows, in order."""
    with closing(owner.open()) as project:
        facts = shared_ledger(project.tools.ledger).events(kinds=(RetentionDeclared.__name__,))
        events = [fact.event for fact in facts]
    return [(e.workflow, e.settings) for e in events if isinstance(e, RetentionDeclared)]


def removed(report: SweepReport) -> set[str]:
    return {each.stage for each in report.stages if each.objects}


def why(owner: Owner, stage: str) -> set[str]:
    """What keeps the superseded results of a stage."""
    with closing(owner.open()) as project:
        return {each.kept_by for each in project.retention.keepers(stage) if each.since is not None}


def test_each_workflow_keeps_what_it_says(tmp_path: Path) -> None:
    one, two = Owner(tmp_path, CHAIN, NOTHING), Owner(tmp_path, OTHER, NOTHING)
    one.publish([1.0])
    # Alone in its home, nobody has to know.
    assert declared(one) == []
    two.publish([1.0])
    one.publish([2.0])
    two.publish([2.0])
    assert declared(one) == [("other", NOTHING), ("tides", NOTHING)]
    two.settings = replace(NOTHING, hold=True)
    one.publish([3.0])
    two.publish([3.0])
    assert declared(one)[-1] == ("other", two.settings)
    one.now = two.now = one.now + DAY_S
    # Both have read the same rows, and computed others of them.
    assert why(one, "doubled") == {
        "nothing: the next sweep removes it",
        "legal hold (workflow other)",
    }
    assert why(one, "raw") == {"legal hold (workflow other)"}
    assert removed(one.sweep()) == {"doubled", "daily"}
    with closing(two.open()) as project:
        assert project.stored_state.verify(deep=True).problems == ()
    assert why(one, "doubled") == {"legal hold (workflow other)"}
    two.settings = NOTHING
    assert {"raw", "doubled", "daily"} <= removed(two.sweep())
    assert declared(one)[-1] == ("other", NOTHING)
    assert why(one, "doubled") == set()


def orphan(owner: Owner) -> Path:
    """An object that was stored long ago, and never recorded."""
    with closing(owner.open()) as project:
        [name] = project.tools.artifacts.put_all([(b"nobody's", ".parquet")])
        [path] = project.home.rglob(name)
    long_ago = owner.now - 100 * DAY_S
    os.utime(path, (long_ago, long_ago))
    return path


def compactions(owner: Owner) -> int:
    with closing(owner.open()) as project:
        return len([*shared_ledger(project.tools.ledger).events(kinds=("Compacted",))])


def test_what_may_be_of_a_workflow_that_is_not_known_stays(tmp_path: Path) -> None:
    one = Owner(tmp_path, CHAIN, replace(NOTHING, hold=True))
    two = Owner(tmp_path, OTHER, NOTHING)
    one.publish([1.0])
    for number in range(3):
        two.publish([float(number)])
    path = orphan(two)
    one.now = two.now = one.now + 100 * DAY_S
    found = two.sweep()
    # Its settings aren't recorded, and may be a hold.
    assert (found.orphans, compactions(two)) == (0, 0)
    [note] = found.notes
    assert "the workflow tides" in note
    with closing(two.open()) as project:
        assert project.retention.preview().notes == found.notes
    one.sweep()
    assert ["the workflow tides has hold" in note for note in two.sweep().notes] == [True]
    assert path.exists()
    one.settings = NOTHING
    one.sweep()
    assert not path.exists()
    assert two.sweep().notes == ()
    assert compactions(two) > 0


def test_a_former_name_follows_the_new_one(tmp_path: Path) -> None:
    names = ("tides", "second", "third")
    text = {name: CHAIN.replace('Workflow("tides")', f'Workflow("{name}")') for name in names}
    other = Owner(tmp_path, OTHER, NOTHING)
    first = Owner(tmp_path, text["tides"], replace(NOTHING, hold=True))
    other.publish([1.0])
    first.publish([1.0])
    assert declared(other) == [("tides", first.settings)]
    for former, name in pairwise(names):
        new = Owner(tmp_path, text[name], NOTHING)
        with closing(new.open()) as project:
            project.environments.adopt(former)
        assert declared(new)[-1] == (name, NOTHING)
    for owner in (new, other):
        owner.publish([2.0])
    path = orphan(other)
    other.now = new.now = other.now + 100 * DAY_S
    found = other.sweep()
    assert found.notes == ()
    assert not path.exists()
    assert removed(found) == {"doubled"}
    # The first name goes on after all.
    first.publish([3.0])
    assert declared(first)[-1] == ("tides", first.settings)


def test_one_that_had_the_home_to_itself_says_what_it_keeps_when_it_sweeps(tmp_path: Path) -> None:
    one, two = Owner(tmp_path, CHAIN, NOTHING), Owner(tmp_path, OTHER, NOTHING)
    with closing(one.open()) as project:
        one.tides.send(0, [1.0])
        project.run()
        two.publish([1.0])
        project.retention.sweep()
    assert declared(one) == [("other", NOTHING), ("tides", NOTHING)]


def test_a_hold_on_an_unknown_stage_counts_for_others(tmp_path: Path) -> None:
    one = Owner(tmp_path, CHAIN, NOTHING)
    two = Owner(tmp_path, OTHER, replace(NOTHING, stages={"dayly": StageRetention(hold=True)}))
    for values in ([1.0], [2.0]):
        one.publish(values)
        two.publish(values)
    assert ("other", replace(two.settings, hold=True)) in declared(one)
    one.now = two.now = one.now + DAY_S
    assert why(one, "raw") == {"legal hold (workflow other)"}


def test_a_sweep_by_itself_leaves_those_who_do_not_want_that(tmp_path: Path) -> None:
    one = Owner(tmp_path, CHAIN, NOTHING)
    two = Owner(tmp_path, OTHER, replace(NOTHING, automatic=False))
    for values in ([1.0], [2.0], [3.0]):
        one.publish(values)
        two.publish(values)
    one.now = two.now = one.now + DAY_S
    assert removed(one.sweep(by_itself=True)) == {"doubled", "daily"}
    left = one.sweep()
    assert {"raw", "doubled", "daily"} <= removed(left)


def test_the_first_sweep_of_a_day_looks_at_the_whole_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compact, went_on = SqliteCompaction.compact, []

    def noted(self: SqliteCompaction, terms: CompactionTerms, **options: Any) -> CompactionReport:
        went_on.append(terms.goes_on)
        return compact(self, terms, **options)

    monkeypatch.setattr(SqliteCompaction, "compact", noted)
    owner = Owner(tmp_path, CHAIN, NOTHING)
    owner.publish([1.0])
    # Tomorrow, in the night.
    owner.now += DAY_S - owner.now % DAY_S + 3_600
    for by_itself in (True, True, False):
        owner.sweep(by_itself=by_itself)
        owner.now += 3_600
    owner.now += DAY_S
    owner.sweep(by_itself=True)
    # Who asks for a sweep has it look at everything, too.
    assert went_on == [False, True, False, False]
