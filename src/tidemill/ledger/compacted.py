"""The smaller forms of old events: they keep every figure, and lose what explains a superseded result.

A compacted event stands in the ledger in place of the whole one. The hash chain keeps the digest of the
whole body; the event `Compacted` has a digest of the smaller ones, so that they can't be changed unnoticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tidemill.contracts.finding import Finding, TableFindings
from tidemill.ledger.compaction_events import Compacted
from tidemill.ledger.event import Attempted, Computed, Event, Published, RunEnded, SourceSeen
from tidemill.ledger.event_digest import ChainedEvent
from tidemill.ledger.run import Failure
from tidemill.workflow.gate import Scores
from tidemill.workflow.source import SourceFile

# What the partitions of evaluations of a live model on one day begin with.
LIVE_DAY = "live "
# Of a failure, so much of the first line of its message is kept.
_MOST_TEXT = 200


def compacted_event(event: Event) -> Event:
    """The smaller form of an event that nothing refers to any more; the event itself if it has none.

    It has the same scope, and all figures of the whole one. A binding keeps what identifies its values and
    its objects, and what the age of its data follows from: its inputs, their newest times, and whether it
    broke its contract. Models, their scores and trials stay as they are, because they are compared with
    later ones; of the scores of a live model on one day, the slices go.
    """
    make = _FORMS.get(type(event))
    return event if make is None else make(event)


def _of_attempt(event: Attempted) -> Attempted:
    attempt = event.attempt
    short = replace(
        attempt,
        reasons=(),
        message=_first_line(attempt.message),
        trace="",
        columns=(),
        findings=(),
        evidence=None,
    )
    return replace(event, attempt=short)


def _of_binding(event: Any) -> Any:
    binding, product = event.binding, event.binding.product
    scores = product.scores
    if scores is not None and event.partition.startswith(LIVE_DAY):
        scores = Scores(rows=scores.rows, metrics=scores.metrics)
    elif scores is not None or product.artifact is not None or product.trial is not None:
        return event
    short = replace(
        product,
        columns={},
        rowset="",
        findings=_failures(product.findings),
        parts=(),
        scores=scores,
    )
    bare = replace(
        binding,
        inputs=dict.fromkeys(binding.inputs, ""),
        seen={},
        touched=(),
        recipe="",
        check="",
        verdict=_of_verdict(binding.verdict),
        product=short,
    )
    return replace(event, binding=bare)


def _of_verdict(verdict: TableFindings | None) -> TableFindings | None:
    """What is left of the verdict on a table: how new its rows are, and by which rules it fails."""
    if verdict is None:
        return None
    failures = _failures(verdict.findings)
    if not (verdict.newest or failures):
        return None
    return TableFindings(at=verdict.at, newest=verdict.newest, findings=failures)


def _failures(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings that fail, without what explains them."""
    return tuple(
        replace(finding, sample="", message="")
        for finding in findings
        if finding.severity == "fail"
    )


def _of_end(event: RunEnded) -> RunEnded:
    receipt = event.receipt
    if receipt is None:
        return event
    short = replace(receipt, messages=(), failures=tuple(map(_of_failure, receipt.failures)))
    return replace(event, receipt=short)


def _of_failure(failure: Failure) -> Failure:
    return replace(failure, why=_first_line(failure.why), advice="", messages=(), findings=())


def _of_files(event: SourceSeen) -> SourceSeen:
    return replace(event, files=tuple(map(_of_file, event.files)))


def _of_file(file: SourceFile) -> SourceFile:
    return SourceFile(
        path=file.path, size=file.size, mtime_ns=0, digest=file.digest, rows=file.rows
    )


def _first_line(text: str) -> str:
    return text.partition("\n")[0][:_MOST_TEXT]


_FORMS: Mapping[type[Event], Callable[[Any], Event]] = {
    Attempted: _of_attempt,
    Published: _of_binding,
    Computed: _of_binding,
    RunEnded: _of_end,
    SourceSeen: _of_files,
}
# The kinds of events that have a smaller form.
COMPACTED_KINDS = frozenset(kind.__name__ for kind in _FORMS)


class CompactionDigest:
    """The digest of smaller bodies, which are added in the order of their events."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count = 0

    def add(self, seq: int, body: str) -> None:
        """Add the body of an event."""
        self._hash.update(seq.to_bytes(8, "big") + hashlib.sha256(body.encode()).digest())
        self.count += 1

    @property
    def sha256(self) -> str:
        """The digest of all bodies so far, in hexadecimal digits."""
        return self._hash.hexdigest()


class CompactionCheck:
    """Compares smaller bodies with the events that cover them; all events are added in order."""

    def __init__(self) -> None:
        self._open: dict[int, CompactionDigest] = {}

    def find_fault(self, event: ChainedEvent) -> str:
        """Say what is wrong with the bodies that an event covers; "" for any other event."""
        if event.compacted_by:
            self._open.setdefault(event.compacted_by, CompactionDigest()).add(event.seq, event.body)
        if event.place.kind != Compacted.__name__:
            return ""
        found = self._open.pop(event.seq, CompactionDigest())
        if (found.sha256, found.count) == _covered(event.body):
            return ""
        return (
            f"an event that event {event.seq} compacted isn't what it left: its figures were changed, or it "
            "was added or removed"
        )

    def find_rest(self) -> str:
        """Say which compacted events no event covers; "" if there are none."""
        if not self._open:
            return ""
        return f"events are marked as compacted by event {min(self._open)}, which didn't do that"


def _covered(body: str) -> tuple[str, int] | None:
    """The digest and the number of the bodies that an event covers; None if it can't be read."""
    try:
        fields = json.loads(body)["event"]
        return fields["sha256"], sum(fields.get("events", {}).values())
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
