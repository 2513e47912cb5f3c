"""A file of events is read as it was written, or it says what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.thoroughness import examples
from tidemill.adapters.sqlite.event_files import export_events, import_events
from tidemill.adapters.sqlite.integrity import read_events
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.testing.records import events_of_every_kind, published_event


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """The file of a ledger with batches of several events, and its export."""
    folder = tmp_path_factory.mktemp("ledger")
    ledger = SqliteLedger(folder / "ledger.db")
    ledger.append(events_of_every_kind(), now=1.0)
    ledger.append([published_event("2"), published_event("3")], now=2.0)
    ledger.close()
    assert export_events(folder / "ledger.db", folder / "events.jsonl")[1] == []
    return folder / "ledger.db", (folder / "events.jsonl").read_bytes()


def test_events_are_read_as_they_were_written(tmp_path: Path, exported: tuple[Path, bytes]) -> None:
    path, content = exported
    (tmp_path / "events.jsonl").write_bytes(content)
    found = import_events(tmp_path / "events.jsonl")
    assert (found.events, []) == read_events(path)
    assert (found.faults, found.lost) == ((), 0)


Lines = list[bytes]


@pytest.mark.parametrize(
    ("edit", "says", "lost"),
    [
        (lambda lines: lines[:-1], "it ends after event {n}, without the line that ends", 2),
        (lambda lines: lines[:-2], "it ends after event {last}, without the line that ends", 1),
        (lambda lines: [], "it ends before the first event, without the line that ends", 0),
        (lambda lines: lines[-1:], "it has 0 of {n} events: {n} missing", "n"),
        (lambda lines: [*lines[:2], *lines[3:]], "it has {last} of {n} events: 1 missing", 1),
        (lambda lines: [lines[0], *lines], "it has {more} of {n} events", 0),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "its lines aren't those that were", 0),
        (lambda lines: [lines[0][:-3] + b"\n", *lines[1:]], "1 event is damaged (line 1)", 1),
        (lambda lines: [*lines, *lines], "1 event is damaged (line {more}); it has", 1),
    ],
)
def test_a_file_that_is_not_complete_says_why(
    tmp_path: Path,
    exported: tuple[Path, bytes],
    edit: Callable[[Lines], Lines],
    says: str,
    lost: int | str,
) -> None:
    lines = exported[1].splitlines(keepends=True)
    count = len(lines) - 1
    (tmp_path / "events.jsonl").write_bytes(b"".join(edit(lines)))
    found = import_events(tmp_path / "events.jsonl")
    assert says.format(n=count, last=count - 1, more=count + 1) in "; ".join(found.faults)
    assert found.lost == (count if lost == "n" else lost)


@settings(max_examples=examples(50), deadline=None)
@given(data=st.data())
def test_every_cut_and_every_other_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, exported: tuple[Path, bytes], data: st.DataObject
) -> None:
    path, content = exported
    at = data.draw(st.integers(0, len(content) - 2))
    other = bytes([content[at] ^ data.draw(st.integers(1, 255))])
    target = tmp_path_factory.mktemp("cut") / "events.jsonl"
    whole, _ = read_events(path)
    for damaged in (content[:at], content[:at] + other + content[at + 1 :]):
        target.write_bytes(damaged)
        found = import_events(target)
        assert found.faults
        # What was recorded together is read together, wherever a file was cut off.
        if len(damaged) < len(content) and found.events:
            last = found.events[-1].batch
            batch = [event for event in whole if event.batch == last]
            assert found.events[-len(batch) :] == batch


def test_damaged_events_that_were_not_exported_are_missing(
    tmp_path: Path, exported: tuple[Path, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    events, _ = read_events(exported[0])
    monkeypatch.setattr(
        "tidemill.adapters.sqlite.event_files.read_events", lambda _: (events[1:], [1])
    )
    assert export_events(exported[0], tmp_path / "events.jsonl") == (len(events) - 1, [1])
    found = import_events(tmp_path / "events.jsonl")
    assert (found.faults, found.lost) == (("the export left out 1 damaged event",), 1)
