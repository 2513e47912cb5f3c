"""The log of a run: the lines of each step, and how its tries ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from tidemill.ledger.log_line import END, Line, Try
from tidemill.ledger.run import Attempt, Outcome

_WELL = (Outcome.OK, Outcome.BOUND)
# The times of the first and the last line of tries.
_Spans = Mapping[Try, tuple[float, float]]


def with_ends(
    lines: Sequence[Line], ended: Iterable[tuple[float, Attempt]], spoke: Collection[Try] = ()
) -> list[Line]:
    """The lines step by step, each try followed by how it ended, if it said something or came to nothing.

    `ended` are attempts with the times at which they were recorded; `spoke` are tries that said
    something in lines that came before. Steps stand in the order in which they began. A line whose
    step is unknown stands alone, by its time.
    """
    lines = sorted(lines, key=lambda line: line.at)
    spans: dict[Try, tuple[float, float]] = {}
    for line in lines:
        first, _ = spans.get(line.of, (line.at, line.at))
        spans[line.of] = first, line.at
    # Of one step by its tries, of one try in the order of time, the end last: sorting keeps that order.
    # The time of an end is an estimate, so it decides nothing as soon as the step has lines.
    blocks: dict[object, list[Line]] = {}
    for number, line in enumerate([*lines, *_ends(ended, spans, {*spoke, *spans})]):
        step = (line.stage, line.partition) if line.partition else number
        blocks.setdefault(step, []).append(line)
    in_order = sorted(blocks.values(), key=lambda block: block[0].at)
    return [line for block in in_order for line in sorted(block, key=lambda line: line.attempt)]


def _ends(
    ended: Iterable[tuple[float, Attempt]], spans: _Spans, spoke: Collection[Try]
) -> Iterator[Line]:
    for at, attempt in ended:
        own = attempt.stage, attempt.partition, attempt.number
        if attempt.outcome in _WELL and own not in spoke:
            continue
        yield Line(
            at=_at(at, attempt, own, spans),
            stage=attempt.stage,
            partition=attempt.partition,
            attempt=attempt.number,
            stream=END,
            level=str(attempt.outcome),
            text=_how(attempt),
        )


def _at(recorded: float, attempt: Attempt, own: Try, spans: _Spans) -> float:
    """When a try ended, as far as that can be told: it is recorded later, together with others."""
    at = recorded
    if own in spans:
        first, last = spans[own]
        at = max(last, min(at, first + attempt.wall_s))
    following = spans.get((attempt.stage, attempt.partition, attempt.number + 1))
    return at if following is None else min(at, following[0])


def _how(attempt: Attempt) -> str:
    if attempt.outcome is Outcome.OK:
        text = f"{attempt.wall_s:.2f} s, {attempt.rows_out:,} rows"
        return f"{attempt.message}\n{text}" if attempt.message else text
    return "\n".join(part for part in (attempt.message, attempt.trace.rstrip()) if part)
