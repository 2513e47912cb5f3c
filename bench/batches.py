"""The peak memory of trainings on batches, against that of trainings on the collected window.

`python -m bench.batches` makes windows of partitions of 100,000 rows and 16 columns: 24 of them (307 MB as
floats), and 72. Each training runs in a process of its own: from the collected window, and from `tm.batches`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from bench.common import PYTHON, Row, Used, drive, measure

DAYS, LONG, ROWS, COLUMNS = 24, 72, 100_000, 16
WINDOW = DAYS * ROWS * COLUMNS * 8 / 1e6
# By library: nothing but its imports, the collected window, and batches.
CODE = {
    "lightgbm": {
        "nothing": "import lightgbm as lgb",
        "collected": """
import lightgbm as lgb

table = features.join(labels, on=KEY, how="inner", maintain_order="left").collect()
data = lgb.Dataset(table.select(names).to_numpy(), table["y"].to_numpy(), params=settings)
lgb.train(settings, data, 5)
""",
        "batches": """
import lightgbm as lgb

data = batches(features, labels, on=KEY).as_lightgbm(names, "y", params=settings)
lgb.train(settings, data, 5)
""",
    },
    "xgboost": {
        "nothing": "import xgboost as xgb",
        "collected": """
import xgboost as xgb

table = features.join(labels, on=KEY, how="inner", maintain_order="left").collect()
data = xgb.QuantileDMatrix(table.select(names).to_numpy(), table["y"].to_numpy(), nthread=2)
xgb.train({"nthread": 2, "max_leaves": 15}, data, 5)
""",
        "batches": """
import xgboost as xgb

data = xgb.QuantileDMatrix(batches(features, labels, on=KEY).as_xgboost(names, "y"), nthread=2)
xgb.train({"nthread": 2, "max_leaves": 15}, data, 5)
""",
    },
    "sklearn": {
        "nothing": "from sklearn.linear_model import SGDRegressor",
        "collected": """
from sklearn.linear_model import SGDRegressor

table = features.join(labels, on=KEY, how="inner", maintain_order="left").collect()
SGDRegressor(max_iter=1, tol=None).fit(table.select(names).to_numpy(), table["y"].to_numpy())
""",
        "batches": """
from sklearn.linear_model import SGDRegressor

model = SGDRegressor()
for frame in batches(features, labels, on=KEY):
    model.partial_fit(frame.select(names).to_numpy(), frame["y"].to_numpy())
""",
    },
}
PROGRAM = """
import sys
from functools import partial
from pathlib import Path

import polars as pl

from tidemill.models.io.batches import batches, with_partitions

folder, days = Path(sys.argv[1]), int(sys.argv[2])
KEY = ["day", "id"]


def window(name):
    paths = sorted(folder.glob(f"{name}-*.parquet"))[:days]
    parts = {path.stem[-2:]: partial(pl.scan_parquet, path) for path in paths}
    return with_partitions(pl.scan_parquet(paths), parts)


features, labels = window("features"), window("labels")
names = [c for c in features.collect_schema().names() if c.startswith("x")]
settings = {"verbosity": -1, "num_threads": 2, "num_leaves": 15}
"""


def make_window(folder: Path) -> None:
    """Write the partitions of the longer window, one after the other."""
    import numpy as np
    import polars as pl

    for day in range(LONG):
        rng = np.random.default_rng(day)
        keys = {"day": np.full(ROWS, day), "id": np.arange(ROWS)}
        # Values of three decimals, as sensors have: the files stay small.
        values = {f"x{n}": rng.normal(size=ROWS).round(3) for n in range(COLUMNS)}
        pl.DataFrame(keys | values).write_parquet(folder / f"features-{day:02}.parquet")
        label = {"y": values["x0"] + rng.normal(size=ROWS)}
        pl.DataFrame(keys | label).write_parquet(folder / f"labels-{day:02}.parquet")


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by library, in the order in which they are measured."""
    known = [name for name in CODE if find_spec(name) is not None]
    return {name: partial(_memory, work, name) for name in known}


def _run(folder: Path, library: str, kind: str, days: int = DAYS) -> Used:
    """Run a training, once the window is written."""
    if not any(folder.glob("features-*")):
        make = f"from bench.batches import *; make_window(Path({str(folder)!r}))"
        measure([PYTHON, "-c", make], Path(__file__).parent.parent)
    return measure([PYTHON, "-c", PROGRAM + CODE[library][kind], folder, str(days)], folder)


def _memory(folder: Path, library: str) -> list[Row]:
    used = {kind: _run(folder, library, kind) for kind in CODE[library]}
    longer = _run(folder, library, "batches", LONG)
    bare = used["nothing"].peak_rss
    more = {kind: (each.peak_rss - bare) / 1e6 for kind, each in used.items()}
    added = (LONG - DAYS) * ROWS * COLUMNS * 8
    return [
        Row(
            name=f"{library}: peak memory of a training on batches of a window of {WINDOW:.0f} MB, above "
            "the library's",
            value=more["batches"],
            unit="MB",
            goal=round(more["collected"] / 3),
            baseline=f"{more['collected']:.0f} MB from the collected window; the goal is a third",
        ),
        Row(
            name=f"{library}: memory that a longer window adds, as a share of its rows as floats",
            value=(longer.peak_rss - used["batches"].peak_rss) / added,
            unit="x",
            baseline=f"{LONG} partitions against {DAYS}",
        ),
        Row(
            name=f"{library}: CPU of the training on batches",
            value=used["batches"].cpu_s,
            unit="s",
            baseline=f"{used['collected'].cpu_s:.1f} s from the collected window",
        ),
    ]


if __name__ == "__main__":
    drive("batches", sys.argv[1:], parts_of)
