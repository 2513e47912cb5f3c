"""The audit of a project: checkpoints by themselves, and a tampered home that is noticed."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.damage import copy_home
from tests.support.tables import execute
from tests.support.tampering import read_rows, unlocked, write_rows
from tests.support.tides import Tides
from tidemill.adapters.sqlite.event_chain import count_events
from tidemill.adapters.sqlite.stamps import stamp, unstamp
from tidemill.core.errors import StorageError, UsageError
from tidemill.governance.audit_report import AuditReport
from tidemill.governance.audit_settings import AuditSettings
from tidemill.governance.checkpoint import CheckpointSource
from tidemill.governance.erasure import ErasureSubject
from tidemill.governance.io.checkpoint_places import CheckpointFile
from tidemill.project.audit import check_proof
from tidemill.project.project import Project


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Tides:
    tides = Tides(tmp_path_factory.mktemp("built") / "project")
    tides.send(0, [1.0, 2.0, 3.0])
    tides.run()
    return tides


class Audited:
    """A project with a key and a file for checkpoints outside of its home."""

    def __init__(self, tides: Tides) -> None:
        self.tides = tides
        self.key = tides.root.parent / "audit.pem"
        self.outside = tides.root.parent / "checkpoints.jsonl"
        self.ledger = tides.root / ".tidemill" / "ledger.db"
        with closing(tides.open()) as project:
            project.keys.create(self.key)

    def open(self, **settings: Any) -> Project:
        project = self.tides.open()
        chosen = AuditSettings(
            **{"key": str(self.key), "file": str(self.outside), "every": 1e9, **settings}
        )
        tables = {**project.settings.tables, "audit": chosen}
        object.__setattr__(project.settings, "tables", tables)
        return project

    def checkpoint(self) -> int:
        with closing(self.open()) as project:
            return project.audit.checkpoint().checkpoint.size

    def verify(self) -> AuditReport:
        with closing(self.open()) as project:
            return project.audit.verify()

    def events_grew(self) -> bool:
        """Whether there are events after the last checkpoint of the home."""
        last = json.loads(self.outside.read_text().splitlines()[-1])["size"]
        return count_events(self.ledger) > int(last)

    def record(self, name: str, **settings: Any) -> None:
        """Record an event, and close the project."""
        with closing(self.open(**settings)) as project:
            project.tokens.create(name)


@pytest.fixture
def audited(built: Tides, tmp_path: Path) -> Audited:
    return Audited(copy_home(built, tmp_path / "copy"))


def messages(report: AuditReport) -> str:
    return "\n".join(f"{each.place}: {each.message}" for each in report.problems)


def test_what_nobody_changed_is_sealed(audited: Audited) -> None:
    before = audited.verify()
    assert (before.sealed, before.is_sound, before.unsealed) == (0, True, before.events)
    size = audited.checkpoint()
    audited.record("ana")
    found = audited.verify()
    assert (found.sealed, found.events, found.checkpoints) == (size, size + 1, 1)
    assert found.is_sound


def test_a_checkpoint_is_made_when_it_is_due(audited: Audited) -> None:
    size = audited.checkpoint()
    audited.record("ana", events=2)
    assert audited.verify().sealed == size
    audited.record("ben", events=2)
    assert audited.verify().sealed == size + 2
    # Who only reads makes none.
    with closing(audited.open(every="1s", events=1)) as project:
        project.state()
    assert len(audited.outside.read_text().splitlines()) == 2


def test_a_place_that_fails_loses_nothing_and_is_shown(audited: Audited) -> None:
    audited.outside.mkdir()
    with pytest.warns(UserWarning, match="the checkpoint wasn't written outside: .* directory"):
        audited.record("ana", events=1)
    with closing(audited.open()) as project:
        assert [each.token.holder for each in project.tokens.list()] == ["ana"]
    audited.outside.rmdir()
    found = audited.verify()
    assert found.is_sound
    assert any("it lacks the checkpoint" in note for note in found.notes)
    audited.checkpoint()
    assert audited.verify().is_sound


def test_a_key_that_is_missing_loses_nothing_and_is_shown(audited: Audited) -> None:
    audited.key.unlink()
    with pytest.warns(UserWarning, match=r"no checkpoint was made: the key .*can't be read"):
        audited.record("ana", events=1)


def change_status(path: Path) -> None:
    """Change one text of an event, with the right checksum."""
    rows = read_rows(path)
    row = next(row for row in rows if row[3] == "RunEnded")
    text = unstamp(row[-1])
    body = stamp(text.replace('"status":"ok"', '"status":"failed"'))
    assert unstamp(body) != text
    with unlocked(path) as connection:
        connection.execute("UPDATE events SET body = ? WHERE seq = ?", (body, row[0]))


def test_a_changed_event_is_noticed(audited: Audited) -> None:
    audited.checkpoint()
    change_status(audited.ledger)
    text = messages(audited.verify())
    assert "ledger: the hash chain is broken at event" in text
    assert "aren't those that it has: events were changed" in text
    with closing(audited.open()) as project:
        found = project.stored_state.verify()
    assert any("hash chain is broken" in each.message for each in found.problems)


def test_a_rewritten_suffix_is_noticed_by_the_checkpoint_alone(audited: Audited) -> None:
    audited.checkpoint()
    rows = read_rows(audited.ledger)
    kept = [row for row in rows if row[3] != "Attempted"]
    assert len(kept) < len(rows)
    write_rows(audited.ledger, [(seq, *row[1:]) for seq, row in enumerate(kept, 1)])
    text = messages(audited.verify())
    assert "hash chain" not in text
    assert "but the ledger only" in text


def test_the_home_of_an_older_backup_is_noticed(audited: Audited) -> None:
    audited.checkpoint()
    home = audited.ledger.parent
    shutil.copytree(home, home.with_name("backup"))
    audited.record("ana", events=1)
    shutil.rmtree(home)
    home.with_name("backup").rename(home)
    assert "an older copy of the ledger was put in its place" in messages(audited.verify())
    with closing(audited.open()) as project:
        project.tokens.create("ben")
        project.tokens.create("cleo")
        # It has more events by now than the checkpoint outside, but other ones.
        with pytest.raises(StorageError, match="doesn't continue: an older copy was put in its"):
            project.audit.checkpoint()


def test_a_place_that_cannot_be_reached_is_unknown(audited: Audited) -> None:
    """Nothing was changed: what it has will be compared when it is there again."""
    away = audited.outside.with_name("drive") / "checkpoints.jsonl"
    away.parent.mkdir()
    audited.outside = away
    size = audited.checkpoint()
    away.parent.rename(away.parent.with_name("gone"))
    away.parent.write_text("not a folder")
    with pytest.warns(UserWarning, match="wasn't written outside"):
        audited.record("ana", events=1)
    for _ in range(2):
        found = audited.verify()
        assert (found.is_sound, found.sealed) == (True, 0)
        (note,) = found.notes
        assert f"not compared with the checkpoints of {away}: " in note
        away.parent.unlink(missing_ok=True)
    away.parent.with_name("gone").rename(away.parent)
    found = audited.verify()
    assert (found.is_sound, found.sealed) == (True, size)
    assert "which wasn't written there yet" in found.notes[0]
    audited.checkpoint()
    found = audited.verify()
    assert (found.notes, found.unsealed) == ((), 0)
    # What it had, it must have.
    away.write_text("")
    assert "and had: it was removed" in messages(audited.verify())


def test_a_crash_before_a_checkpoint_is_outside_is_no_tampering(
    audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    size = audited.checkpoint()
    audited.record("ana")
    with monkeypatch.context() as patched:
        patched.setattr(CheckpointFile, "write", crash)
        with pytest.raises(KeyboardInterrupt):
            audited.checkpoint()
    found = audited.verify()
    assert (found.is_sound, found.sealed) == (True, size)
    # Half of the line.
    newest = (audited.ledger.parent / "checkpoints.jsonl").read_text().splitlines()[-1]
    with audited.outside.open("a") as file:
        file.write(newest[:100])
    assert audited.verify().is_sound
    assert audited.checkpoint() == size + 1
    assert audited.verify().unsealed == 0


def test_a_home_that_grows_while_it_is_verified_is_sound(
    audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that is made meanwhile waits until the places are read; events after that don't matter."""
    audited.checkpoint()
    read = CheckpointFile.read
    grown = threading.Event()

    def grow() -> None:
        audited.record("ana", events=1)
        grown.set()

    thread = threading.Thread(target=grow)

    def read_while_it_grows(place: CheckpointFile) -> CheckpointSource:
        found = read(place)
        if threading.current_thread() is not thread and not thread.ident:
            thread.start()
            # It has the lock of the home only after this.
            while not audited.events_grew():
                pass
        return found

    with closing(audited.open()) as project:
        monkeypatch.setattr(CheckpointFile, "read", read_while_it_grows)
        found = project.audit.verify()
    thread.join()
    assert grown.is_set()
    assert found.problems == ()
    assert audited.verify().unsealed == 0


