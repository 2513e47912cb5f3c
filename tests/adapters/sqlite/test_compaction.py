"""Compactions lose no figure, no link of the hash chain, and nothing that anything refers to."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.seams.test_ledger_properties import EVENTS, NAMES
from tests.support.compaction import FAR, compact, damage, forget_superseded
from tests.support.tables import execute, rebuild, store_as_text, tables
from tests.support.tampering import unlocked
from tests.support.thoroughness import examples, thorough
from tidemill.adapters.sqlite import compaction
from tidemill.adapters.sqlite.compaction import SqliteCompaction
from tidemill.adapters.sqlite.connections import Connections
from tidemill.adapters.sqlite.event_chain import read_chain
from tidemill.adapters.sqlite.event_files import export_events, import_events
from tidemill.adapters.sqlite.integrity import find_damage, read_events, rebuild_from
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.packed_text import pack
from tidemill.adapters.sqlite.people import (
    add_people,
    count_named_events,
    erase_person,
    find_people_faults,
    read_people,
)
from tidemill.core.errors import StorageError, TidemillError
from tidemill.history.stage_performance import stage_performances
from tidemill.ledger.compacted import compacted_event
from tidemill.ledger.compaction_events import Compacted
from tidemill.ledger.compaction_report import CompactionTerms
from tidemill.ledger.event import Attempted, EnvironmentCreated, Event, RunEnded
from tidemill.ledger.run import Receipt, Status
from tidemill.testing import records as samples

RECEIPTS = st.builds(
    lambda run, text: RunEnded(
        run=run,
        status=Status.FAILED,
        receipt=Receipt(run=run, status=Status.FAILED, cost=1.5, messages=(text,)),
    ),
    NAMES,
    st.text(),
)
HISTORIES = st.lists(st.lists(EVENTS | RECEIPTS, min_size=1, max_size=4), max_size=12)
ENVIRONMENTS = ("prod", "dev", "trial")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def write_history(path: Path, history: list[list[Event]], start: float = 0.0) -> None:
    """Append what a ledger accepts of a history."""
    ledger = SqliteLedger(path)
    for now, events in enumerate(history):
        with suppress(TidemillError):
            ledger.append(events, now=start + now)
    ledger.close()


def derived(path: Path) -> Any:
    """All that is read of a ledger, besides events."""
    ledger = SqliteLedger(path)
    found = [
        (
            replace(ledger.state(name, whole=True), seq=0),
            {stage: dict(head.partitions) for stage, head in ledger.state(name).heads.items()},
        )
        for name in ENVIRONMENTS
    ]
    traces = ledger.traces(["key-1", "key-2", "key-3"])
    ledger.close()
    return found, traces


def chain(path: Path) -> list[tuple[bytes, bytes]]:
    """The leaf and the link of each event, as they follow from what is stored."""
    found = []
    for event in read_chain(path):
        assert not isinstance(event, str)
        assert event.link == event.stored_link
        found.append((event.leaf, event.link))
    return found


def events(path: Path) -> list[Any]:
    ledger = SqliteLedger(path)
    found = list(ledger.events())
    ledger.close()
    return found


def attempts(facts: list[Any]) -> Any:
    tried = [(f.event.run, f.event.attempt) for f in facts if isinstance(f.event, Attempted)]
    return stage_performances(tried)


@given(HISTORIES, st.integers(1, 7), st.integers(0, 12))
@settings(deadline=None, max_examples=50)
def test_all_that_is_derived_is_equal(
    history: list[list[Event]], batch: int, youngest: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        write_history(path, history)
        forget_superseded(path)
        before, links, facts = derived(path), chain(path), events(path)
        terms = CompactionTerms(after_s=float(len(history) - youngest), batch=batch)
        found = SqliteCompaction(path).compact(terms, now=float(len(history)))
        after = events(path)
        assert derived(path) == before
        assert chain(path)[: len(links)] == links
        kept, added = after[: len(facts)], after[len(facts) :]
        for was, now in zip(facts, kept, strict=True):
            assert now in (was, replace(was, event=compacted_event(was.event)))
        assert attempts(kept) == attempts(facts)
        told = [fact.event for fact in added]
        assert all(isinstance(event, Compacted) for event in told)
        assert sum(sum(e.events.values()) for e in told) == sum(found.events.values())
        assert sum(e.bytes_after for e in told) == found.bytes_after
        # Once more there is nothing to do.
        again = SqliteCompaction(path).compact(terms, now=float(len(history)))
        assert (again.events, again.packed) == ({}, 0)


@thorough
@given(HISTORIES)
@settings(deadline=None, max_examples=examples(15, 50))
def test_compacted_ledgers_are_rebuilt(history: list[list[Event]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        write_history(path, history)
        forget_superseded(path)
        compact(path, batch=3)
        seen = derived(path)
        copy, exported = Path(folder) / "copy.db", Path(folder) / "events.jsonl"
        rebuild(path, copy)
        add_people(copy, read_people(path))
        kept = ("events", "links", "compacted", "runs", "bindings", "sources", "costs", "heads")
        mine, theirs = tables(path), tables(copy)
        assert {name: mine[name] for name in kept} == {name: theirs[name] for name in kept}
        assert derived(copy)[0] == seen[0]
        assert damage(copy) == []
        export_events(path, exported)
        found = import_events(exported)
        assert found.faults == ()
        again = Path(folder) / "imported.db"
        rebuild_from(found.events, again, is_complete=True)
        add_people(again, found.people)
        assert derived(again)[0] == seen[0]
        assert chain(again) == chain(path)
        assert damage(again) == []
        # A rebuild that leaves events out begins a new chain, in which smaller bodies are whole.
        part = Path(folder) / "part.db"
        rebuild_from(found.events, part, is_complete=False)
        assert damage(part) == []


def small_history() -> list[list[Event]]:
    """Partitions that are published four times each, with attempts; the last ones are bound."""
    found: list[list[Event]] = []
    for version in range(4):
        run = f"run-{version}"
        found.append([samples.run_started_event(run)])
        for day in ("2024-03-01", "2024-03-02", "2024-03-03"):
            output = samples.product(f"{day} {version}", quarantined=2)
            bound = samples.binding(f"key {day} {version}", output, run=run)
            tried = samples.attempted_event(partition=day, run=run, wall_s=version + 0.5)
            found.append([tried, samples.published_event(day, bound=bound)])
        receipt = Receipt(run=run, status=Status.OK, wall_s=9.0, messages=("it went well",) * 9)
        found.append([RunEnded(run=run, status=Status.OK, receipt=receipt)])
    return found


@pytest.fixture
def history(path: Path) -> Path:
    write_history(path, small_history())
    forget_superseded(path)
    return path


def kinds_of(path: Path) -> dict[str, int]:
    """How many events lost details, by kind."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT kind, count(*) FROM compacted JOIN events USING (seq) GROUP BY kind"
        )
        return dict(rows.fetchall())


