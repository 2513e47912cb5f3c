"""Tell a run as spans of a trace: the run, its stages, and their attempts at steps, from its events.

Ids follow from those of the run, so that what is sent twice is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.printable import printable, shorten
from tidemill.ledger.event import Attempted, RecordedEvent, RunEnded, RunStarted
from tidemill.ledger.run import FAULTS, Attempt, Outcome, Status

# What `run_spans` reads.
SPAN_EVENTS = tuple(kind.__name__ for kind in (RunStarted, Attempted, RunEnded))
# Beyond these, the attempts of a run are only counted.
MOST_STEPS = 5_000
_SHOWN = 300
# They did nothing.
_IDLE = (Outcome.BOUND, Outcome.CURRENT, Outcome.SKIPPED)

SpanValue: TypeAlias = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpan:
    """A part of a run, from `start` to `end` (Unix seconds); `error` says why it failed, "" if it didn't.

    `span` is its id, `parent` that of the span around it, or 0.
    """

    name: str
    trace: int
    span: int
    parent: int
    start: float
    end: float
    error: str = ""
    attributes: Mapping[str, SpanValue] = field(default_factory=dict)


def run_spans(
    facts: Iterable[RecordedEvent], workflow: str, most: int = MOST_STEPS
) -> list[RunSpan]:
    """The spans of a run that has ended, by its events; none if it didn't begin or end in them.

    Attempts that reused a result, or were skipped, are counted in the span of their stage.
    """
    started: tuple[float, RunStarted] | None = None
    ended: tuple[float, RunEnded] | None = None
    attempts: list[tuple[float, Attempt]] = []
    for fact in facts:
        event = fact.event
        if isinstance(event, RunStarted):
            started = fact.at, event
        elif isinstance(event, Attempted):
            attempts.append((fact.at, event.attempt))
        elif isinstance(event, RunEnded):
            ended = fact.at, event
    if started is None or ended is None:
        return []
    return _RunTrace(workflow, started, ended).spans(attempts, most)


class _RunTrace:
    """The trace of a run that began and ended."""

    def __init__(
        self, workflow: str, started: tuple[float, RunStarted], ended: tuple[float, RunEnded]
    ) -> None:
        self._start, begun = started
        self._end, self._ended = ended
        self._run = begun.run
        self._trace = self._id("trace", size=16)
        self._root = self._id("run")
        self._common = {
            "tidemill.workflow": workflow,
            "tidemill.environment": begun.environment,
            "tidemill.run": begun.run,
        }

    def spans(self, attempts: Iterable[tuple[float, Attempt]], most: int) -> list[RunSpan]:
        """The spans of the run, its stages and so many of the attempts."""
        stages: dict[str, list[tuple[float, Attempt]]] = {}
        for at, attempt in attempts:
            stages.setdefault(attempt.stage, []).append((at, attempt))
        busy = [found for found in attempts if found[1].outcome not in _IDLE]
        left_out = max(0, len(busy) - most)
        counted: dict[str, SpanValue] = {"tidemill.left_out_steps": left_out} if left_out else {}
        status = self._ended.status
        return [
            RunSpan(
                name=f"run {self._common['tidemill.workflow']}",
                trace=self._trace,
                span=self._root,
                parent=0,
                start=self._start,
                end=max(self._start, self._end),
                error="" if status is Status.OK else str(status),
                attributes={**self._common, "tidemill.status": str(status), **counted},
            ),
            *(self._stage(stage, own) for stage, own in stages.items()),
            *(self._step(at, attempt) for at, attempt in busy[:most]),
        ]

    def _stage(self, stage: str, own: list[tuple[float, Attempt]]) -> RunSpan:
        failed = [attempt for _, attempt in own if attempt.outcome is Outcome.FAILED]
        outcomes: dict[str, int] = {}
        for _, attempt in own:
            key = f"tidemill.steps.{attempt.outcome}"
            outcomes[key] = outcomes.get(key, 0) + 1
        return RunSpan(
            name=f"stage {stage}",
            trace=self._trace,
            span=self._id("stage", stage),
            parent=self._root,
            start=min(at - max(attempt.wall_s, 0.0) for at, attempt in own),
            end=max(at for at, _ in own),
            error=_message(failed[-1]) if failed else "",
            attributes={
                **self._common,
                "tidemill.stage": stage,
                "tidemill.rows_in": sum(attempt.rows_in for _, attempt in own),
                "tidemill.rows_out": sum(attempt.rows_out for _, attempt in own),
                **outcomes,
            },
        )

    def _step(self, at: float, attempt: Attempt) -> RunSpan:
        key = attempt.stage, attempt.partition, str(attempt.number)
        return RunSpan(
            name=f"step {attempt.stage}",
            trace=self._trace,
            span=self._id("step", *key),
            parent=self._id("stage", attempt.stage),
            start=at - max(attempt.wall_s, 0.0),
            end=at,
            error=_message(attempt) if attempt.outcome in FAULTS else "",
            attributes={
                **self._common,
                "tidemill.stage": attempt.stage,
                "tidemill.partition": attempt.partition,
                "tidemill.action": attempt.action,
                "tidemill.outcome": str(attempt.outcome),
                "tidemill.attempt": attempt.number,
                "tidemill.cpu_s": attempt.cpu_s,
                "tidemill.queued_s": attempt.queued_s,
                "tidemill.rows_in": attempt.rows_in,
                "tidemill.rows_out": attempt.rows_out,
                "tidemill.quarantined": attempt.quarantined,
                "tidemill.peak_rss": attempt.peak_rss,
            },
        )

    def _id(self, *parts: str, size: int = 8) -> int:
        """An id of a span or a trace, which isn't 0."""
        text = "\0".join(("tidemill", self._run, *parts))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size]) or 1


def _message(attempt: Attempt) -> str:
    first = attempt.message.partition("\n")[0]
    return shorten(printable(first), _SHOWN) or attempt.fate or str(attempt.outcome)
