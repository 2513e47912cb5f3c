"""Compactions of a project's ledger: audits and proofs hold, and what a run reuses stays."""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.compaction import damage, forget_superseded
from tests.support.tampering import unlocked
from tests.support.tides import CHAIN, Tides, flow_of
from tidemill.adapters.sqlite.packed_text import pack
from tidemill.adapters.sqlite.stamps import unstamp
from tidemill.core.errors import UsageError
from tidemill.governance.audit_settings import AuditSettings
from tidemill.ledger.compaction_events import Compacted as CompactedEvent
from tidemill.ledger.compaction_report import CompactionReport
from tidemill.ledger.event import Attempted
from tidemill.project.audit import check_proof
from tidemill.project.ledger_compaction import LedgerCompaction
from tidemill.project.project import Project, open_project

DAY_S = 86_400.0


class Compacted:
    """A project with a past: each day was published three times, sixty days ago; its checkpoints."""

    def __init__(self, root: Path) -> None:
        self.tides = Tides(root / "project")
        self.ledger = self.tides.root / ".tidemill" / "ledger.db"
        self.key = root / "audit.pem"
        self.now = 1_700_000_000.0
        for version in range(3):
            for day in range(3):
                self.tides.send(day, [1.0, float(version)])
            with closing(self.open()) as project:
                project.run()
        self.now += 60 * DAY_S

    def open(self) -> Project:
        project = self.tides.open()
        space = project.workspace
        space.tools = replace(project.tools, clock=lambda: self.now)
        settings = AuditSettings(
            key=str(self.key) if self.key.exists() else "",
            file=str(self.key.with_name("checkpoints.jsonl")) if self.key.exists() else "",
            every=1e9,
        )
        tables = {**project.settings.tables, "audit": settings}
        object.__setattr__(project.settings, "tables", tables)
        return project

    def compact(self, **options: Any) -> CompactionReport:
        with closing(self.open()) as project:
            return LedgerCompaction(project.workspace).compact(**options)


@pytest.fixture
def old(tmp_path: Path) -> Compacted:
    return Compacted(tmp_path)


def test_a_project_goes_on_as_before(old: Compacted) -> None:
    before = old.tides.contents()
    forget_superseded(old.ledger)
    found = old.compact()
    assert found.events["Published"] == found.events["Attempted"] == 18
    assert damage(old.ledger) == []
    assert old.tides.contents() == before
    assert old.tides.ok() == {}
    old.tides.edit("value * 2", "value * 3")
    assert sorted(old.tides.ok()) == ["ok run daily", "ok run doubled"]
    with closing(old.open()) as project:
        assert project.history.performance() != ()
        texts = [f.event for f in project.tools.ledger.events(kinds=("Attempted",))]
    assert sum(isinstance(e, Attempted) and not e.attempt.reasons for e in texts) == 18


def test_what_was_swept_is_compacted(old: Compacted) -> None:
    """A sweep removes results, a compaction their details; both are rebuilt from the events that are left."""
    before = old.tides.contents()
    for path in (old.tides.root / ".tidemill" / "objects").rglob("*.*"):
        os.utime(path, (old.now - DAY_S, old.now - DAY_S))
    with closing(old.open()) as project:
        # A sweep compacts what it leaves.
        assert project.retention.sweep().objects > 0
        assert LedgerCompaction(project.workspace).compact().events == {}
        facts = project.tools.ledger.events(kinds=("Compacted",))
        told = [fact.event for fact in facts if isinstance(fact.event, CompactedEvent)]
    assert sum(event.events["Published"] for event in told) == 18
    assert sum(event.events["Attempted"] for event in told) == 18
    with closing(old.open()) as project:
        assert project.stored_state.verify(deep=True).problems == ()
        assert project.retention.sweep().objects == 0
        project.stored_state.rebuild()
        assert project.stored_state.verify(deep=True).problems == ()
    assert old.tides.contents() == before
    assert old.tides.ok() == {}


def test_checkpoints_and_proofs_hold(old: Compacted, tmp_path: Path) -> None:
    with closing(old.open()) as project:
        project.keys.create(old.key)
    with closing(old.open()) as project:
        project.audit.checkpoint()
        whole = project.audit.prove("2")
    forget_superseded(old.ledger)
    old.compact()
    with closing(old.open()) as project:
        found = project.audit.verify()
        assert (found.problems, found.checkpoints) == ((), 1)
        left = project.audit.prove("2")
    assert (left.path, left.checkpoint, left.place) == (whole.path, whole.checkpoint, whole.place)
    file = tmp_path / "proof.json"
    public = Path(f"{old.key}.pub")
    for proof in (whole, left):
        file.write_text(proof.document)
        assert check_proof(file, [public])[0] == ""
    # Only the digest of what it was is proven.
    document = json.loads(proof.document)
    file.write_text(json.dumps({**document, "whole": "0" * 64}))
    assert "isn't in the checkpoint" in check_proof(file, [public])[0]


def test_a_changed_figure_is_found_by_an_audit(old: Compacted) -> None:
    forget_superseded(old.ledger)
    old.compact()
    with unlocked(old.ledger) as connection:
        query = "SELECT seq, body FROM compacted JOIN events USING (seq) WHERE kind = 'Attempted' LIMIT 1"
        seq, body = connection.execute(query).fetchone()
        text = unstamp(body).replace('"rows_out":2', '"rows_out":9')
        assert text != unstamp(body)
        connection.execute("UPDATE events SET body = ? WHERE seq = ?", (pack(text), seq))
    with closing(old.open()) as project:
        (problem,) = project.audit.verify().problems
    assert "its figures were changed" in problem.message


def test_a_dry_run_says_what_would_be_done(old: Compacted) -> None:
    forget_superseded(old.ledger)
    assert old.compact(dry_run=True).events == old.compact().events
    assert old.compact().events == {}


def test_without_a_ledger_there_is_nothing_to_compact(tmp_path: Path) -> None:
    project = open_project(tmp_path, workflow=flow_of(tmp_path, CHAIN))
    with closing(project), pytest.raises(UsageError, match="no ledger"):
        LedgerCompaction(project.workspace).compact()
