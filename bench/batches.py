"""The peak memory of a training on a window that is larger than the memory that it may use.

`python -m bench.batches` makes a window of 24 partitions of 100,000 rows and 16 columns (307 MB as floats),
and trains LightGBM on it in a process of its own: from the collected window, and from `tm.batches`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.common import PYTHON, Row, drive, measure

DAYS, ROWS, COLUMNS = 24, 100_000, 16
# What a process holds that only imports the libraries.
CODE = {
    "nothing": "",
    "collect": """
table = features.join(labels, on=["day", "id"], how="inner", maintain_order="left").collect()
data = lgb.Dataset(table.select(names).to_numpy(), table["y"].to_numpy(), params=settings)
lgb.train(settings, data, 5)
""",
    "batches": """
data = batches(features, labels, on=["day", "id"]).as_lightgbm(names, "y", params=settings)
lgb.train(settings, data, 5)
""",
}
PROGRAM = """
import sys
from functools import partial
from pathlib import Path

import lightgbm as lgb
import polars as pl

from tidemill.models.io.batches import batches, with_partitions

folder = Path(sys.argv[1])


def window(name):
    paths = sorted(folder.glob(f"{name}-*.parquet"))
    parts = {path.stem[-2:]: partial(pl.scan_parquet, path) for path in paths}
    return with_partitions(pl.scan_parquet(paths), parts)


features, labels = window("features"), window("labels")
names = [c for c in features.collect_schema().names() if c.startswith("x")]
settings = {"verbosity": -1, "num_threads": 2, "num_leaves": 15}
"""


def make_window(folder: Path) -> None:
    """Write the partitions of a window, one after the other."""
    import numpy as np
    import polars as pl

    for day in range(DAYS):
        rng = np.random.default_rng(day)
        keys = {"day": np.full(ROWS, day), "id": np.arange(ROWS)}
        values = {f"x{n}": rng.normal(size=ROWS) for n in range(COLUMNS)}
        pl.DataFrame(keys | values).write_parquet(folder / f"features-{day:02}.parquet")
        label = {"y": values["x0"] + rng.normal(size=ROWS)}
        pl.DataFrame(keys | label).write_parquet(folder / f"labels-{day:02}.parquet")


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {"memory": lambda: _memory(work)}


def _memory(folder: Path) -> list[Row]:
    make = f"from bench.batches import *; make_window(Path({str(folder)!r}))"
    measure([PYTHON, "-c", make], Path.cwd())
    used = {
        kind: measure([PYTHON, "-c", PROGRAM + code, folder], folder) for kind, code in CODE.items()
    }
    window = DAYS * ROWS * COLUMNS * 8 / 1e6
    more = {kind: (each.peak_rss - used["nothing"].peak_rss) / 1e6 for kind, each in used.items()}
    return [
        Row(
            name=f"peak memory of a training on batches of a window of {window:.0f} MB, above the libraries'",
            value=more["batches"],
            unit="MB",
            goal=round(window / 2),
            baseline=f"{more['collect']:.0f} MB from the collected window",
        ),
        Row(
            name="CPU of the training on batches",
            value=used["batches"].cpu_s,
            unit="s",
            baseline=f"{used['collect'].cpu_s:.1f} s from the collected window",
        ),
    ]


if __name__ == "__main__":
    drive("batches", sys.argv[1:], parts_of)
