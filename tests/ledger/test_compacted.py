import json
from dataclasses import replace

import pytest

from tidemill.contracts.finding import Finding, TableFindings
from tidemill.ledger.compacted import (
    COMPACTED_KINDS,
    LIVE_DAY,
    CompactionCheck,
    CompactionDigest,
    compacted_event,
)
from tidemill.ledger.compaction_events import Compacted
from tidemill.ledger.event import Attempted, Computed, Published, RunEnded, SourceSeen
from tidemill.ledger.event_digest import ChainedEvent, EventPlace
from tidemill.ledger.run import Failure, Receipt, StageTotals, Status
from tidemill.planning.live_days import live_key
from tidemill.testing import records as samples


def test_attempts_keep_their_figures() -> None:
    event = samples.attempted_event(wall_s=2.5, cpu_s=1.5, rows_in=3, queued_s=0.5, number=2)
    told = replace(
        event.attempt,
        message="it broke\nfor a reason",
        trace="line 1",
        columns=("hour",),
        findings=(Finding(rule="x", severity="fail", rows=1, sample="s"),),
        worker="w-1",
        fate="error",
    )
    short = compacted_event(replace(event, attempt=told))
    assert isinstance(short, Attempted)
    assert short.attempt == replace(
        told, reasons=(), message="it broke", trace="", columns=(), findings=()
    )


BOUND = replace(
    samples.binding("key-1", samples.product(quarantined=2)),
    inputs={"a": "b"},
    seen={"a": {"c": "d"}},
    touched=("clock",),
)


@pytest.mark.parametrize(
    "event",
    [
        samples.published_event(bound=BOUND),
        Computed(stage="features", partition="2013-03-07", binding=BOUND),
    ],
)
def test_bindings_keep_what_identifies_them(event: Published | Computed) -> None:
    short = compacted_event(event)
    assert isinstance(short, Published | Computed)
    assert type(short) is type(event)
    left, product = short.binding, BOUND.product
    assert (left.inputs, left.seen, left.product.columns) == ({"a": ""}, {}, {})
    assert (left.recipe, left.check, left.touched, left.product.rowset) == ("", "", (), "")
    kept = ("content", "objects", "rows", "bytes", "quarantine", "quarantined")
    assert [getattr(left.product, name) for name in kept] == [
        getattr(product, name) for name in kept
    ]
    same = ("key", "run", "at", "contract", "sample", "model")
    assert [getattr(left, name) for name in same] == [getattr(BOUND, name) for name in same]


FAILS = Finding(rule="r", severity="fail", rows=2, sample="x", message="told at length")
WARNS = replace(FAILS, severity="warn")


@pytest.mark.parametrize(
    ("verdict", "left"),
    [
        (None, None),
        (TableFindings(at=5.0, heads={"a": 1}, rules="r", findings=(WARNS,)), None),
        (
            TableFindings(at=5.0, heads={"a": 1}, findings=(WARNS, FAILS)),
            TableFindings(at=5.0, findings=(replace(FAILS, sample="", message=""),)),
        ),
        (
            TableFindings(at=5.0, rules="r", newest={"at": 4.0}),
            TableFindings(at=5.0, newest={"at": 4.0}),
        ),
    ],
)
def test_the_age_of_data_stays_known(
    verdict: TableFindings | None, left: TableFindings | None
) -> None:
    product = replace(BOUND.product, findings=(WARNS, FAILS))
    bound = replace(BOUND, verdict=verdict, product=product)
    short = compacted_event(samples.published_event(bound=bound))
    assert isinstance(short, Published)
    assert short.binding.verdict == left
    assert short.binding.product.findings == (replace(FAILS, sample="", message=""),)


def test_models_and_their_scores_stay() -> None:
    model = replace(samples.product(), artifact=samples.model_artifact())
    scored = replace(samples.product(), scores=samples.scores())
    for product in (model, scored):
        event = samples.published_event("all", bound=samples.binding("key", product))
        assert compacted_event(event) is event


