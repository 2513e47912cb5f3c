"""How old data are, and were when they were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.finding import Finding, TableFindings
from tidemill.ledger.binding import Binding
from tidemill.ledger.compacted import compacted_event
from tidemill.ledger.event import (
    Computed,
    EnvironmentDropped,
    Event,
    Published,
    RecordedEvent,
    Removed,
    Served,
)
from tidemill.scorecard.data_ages import AGE_KINDS, DataAges, watermark_at
from tidemill.scorecard.freshness_report import FreshnessReport, report_freshness
from tidemill.testing import records

HOUR, DAY = 3600.0, 86_400.0
# 2013-01-02T00:00 UTC, the end of the partition 2013-01-01.
END = 1_357_084_800.0


def published(
    stage: str, newest: float | None = None, *inputs: str, partition: str = "p", **more: Any
) -> Published:
    """A partition with a newest time in its rows."""
    verdict = None if newest is None else TableFindings(at=newest, newest={"at": newest})
    bound = replace(
        records.binding(f"{stage} {newest}"),
        inputs=dict.fromkeys(inputs, "digest"),
        verdict=verdict,
    )
    return replace(records.published_event(partition, stage=stage, bound=bound), **more)


def trained(version: str, seen: dict[str, dict[str, str]]) -> Binding:
    artifact = replace(records.model_artifact(version), output="late")
    product = replace(records.product(), artifact=artifact)
    bound = records.binding(version, product)
    return replace(bound, inputs=dict.fromkeys(seen, "digest"), seen=seen)


def served(since: float, until: float, version: str = "v1", requests: int = 1) -> Served:
    event = records.served_event()
    usage = replace(event.usages[0], endpoint="e", version=version, requests=requests)
    return replace(event, since=since, until=until, usages=(usage,))


def read(facts: Sequence[tuple[float, Event]], zone: str = "UTC") -> DataAges:
    ages = DataAges(environment="prod", zone=zone)
    for number, (at, event) in enumerate(facts):
        ages.add(RecordedEvent(seq=number + 1, at=at, event=event))
    return ages


def report(
    facts: Sequence[tuple[float, Event]], now: float, window: float, **within: float
) -> FreshnessReport:
    return report_freshness(read(facts), now, window, within)


def test_what_was_computed_from_late_data_is_late() -> None:
    facts = [
        (END + 10, published("raw", END)),
        (END + 11, published("a", None, "raw")),
        (END + 20, published("raw", END - 50, partition="q")),
        (END + 30, published("a", END + 30, "raw", partition="r")),
    ]
    ages = read(facts)
    assert watermark_at(ages.watermarks["a"], END + 40) == END
    assert watermark_at(ages.watermarks["a"], END + 10) is None
    assert watermark_at(None, END) is None


def test_what_breaks_its_contract_or_was_removed_is_not_fresh() -> None:
    broken = Finding(rule="r", severity="fail", rows=1)
    bad = published("a", END + 20)
    verdict = TableFindings(at=0.0, newest={"at": END + 20}, findings=(broken,))
    bad = replace(bad, binding=replace(bad.binding, verdict=verdict))
    facts: list[tuple[float, Event]] = [
        (END, published("a", END)),
        (END + 20, bad),
        (END + 30, replace(records.removed_event("p", stage="a"))),
        (END + 30, records.removed_event("p", stage="none")),
    ]
    assert watermark_at(read(facts).watermarks["a"], END + 25) == END
    assert watermark_at(read(facts).watermarks["a"], END + 35) is None


def test_a_model_of_one_table_reads_it_with_its_label() -> None:
    facts: list[tuple[float, Event]] = [
        (END, published("table", END)),
        (END, Computed(stage="m", partition="", binding=trained("v1", {"table": {"late": "y"}}))),
        (END + 20, served(END, END + 20)),
        # A clock that was set back makes nothing younger than now.
        (END + 30, served(END - 50, END - 10)),
    ]
    (reads,) = report(facts, END + 30, DAY).reads
    assert (reads.requests, reads.unknown, reads.p95) == (1, 1, 10.0)


def test_days_are_those_of_the_zone() -> None:
    facts = [(END - HOUR, published("a", None, partition="2013-01-01"))]
    # In Tokyo that day had ended nine hours before UTC's.
    assert read(facts, "Asia/Tokyo").watermarks["a"].current == END - 9 * HOUR
    assert read(facts, "UTC").watermarks["a"].current == END - HOUR


def test_what_is_older_than_all_events_is_added() -> None:
    ages = read([(END, published("a", END))])
    bound = replace(published("b", END - DAY).binding, at=END - DAY)
    ages.seed({"a": {"q": bound}, "b": {"p": bound}})
    assert {name: each.current for name, each in ages.watermarks.items()} == {
        "a": END, "b": END - DAY,
    }  # fmt: skip


def test_what_is_too_old_is_forgotten() -> None:
    ages = read(
        [
            (END, published("a", END)),
            (END + DAY, published("a", END + DAY, partition="q")),
            (END + DAY, served(END, END + DAY)),
            (END + 3 * DAY, served(END + 2 * DAY, END + 3 * DAY)),
        ]
    )
    ages.prune(END + 2 * DAY)
    assert ages.watermarks["a"].history == [(END + DAY, END + DAY)]
    assert [*ages.reads["e"]] == ["2013-01-05"]


def test_an_environment_of_the_same_name_begins_anew() -> None:
    facts: list[tuple[float, Event]] = [(END, published("a", END))]
    other, own = (EnvironmentDropped(environment=name) for name in ("dev", "prod"))
    assert read([*facts, (END, other)]).watermarks.keys() == {"a"}
    assert read([*facts, (END, own)]).watermarks == {}
    assert read([(END, published("a", END, environment="dev"))]).watermarks == {}
    gone = records.removed_event("p", stage="a", environment="dev")
    assert read([*facts, (END, gone)]).watermarks["a"].current == END


def test_its_kinds_are_those_that_count() -> None:
    every = [*enumerate(records.events_of_every_kind())]
    facts: list[tuple[float, Event]] = [(END + number, event) for number, event in every]
    counted = [fact for fact in facts if type(fact[1]).__name__ in AGE_KINDS]
    assert read(facts) == read(counted)
    assert "Attempted" not in AGE_KINDS


_partitions = st.sampled_from(["2013-01-01", "2013-01-02", "x", "y"])
_newest = st.none() | st.integers(-3, 3).map(lambda days: END + days * DAY)
HAPPENINGS: st.SearchStrategy[Event] = st.one_of(
    st.builds(lambda newest, key: published("raw", newest, partition=key), _newest, _partitions),
    st.builds(
        lambda newest, key: published("table", newest, "raw", partition=key), _newest, _partitions
    ),
    st.builds(
        lambda key, stage: records.removed_event(key, stage=stage),
        _partitions,
        st.sampled_from(["raw", "table"]),
    ),
)


@dataclass
class Naive:
    """The same from the list of all events, second by second."""

    facts: Sequence[tuple[float, Event]]

    def watermark(self, stage: str, until: int) -> float | None:
        """The watermark of a stage after the first events."""
        found = {
            event.partition: self.of_partition(n)
            for n, (_, event) in enumerate(self.facts[:until])
            if isinstance(event, Published | Removed) and event.stage == stage
        }
        known = [each for each in found.values() if each is not None]
        return max(known) if known else None

    def of_partition(self, n: int) -> float | None:
        """The watermark with which an event leaves a partition; None if it removes it."""
        at, event = self.facts[n]
        if not isinstance(event, Published):
            return None
        ends = {"2013-01-01": END, "2013-01-02": END + DAY}
        verdict = event.binding.verdict
        own = verdict.newest["at"] if verdict is not None else ends.get(event.partition)
        read_from = [self.watermark(name, n) for name in event.binding.inputs]
        known = [each for each in read_from if each is not None]
        if own is None and not known:
            return at
        return min([*known, *([] if own is None else [min(own, at)])])

    def is_late(self, stage: str, moment: float, within: float) -> bool | None:
        """Whether data were too old at a moment; None if that isn't known."""
        found = self.watermark(stage, sum(at <= moment for at, _ in self.facts))
        return None if found is None else moment - found > within


