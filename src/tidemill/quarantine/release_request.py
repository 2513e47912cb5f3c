"""A request to release quarantined rows, before it is recorded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """Quarantined rows that would be published, as they are or as corrected in the object `fixed`.

    `held` are the object that holds the rows of the partition, and the key of the step that quarantined them.
    Without `rows`, their numbers, all are meant. `reasons` are the rules that each quarantined row broke.
    """

    stage: str
    partition: str
    held: tuple[str, str]
    rows: tuple[int, ...]
    reasons: tuple[tuple[str, ...], ...]
    fixed: str = ""
