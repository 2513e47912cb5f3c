"""The failures of a run as a table: what failed, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress, zip_longest
from textwrap import wrap

from tidemill.cli.tables import count, plural, table
from tidemill.domain.partition import WHOLE
from tidemill.domain.run import Failure

# The widest that a column gets: a longer text goes on below.
_PARTITIONS, _WHY, _ADVICE = 24, 48, 40
# So many are shown, and of the partitions of one so many are named.
_SHOWN, _NAMED = 20, 2
_ABOUT = ("failed", "partitions", ">skipped", "why", "what to do")


def render_failures(failures: Sequence[Failure]) -> str:
    """A row a cause; the last line says how many are left out."""
    shown = failures[:_SHOWN]
    parted = any(named(failure.partitions) for failure in shown)
    kept = (True, parted, any(failure.skipped for failure in shown), True, True)
    rows = [list(compress(row, kept)) for failure in shown for row in _rows(failure)]
    text = table(list(compress(_ABOUT, kept)), rows)
    more = len(failures) - len(shown)
    return f"{text}\nand {plural(more, 'more failure')}" if more else text


def named(partitions: Sequence[str]) -> str:
    """`2024-01, 2024-02 and 10 more`; nothing for a stage without partitions."""
    if set(partitions) <= {WHOLE}:
        return ""
    # One more is named as quickly as counted.
    shown = partitions if len(partitions) <= _NAMED + 1 else partitions[:_NAMED]
    more = len(partitions) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _rows(failure: Failure) -> Iterator[tuple[str, ...]]:
    """Its row, and what didn't fit into it below."""
    cells = (
        [failure.stage],
        _wrapped(named(failure.partitions), _PARTITIONS),
        [count(failure.skipped)],
        _wrapped(failure.why, _WHY),
        _wrapped(failure.advice, _ADVICE),
    )
    yield from zip_longest(*cells, fillvalue="")


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)
