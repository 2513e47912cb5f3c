"""No edit of a copied ledger goes unnoticed up to the last checkpoint that is kept elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tampering import Row, read_rows, renumbered, unlocked, write_rows
from tests.support.thoroughness import examples
from tidemill.adapters.sqlite.event_chain import read_chain
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.governance.audit_report import AuditReport, audit_events
from tidemill.governance.checkpoint import Checkpoint, CheckpointSource
from tidemill.governance.merkle_tree import tree_root
from tidemill.testing.records import events_of_every_kind, published_event

EVENTS = 14
# How many events the checkpoints have.
SIZES = (4, 10)
SEALED = SIZES[-1]


def unsigned(_: Checkpoint) -> str:
    return ""


def checkpoints(path: Path, *sizes: int) -> list[Checkpoint]:
    events = [event for event in read_chain(path) if not isinstance(event, str)]
    leaves = [event.leaf for event in events]
    return [
        Checkpoint(
            first=leaves[0].hex(),
            size=size,
            root=tree_root(leaves[:size]).hex(),
            link=events[size - 1].link.hex(),
            at=float(size),
            key="ab" * 32,
        )
        for size in sizes
    ]


def source(*points: Checkpoint, rest: str = "", is_home: bool = False) -> CheckpointSource:
    return CheckpointSource(
        reader="home" if is_home else "outside",
        lines=tuple(each.line for each in points),
        rest=rest,
        is_home=is_home,
    )


def audit(path: Path, *sources: CheckpointSource) -> AuditReport:
    return audit_events(read_chain(path), sources, unsigned)


def messages(report: AuditReport) -> str:
    return "\n".join(f"{each.place}: {each.message}" for each in report.problems)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "ledger.db"
    with closing(SqliteLedger(path)) as ledger:
        for number, event in enumerate(events_of_every_kind()[: EVENTS - 2]):
            ledger.append([event], now=float(number))
        ledger.append([published_event("2013-04-01"), published_event("2013-04-02")], now=99.0)
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    shutil.copy(original, tmp_path / "ledger.db")
    return tmp_path / "ledger.db"


def test_what_nobody_changed_is_sound(original: Path) -> None:
    points = checkpoints(original, *SIZES)
    found = audit(original, source(*points, is_home=True), source(*points))
    assert found == AuditReport(events=EVENTS, sealed=SEALED, sealed_at=10.0, checkpoints=2)
    assert (found.unsealed, found.is_sound) == (EVENTS - SEALED, True)


def test_without_an_external_checkpoint_nothing_is_sealed(original: Path) -> None:
    points = checkpoints(original, *SIZES)
    found = audit(original, source(*points, is_home=True))
    assert (found.sealed, found.sealed_at, found.is_sound) == (0, None, True)
    assert found.unsealed == EVENTS


Edit = Callable[[list[Row]], list[Row]]
places = st.integers(0, EVENTS - 1)


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    """An edit of the rows."""
    place, other = draw(places), draw(places)
    kind = draw(st.sampled_from(["change", "remove", "add", "move", "time", "cut", "scope"]))

    def edit(rows: list[Row]) -> list[Row]:
        rows = list(rows)
        row = rows[place]
        match kind:
            case "change":
                # The body and kind of another event, with the right checksum.
                kept = rows[(place + 1) % len(rows)]
                rows[place] = (*row[:3], *kept[3:])
            case "remove":
                del rows[place]
            case "add":
                rows.insert(place, rows[other])
            case "move":
                rows[place], rows[other] = rows[other], rows[place]
            case "time":
                rows[place] = (*row[:2], row[2] + 0.5, *row[3:])
            case "cut":
                del rows[place:]
            case "scope":
                rows[place] = (*row[:4], "another environment", *row[5:])
        return rows

    return edit


@settings(max_examples=examples(100, 2000), deadline=None)
@given(edits(), st.booleans())
def test_no_edit_of_what_is_sealed_goes_unnoticed(
    original: Path, tmp_path_factory: pytest.TempPathFactory, edit: Edit, numbered: bool
) -> None:
    rows = read_rows(original)
    changed = edit(rows)
    if numbered:
        changed = renumbered(changed)
    if len({row[0] for row in changed}) < len(changed):
        changed = [(seq, *row[1:]) for seq, row in enumerate(changed, 1)]
    copy = tmp_path_factory.mktemp("edited") / "ledger.db"
    shutil.copy(original, copy)
    # Checksums, links and all that is derived from events are as they should be for the edit.
    write_rows(copy, changed)
    found = audit(copy, source(*checkpoints(original, *SIZES)))
    stored = sorted(changed)
    if stored[:SEALED] == rows[:SEALED]:
        assert not [each for each in found.problems if each.place != "ledger"]
        assert found.sealed == SEALED
    else:
        assert not found.is_sound
        same = [mine == theirs for mine, theirs in zip(stored, rows, strict=False)]
        assert found.sealed <= [*same, False].index(False)


@pytest.mark.parametrize("keep_links", [True, False])
def test_the_tail_is_protected_by_the_chain_alone(path: Path, keep_links: bool) -> None:
    points = checkpoints(path, *SIZES)
    rows = read_rows(path)
    rows[-1] = (*rows[-1][:2], 1234.5, *rows[-1][3:])
    if keep_links:
        with unlocked(path) as connection:
            connection.execute("UPDATE events SET at = 1234.5 WHERE seq = ?", (EVENTS,))
        assert "ledger: the hash chain is broken at event 14" in messages(
            audit(path, source(*points))
        )
    else:
        write_rows(path, rows)
        assert audit(path, source(*points)).is_sound  # as the report says: it is unsealed


def test_an_older_copy_of_the_ledger_is_noticed(path: Path) -> None:
    points = checkpoints(path, *SIZES)
    write_rows(path, read_rows(path)[:6])
    found = audit(path, source(*points[:1], is_home=True), source(*points))
    assert "it has 10 events, but the ledger only 6: events were removed, or an older" in messages(
        found
    )
    assert found.sealed == 4


def test_a_change_is_narrowed_down_by_the_checkpoints(path: Path) -> None:
    points = checkpoints(path, *SIZES)
    rows = read_rows(path)
    rows[7] = (*rows[7][:2], 77.0, *rows[7][3:])
    write_rows(path, rows)
    assert messages(audit(path, source(*points))) == (
        "outside, line 2: the first 10 events of the ledger aren't those that it has: events after event 4 "
        "were changed, removed, added or moved"
    )


def test_an_unreadable_event_stops_the_comparison(path: Path) -> None:
    points = checkpoints(path, *SIZES)
    with unlocked(path) as connection:
        connection.execute("UPDATE events SET body = 'x' WHERE seq = 6")
    text = messages(audit(path, source(*points)))
    assert "ledger: event 6 is not what was recorded" in text
    assert "outside, line 2: it can't be compared: events after 5 can't be read" in text


def test_a_gap_in_the_numbers_is_noticed(path: Path) -> None:
    with unlocked(path) as connection:
        connection.execute("DELETE FROM events WHERE seq = 12")
    assert "ledger: event 12 is missing" in messages(audit(path))


def test_another_ledger_is_noticed(path: Path) -> None:
    points = checkpoints(path, *SIZES)
    other = [replace(each, first="ef" * 32) for each in points]
    assert "none of its 2 checkpoints is of this ledger" in messages(audit(path, source(*other)))
    # A file may have those of several ledgers.
    assert audit(path, source(*other, *points)).is_sound


def test_a_signature_that_is_not_good_is_a_problem(path: Path) -> None:
    points = checkpoints(path, *SIZES)

    def fault(point: Checkpoint) -> str:
        return "forged" if point.size == SEALED else ""

    found = audit_events(read_chain(path), [source(*points)], fault)
    assert messages(found) == "outside, line 2: forged"
    assert found.sealed == 4


def test_a_clock_that_went_back_is_noted(path: Path) -> None:
    first, second = checkpoints(path, *SIZES)
    found = audit(path, source(first, replace(second, at=1.0)))
    assert found.is_sound
    assert found.notes == ("outside, line 2: the clock went back before this checkpoint",)


def test_a_place_outside_that_lacks_a_checkpoint_is_noticed(path: Path) -> None:
    points = checkpoints(path, *SIZES)
    text = messages(
        audit(path, source(*points, is_home=True), replace(source(points[0]), written=SEALED))
    )
    assert text.startswith("outside: it lacks the checkpoint of 10 events that the home has")


def test_what_was_not_written_yet_is_no_tampering(path: Path) -> None:
    """A crash, or a place that couldn't be reached; but what the place had before it must still have."""
    first, second = checkpoints(path, *SIZES)
    home = source(first, second, is_home=True)
    cut = second.line[:50]
    for outside in (
        replace(source(first), written=SIZES[0]),
        replace(source(first, rest=cut), written=SIZES[0]),
        source(rest=first.line[:50]),
        source(),
    ):
        found = audit(path, home, outside)
        assert found.is_sound
        (note,) = found.notes
        assert (
            "outside: it lacks the checkpoint of 10 events that the home has, which wasn't" in note
        )
    for outside in (
        replace(source(), written=SIZES[0]),
        replace(source(second), written=SIZES[0]),
        replace(source(first), written=SEALED),
        replace(source(rest=cut), written=SIZES[0]),
        replace(source(first, rest="{}"), written=SIZES[0]),
        replace(source(first, rest=cut), written=SEALED),
        replace(source(first, second, rest=cut), written=SEALED),
    ):
        assert not audit(path, home, outside).is_sound


