"""`tidemill verify` finds all that is damaged, repairs what can be, and never shows binary text."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest

from tests.behaviour.test_damage import sea
from tests.support.damage import copy_home, cut, flip, object_files
from tests.support.tables import WITHOUT_LISTINGS, execute
from tests.support.tides import Tides, day, flow_of, rebuilt
from tidemill.adapters.sqlite import integrity
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.migrations import SCHEMA_VERSION
from tidemill.core.errors import ConflictError, StorageError, TidemillError
from tidemill.ledger.event import EffectDone, EffectQueued
from tidemill.ledger.io.lease_holder import this_process
from tidemill.project.project import Project, open_project
from tidemill.project.verification import Verification
from tidemill.runs.io.lease import take_lease
from tidemill.testing.records import published_event

T = TypeVar("T")

DAYS = 3


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Tides:
    tides = Tides(tmp_path_factory.mktemp("built") / "project")
    for number in range(DAYS):
        tides.send(number, [float(number), 2.0, 5000.0])
    tides.run()
    tides.edit("value * 2", "value * 3")
    tides.run()
    return tides


@pytest.fixture
def tides(built: Tides, tmp_path: Path) -> Tides:
    return copy_home(built, tmp_path / "copy")


def verify(tides: Tides, *, deep: bool = False, repair: bool = False) -> Verification:
    project = tides.open()
    try:
        return project.stored_state.verify(deep=deep, repair=repair)
    finally:
        project.close()


def unopened(tides: Tides) -> Project:
    """The project as a command has it, which opens the ledger on first use."""
    return open_project(tides.root, workflow=flow_of(tides.root, tides.text))


def first_verify(tides: Tides, *, repair: bool = False) -> Verification:
    """Verify by a command that nothing was done before."""
    with closing(unopened(tides)) as project:
        return project.stored_state.verify(repair=repair)


def first_rebuild(tides: Tides) -> None:
    with closing(unopened(tides)) as project:
        project.stored_state.rebuild()


def ledger(tides: Tides) -> Path:
    return tides.root / ".tidemill" / "ledger.db"


def at_rest(tides: Tides) -> bytes:
    """The bytes of the ledger's file, with everything in it."""
    with closing(sqlite3.connect(ledger(tides))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return ledger(tides).read_bytes()


@pytest.mark.parametrize("deep", [True, False])
def test_nothing_is_wrong_with_what_was_just_stored(tides: Tides, deep: bool) -> None:
    found = verify(tides, deep=deep)
    assert found.problems == ()
    assert found.is_sound
    assert found.checked["objects"] >= 5 * DAYS
    assert found.checked["events"] > 0


@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("stage", ["raw", "doubled", "daily"])
def test_a_damaged_object_is_found_and_repaired(
    tides: Tides, tmp_path: Path, stage: str, deep: bool
) -> None:
    flip(object_files(tides, stage, day(1))[-1], 60)
    found = verify(tides, deep=deep)
    [problem] = found.problems
    assert (problem.kind, problem.place) == ("object", f"{stage} {day(1)}")
    assert not found.is_sound
    found = verify(tides, repair=True)
    assert [problem.repaired for problem in found.problems] == [True]
    assert verify(tides, deep=True).problems == ()
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_a_missing_object_is_found_and_repaired(tides: Tides) -> None:
    path = object_files(tides, "doubled", day(1))[0]
    path.unlink()
    [problem] = verify(tides).problems
    assert "is missing" in problem.message
    # It is known to be missing now.
    step = tides.open().plan().steps[0]
    assert (step.stage, step.reasons) == ("doubled", ("its stored object is missing",))
    assert verify(tides, repair=True).is_sound
    assert path.exists()
    assert verify(tides).problems == ()


def test_a_damaged_object_that_nothing_uses_is_removed_by_a_repair(tides: Tides) -> None:
    used = {
        path.name
        for stage in ("raw", "doubled", "daily")
        for number in range(DAYS)
        for path in object_files(tides, stage, day(number))
    }
    old = [p for p in (tides.root / ".tidemill/objects").rglob("*.parquet") if p.name not in used]
    assert old
    cut(old[0])
    [problem] = verify(tides).problems
    assert problem.place == "no published partition"
    assert verify(tides, repair=True).is_sound
    assert not old[0].exists()
    assert verify(tides).problems == ()


@pytest.mark.parametrize("how", ["deleted", "edited", "back again"])
def test_delivered_files_are_compared_and_delivered_again(tmp_path: Path, how: str) -> None:
    tides = sea(tmp_path / "sea")
    path = tides.root / "out" / f"{day(1)}.parquet"
    good = path.read_bytes()
    if how == "deleted":
        path.unlink()
    else:
        flip(path, 60)
    [problem] = verify(tides).problems
    assert (problem.kind, problem.place) == ("delivery", f"out {day(1)}")
    assert tides.ok() == {}
    found = verify(tides, repair=True)
    assert found.is_sound
    assert found.checked["deliveries"] == 6
    assert path.read_bytes() == good
    assert verify(tides).problems == ()


@pytest.mark.parametrize("edited", ['flow.table("told"', 'sink=tm.parquet("told")'])
def test_files_in_a_folder_of_before_are_the_users_own(tmp_path: Path, edited: str) -> None:
    tides = sea(tmp_path / "sea")
    tides.edit(edited.replace("told", "out"), edited)
    if edited.startswith("flow"):
        tides.edit('sink=tm.parquet("out")', 'sink=tm.parquet("new")')
    tides.ok()
    for path in (tides.root / "out").iterdir():
        path.unlink()
    found = verify(tides, repair=True)
    assert (found.problems, found.checked["deliveries"]) == ((), 6)
    assert not list((tides.root / "out").iterdir())


def test_a_delivered_file_that_got_another_name_is_compared(tmp_path: Path) -> None:
    tides = sea(tmp_path / "sea")
    with closing(tides.open()) as project:
        ledger = project.tools.ledger
        done = [fact.event for fact in ledger.events(kinds=("EffectDone", "EffectQueued"))]
        effect = next(e.effect for e in done if isinstance(e, EffectQueued))
        [file] = [
            e.detail["file"] for e in done if isinstance(e, EffectDone) and e.key == effect.key
        ]
        # As if the project was moved to a disk where the name is another, and delivered again.
        (tides.root / file).rename(tides.root / "out" / "other.parquet")
        again = replace(effect, key="again")
        ledger.append([EffectQueued(environment="prod", effect=again)], now=9.0)
        detail = {"file": "out/other.parquet"}
        ledger.append([EffectDone(environment="prod", key="again", detail=detail)], now=9.0)
    assert verify(tides).problems == ()
    (tides.root / "out" / "other.parquet").unlink()
    [problem] = verify(tides).problems
    assert "other.parquet was deleted" in problem.message


PAGE_DAMAGES: dict[str, Callable[[bytearray, Random], None]] = {
    "zeros": lambda page, rng: page.__setitem__(slice(None), bytes(len(page))),
    "noise": lambda page, rng: page.__setitem__(slice(None), rng.randbytes(len(page))),
    "a byte": lambda page, rng: page.__setitem__(rng.randrange(len(page)), rng.randrange(256)),
    "a bit": lambda page, rng: _flip(page, rng.randrange(len(page))),
}


def _flip(page: bytearray, at: int) -> None:
    page[at] ^= 16


def damaged_ledgers(tides: Tides, how: str) -> Iterator[int]:
    """Damage each page of the ledger in turn, and yield its number."""
    payload, rng = at_rest(tides), Random(7)
    size = int.from_bytes(payload[16:18], "big")
    for number in range(len(payload) // size):
        before, after = payload[: number * size], payload[(number + 1) * size :]
        page = bytearray(payload[number * size : (number + 1) * size])
        PAGE_DAMAGES[how](page, rng)
        for tail in ("-wal", "-shm"):
            Path(f"{ledger(tides)}{tail}").unlink(missing_ok=True)
        ledger(tides).write_bytes(before + page + after)
        if ledger(tides).read_bytes() != payload:
            yield number


def outcome(act: Callable[[], T]) -> tuple[T | None, str]:
    """What a function returns, or the message of its error; any other error is a failure."""
    try:
        return act(), ""
    except TidemillError as error:
        return None, str(error)


@pytest.mark.parametrize("how", PAGE_DAMAGES)
def test_any_damaged_page_of_the_ledger_publishes_nothing_wrong(tides: Tides, how: str) -> None:
    good = tides.contents()
    for number in damaged_ledgers(tides, how):
        found, message = outcome(partial(verify, tides))
        texts = [message, *(p.message for p in (found.problems if found else ()))]
        assert all(text.isprintable() for text in texts), texts
        noticed = any(texts)
        # Unused bytes of a page may be anything.
        assert noticed or how in ("a byte", "a bit"), number
        receipt, message = outcome(tides.run)
        assert message.isprintable()
        contents, message = outcome(tides.contents)
        assert message.isprintable()
        if receipt is not None and receipt.exit_code == 0 and contents is not None:
            assert contents == good, number


def damage_publication(tides: Tides) -> None:
    """Flip a bit of the checksum of the newest publication."""
    payload = at_rest(tides)
    with closing(sqlite3.connect(ledger(tides))) as connection:
        query = "SELECT body FROM events WHERE kind = 'Published' ORDER BY seq DESC LIMIT 1"
        (body,) = connection.execute(query).fetchone()
    at = payload.rindex(body[:32]) + 1
    flipped = bytes([payload[at] ^ 1])
    ledger(tides).write_bytes(payload[:at] + flipped + payload[at + 1 :])


def test_a_damaged_event_is_named_with_the_way_out(tides: Tides) -> None:
    damage_publication(tides)
    [problem] = verify(tides).problems
    assert "1 event is not what was recorded" in problem.message
    with pytest.raises(StorageError, match=r"is damaged .*backup.*tidemill ledger rebuild"):
        tides.contents()
    # Nothing is thrown away without being asked.
    found = verify(tides, repair=True)
    assert not found.is_sound
    assert "--skip-damaged" in found.problems[-1].message


def test_a_rebuild_without_the_damaged_events_computes_what_is_unknown(
    tides: Tides, tmp_path: Path
) -> None:
    damage_publication(tides)
    project = tides.open()
    made = project.stored_state.rebuild(skip_damaged=True)
    project.close()
    assert made.left_out >= 1
    assert made.kept.exists()
    assert verify(tides).problems == ()
    assert tides.run().exit_code == 0
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    assert verify(tides).problems == ()


def test_tables_that_contradict_the_events_are_rebuilt(tides: Tides) -> None:
    with closing(sqlite3.connect(ledger(tides), isolation_level=None)) as connection:
        connection.execute("UPDATE heads SET version = version + 1 WHERE stage = 'raw'")
    [problem] = verify(tides).problems
    assert problem.message == "the table heads isn't what the events give"
    before = tides.contents()
    assert verify(tides, repair=True).is_sound
    assert verify(tides).problems == ()
    assert tides.contents() == before
    assert tides.ok() == {}


def test_a_binding_that_refers_to_another_partition_is_never_read(tides: Tides) -> None:
    with closing(sqlite3.connect(ledger(tides), isolation_level=None)) as connection:
        connection.execute(
            "UPDATE bindings SET seq = (SELECT max(seq) FROM bindings WHERE stage = 'raw') "
            "WHERE stage = 'raw'"
        )
    with pytest.raises(StorageError, match="is damaged"):
        tides.read("raw", day(0))
    assert not verify(tides).is_sound


def test_events_are_exported_and_make_the_same_ledger(tides: Tides, tmp_path: Path) -> None:
    project = tides.open()
    target = tmp_path / "events.jsonl"
    count, damaged = project.stored_state.export(target)
    assert (count, damaged) == (len(target.read_text().splitlines()) - 1, [])
    project.close()
    before = tides.contents()
    ledger(tides).unlink()
    project = tides.open()
    project.stored_state.rebuild(target)
    project.close()
    assert tides.contents() == before
    assert tides.ok() == {}
    assert verify(tides).problems == ()


def test_a_damaged_export_is_noticed(tides: Tides, tmp_path: Path) -> None:
    project = tides.open()
    target = tmp_path / "events.jsonl"
    project.stored_state.export(target)
    flip(target, 200)
    with pytest.raises(StorageError, match="1 event is damaged"):
        project.stored_state.rebuild(target)
    project.close()


def test_nothing_that_is_recorded_during_a_rebuild_is_lost(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    event, rebuild_from, refused = published_event("late"), integrity.rebuild_from, []

    def while_another_writes(*args: Any, **options: Any) -> int:
        try:
            with closing(SqliteLedger(ledger(tides), busy_timeout_s=0.1)) as other:
                other.append([event], now=9.0)
        except ConflictError as error:
            refused.append(str(error))
        return rebuild_from(*args, **options)

    monkeypatch.setattr(integrity, "rebuild_from", while_another_writes)
    with closing(tides.open()) as project:
        project.stored_state.rebuild()
    with closing(SqliteLedger(ledger(tides))) as found:
        assert refused or event in [fact.event for fact in found.events()]
    assert len(refused) == 1
    monkeypatch.undo()
    assert verify(tides).problems == ()


def test_a_broken_hash_chain_is_reported_and_not_repaired(tides: Tides) -> None:
    before = at_rest(tides)
    execute(
        ledger(tides),
        "DROP TRIGGER events_refuse_update",
        "UPDATE events SET at = at + 1 WHERE seq = 4",
    )
    changed = at_rest(tides)
    for repair in (False, True):
        found = verify(tides, repair=repair)
        (problem,) = (each for each in found.problems if "chain" in each.message)
        assert "the hash chain is broken at event 4" in problem.message
        assert not found.is_sound
    assert at_rest(tides) == changed != before


def test_a_ledger_that_a_run_or_a_notebook_uses_is_not_rebuilt(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "WAIT_S", 0.1)
    with closing(tides.open()) as project, closing(tides.open()) as other:
        other.state()
        with pytest.raises(ConflictError, match="another process has the ledger"):
            project.stored_state.rebuild()
        lease = take_lease(other.tools, "prod", this_process("tidemill run"), None)
        with pytest.raises(ConflictError, match="a run is active in tides/run:prod"):
            project.stored_state.rebuild()
        lease.close()
        other.close()
        project.stored_state.rebuild()
        # A project that is used again opens the new ledger.
        assert other.state().heads.keys() == project.state().heads.keys()
    assert tides.ok() == {}


def test_a_ledger_of_an_earlier_version_is_upgraded_first(tides: Tides) -> None:
    execute(ledger(tides), *WITHOUT_LISTINGS)
    assert first_verify(tides).problems == ()
    execute(ledger(tides), "SELECT * FROM contract_versions")


def test_a_damaged_ledger_of_an_earlier_version_is_repaired(tides: Tides) -> None:
    path = ledger(tides)
    # It can't be upgraded.
    execute(
        path,
        *WITHOUT_LISTINGS,
        "CREATE TABLE quarantined (seq INTEGER PRIMARY KEY REFERENCES events (seq))",
    )
    with pytest.raises(StorageError, match="already exists"):
        first_verify(tides)
    execute(path, "INSERT INTO quarantined VALUES (99999)")
    [problem] = first_verify(tides).problems
    assert problem.message == "row 99999 of quarantined refers to a missing row of events"
    assert first_verify(tides, repair=True).is_sound
    assert first_verify(tides).problems == ()


@pytest.mark.parametrize(
    "act",
    [
        first_verify,
        partial(first_verify, repair=True),
        first_rebuild,
    ],
)
def test_a_ledger_of_a_newer_version_is_left_alone(
    tides: Tides, act: Callable[[Tides], object]
) -> None:
    newer = SCHEMA_VERSION + 1
    execute(
        ledger(tides),
        "ALTER TABLE runs ADD COLUMN extra",
        f"INSERT INTO migrations VALUES ({newer}, '3.2.1')",
        f"PRAGMA user_version = {newer}",
    )
    before = at_rest(tides)
    with pytest.raises(
        StorageError, match=f"has schema version {newer}, written by Tidemill 3.2.1"
    ):
        act(tides)
    assert at_rest(tides) == before
    assert [*ledger(tides).parent.glob("ledger.db.*")] == []


def test_what_a_killed_verification_left_is_removed(tides: Tides) -> None:
    left = ledger(tides).with_name("ledger.db.verify-left")
    left.mkdir()
    (left / "rebuilt.db").write_bytes(b"a copy")
    assert verify(tides).problems == ()
    assert not left.exists()
