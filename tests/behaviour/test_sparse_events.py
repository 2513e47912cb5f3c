from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.adapters.codec.events import _SPARSE_STRUCTS, decode_event, encode_event
from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.ledger.event import EVENTS, Event
from tidemill.ledger.price import Price, PriceBook
from tidemill.testing.records import events_of_every_kind

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS | st.just("null"),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=5),
    NoneType: st.none(),
}
# Only a ruling that says something can be made.
SAID = st.text(st.characters(categories=["L"]), min_size=1, max_size=5)
RULINGS = st.builds(
    Ruling,
    disposition=st.sampled_from(
        [disposition for disposition in Disposition if disposition is not Disposition.REPLACE]
    ),
    object=TEXTS,
    key=TEXTS,
    rows=st.sets(st.integers(0, 2**53), max_size=3).map(sorted).map(tuple),
    actor=SAID,
    reason=SAID,
    at=PLAIN[float],
) | st.builds(
    Ruling,
    disposition=st.just(Disposition.REPLACE),
    object=TEXTS,
    key=TEXTS,
    fixed=SAID,
    actor=SAID,
    reason=SAID,
    at=PLAIN[float],
)

# Prices follow each other.
BOOKS = st.lists(st.floats(1, 1e9), min_size=1, max_size=3, unique=True).map(
    lambda starts: PriceBook(
        prices=tuple(Price(cpu_hour=start, since=start) for start in sorted(starts))
    )
)

