"""Costs of steps: measured averages, and estimates for the steps of a plan."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The moving average of the cost of an action on a stage, over `attempts` attempts.

    Newer attempts weigh more. Times are in seconds; rows and bytes are those read and written.
    """

    attempts: int
    wall_s: float
    cpu_s: float
    rows_in: float
    bytes_in: float
    rows_out: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The estimated cost of several steps together, from the cost of earlier ones.

    The seconds cover the `known` steps; `unknown` counts, by stage, the steps without history. Seconds
    are None if no step has a history.
    """

    wall_s: float | None
    cpu_s: float | None
    known: int
    unknown: Mapping[str, int]
