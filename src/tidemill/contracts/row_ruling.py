"""Record a person's decision on quarantined rows: release, replace or drop them."""

from __future__ import annotations

from enum import StrEnum

from tidemill.core.errors import UsageError
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass


class Disposition(StrEnum):
    """What happens to the rows of a ruling."""

    RELEASE = "release"
    REPLACE = "replace"
    DROP = "drop"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A person's decision on quarantined rows, and the reason.

    `object` is the quarantine as it was at that time, made under the step `key` of its partition; the
    same object under another key holds other rows. `rows` are row numbers in it (empty: all). The
    rules that the quarantine names for a row are waived for rows equal to it, and no other rules.
    `fixed` is the object with the replacement rows, one for each row and in the same order; only
    `replace` has it. `hold` revokes earlier rulings on the rows. `actor` may have left a `note`.
    """

    disposition: Disposition
    object: str
    key: str
    rows: tuple[int, ...] = ()
    fixed: str = ""
    actor: str
    reason: str
    at: float
    note: str = ""

    def __post_init__(self) -> None:
        for name, text in (("a reason", self.reason), ("an actor", self.actor)):
            if not text.strip():
                raise UsageError(
                    f"{name} is missing: the ledger must show who ruled on the rows, and why"
                )
        if list(self.rows) != sorted({*self.rows}) or (self.rows and self.rows[0] < 0):
            raise UsageError(f"rows {list(self.rows)} are not ascending row numbers from 0")
        if bool(self.fixed) != (self.disposition is Disposition.REPLACE):
            raise UsageError(
                f"can't {self.disposition} rows like this: corrected rows go with replace, and only with it"
            )

    @property
    def pinned_objects(self) -> tuple[str, ...]:
        """The objects that must be kept while the ruling is in force; none to take back another ruling."""
        if self.disposition is Disposition.HOLD:
            return ()
        return (self.object, self.fixed) if self.fixed else (self.object,)

    @property
    def digest(self) -> str:
        """Digest of the parts that affect rows; it excludes who ruled, when and why."""
        quarantine = [self.object, self.key]
        rows = list(self.rows)
        return fingerprint("ruling", self.disposition.value, quarantine, rows, self.fixed)
