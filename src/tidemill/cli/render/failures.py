"""Render the failures of a run as a table: what failed, why, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import compress, zip_longest
from textwrap import wrap

from tidemill.cli.render.figures import count, plain_text, plural
from tidemill.contracts.finding import Finding
from tidemill.core.partition import WHOLE
from tidemill.core.printable import printable
from tidemill.core.text_table import text_table
from tidemill.ledger.run import ASKED, Failure

# The maximum width of partitions and the minimum width of texts; longer ones wrap.
_PARTITIONS, _TEXT = 24, 20
# How many failures are shown, and how many partitions of each are named.
_SHOWN, _NAMED = 20, 2
_COMMAND, _HARD = re.compile(r"`[^`]*`"), "\xa0"
_ABOUT = ("failed", "partitions", ">skipped", "why", "what to do")


def render_failures(failures: Sequence[Failure], width: int) -> str:
    """A row per cause, if possible not wider than `width`; the last line counts what is left out."""
    shown = failures[:_SHOWN]
    parted = any(partition_names(failure.partitions) for failure in shown)
    about = (ASKED if all(failure.review for failure in failures) else _ABOUT[0], *_ABOUT[1:])
    kept = (True, parted, any(failure.skipped for failure in shown), True, True)
    why, advice = _texts(shown, width, about, kept)
    rows = [list(compress(row, kept)) for failure in shown for row in _rows(failure, why, advice)]
    text = text_table(list(compress(about, kept)), rows)
    rest = failures[len(shown) :]
    if rest:
        steps = sum(len(failure.partitions) for failure in rest)
        text += f"\nand {plural(steps, 'step')} failed for {len(rest):,} more reasons"
    return "\n\n".join([text, *_rejections(shown)])


def _rejections(failures: Sequence[Failure]) -> Iterator[str]:
    """The rules that the rows of partitions break which have too many bad rows, for one of each cause."""
    for failure in failures:
        if failure.findings:
            place = f"{failure.stage} {partition_names(failure.partitions[:1])}".strip()
            yield f"bad rows of {place}:\n{render_findings(failure.findings, indent='  ')}"


def render_findings(findings: Sequence[Finding], *, indent: str = "") -> str:
    """A row per rule that rows break: how many break it, and the first values."""
    rows = [(item.rule, count(item.rows), printable(item.sample)) for item in findings]
    return text_table(("rule", ">bad rows", "first values"), rows, indent=indent)


def partition_names(partitions: Sequence[str]) -> str:
    """`2024-01, 2024-02 and 10 more`; nothing for a stage without partitions."""
    if set(partitions) <= {WHOLE}:
        return ""
    # Naming one more is as short as counting it.
    shown = partitions if len(partitions) <= _NAMED + 1 else partitions[:_NAMED]
    more = len(partitions) - len(shown)
    return ", ".join(map(printable, shown)) + (f" and {more:,} more" if more else "")


def _texts(
    failures: Sequence[Failure], width: int, about: Sequence[str], kept: Sequence[bool]
) -> tuple[int, int]:
    """The widths of the two texts in the space left by the other columns; commands must fit unbroken."""
    first = (
        (failure.stage, partition_names(failure.partitions)[:_PARTITIONS], count(failure.skipped))
        for failure in failures
    )
    beside = text_table(
        list(compress(about[:3], kept)), [list(compress(row, kept)) for row in first]
    )
    left = width - max(map(len, beside.split("\n"))) - 2 * len("  ")
    words = (len(word) for one in failures for word in _whole(one.advice).split(" "))
    advice = max(_TEXT, left * 9 // 20, *words)
    return max(_TEXT, left - advice), advice


def _rows(failure: Failure, why: int, advice: int) -> Iterator[tuple[str, ...]]:
    """The row of a failure, and continuation rows for wrapped texts."""
    cells = (
        [failure.stage],
        _wrapped(partition_names(failure.partitions), _PARTITIONS),
        [count(failure.skipped)],
        _wrapped(failure.why, why),
        _wrapped(failure.advice, advice),
    )
    yield from zip_longest(*cells, fillvalue="")


def _wrapped(text: str, width: int) -> list[str]:
    lines = wrap(_whole(text), width, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_HARD, " ") for line in lines]


def _whole(text: str) -> str:
    """The text on one line, made harmless, with no-break spaces in commands so that they can be copied."""
    text = plain_text(" ".join(text.split()))
    return _COMMAND.sub(lambda found: found[0].replace(" ", _HARD), text)
