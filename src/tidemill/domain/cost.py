"""What steps of one kind cost so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The mean of so many attempts at an action on a stage, of which newer ones weigh more.

    Seconds; rows and bytes that were read, and rows that came out.
    """

    attempts: int
    wall_s: float
    cpu_s: float
    rows_in: float
    bytes_in: float
    rows_out: float
