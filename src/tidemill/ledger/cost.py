"""What steps cost: what those of one kind did so far, and what is expected of those of a plan."""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What some steps should cost together, by what such steps cost before.

    `known` counts the steps that the seconds are of, `unknown` those without a history, by stage.
    Seconds are None when nothing is known of any.
    """

    wall_s: float | None
    cpu_s: float | None
    known: int
    unknown: Mapping[str, int]
