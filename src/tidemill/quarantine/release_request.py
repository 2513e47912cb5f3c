"""A request to release quarantined rows, before it is recorded."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidemill.core.errors import UsageError
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, shown_key
from tidemill.ledger.event import Event

_MOST_RANGES = 8
_RANGE = re.compile(r"(\d{1,12})(?:-(\d{1,12}))?", re.ASCII)
# A typo in a number must not fill the memory.
_MOST_ROWS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """Quarantined rows that would be published, as they are or as corrected in the object `fixed`.

    `held` are the object that holds the rows of the partition, and the key of the step that quarantined them.
    Without `rows`, their numbers, all are meant. `reasons` are the rules that each quarantined row broke.
    `seen` is the number of the last event that the request knows of. With `again` people are asked once more.
    """

    stage: str
    partition: str
    held: tuple[str, str]
    rows: tuple[int, ...]
    reasons: tuple[tuple[str, ...], ...]
    fixed: str = ""
    seen: int = 0
    again: bool = False

    @property
    def part(self) -> str:
        """The partition and the rows as text, other than that of any other choice of them."""
        chosen = f"rows {row_ranges(self.rows)}" if self.rows else "all rows"
        if row_ranges(self.rows) != row_ranges(self.rows, most=len(self.rows)):
            chosen += f" of {len(self.rows):,}, {fingerprint('rows', list(self.rows))[:8]}"
        rows = f"({'corrected ' if self.fixed else ''}{chosen})"
        return rows if self.partition == WHOLE else f"{shown_key(self.partition)} {rows}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseConsent:
    """What is recorded with a release, and the kinds of events that it `rests_on`.

    None of those may have been recorded since what the request has seen.
    """

    events: tuple[Event, ...] = ()
    rests_on: tuple[str, ...] = ()


def row_ranges(rows: Sequence[int], most: int = _MOST_RANGES) -> str:
    """Row numbers as ranges, `0,3-7`, of which at most so many are shown."""
    found: list[list[int]] = []
    for row in rows:
        if found and found[-1][1] == row - 1:
            found[-1][1] = row
        else:
            found.append([row, row])
    shown = ",".join(f"{a}-{b}" if a < b else str(a) for a, b in found[:most])
    return f"{shown},..." if len(found) > most else shown


def parse_row_ranges(text: str) -> tuple[int, ...]:
    """Parse row numbers such as `0,3-7`, in their order; UsageError for anything else."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        match = _RANGE.fullmatch(part.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise UsageError(
                f"rows {text}: {part.strip()!r} is neither a number nor a range such as 3-7"
            )
        named = range(int(match[1]), int(match[2] or match[1]) + 1)
        if named.stop - named.start > _MOST_ROWS:
            raise UsageError(
                f"rows {text}: {part.strip()} is more than {_MOST_ROWS:,} rows; use a rule, or all"
            )
        found.update(named)
    return tuple(sorted(found))