def test_what_is_superseded_loses_details(history: Path) -> None:
    store_as_text(history)
    found = compact(history)
    assert found.events == {"Attempted": 9, "Published": 9, "RunEnded": 4}
    assert kinds_of(history) == found.events
    assert found.packed == 10  # the bound publications, attempts at them, and the starts of runs
    assert found.bytes_after < 0.5 * found.bytes_before
    assert damage(history) == []
    fact = events(history)[-1]
    assert fact.event.actor == "ana"
    assert (fact.event.first, fact.event.last) == (1, fact.seq - 1)


def test_what_is_bound_later_superseded_loses_details_then(history: Path) -> None:
    compact(history)
    bound = samples.binding("new key", samples.product("new"), run="run-3")
    write_history(history, [[samples.published_event("2024-03-01", bound=bound)]], start=100.0)
    forget_superseded(history)
    found = compact(history)
    assert found.events == {"Attempted": 1, "Published": 1}
    assert damage(history) == []


def test_one_that_goes_on_looks_at_newer_events_only(history: Path) -> None:
    terms = CompactionTerms(after_s=0.0, goes_on=True)
    # Before the first one, everything is new.
    assert SqliteCompaction(history).compact(terms, now=50.0, dry_run=True).events["Published"] == 9
    compact(history)
    bound = samples.binding("new key", samples.product("new"), run="run-3")
    tried = samples.attempted_event(partition="2024-03-01", run="run-3")
    published = samples.published_event("2024-03-01", bound=bound)
    write_history(history, [[tried], [published]], start=100.0)
    forget_superseded(history)
    found = SqliteCompaction(history).compact(terms, now=FAR)
    assert (found.events, found.packed) == ({"Attempted": 1}, 0)
    # What it superseded is left to the next that looks at all.
    assert compact(history).events == {"Attempted": 1, "Published": 1}
    assert damage(history) == []