def test_scores_of_one_day_lose_their_slices() -> None:
    assert live_key("2024-03-01").startswith(LIVE_DAY)
    scores = samples.scores()
    product = replace(samples.product(), scores=scores)
    event = samples.published_event(live_key("2024-03-01"), bound=samples.binding("key", product))
    short = compacted_event(event)
    assert isinstance(short, Published)
    left = short.binding.product.scores
    assert left is not None
    assert (left.rows, left.metrics, left.slices) == (scores.rows, scores.metrics, ())


def test_receipts_keep_their_totals() -> None:
    totals = (StageTotals(stage="features", ran=2, failed=1, wall_s=1.5),)
    failure = Failure(
        stage="features",
        partitions=("2024-03-01",),
        why="x" * 300 + "\nmore",
        advice="run again",
        messages=("trace",),
        skipped=3,
    )
    receipt = Receipt(
        run="r", status=Status.FAILED, stages=totals, cost=1.0, messages=("m",), failures=(failure,)
    )
    short = compacted_event(RunEnded(run="r", status=Status.FAILED, receipt=receipt))
    assert isinstance(short, RunEnded)
    left = replace(failure, why="x" * 200, advice="", messages=())
    assert short.receipt == replace(receipt, messages=(), failures=(left,))
    bare = RunEnded(run="r", status=Status.LOST)
    assert compacted_event(bare) is bare


def test_files_keep_what_identifies_them() -> None:
    event = samples.source_seen_event("a.csv", gone=("b.csv",))
    known = event.files[0]
    short = compacted_event(event)
    assert isinstance(short, SourceSeen)
    assert short.gone == ("b.csv",)
    assert short.files == (replace(known, mtime_ns=0),)


def test_other_events_have_no_smaller_form() -> None:
    for event in samples.events_of_every_kind():
        if type(event).__name__ not in COMPACTED_KINDS:
            assert compacted_event(event) is event


def stored(seq: int, body: str, kind: str = "Attempted", by: int = 0) -> ChainedEvent:
    place = EventPlace(seq=seq, batch=seq, at=0.0, kind=kind)
    return ChainedEvent(
        place=place, body=body, leaf=b"", link=b"", stored_link=b"", compacted_by=by
    )


def covering(seq: int, *bodies: tuple[int, str]) -> ChainedEvent:
    digest = CompactionDigest()
    for number, body in bodies:
        digest.add(number, body)
    fields = {"sha256": digest.sha256, "events": {"Attempted": len(bodies)}}
    return stored(seq, json.dumps({"event": fields}), Compacted.__name__)


def faults(*events: ChainedEvent) -> list[str]:
    check = CompactionCheck()
    return [*filter(None, (*(check.find_fault(each) for each in events), check.find_rest()))]


def test_compacted_bodies_are_covered() -> None:
    whole = (stored(1, "a", by=3), stored(2, "b", by=3), covering(3, (1, "a"), (2, "b")))
    assert faults(*whole, stored(4, "c"), covering(5)) == []


@pytest.mark.parametrize(
    "events",
    [
        # A figure was changed; an event was added, removed, moved, or put under another cover.
        (stored(1, "A", by=3), stored(2, "b", by=3), covering(3, (1, "a"), (2, "b"))),
        (stored(1, "a", by=3), stored(2, "b", by=3), covering(3, (1, "a"))),
        (stored(1, "a", by=3), stored(2, "b"), covering(3, (1, "a"), (2, "b"))),
        (stored(1, "b", by=3), stored(2, "a", by=3), covering(3, (1, "a"), (2, "b"))),
        (stored(1, "a", by=4), covering(3, (1, "a")), covering(4)),
        # What covers them can't be read.
        (stored(1, "a", by=3), stored(3, "{}", Compacted.__name__)),
        (stored(1, "a", by=3), stored(3, "no JSON", Compacted.__name__)),
        (stored(1, "a", by=3), stored(3, '{"event": 1}', Compacted.__name__)),
    ],
)
def test_changed_bodies_are_found(events: tuple[ChainedEvent, ...]) -> None:
    assert "isn't what it left" in faults(*events)[0]


def test_events_that_nothing_covers_are_found() -> None:
    assert faults(stored(1, "a", by=3), stored(2, "b")) == [
        "events are marked as compacted by event 3, which didn't do that"
    ]