@settings(max_examples=examples(100, 1000), deadline=None)
@given(st.data())
def test_no_edit_of_the_files_of_checkpoints_goes_unnoticed(
    original: Path, data: st.DataObject
) -> None:
    """Lines that are cut off, changed, or of another ledger; the newest one has all that others have."""
    points = checkpoints(original, 2, *SIZES)
    home, text = source(*points, is_home=True), "".join(f"{each.line}\n" for each in points)
    other = "".join(f"{replace(each, first='ef' * 32).line}\n" for each in points)
    kind = data.draw(st.sampled_from(["cut", "change", "swap"]))
    place = data.draw(st.integers(0, len(text) - 1))
    if kind == "cut":
        changed = text[:place]
    elif kind == "swap":
        changed = other
    else:
        mark = data.draw(st.sampled_from("0af9{,x\n").filter(lambda mark: mark != text[place]))
        changed = text[:place] + mark + text[place + 1 :]
    *lines, rest = changed.split("\n")
    known = {each.message for each in points}

    def forged(point: Checkpoint) -> str:
        return "" if point.message in known else "forged"

    outside = CheckpointSource(reader="outside", lines=tuple(lines), rest=rest, written=SEALED)
    found = audit_events(read_chain(original), [home, outside], forged)
    if changed == text[:-1]:
        # Only the end of the line is missing.
        assert messages(found).startswith("outside: its last line is cut off")
    assert not found.is_sound


def lines(path: Path, *texts: str, rest: str = "") -> AuditReport:
    return audit(path, CheckpointSource(reader="outside", lines=tuple(texts), rest=rest))


def test_a_line_that_was_changed_or_cut_off_is_noticed(path: Path) -> None:
    first, second = (each.line for each in checkpoints(path, *SIZES))
    cut = second[:40]
    assert "line 2: it isn't a checkpoint" in messages(lines(path, first, cut))
    assert "its last line is cut off" in messages(lines(path, first, rest=cut))
    # Written again after a crash.
    assert lines(path, first, cut, second).is_sound
    shuffled: Sequence[str] = (second, first)
    assert lines(path, *shuffled).is_sound


def test_an_event_that_nothing_compacted_is_noticed(original: Path) -> None:
    events = [event for event in read_chain(original) if not isinstance(event, str)]
    marked = [replace(events[0], compacted_by=999), *events[1:]]
    report = audit_events(marked, (), unsigned)
    assert "events are marked as compacted by event 999, which didn't do that" in messages(report)