def test_one_that_goes_on_looks_at_all_if_the_last_one_cannot_be_read(history: Path) -> None:
    compact(history)
    with unlocked(history) as connection:
        connection.execute("UPDATE events SET body = 'spoiled' WHERE kind = 'Compacted'")
    found = SqliteCompaction(history).compact(CompactionTerms(after_s=0.0, goes_on=True), now=FAR)
    assert found.events == {}


def test_a_dry_run_changes_nothing(history: Path) -> None:
    before = tables(history)
    found = compact(history, dry_run=True)
    assert tables(history) == before
    assert found.events == compact(history).events


def test_young_events_stay(history: Path) -> None:
    terms = CompactionTerms(after_s=1e6)
    assert SqliteCompaction(history).compact(terms, now=100.0).events == {}


def test_events_of_running_runs_stay(path: Path) -> None:
    write_history(path, small_history()[:-1])
    forget_superseded(path)
    found = compact(path)
    assert found.events == {"Attempted": 9, "Published": 9, "RunEnded": 3}
    assert all(fact.event.run != "run-3" or fact.event.attempt.reasons
               for fact in events(path) if isinstance(fact.event, Attempted))  # fmt: skip


def test_what_can_be_reused_stays(path: Path) -> None:
    write_history(path, small_history())
    assert compact(path).events == {"RunEnded": 4}


def test_superseded_scores_go_with_their_traces(path: Path) -> None:
    """Nothing sweeps them, because they have no objects."""
    scored = replace(samples.product(), objects=(), columns={}, rowset="", scores=samples.scores())
    for number in range(3):
        bound = samples.binding(f"key-{number + 1}", scored)
        published = samples.published_event("live 2024-03-01", stage="scores", bound=bound)
        write_history(path, [[published]], start=float(number))
    assert compact(path).events == {"Published": 2}
    assert find_damage(path) == []
    ledger = SqliteLedger(path)
    assert [*ledger.traces(["key-1", "key-2", "key-3"])] == ["key-3"]
    ledger.close()
    assert compact(path).events == {}


def test_a_compaction_is_only_counted_once(history: Path) -> None:
    compact(history)
    again = compact(history, dry_run=True)
    assert (again.events, again.packed, again.bytes_before) == ({}, 0, 0)


def test_what_a_branch_reads_stays(path: Path) -> None:
    history = small_history()
    history.insert(5, [EnvironmentCreated(environment="dev", parent="prod")])
    write_history(path, history)
    forget_superseded(path)
    before = derived(path)
    assert compact(path).events["Published"] == 6
    assert derived(path) == before


def replace_body(path: Path, seq: int, body: object) -> None:
    """Replace a body as a compaction does, which has the function for it."""
    connections = Connections(path, 1.0)
    try:
        with connections.write_transaction() as connection:
            connection.create_function("is_same_fact", 3, compaction.is_same_fact)
            connection.execute("UPDATE events SET body = ? WHERE seq = ?", (body, seq))
    finally:
        connections.close()


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_bodies_cannot_be_replaced_by_others(history: Path, seq: int) -> None:
    other = pack('{"kind":"Ticked","v":1,"event":{"schedule":"s","tick":"t"}}')
    for body in (other, "text", None):
        with pytest.raises(StorageError, match="append-only"):
            replace_body(history, seq, body)
    compact(history)
    for body in (other, "text", None):
        with pytest.raises(StorageError, match="append-only"):
            replace_body(history, seq, body)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM compacted",
        "UPDATE compacted SET by = 1",
        "INSERT OR REPLACE INTO compacted VALUES (2, 1, x'00')",
    ],
)
def test_digests_of_whole_bodies_stay(history: Path, statement: str) -> None:
    compact(history)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        execute(history, statement)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE compacted SET by = by + 1 WHERE seq = 2",
        "DELETE FROM compacted WHERE seq = 2",
        "UPDATE compacted SET digest = zeroblob(32) WHERE seq = 2",
        "UPDATE events SET body = (SELECT body FROM events WHERE seq = 4) WHERE seq = 2",
    ],
)
def test_tampering_is_noticed(history: Path, change: str) -> None:
    compact(history, batch=20)
    with unlocked(history) as connection:
        connection.execute(change)
    assert damage(history) != []


