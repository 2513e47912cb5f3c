"""Whom a change breaks, and whether the version says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.contract_changes import EASY, LOOSER, STRICT, TIGHTER, changed
from tidemill.contracts import column_types as tm
from tidemill.contracts.declaration import DeclaredContract
from tidemill.lineage.impact import Consumer
from tidemill.lineage.version_review import (
    forbidden_changes,
    review_contract,
    version_bump,
    version_faults,
    version_notes,
)


@pytest.mark.parametrize(
    ("mode", "looser", "tighter"),
    [
        ("none", False, False),
        ("backward", False, True),
        ("forward", True, False),
        ("full", True, True),
        ("backward_transitive", False, True),
        ("forward_transitive", True, False),
        ("full_transitive", True, True),
    ],
)
def test_what_a_mode_rules_out(mode: str, looser: bool, tighter: bool) -> None:
    assert bool(forbidden_changes(LOOSER, mode)) is looser
    assert bool(forbidden_changes(TIGHTER, mode)) is tighter
    # A widening that every reader survives is no matter for any of them.
    assert not forbidden_changes(changed({"x": tm.Int32()}, STRICT), mode)


@pytest.mark.parametrize(
    ("old", "new", "raised"),
    [
        ("1.2.3", "2.0.0", "major"),
        ("1.2.3", "1.3.0", "minor"),
        ("1.2.3", "1.2.4", "patch"),
        ("1.2.3", "1.2.3", ""),
        ("1.2.3", "1.2.2", "lower"),
        ("1.9.0", "1.10.0", "minor"),
    ],
)
def test_bump(old: str, new: str, raised: str) -> None:
    assert version_bump(old, new) == raised


@pytest.mark.parametrize(
    ("old", "new", "advice"),
    [
        ("1.0.0", "1.0.0", "2.0.0"),
        ("1.4.0", "1.5.0", "2.0.0"),
        ("1.4.0", "2.0.0", ""),
        # Before 1.0.0 a minor version may break.
        ("0.3.0", "0.3.1", "0.4.0"),
        ("0.3.0", "0.4.0", ""),
        ("0.3.0", "1.0.0", ""),
    ],
)
def test_a_breaking_change_needs_its_version(old: str, new: str, advice: str) -> None:
    found = version_faults(changed(STRICT, EASY, old, new), "forward")
    rest = 'compatibility="forward" forbids: x: nullable no -> yes (loosens)'
    assert found == ((f"Orders {old} -> {new}: {rest}; make it {advice}",) if advice else ())
    assert version_faults(changed(EASY, STRICT, old, new), "forward") == ()


def test_a_version_that_fell() -> None:
    found = changed(STRICT, STRICT, "1.2.0", "1.1.0")
    assert version_faults(found, "none") == (
        "Orders 1.2.0 -> 1.1.0: the version decreased; raise it",
    )


def test_a_change_without_a_new_version_is_a_note() -> None:
    assert version_notes(LOOSER) == ("Orders changed but is still 1.0.0: make it 1.1.0",)
    assert version_notes(changed(STRICT, EASY, "1.0.0", "1.0.1")) == ()
    assert version_notes(changed(STRICT, {"x": tm.Int64(description="y")})) == ()


def test_a_review_fails_by_its_version_or_by_a_stage_that_it_breaks() -> None:
    class Orders(DeclaredContract):
        id = tm.Int64()
        x = tm.Int64()

    class Fewer(DeclaredContract, version="2.0.0"):
        id = tm.Int64()

    old, gone = Orders.__tidemill_contract__, Fewer.__tidemill_contract__
    reads_x, reads_id = (Consumer(stage=name, columns=(name,)) for name in ("x", "id"))
    assert review_contract("orders", old, gone, [reads_x]).failed
    assert not review_contract("orders", old, gone, [reads_id]).failed
    same_version = replace(gone, version="1.0.0", compatibility="forward")
    found = review_contract("orders", old, same_version, [])
    assert (found.failed, len(found.faults), len(found.notes)) == (True, 1, 1)
