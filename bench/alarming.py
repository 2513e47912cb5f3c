"""The work of `bench.alarms`, each part in a process of its own; a line of JSON tells what it found."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tidemill.contracts.profiles.drift_history import DriftHistory, Watch, drift_history
from tidemill.contracts.profiles.histogram import pack_histogram
from tidemill.contracts.profiles.partition_profile import (
    compare_profiles,
    merge_profiles,
    profile_frame,
)
from tidemill.contracts.profiles.record import ColumnProfile, Grid, Profile
from tidemill.models.degradation import degradation_alarms
from tidemill.models.triggers import DayFigure, MetricHistory
from tidemill.store.profiles import decode_profile, encode_profile
from tidemill.workflow.gate import Daily, Scores
from tidemill.workflow.trigger import degraded

COLUMNS, REFERENCE, DAYS = 20, 30, 90
GRID = Grid(center=0.0, scale=1.0)
BINS = np.arange(-120, 120)
WATCH = Watch(
    columns={f"x{column}": "numbers" for column in range(COLUMNS)},
    needed=7,
    tolerance=0.03,
    run_length=365,
)
# The normal distribution, to be interpolated: evaluating it for each bin and day takes long.
_POINTS = np.linspace(-9, 9, 20_001)
_BELOW = np.array([NormalDist().cdf(point) for point in _POINTS.tolist()])
Floats = npt.NDArray[np.float64]


def table(rows: int, means: Floats, draw: np.random.Generator) -> list[Profile]:
    """Profiles of normal columns with these means, by day and column.

    The counts of the bins are drawn instead of the rows: they have the same distribution.
    """
    edges = np.sinh(np.append(BINS, BINS[-1] + 1)[1:-1] / 50)
    found = list[Profile]()
    for day in means:
        inner = np.interp(edges - day[:, None], _POINTS, _BELOW)
        ends = np.concatenate([np.zeros((day.size, 1)), inner, np.ones((day.size, 1))], axis=1)
        counts = draw.multinomial(rows, np.diff(ends, axis=1))
        found.append(
            Profile(
                rows=rows,
                columns=tuple(_column(n, rows, count) for n, count in enumerate(counts)),
            )
        )
    return found


def _column(number: int, rows: int, counts: npt.NDArray[np.int64]) -> ColumnProfile:
    held = np.flatnonzero(counts)
    histogram = pack_histogram(GRID, BINS[held], counts[held])
    name = f"x{number}"
    return ColumnProfile(name=name, dtype="Float64", rows=rows, nulls=0, histogram=histogram)


def jitter(days: int, draw: np.random.Generator) -> Floats:
    """The means of benign days: at random, and with the days of the week."""
    phase = draw.uniform(0, 2 * np.pi, COLUMNS)
    week = np.sin(2 * np.pi * np.arange(days)[:, None] / 7 + phase)
    found: Floats = draw.normal(0, 0.03, (days, COLUMNS)) + 0.03 * week
    return found


def judge(profiles: Sequence[Profile], watch: Watch = WATCH) -> DriftHistory:
    keys = [f"{day:04}" for day in range(len(profiles))]
    firsts = [max(0, day - REFERENCE) for day in range(len(profiles))]
    return drift_history(keys, firsts, lambda first, end: profiles[first:end], watch)


def benign(rows: str, tables: str) -> dict[str, Any]:
    draw = np.random.default_rng(1)
    alarms = 0
    for _ in range(int(tables)):
        means = jitter(REFERENCE + DAYS, draw)
        alarms += len(judge(table(int(rows), means, draw)).alarms)
    return {"alarms": alarms, "tables": int(tables)}


def step(rows: str, tables: str) -> dict[str, Any]:
    draw = np.random.default_rng(2)
    seen = 0
    for _ in range(int(tables)):
        means = jitter(REFERENCE + 3, draw)
        means[REFERENCE:, :2] += 0.25
        alarms = judge(table(int(rows), means, draw)).alarms
        seen += any(int(alarm.partition) >= REFERENCE for alarm in alarms)
    return {"seen": seen, "tables": int(tables)}


def labels(rows: str, approval: str, models: str) -> dict[str, Any]:
    """The trigger on the errors of later labels, for models that `approval` days approved."""
    draw, size = np.random.default_rng(3), int(rows)
    trigger = degraded("errors", by=0.1)

    def days(rate: float, many: int) -> list[float]:
        rates = np.clip(rate + draw.normal(0, 0.01, many), 0, 1)
        return [float(count) / size for count in draw.binomial(size, rates)]

    def alarms(approved: list[float], since: list[float]) -> int:
        daily = Daily(
            days=tuple(f"0{day:03}" for day in range(len(approved))),
            rows=(size,) * len(approved),
            metrics={"errors": tuple(approved)},
        )
        scores = Scores(
            rows=size * len(approved), metrics={"errors": float(np.mean(approved))}, daily=daily
        )
        figures = tuple(
            DayFigure(day=f"1{day:03}", rows=size, value=value) for day, value in enumerate(since)
        )
        return len(degradation_alarms(trigger, MetricHistory(approved=scores, figures=figures)))

    quiet = seen = 0
    for _ in range(int(models)):
        approved = days(0.10, int(approval))
        quiet += alarms(approved, days(0.10, 365))
        seen += alarms(approved, days(0.13, 14)) > 0
    return {"alarms": quiet, "seen": seen, "models": int(models)}


def frame(rows: int, seed: int, shift: float) -> pl.DataFrame:
    """15 columns of numbers, and 5 of up to 1,000 categories."""
    draw = np.random.default_rng(seed)
    numbers = {
        f"n{column}": draw.normal(shift * (column < 2), 1, rows)
        if column % 3
        else draw.lognormal(shift, 1, rows)
        for column in range(15)
    }
    words = {
        f"c{column}": pl.Series(draw.zipf(1.3, rows) % many).cast(pl.String)
        for column, many in enumerate((3, 10, 50, 200, 1_000))
    }
    return pl.DataFrame({**numbers, **words})


def cost() -> dict[str, Any]:
    rows, days = 33_333, 30
    frames = [frame(rows, day, 0.25 * (day >= days)) for day in range(2 * days)]
    numbers = dict.fromkeys((f"n{column}" for column in range(15)), "numbers")
    words = dict.fromkeys((f"c{column}" for column in range(5)), "texts")
    columns: Any = {**numbers, **words}
    watch = Watch(columns=columns, needed=7, tolerance=0.03, run_length=365)
    started = time.process_time()
    profiles = list[Profile]()
    for each in frames:
        profiles.append(profile_frame(each, profiles[0].grids if profiles else None))
    _report(profiles, days, watch)
    whole = time.process_time() - started
    stored = [encode_profile(profile) for profile in profiles]
    started = time.process_time()
    _report(_decoded(stored), days, watch)
    from_stored = time.process_time() - started
    started = time.process_time()
    before = _decoded(stored[:days])
    _report([*before, profile_frame(frames[days], before[0].grids)], days, watch)
    day = time.process_time() - started
    year = (stored * 7)[:365]
    started = time.process_time()
    judge(_decoded(year), watch)
    return {
        "whole_s": whole,
        "stored_ms": 1e3 * from_stored,
        "day_ms": 1e3 * day,
        "year_ms": 1e3 * (time.process_time() - started),
    }


def _decoded(stored: Sequence[dict[str, str]]) -> list[Profile]:
    return [profile for held in stored if (profile := decode_profile(held)) is not None]


def _report(profiles: Sequence[Profile], days: int, watch: Watch) -> None:
    judge(profiles, watch)
    compare_profiles(merge_profiles(profiles[:days]), merge_profiles(profiles[days:]))


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "benign": benign,
    "step": step,
    "labels": labels,
    "cost": cost,
}

if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]](*sys.argv[2:])))