def test_a_changed_figure_is_noticed(history: Path) -> None:
    compact(history)
    with unlocked(history) as connection:
        connection.execute("UPDATE events SET body = ? WHERE seq = 2", (pack(_slower(history)),))
    assert any("isn't what it left: its figures were changed" in fault for fault in damage(history))


def _slower(path: Path) -> str:
    found = next(
        event for event in read_chain(path) if not isinstance(event, str) and event.seq == 2
    )
    assert '"wall_s":0.5' in found.body
    return found.body.replace('"wall_s":0.5', '"wall_s":5.0')


def test_damaged_events_stay_as_they_are(history: Path) -> None:
    with unlocked(history) as connection:
        connection.execute("UPDATE events SET body = 'x' WHERE seq = 2")
    found = compact(history)
    assert found.notes[0].startswith("1 event is damaged")
    assert found.events["Attempted"] == 8


def test_two_at_once_do_the_work_of_one(history: Path) -> None:
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(compact(history, batch=2))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sum(report.events.values()) for report in found) == 22
    assert kinds_of(history) == {"Attempted": 9, "Published": 9, "RunEnded": 4}
    assert damage(history) == []


def test_a_run_beside_it_loses_nothing(history: Path) -> None:
    ledger, count = SqliteLedger(history), 40

    def work() -> None:
        for number in range(count):
            bound = samples.binding(f"key beside {number}", samples.product(str(number)))
            ledger.append([samples.published_event("2024-03-01", bound=bound)], now=50.0)

    thread = threading.Thread(target=work)
    thread.start()
    compact(history, batch=1)
    thread.join()
    ledger.close()
    assert sum(fact.at == 50.0 for fact in events(history)) == count
    assert damage(history) == []


KILLED = """
import sys
from pathlib import Path
from tests.support.compaction import compact
from tests.support.killed_append import die_at
die_at(sys.argv[2])
compact(Path(sys.argv[1]), batch=4)
"""


@pytest.mark.parametrize("moment", ["0", "1", "3"])
def test_after_a_kill_the_next_one_finishes_it(history: Path, moment: str) -> None:
    facts, links = events(history), chain(history)
    command = [sys.executable, "-c", KILLED, str(history), moment]
    folders = os.pathsep.join(sys.path)
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": folders}, check=False)
    assert ended.returncode == -signal.SIGKILL
    # Each event is in one of its forms, and the ledger is sound.
    assert damage(history) == []
    for was, now in zip(facts, events(history), strict=False):
        assert now in (was, replace(was, event=compacted_event(was.event)))
    compact(history)
    assert kinds_of(history) == {"Attempted": 9, "Published": 9, "RunEnded": 4}
    assert chain(history)[: len(links)] == links
    assert damage(history) == []


def test_a_full_disk_keeps_what_was_done(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_bodies, done = compaction._replace, 0

    def then_full(*given: Any, **more: Any) -> Any:
        nonlocal done
        done += 1
        if done == 3:
            raise StorageError("no space left for the ledger")
        return replace_bodies(*given, **more)

    monkeypatch.setattr(compaction, "_replace", then_full)
    with pytest.raises(StorageError, match="no space left"):
        compact(history, batch=4)
    assert sum(kinds_of(history).values()) > 0
    assert damage(history) == []


def test_people_are_found_and_erased_in_compacted_events(path: Path) -> None:
    ledger = SqliteLedger(path)
    # The first event names somebody before the ledger knows the name.
    ledger.append([samples.attempted_event(message="asked zoe about it")], now=1.0)
    ledger.append([replace(samples.ruled_event(), environment="prod")], now=1.0)
    ledger.append([samples.attempted_event(message="asked ana about it")], now=2.0)
    ledger.close()
    before = find_people_faults(path)
    compact(path)
    assert count_named_events(path, "zoe") == 1
    assert find_people_faults(path) == before == []
    assert erase_person(path, "ana").startswith("person:")
    texts = [f.event.attempt.message for f in events(path) if isinstance(f.event, Attempted)]
    assert texts[0] == "asked zoe about it"
    assert "erased person" in texts[1] or "ana" not in texts[1]


def test_an_older_ledger_is_read_before_it_is_migrated(path: Path) -> None:
    write_history(path, small_history())
    with unlocked(path) as connection:
        connection.execute("DROP TABLE compacted")
    found, damaged = read_events(path)
    assert damaged == []
    assert len(found) == len(events(path))
