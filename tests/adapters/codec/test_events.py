import math
from dataclasses import is_dataclass, replace
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.adapters.codec import events as codec
from tidemill.adapters.codec.events import (
    EventScope,
    decode,
    decode_binding,
    decode_event,
    decode_makers,
    encode,
    encode_event,
    event_scope,
)
from tidemill.core.errors import StorageError
from tidemill.ledger import event as events
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.delivery import Delivery
from tidemill.ledger.event import Attempted, Event, RunEnded
from tidemill.ledger.schedule_events import Ticked
from tidemill.testing import records as samples
from tidemill.testing.records import events_of_every_kind
from tidemill.workflow.gate import GateOutcome, GateResult, Interval, Scores
from tidemill.workflow.trigger import TriggerEvidence

EVENTS = events_of_every_kind()
[RUN_ENDED] = [event for event in EVENTS if isinstance(event, RunEnded)]
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["null", "None", "nan", "true", "1", "1.5", ""]
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_round_trips(event: Event) -> None:
    text = encode_event(event)
    assert text.startswith(f'{{"kind":"{type(event).__name__}","v":1,"event":{{')
    assert decode_event(text) == event


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_that_was_written_with_its_defaults_is_read(event: Event) -> None:
    whole = {"kind": type(event).__name__, "v": 1, "event": event}
    assert decode_event(msgspec.json.encode(whole).decode()) == event


def test_defaults_are_not_written() -> None:
    assert encode_event(samples.attempted_event()) == (
        '{"kind":"Attempted","v":1,"event":{"run":"run-1","environment":"prod","attempt":'
        '{"stage":"features","partition":"2013-03-07","action":"run","outcome":"ok",'
        '"reasons":["new"]}}}'
    )


def test_attempts_without_tries_and_workers_are_read() -> None:
    """As ledgers hold it that were made before retries and engines: none of their fields is there."""
    attempted = decode_event(
        '{"kind":"Attempted","v":1,"event":{"run":"run-1","environment":"prod","attempt":'
        '{"stage":"features","partition":"2013-03-07","action":"run","outcome":"failed",'
        '"reasons":["new"],"message":"it raised","trace":"File ...","exit_code":1,"wall_s":0.5,'
        '"cpu_s":0.4,"rows_in":3,"rows_out":0,"bytes_in":99,"bytes_out":0,"quarantined":0}}}'
    )
    assert isinstance(attempted, Attempted)
    found = attempted.attempt
    assert (found.message, found.wall_s, found.bytes_in) == ("it raised", 0.5, 99)
    assert (found.number, found.fate, found.queued_s) == (1, "", 0.0)
    assert (found.peak_rss, found.worker) == (0, "")
    ended = decode_event(
        '{"kind":"RunEnded","v":1,"event":{"run":"run-1","status":"failed","receipt":{"run":"run-1",'
        '"status":"failed","stages":[{"stage":"features","ran":0,"bound":0,"failed":1,"wall_s":0.5}],'
        '"wall_s":1.5,"exit_code":1,"messages":["it raised"]}}}'
    )
    assert isinstance(ended, RunEnded)
    assert ended.receipt is not None
    assert (ended.receipt.stages[0].failed, ended.receipt.stages[0].retried) == (1, 0)
    assert ended.receipt.failures == ()


@pytest.mark.parametrize("made", [samples.product(), samples.product(quarantined=2)])
def test_a_binding_is_decoded_directly(made: Product) -> None:
    event = samples.published_event(bound=samples.binding("key", made))
    assert decode_binding(encode_event(event)) == event.binding


@pytest.mark.parametrize("origins", [(), ("one",), ("one", "two")])
def test_the_makers_of_a_binding_are_decoded_directly(origins: tuple[str, ...]) -> None:
    event = samples.published_event(bound=replace(samples.binding("key"), origins=origins))
    assert decode_makers(encode_event(event)) == event.binding.makers


def test_an_event_that_binds_nothing_has_no_makers() -> None:
    with pytest.raises(StorageError, match="RunEnded, which binds nothing"):
        decode_makers(encode_event(RUN_ENDED))


def test_every_kind_is_known() -> None:
    assert set(events.EVENTS) == set(Event.__args__) == {type(event) for event in EVENTS}


@given(TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS))
def test_text_stays_text(key: str, quarantine: str, columns: dict[str, str]) -> None:
    made = replace(samples.product(), quarantine=quarantine, columns=columns)
    event = samples.published_event(bound=samples.binding(key, made))
    assert decode_event(encode_event(event)) == event