def test_a_home_that_was_copied_or_moved_is_sound(audited: Audited) -> None:
    size = audited.checkpoint()
    root = audited.tides.root
    shutil.copytree(root, root.with_name("copied"))
    root.rename(root.with_name("moved"))
    for name in ("copied", "moved"):
        audited.tides.root = root.with_name(name)
        found = audited.verify()
        assert (found.is_sound, found.sealed) == (True, size)


def test_a_clock_that_was_set_back_is_sound(
    audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    audited.checkpoint()
    with closing(audited.open()) as project:
        project.workspace.tools = replace(project.tools, clock=lambda: 1e9)
        project.tokens.create("ana")
        project.audit.checkpoint()
    found = audited.verify()
    assert (found.is_sound, found.unsealed) == (True, 0)
    assert all("the clock went back" in note for note in found.notes)


def test_an_erased_name_changes_nothing_that_is_sealed(audited: Audited) -> None:
    audited.record("ana", events=1)
    with closing(audited.open()) as project:
        (issued,) = project.tokens.list()
        project.tokens.revoke(issued.token.id)
        project.audit.checkpoint()
        project.erasures.erase(ErasureSubject(value="ana"))
        project.audit.checkpoint()
    found = audited.verify()
    assert (found.is_sound, found.unsealed, found.notes) == (True, 0, ())


def test_a_name_that_was_changed_or_removed_is_noticed(audited: Audited) -> None:
    audited.record("ana")
    with closing(audited.open()) as project:
        # Revokes it, so that somebody named so has acted.
        (issued,) = project.tokens.list()
        project.tokens.revoke(issued.token.id)
        project.erasures.erase(ErasureSubject(value="nobody"))
    audited.checkpoint()
    execute(audited.ledger, f"UPDATE people SET name = '{stamp('mallory')}' WHERE name LIKE 'ana%'")
    found = audited.verify()
    assert not found.is_sound
    assert "people: the name of person:" in messages(found)
    assert "it was changed to 'mallory'" in messages(found)
    with closing(audited.open()) as project:
        verified = project.stored_state.verify(repair=True)
    assert [(each.kind, each.repaired) for each in verified.problems] == [("people", False)]
    assert verified.checked["objects"] > 0
    execute(audited.ledger, "DELETE FROM people")
    assert "is missing, and nobody erased that person" in messages(audited.verify())


def test_a_key_that_is_half_written_is_said_to_be(audited: Audited) -> None:
    audited.checkpoint()
    public = Path(f"{audited.key}.pub")
    whole = public.read_text()
    for text in (whole[:40], ""):
        public.write_text(text)
        with (
            closing(audited.open()) as project,
            pytest.raises(UsageError, match="is no whole public key"),
        ):
            project.audit.verify()
    public.unlink()
    with closing(audited.open()) as project, pytest.raises(UsageError, match="can't be read"):
        project.audit.verify()
    audited.key.write_text(audited.key.read_text()[:60])
    with pytest.warns(UserWarning, match="no whole private key"):
        audited.record("ana", events=1)
    public.write_text(whole)
    assert audited.verify().is_sound


def test_a_forged_checkpoint_is_noticed(audited: Audited, tmp_path: Path) -> None:
    audited.checkpoint()
    line = json.loads(audited.outside.read_text())
    line["at"] = "1.0"
    audited.outside.write_text(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n")
    assert "its signature isn't that of its key: somebody changed it" in messages(audited.verify())
    with closing(audited.open()) as project:
        project.keys.create(tmp_path / "other.pem")
        found = project.audit.verify(keys=[tmp_path / "other.pem.pub"])
        assert "which isn't a known one" in messages(found)
        assert "signatures were not verified" in project.audit.verify(signatures=False).notes


def test_both_keys_count_after_a_rotation(audited: Audited, tmp_path: Path) -> None:
    size = audited.checkpoint()
    new = tmp_path / "new.pem"
    keys = (f"{audited.key}.pub", f"{new}.pub")
    with closing(audited.open(key=str(new), keys=keys)) as project:
        project.keys.create(new)
        project.tokens.create("ana")
        assert project.audit.checkpoint().is_new
        found = project.audit.verify()
    # Of the new key and the token.
    assert (found.is_sound, found.sealed) == (True, size + 2)


def test_what_cannot_be_done_says_why(audited: Audited) -> None:
    audited.checkpoint()
    with closing(audited.tides.open()) as project:
        with pytest.raises(UsageError, match="no key that signs"):
            project.audit.checkpoint()
        with pytest.raises(UsageError, match="no public key to verify"):
            project.audit.verify()
        with pytest.raises(UsageError, match="there is no file missing"):
            project.audit.verify(checkpoints=["missing"])
    inside = str(audited.ledger.with_name("checkpoints"))
    with (
        closing(audited.open(file=inside)) as project,
        pytest.raises(UsageError, match="lies in the project's home"),
    ):
        project.audit.verify()


def test_checkpoints_of_a_file_are_compared_where_no_place_is_known(audited: Audited) -> None:
    size = audited.checkpoint()
    with closing(audited.tides.open()) as project:
        found = project.audit.verify(checkpoints=[audited.outside], keys=[f"{audited.key}.pub"])
    assert (found.sealed, found.is_sound) == (size, True)


def test_a_command_and_git_tags_are_places(audited: Audited, tmp_path: Path) -> None:
    with closing(audited.open(file="", command="cat")) as project:
        assert project.audit.checkpoint().problems == ()
        found = project.audit.verify()
    assert found.sealed == 0
    assert any("no checkpoint outside of the home is known" in note for note in found.notes)
    with closing(audited.open(file="", git=str(tmp_path / "none"))) as project:
        (problem,) = project.audit.checkpoint().problems
    assert "git" in problem


def test_a_decision_can_be_proved_without_the_ledger(audited: Audited, tmp_path: Path) -> None:
    with closing(audited.open()) as project:
        run = project.runs(1)[0].id
        with pytest.raises(UsageError, match="is in no checkpoint yet"):
            project.audit.prove(run)
        project.audit.checkpoint()
        proof = project.audit.prove(run)
        with pytest.raises(UsageError, match="there is no decision 'other'"):
            project.audit.prove("other")
        with pytest.raises(UsageError, match="in no checkpoint yet"):
            project.audit.prove("999999")
        with pytest.raises(UsageError, match="there is no event 0"):
            project.audit.prove("0")
    path = tmp_path / "proof.json"
    path.write_text(proof.document)
    assert check_proof(path, [f"{audited.key}.pub"])[0] == ""
    path.write_text(proof.document.replace("steps", "stepz"))
    assert "isn't in the checkpoint" in check_proof(path, [f"{audited.key}.pub"])[0]
    with pytest.raises(UsageError, match="can't be read"):
        check_proof(tmp_path / "none", [])


def test_a_changed_ledger_gives_no_proof(audited: Audited) -> None:
    audited.checkpoint()
    with unlocked(audited.ledger) as connection:
        connection.execute("UPDATE events SET body = 'x' WHERE seq = 2")
    with (
        closing(audited.open()) as project,
        pytest.raises(UsageError, match="event 2 is not what was recorded"),
    ):
        project.audit.prove("1")
    with closing(audited.open()) as project, pytest.raises(StorageError):
        [*project.audit.export()]


def test_an_export_has_the_leaves_of_the_trees(audited: Audited) -> None:
    with closing(audited.open()) as project:
        found = [*project.audit.export()]
        with pytest.raises(UsageError, match="there is no event 'Votd'"):
            project.audit.entries(kinds=["Votd"])
        assert {e.kind for e in project.audit.entries(kinds=["RunEnded"])} == {"RunEnded"}
        shown = project.audit.entries()
    assert [each.entry.seq for each in found] == [*range(1, len(found) + 1)]
    assert len({each.leaf for each in found}) == len(found)
    assert "Published" not in {entry.kind for entry in shown}


def test_a_project_without_events_has_nothing_to_seal(tmp_path: Path) -> None:
    audited = Audited(Tides(tmp_path / "with a key"))
    # The key comes from elsewhere, so that nothing is recorded of it.
    audited.tides = Tides(tmp_path / "project")
    with closing(audited.open()) as project:
        assert project.audit.verify().events == 0
        with pytest.raises(UsageError, match="no event yet"):
            project.audit.checkpoint()
