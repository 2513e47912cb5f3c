"""The parts that every plan is drafted with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.planning import World, flow_of, ingest
from tidemill.ledger.run import Action
from tidemill.planning.draft import Draft, is_rerun_requested, reads_of
from tidemill.planning.plan import Step
from tidemill.planning.request import Request
from tidemill.sources.scan import Scan
from tidemill.workflow.partition_mapping import partitionings_of


def test_reads_of() -> None:
    assert reads_of({"a": {"p": "one", "q": None}, "b": {}}) == {"a": ("p", "q"), "b": ()}


def draft(**request: object) -> Draft:
    """A draft of one stage, with nothing in it."""
    world = World(flow=flow_of(ingest("raw")))
    return Draft(
        flow=world.flow, recipes={}, facts=None, request=Request(**request),  # type: ignore[arg-type]
        lookup=world.known, partitionings=partitionings_of(world.flow),
    )  # fmt: skip


def test_asked_again() -> None:
    raw, other = ingest("raw"), ingest("other")
    assert [is_rerun_requested(draft(again=True, stage=name), raw) for name in ("", "raw", "other")] == [
        True, True, False,
    ]  # fmt: skip
    assert not is_rerun_requested(draft(), other)


def test_a_step_comes_after_what_it_reads_and_what_it_is_told() -> None:
    made = draft()
    step = Step(stage="raw", partition="2013-03-01", action=Action.RUN, reasons=("new",))
    assert made.add(step) == "2013-03-02T00:00:00"
    again = Step(
        stage="raw", partition="(none)", action=Action.RUN, reasons=("new",),
        reads={"raw": ("2013-03-01", "2013-02-01")},
    )  # fmt: skip
    assert made.add(again) == "2013-03-02T00:00:00"
    assert made.add(step, after=("2014",)) == "2014"
    gone = Step(stage="raw", partition="2013-W09", action=Action.REMOVE, reasons=("gone",))
    assert made.add(gone) == ""


def test_a_scan_is_whole_unless_it_says_so() -> None:
    scan = Scan(files={})
    assert (scan.broken, scan.kept_partitions, scan.notes) == ({}, frozenset(), ())


def test_what_was_freed_is_not_taken_for_unchanged() -> None:
    made = draft()
    made.contents["raw"] = {}
    made.forget("raw")
    step = Step(stage="raw", partition="2013-03-01", action=Action.RUN, reasons=("new",))
    for look in (
        lambda: made.contents_of("raw", ["2013-03-01"]),
        lambda: made.changed["raw"],
        lambda: made.add(replace(step, reads={"raw": ("2013-03-01",)})),
    ):
        with pytest.raises(KeyError, match="raw"):
            look()
