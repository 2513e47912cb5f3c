"""A person's word on quarantined rows: they are good all the same, others take their place, or they go."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tidemill.core.errors import UsageError
from tidemill.core.fingerprint import fingerprint


class Disposition(StrEnum):
    """What becomes of the rows that a ruling speaks of."""

    RELEASE = "release"
    REPLACE = "replace"
    DROP = "drop"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What somebody said of rows of a quarantine, and why.

    `object` is the quarantine as it was then, made under the `key` of its partition, `rows` their numbers
    in it (none: all). The rules that rejected them, which it names, are waived for rows that equal them,
    and no others. Made under another key, a quarantine that looks the same has other rows. `fixed` is the
    object whose rows take the place of theirs, one for each and in their order; it belongs to
    `replace`. `hold` takes back what was said of them before.
    """

    disposition: Disposition
    object: str
    key: str
    rows: tuple[int, ...] = ()
    fixed: str = ""
    actor: str
    reason: str
    at: float

    def __post_init__(self) -> None:
        for name, text in (("a reason", self.reason), ("an actor", self.actor)):
            if not text.strip():
                raise UsageError(
                    f"{name} is missing: who reads the ledger later wants to know who ruled, and why"
                )
        if list(self.rows) != sorted({*self.rows}) or (self.rows and self.rows[0] < 0):
            raise UsageError(f"rows {list(self.rows)} are not rising numbers from 0")
        if bool(self.fixed) != (self.disposition is Disposition.REPLACE):
            raise UsageError(
                f"a ruling to {self.disposition} rows: corrected rows belong to replace"
            )

    @property
    def pins(self) -> tuple[str, ...]:
        """Every object that must exist for as long as this is in force."""
        return (self.object, self.fixed) if self.fixed else (self.object,)

    @property
    def digest(self) -> str:
        """Names all that decides what becomes of rows: not who said it, when and why."""
        speaks_of = [self.object, self.key]
        rows = list(self.rows)
        return fingerprint("ruling", self.disposition.value, speaks_of, rows, self.fixed)