@given(st.floats(), st.floats())
def test_figures_stay_figures(mae: float, baseline: float) -> None:
    model, scored = samples.model_artifact(baseline=baseline), samples.scores(mae)
    made = replace(samples.product(), artifact=model, scores=scored)
    published = samples.published_event(bound=samples.binding("key", made))
    delivered = samples.delivered_event()
    delivered = replace(
        delivered, delivery=replace(delivered.delivery, artifact=model, scores=scored)
    )
    for event in (published, delivered):
        assert repr(decode_event(encode_event(event))) == repr(event)  # NaN differs from itself
    assert repr(decode_binding(encode_event(published))) == repr(published.binding)
    for kind, part in ((Binding, published.binding), (Delivery, delivered.delivery)):
        assert repr(decode(kind, encode(part))) == repr(part)


def test_figures_of_decisions_and_triggers_stay_figures() -> None:
    endless = Interval(value=math.nan, low=-math.inf, high=math.inf, confidence=0.95, days=2)
    result = GateResult(gate="beats_live(mae)", passed=False, evidence="", difference=endless)
    decided = samples.decided_event()
    decided = replace(decided, decision=replace(decided.decision, results=(result,)))
    attempted = samples.attempted_event()
    seen = TriggerEvidence(trigger="degraded(mae)", value=math.inf, limit=1.0)
    attempted = replace(attempted, attempt=replace(attempted.attempt, evidence=seen))
    for event in (decided, attempted):
        assert repr(decode_event(encode_event(event))) == repr(event)


def test_records_that_are_not_looked_at_for_figures_have_only_times() -> None:
    kinds: list[Any] = [*codec._WITHOUT_FIGURES]
    found: dict[str, str] = {}
    # The list grows by the records in their fields.
    for kind in kinds:
        for name, hint in get_type_hints(kind).items():
            kinds += [part for part in (hint, *get_args(hint)) if is_dataclass(part)]
            if "float" in str(hint):
                found[f"{kind.__name__}.{name}"] = str(hint)
    assert found == {"Effect.at": str(float), "SourceFile.missing_since": str(dict[str, float])}


def test_scores_and_decisions_of_earlier_versions_are_read() -> None:
    known = samples.scores()
    old = (
        '{"rows":24,"metrics":{"mae":11.5},"by":"carrier",'
        '"slices":[{"value":"UA","rows":12,"metrics":{"mae":"nan"}}]}'
    )
    read = decode(Scores, old)
    assert (read.rows, read.metrics, read.daily, read.goals) == (24, known.metrics, None, {})
    assert read.slices[0].daily is None
    result = decode(
        GateResult, '{"gate":"beats_live(mae)","passed":false,"evidence":"2 against 1"}'
    )
    assert (result.outcome, result.difference) == (GateOutcome.FAILED, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '{"kind":"Ticked","v":2,"event":{}}',
            "Ticked of version 2.*versions up to 1.*pip install -U",
        ),
        ('{"kind":"Teleported","v":1,"event":{}}', "Teleported.*no such event.*pip install -U"),
        ('{"kind":"Ticked","v":1,"event":{"tick":"1"}}', "Ticked can't be read.*schedule"),
        ('{"kind":"Ticked"', "can't be read"),
        ("{}", "can't be read"),
    ],
)
def test_unreadable_events_are_rejected(text: str, says: str) -> None:
    for read in (decode_event, decode_binding):
        with pytest.raises(StorageError, match=says):
            read(text)


def test_an_event_that_binds_nothing_is_rejected() -> None:
    with pytest.raises(StorageError, match=r"bound to an event Ticked.*restore it from a backup"):
        decode_binding(encode_event(Ticked(schedule="nightly", tick="1")))


def test_a_publication_of_a_newer_tidemill_is_refused() -> None:
    newer = encode_event(samples.published_event()).replace('"v":1', '"v":2')
    with pytest.raises(StorageError, match="Published of version 2"):
        decode_binding(newer)


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(StorageError, match=r"udcff.*rename the file"):
        encode_event(samples.source_seen_event("flights/\udcff.parquet"))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (samples.published_event("1"), EventScope("prod", "run-1", "features", "1")),
        (samples.attempted_event("labels", "2"), EventScope("prod", "run-1", "labels", "2")),
        (samples.effect_queued_event(), EventScope("prod", None, "scored_flights", "2013-03-07")),
        (samples.decided_event(), EventScope("prod", None, "delay_model", None)),
        (RUN_ENDED, EventScope(None, "run-1", None, None)),
        (Ticked(schedule="nightly", tick="1"), EventScope(None, None, None, None)),
    ],
)
def test_an_event_has_an_address(event: Event, expected: EventScope) -> None:
    assert event_scope(event) == expected