# What a field that isn't there is read as. It is a part of the format: who changes a default gives events
# a new version, and reads those of earlier ones as they were meant.
DEFAULTS: dict[str, dict[str, object]] = {
    "Artifact": {
        "reads": "", "encodings": (), "feed": "matrix", "label": "", "classes": "", "shares": (),
        "golden": "", "export_difference": None, "snapshot": {}, "packages": {}, "hardware": {},
        "entity": "", "entities": "", "study": None, "labelled": 0, "key": "", "parent": None,
        "generation": 0, "data_at": 0.0,
        "source": "",
    },
    "Attempt": {
        "reasons": (), "message": "", "trace": "", "exit_code": 0, "wall_s": 0.0, "cpu_s": 0.0,
        "rows_in": 0, "rows_out": 0, "bytes_in": 0, "bytes_out": 0, "quarantined": 0, "number": 1,
        "fate": "", "queued_s": 0.0, "peak_rss": 0, "worker": "", "memo": None, "fold": None, "columns": (),
        "findings": (), "evidence": None, "gpus": 0, "egress_bytes": 0, "units": {},
    },
    "AccessToken": {"endpoints": (), "expires": None, "rate": 0.0, "actor": "",
        "scopes": ("predict",), "workflows": (), "note": "", "user": "", "vouched_by": ()},
    "TokenRevoked": {"reason": "", "note": ""},
    "Binding": {
        "inputs": {}, "seen": {}, "touched": (), "verdict": None, "sample": 1.0, "model": "",
        "origins": (),
    },
    "Part": {"bytes": 0},
    "TrialResult": {"reports": (), "pruned": False, "wall_s": 0.0, "cpu_s": 0.0},
    "Product": {
        "objects": (), "columns": {}, "rowset": "", "rows": 0, "bytes": 0, "quarantine": None,
        "quarantined": 0, "findings": (), "artifact": None, "scores": None, "parts": (), "trial": None,
    },
    "Categories": {"others": 0, "missed": 0},
    "ColumnEncoding": {"categories": (), "unseen": "missing"},
    "Daily": {"roots": (), "without": {}},
    "Decision": {"reason": "", "through": "", "baseline": "", "review": "", "note": "", "held": False},
    "Delivery": {
        "actor": "gates", "reason": "", "replaced": "", "rollback": False, "evaluations": {}, "through": "",
        "note": "",
    },
    "DriftVerdict": {"alarms": (), "investigate": ()},
    "Effect": {"object": "", "format": "parquet", "table": "", "catalog": "", "at": 0.0},
    "EffectDone": {"detail": {}},
    "EnvironmentCreated": {"parent": "", "expires": None, "sample": 1.0, "profile": "", "actor": ""},
    "EnvironmentDropped": {"actor": ""},
    "Failure": {"messages": (), "skipped": 0, "findings": ()},
    "Finding": {"sample": "", "message": ""},
    "FoldUsage": {"kept": 0, "computed": 0, "rows": 0},
    "GateResult": {"gate": "", "unknown": False, "difference": None},
    "MemoUsage": {
        "known": 0, "asked": 0, "calls": 0, "tokens": 0, "tokens_saved": 0, "spent": 0.0, "saved": 0.0,
    },
    "Price": {
        "cpu_hour": 0.0, "currency": "USD", "memory_gb_hour": 0.0, "gpu_hour": 0.0, "storage_gb_month": 0.0,
        "egress_gb": 0.0, "units": {}, "since": None,
    },
    "PriceBook": {"prices": (Price(),)},
    "RaisedAlarm": {"columns": {}},
    "Receipt": {
        "stages": (), "wall_s": 0.0, "cpu_s": 0.0, "peak_rss": 0, "cost": 0.0, "currency": "",
        "exit_code": 0, "messages": (), "failures": (), "memory_gb_s": 0.0,
        "off_peak": None,
        "estimated_cost": None,
    },
    "Ruling": {"rows": (), "fixed": "", "note": ""},
    "RolloutStep": {
        "requests": 0, "control_requests": 0, "evidence": {}, "total": 1.0, "figures": {},
        "actor": "rollout", "reason": "", "note": "",
    },
    "Histogram": {"blur": 0},
    "PredictionProfile": {"mean": 0.0, "histogram": None, "categories": None},
    "RunEnded": {"receipt": None},
    "RunStarted": {"actor": ""},
    "PolicyDecided": {"review": ""},
    "PolicyDecision": {
        "hits": (), "rules": "", "actor": "", "run": "", "at": 0.0, "waivers": (),
        "evidence": "",
    },
    "HeldRows": {"rows": (), "fixed": ""},
    "Review": {
        "artifact": "", "replaces": "", "reasons": (), "author": "", "author_may_approve": True,
        "opened": 0.0, "within": None, "on_timeout": "reject", "escalate_to": ("role:admin",),
        "decision": "", "verdict": None, "run": "", "author_vouched_by": (),
        "part": "", "source": "", "held": None, "as_of": "",
    },
    "ReviewClosed": {"reason": "", "actor": ""},
    "ReviewExtended": {"escalated_to": ()},
    "Quorum": {"asked": ("role:reviewer",), "people": 1, "fixed": False},
    "RuleHit": {
        "approvers": (), "people": 1, "error": "", "waiver": "", "author_may_approve": True, "missing": (),
    },
    "Commit": {"authored": None},
    "ChangesSeen": {
        "commits": (), "stages": (), "delivers": (), "recipes": {}, "gone": (), "omitted": 0, "edited": False,
        "problem": "",
    },
    "LineageDropped": {"total": 0, "reason": ""},
    "RulesLoaded": {"functions": {}},
    "Vote": {"counts_as": (), "note": "", "vouched_by": (), "stands_in": None},
    "Waiver": {"note": ""},
    "WaiverEnded": {"reason": "", "note": ""},
    "Erased": {"reason": "", "person": ""},
    "ScheduleChanged": {"actor": "", "place": ""},
    "SchedulePaused": {"until": None, "reason": ""},
    "ScheduleResumed": {"reason": ""},
    "WorkDeferred": {"works": (), "unit": "", "prices": ""},
    "DeferredWork": {
        "because": "", "price": None, "price_at_once": None, "cpu_s": 0.0, "at_once": False,
        "late": False,
    },
    "OffPeakSaving": {"waited_s": 0.0, "share": None, "amount": None, "unit": "", "late": ()},
    "Ticked": {"run": None, "missed": 0},
    "Acted": {"detail": ""},
    "Compacted": {"events": {}, "packed": 0, "bytes_before": 0, "bytes_after": 0, "actor": ""},
    "Incident": {"consequences": (), "actor": ""},
    "IncidentCause": {"stage": "", "evidence": {}, "command": ""},
    "FollowingProblem": {"stage": ""},
    "Silence": {"stage": "*", "kind": "*", "severity": "*"},
    "IncidentChanged": {"severity": "", "cause": None, "consequences": ()},
    "IncidentClosed": {"actor": "", "reason": ""},
    "AlertFailed": {"alerts": 1},
    "SilenceEnded": {"reason": ""},
    "StorageMetered": {"stages": {}, "shared": 0},
    "SweepMarked": {"actor": ""},
    "SweepConfirmed": {
        "marked": (), "objects": 0, "bytes": 0, "stages": {}, "orphans": 0, "orphan_bytes": 0,
        "removed": {}, "actor": "",
    },
    "DataUnpinned": {"reason": ""},
    "RetentionSettings": {
        "keep_for": 604_800.0, "keep_last": 0, "grace": 3_600.0, "restore_for": 2_592_000.0, "models": 2,
        "reviews": None, "logs": 7_776_000.0, "memos": 15_552_000.0, "hold": False, "automatic": True,
        "stages": {}, "is_declared": False,
    },
    "Scores": {
        "by": "", "slices": (), "daily": None, "goals": {}, "curves": {}, "bounds": {}, "thresholds": {},
        "predictions": None,
    },
    "Served": {"cpu_hour": 0.0, "memory_gb_hour": 0.0, "currency": ""},
    "ServedUsage": {"cache_hits": 0, "errors": {}, "latency": ()},
    "Slice": {"daily": None},
    "SourceFile": {
        "reading": "", "parts": {}, "ctime_ns": 0, "inode": 0, "missing_since": {}, "tag": "",
    },
    "SourceSeen": {"files": (), "gone": ()},
    "StageTotals": {
        "ran": 0, "bound": 0, "rechecked": 0, "removed": 0, "current": 0, "failed": 0, "retried": 0,
        "skipped": 0, "rows_in": 0, "rows_out": 0, "bytes_in": 0, "bytes_out": 0, "quarantined": 0,
        "wall_s": 0.0, "cpu_s": 0.0, "memo": None, "fold": None, "memory_gb_s": 0.0,
    },
    "Study": {"importances": {}, "stopped": ""},
    "StudyTrial": {"value": None, "wall_s": 0.0, "reports": ()},
    "TableFindings": {"heads": {}, "rules": "", "findings": (), "newest": {}},
    "TriggerEvidence": {
        "fires": False, "seen": "", "threshold": "", "value": None, "limit": None, "unit": "", "note": "",
        "parts": (),
    },
}  # fmt: skip


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a field that is declared so."""
    origin, given_types = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(given_types)
    if origin in (Union, UnionType):
        return st.one_of(*map(values, given_types))
    if origin is tuple and given_types[-1] is not Ellipsis:
        return st.tuples(*map(values, given_types))
    if origin is tuple:
        return st.lists(values(given_types[0]), max_size=3).map(tuple)
    if origin in (dict, Mapping):
        return st.dictionaries(values(given_types[0]), values(given_types[1]), max_size=3)
    if hint is Ruling:
        return RULINGS
    if hint is PriceBook:
        return BOOKS
    if is_dataclass(hint):
        return records(hint)
    return st.sampled_from(hint) if issubclass(hint, StrEnum) else PLAIN[hint]


@st.composite
def records(draw: st.DrawFn, kind: Any) -> Any:
    """A record of any values, its defaults among them."""
    hints, chosen = get_type_hints(kind), {}
    for item in fields(kind):
        # Columns and objects in several parts have to fit each other, which is not the question here.
        required = item.default is MISSING and item.default_factory is MISSING
        if required or (item.name != "parts" and draw(st.booleans())):
            chosen[item.name] = draw(values(hints[item.name]))
    return kind(**chosen)


@pytest.mark.parametrize("kind", EVENTS)
@given(data=st.data())
def test_a_record_comes_back_whatever_it_holds(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(records(kind))
    assert decode_event(encode_event(event)) == event
    assert decode_event(encode_event(event, is_sparse=True)) == event


def test_what_is_left_out_is_known() -> None:
    for event in events_of_every_kind():
        encode_event(event)
        # Bindings are written with their defaults, until they are compacted.
        encode_event(event, is_sparse=True)
    found = {}
    for kind in _SPARSE_STRUCTS:
        defaults = {item.name: item.default for item in fields(kind)}
        made = {item.name: item.default_factory for item in fields(kind)}
        known = {
            name: made[name]() if default is MISSING else default  # type: ignore[operator]
            for name, default in defaults.items()
            if default is not MISSING or made[name] is not MISSING
        }
        found[kind.__name__] = known
    assert {name: known for name, known in found.items() if known} == DEFAULTS