@given(st.lists(HAPPENINGS, min_size=1, max_size=10), st.integers(1, 5), st.data())
def test_it_equals_a_recomputation_hour_by_hour(
    events: list[Event], hours: int, data: st.DataObject
) -> None:
    # What doesn't change is no change, so that outputs without times are as old as they were.
    distinct = [
        replace(event, binding=replace(event.binding, product=records.product(f"{number}")))
        if isinstance(event, Published)
        else event
        for number, event in enumerate(events)
    ]
    steps = data.draw(st.lists(st.integers(0, 9), min_size=len(events), max_size=len(events)))
    facts = [(END + HOUR * sum(steps[: n + 1]), event) for n, event in enumerate(distinct)]
    now, within = facts[-1][0] + 9 * HOUR, hours * HOUR
    found = report(facts, now, 40 * HOUR, raw=within, table=within)
    naive = Naive(facts)
    for stage in found.stages:
        moments = [now - 40 * HOUR + HOUR * (n + 0.5) for n in range(40)]
        late = [naive.is_late(stage.stage, moment, within) for moment in moments]
        assert stage.known_s == HOUR * sum(each is not None for each in late)
        assert stage.missed_s == HOUR * sum(each is True for each in late)
        newest = naive.watermark(stage.stage, len(facts))
        assert stage.age == (None if newest is None else now - newest)


@given(st.lists(HAPPENINGS, min_size=1, max_size=10), st.data())
def test_what_is_kept_or_compacted_gives_the_same(events: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(events)))
    facts = [(END + HOUR * number, event) for number, event in enumerate(events)]
    compacted = [(at, compacted_event(event)) for at, event in facts]
    ages = msgspec.msgpack.decode(msgspec.msgpack.encode(read(compacted[:cut])), type=DataAges)
    ages.prune(END - 99 * DAY)
    for number, (at, event) in enumerate(compacted[cut:]):
        ages.add(RecordedEvent(seq=number, at=at, event=event))
    within = {"raw": HOUR, "table": HOUR}
    now = END + 30 * HOUR
    assert report_freshness(ages, now, DAY, within) == report(facts, now, DAY, **within)


def test_a_prediction_reads_the_oldest_of_what_is_known_of_its_inputs() -> None:
    seen = {name: {"distance": "x"} for name in ("new", "old", "unknown")}
    ages = read(
        [
            (END, published("new", END)),
            (END, published("old", END - 50)),
            (END + 5, records.published_event("", stage="m", bound=trained("v1", seen))),
            (END + 20, served(END, END + 20, requests=4)),
            (END + 20, served(END, END + 20, version="other", requests=2)),
            (END + 20, served(END, END + 20, requests=0)),
            (END + 20, replace(served(END, END + 20), environment="dev")),
        ]
    )
    (day,) = ages.reads["e"].values()
    assert (day.counts, day.unknown) == ({60.0: 4}, 2)
