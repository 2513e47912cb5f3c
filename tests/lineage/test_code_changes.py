"""Which commits are new, which stages they change, and what delivers these."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.planning import deliver, flow_of, ingest, model, reads, transform
from tidemill.ledger.commit import Commit
from tidemill.lineage.code_changes import (
    MOST_COMMITS,
    CodeNow,
    CommitRange,
    changed_stages,
    changes_seen,
    delivering_stages,
    first_changes,
    parse_log,
)
from tidemill.workflow.sink import Sink

RAW = ingest("raw")
CLEAN = transform("clean", "day", reads(RAW))
MADE = model("made", reads(CLEAN))
TRIED = model("tried", reads(CLEAN), gates=None)
OUT = deliver("out", MADE, CLEAN)
PAGE = replace(transform("page", "day", reads(RAW)), sink=Sink(folder="out"))
FLOW = flow_of(RAW, CLEAN, PAGE, MADE, TRIED, OUT)
A, B, C = ("a" * 40, "b" * 40, "c" * 64)


def test_a_log_is_read_oldest_first() -> None:
    found = parse_log(f"> {B} 200 150\n< {C} 90 90\n- {A} 100 100\n")
    first, second = Commit(id=A, at=100.0), Commit(id=B, at=200.0, authored=150.0)
    assert found == CommitRange(commits=(first, second), gone=(C,))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "warning: no",
        f"> {A}",
        f"> {A} x 1",
        f"> {A[:-1]} 1 1",
        f"? {A} 1 1",
        f"> {A} {10**16} 1",
    ],
)
def test_what_is_no_commit_is_passed_over(line: str) -> None:
    assert parse_log(f"{line}\n> {A} -5 0") == CommitRange(
        commits=(Commit(id=A, at=-5.0, authored=0.0),)
    )


def test_of_very_many_the_newest_are_kept() -> None:
    lines = [f"> {number:040x} {number} {number}" for number in reversed(range(MOST_COMMITS + 3))]
    gone = [f"< {number:040x} 0 0" for number in range(MOST_COMMITS + 3)]
    found = parse_log("\n".join([*lines, *gone]))
    assert (len(found.commits), found.omitted, len(found.gone)) == (MOST_COMMITS, 3, MOST_COMMITS)
    assert (found.commits[0].at, found.commits[-1].at) == (3.0, MOST_COMMITS + 2)


@pytest.mark.parametrize(
    ("changed", "delivers"),
    [
        ((), ()),
        (("raw",), ("page", "made", "out")),
        (("page",), ("page",)),
        (("tried",), ()),
        # The table changes with the version of the model.
        (("made",), ("made",)),
        (("out",), ("out",)),
        (("clean", "raw", "clean"), ("page", "made", "out")),
        # It isn't in the workflow any more.
        (("gone",), ()),
    ],
)
def test_what_delivers_a_change(changed: tuple[str, ...], delivers: tuple[str, ...]) -> None:
    assert delivering_stages(FLOW, changed) == delivers


def test_new_and_other_recipes_are_changes() -> None:
    before = {"raw": "1", "clean": "1", "gone": "1"}
    after = {"raw": "1", "clean": "2", "made": "1"}
    assert changed_stages(FLOW, before, after) == ("clean", "made")


def test_edited_files_are_compared_once_more_when_they_are_committed() -> None:
    known, now = {"raw": "1"}, CodeNow(head=A, recipes={"raw": "2"})
    found = CommitRange(commits=(Commit(id=A, at=1.0),), gone=(B,), omitted=2, problem="slow")
    seen = changes_seen(flow_of(RAW), "prod", found, now, known)
    assert (seen.head, seen.stages, seen.recipes) == (A, ("raw",), {"raw": "2"})
    assert (seen.commits, seen.gone, seen.omitted) == (found.commits, (B,), 2)
    assert (seen.problem, seen.edited, seen.environment) == ("slow", False, "prod")
    edited = changes_seen(flow_of(RAW), "prod", found, replace(now, edited=True), known)
    assert (edited.recipes, edited.edited) == (known, True)
    # Nothing is known to compare with.
    first = changes_seen(flow_of(RAW), "prod", found, replace(now, edited=True), {})
    assert first.recipes == {"raw": "2"}


def test_a_first_look_takes_no_old_commit_for_a_change() -> None:
    now = 1_000_000_000.0
    ages = {"ahead": -60.0, "new": 86_400.0, "old": 86_401.0, "epoch": now}
    found = CommitRange(commits=tuple(Commit(id=id, at=now - age) for id, age in ages.items()))
    assert [each.id for each in first_changes(found, now).commits] == ["ahead", "new"]
