"""The work of `bench.profiles`, each part in a process of its own; a line of JSON tells what it took."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tidemill.analysis.hashing.column_hash import column_hashes
from tidemill.contracts.profiles.partition_profile import (
    compare_profiles,
    merge_profiles,
    profile_frame,
)
from tidemill.store.frames import encode
from tidemill.store.profiles import SMALL, decode_profile, encode_profile

Floats = npt.NDArray[np.float64]


def table(rows: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    """20 columns of which the numeric ones move with `shift`."""
    draw = np.random.default_rng(seed)
    start = np.datetime64("2026-01-01T00:00:00", "us")
    seconds = draw.exponential(3600 * (1 + shift), rows) + 86_400 * shift
    mixture = np.where(
        draw.random(rows) < 0.3 + shift, draw.normal(5, 1, rows), draw.normal(size=rows)
    )
    sparse = np.where(draw.random(rows) < 0.8 - shift, 0.0, draw.exponential(10, rows))
    wild = draw.standard_cauchy(rows) * (1 + shift)
    gaps = draw.normal(100, 15, rows) + 15 * shift
    gaps[draw.random(rows) < 0.05 + shift] = math.nan
    columns: dict[str, Any] = {
        "normal": draw.normal(size=rows) + shift,
        "uniform": draw.uniform(0, 1 + shift, rows),
        "lognormal": draw.lognormal(shift, 2, rows),
        "exponential": draw.exponential(1 + shift, rows),
        "cauchy": wild,
        "mixture": mixture,
        "zeros": sparse,
        "gaps": gaps,
        "cents": np.round(draw.lognormal(3 + shift, 1, rows), 2),
        "single": draw.gamma(2, 1 + shift, rows).astype(np.float32),
        "hour": draw.binomial(23, min(0.4 + shift, 1), rows),
        "count": draw.poisson(3 + shift, rows),
        "amount": np.floor(draw.pareto(1.5, rows) * 100 * (1 + shift)).astype(np.int64),
        "id": np.arange(rows) + int(rows * shift),
        "at": start + (seconds * 1e6).astype("timedelta64[us]"),
        "day": (start + (seconds * 1e6).astype("timedelta64[us]")).astype("datetime64[D]"),
        "carrier": draw.choice(["AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN"], rows),
        "tail": np.char.add("N", draw.integers(100, 5_000, rows).astype(str)),
        "user": np.char.add("user-0000-", np.arange(rows).astype(str)),
        "flag": draw.random(rows) < 0.1 + shift,
    }
    frame = pl.DataFrame({name: pl.Series(name, held) for name, held in columns.items()})
    nulls = pl.Series(draw.random(rows) < 0.02)
    return frame.with_columns(pl.when(~nulls).then(pl.col("amount", "tail")))


def timed(work: Callable[[], Any], times: int = 1) -> float:
    """CPU seconds of one call."""
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times


def compute(rows: int) -> dict[str, Any]:
    """One profile, and what Polars takes for figures of its own."""
    frame = table(rows, 1)
    profile_frame(frame[:1000])  # what is imported and compiled at first use
    took = timed(lambda: profile_frame(frame))
    profile = profile_frame(frame)
    known = {
        name: frame[name].drop_nulls().drop_nans()
        if frame[name].dtype.is_float()
        else frame[name].drop_nulls()
        for name in frame.columns
    }
    errors = [
        abs((profile[name].distinct or 0) / values.n_unique() - 1) for name, values in known.items()
    ]
    return {
        "columns": frame.width,
        "cpu_s": took,
        "exact_cpu_s": timed(lambda: figures(frame)),
        "bytes": sum(map(len, encode_profile(profile).values())),
        "object_bytes": len(encode(frame)),
        "distinct_error": max(errors),
    }


def figures(frame: pl.DataFrame) -> None:
    """The figures of a profile, without anything that could be merged."""
    for series in frame.get_columns():
        series.null_count()
        series.n_unique()
        if series.dtype.is_numeric() or series.dtype.is_temporal():
            plain = series.drop_nulls().to_physical()
            for share in range(1, 10):
                plain.quantile(share / 10)
            plain.mean(), plain.std(), plain.min(), plain.max()
        else:
            series.value_counts()


def distance(rows: int) -> dict[str, Any]:
    """How far the distances of profiles are from those of the rows."""
    before, after = table(rows, 1), table(rows, 2, shift=0.02)
    old = profile_frame(before)
    new = profile_frame(after, old.grids)
    ks, moved, exact_s = {}, {}, 0.0
    for found in compare_profiles(old, new):
        if found.ks is None or found.wasserstein is None:
            continue
        sides = [values(frame.get_column(found.name)) for frame in (before, after)]
        started = time.process_time()
        exact = exact_distances(*sides)
        exact_s += time.process_time() - started
        ks[found.name] = abs(found.ks - exact[0])
        if exact[1]:
            moved[found.name] = abs(found.wasserstein / exact[1] - 1)
    worst, farthest = max(ks, key=ks.__getitem__), max(moved, key=moved.__getitem__)
    return {
        "ks_error": ks[worst],
        "ks_column": worst,
        "wasserstein_error": moved[farthest],
        "wasserstein_column": farthest,
        "compare_cpu_s": timed(lambda: compare_profiles(old, new), 10),
        "exact_cpu_s": exact_s,
        "all": {name: (ks[name], moved.get(name)) for name in ks},
    }


def values(series: pl.Series) -> Floats:
    plain = series.drop_nulls().to_physical().cast(pl.Float64)
    found = plain.drop_nans().to_numpy()
    return np.sort(found)


def exact_distances(one: Floats, other: Floats) -> tuple[float, float]:
    """KS statistic and Wasserstein distance of sorted values."""
    points = np.concatenate([one, other])
    points.sort()
    below = [np.searchsorted(side, points, side="right") / side.size for side in (one, other)]
    apart = np.abs(below[0] - below[1])
    return float(apart.max()), float((apart[:-1] * np.diff(points)).sum())


def merging(parts: int, rows: int) -> dict[str, Any]:
    """Profiles of some partitions, read from what is stored and merged."""
    first = profile_frame(table(rows, 0))
    stored = [encode_profile(profile_frame(table(rows, seed), first.grids)) for seed in range(1, 9)]
    held = [stored[n % len(stored)] for n in range(parts)]

    def work() -> None:
        merge_profiles([profile for text in held if (profile := decode_profile(text)) is not None])

    return {"cpu_s": timed(work)}


def step(rows: int) -> dict[str, Any]:
    """What a profile costs beside hashing and writing the same rows."""
    frame = table(rows, 1)
    grids = profile_frame(frame).grids
    times = max(1, 200_000 // rows)
    return {
        "small": SMALL,
        "profile_cpu_s": timed(lambda: encode_profile(profile_frame(frame, grids)), times),
        "store_cpu_s": timed(lambda: (column_hashes(frame), encode(frame)), times),
    }


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "compute": compute,
    "distance": distance,
    "merge": merging,
    "step": step,
}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    print(json.dumps(PARTS[name](*map(int, arguments))))
