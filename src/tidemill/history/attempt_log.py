"""Order the log of a run by step, and add the outcome of each attempt."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from tidemill.core.counts import plural
from tidemill.ledger.log_line import END, AttemptKey, LogLine
from tidemill.ledger.review_command import named_review
from tidemill.ledger.run import Attempt, Outcome

_WELL = (Outcome.OK, Outcome.BOUND)
# The times of the first and the last line of attempts.
_Spans = Mapping[AttemptKey, tuple[float, float]]


def add_outcomes(
    lines: Sequence[LogLine],
    ended: Iterable[tuple[float, Attempt]],
    spoke: Collection[AttemptKey] = (),
) -> list[LogLine]:
    """Order lines by step, and add the outcome of each attempt that logged something or didn't succeed.

    `ended` are attempts with the times at which they were recorded; `spoke` are attempts that logged
    something in earlier lines. Steps are in the order in which they began, and a line without a known step
    is placed by its time.
    """
    lines = sorted(lines, key=lambda line: line.at)
    spans: dict[AttemptKey, tuple[float, float]] = {}
    for line in lines:
        first, _ = spans.get(line.attempt_key, (line.at, line.at))
        spans[line.attempt_key] = first, line.at
    # Within a step lines are sorted by attempt, then by time, and the outcome comes last: sorting is stable.
    # The time of an outcome is an estimate, so it orders nothing once the step has lines.
    blocks: dict[object, list[LogLine]] = {}
    for number, line in enumerate([*lines, *_outcome_lines(ended, spans, {*spoke, *spans})]):
        step = (line.stage, line.partition) if line.partition else number
        blocks.setdefault(step, []).append(line)
    in_order = sorted(blocks.values(), key=lambda block: block[0].at)
    return [line for block in in_order for line in sorted(block, key=lambda line: line.attempt)]


def _outcome_lines(
    ended: Iterable[tuple[float, Attempt]], spans: _Spans, spoke: Collection[AttemptKey]
) -> Iterator[LogLine]:
    for at, attempt in ended:
        own = attempt.stage, attempt.partition, attempt.number
        if attempt.outcome in _WELL and own not in spoke:
            continue
        yield LogLine(
            at=_end_time(at, attempt, own, spans),
            stage=attempt.stage,
            partition=attempt.partition,
            attempt=attempt.number,
            stream=END,
            level=str(attempt.outcome),
            text=_outcome_text(attempt),
        )


def _end_time(recorded: float, attempt: Attempt, own: AttemptKey, spans: _Spans) -> float:
    """Estimate when an attempt ended: it is recorded later, together with others."""
    at = recorded
    if own in spans:
        first, last = spans[own]
        at = max(last, min(at, first + attempt.wall_s))
    following = spans.get((attempt.stage, attempt.partition, attempt.number + 1))
    return at if following is None else min(at, following[0])


def _outcome_text(attempt: Attempt) -> str:
    if attempt.outcome is Outcome.OK:
        text = f"{attempt.wall_s:.2f} s, {plural(attempt.rows_out, 'row')}"
        return f"{attempt.message}\n{text}" if attempt.message else text
    return "\n".join(part for part in (attempt.message, attempt.trace.rstrip()) if part)


def is_failure(line: LogLine) -> bool:
    """Whether a line is the end of an attempt that failed, or that gates refused without asking people."""
    is_end = line.stream == END and line.level in (Outcome.FAILED, Outcome.REFUSED)
    return is_end and not named_review(line.text)


def failed_lines(lines: Iterable[LogLine]) -> list[LogLine]:
    """The lines of attempts that failed, with what these printed before."""
    known = [*lines]
    failed = {line.attempt_key for line in known if is_failure(line)}
    return [line for line in known if line.attempt_key in failed]
