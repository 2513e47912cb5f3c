"""Partitions that are made by one call are those that are made one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tides import FIRST, Tides, day
from tidemill.adapters.model_formats.lightgbm import LightGBMText
from tidemill.adapters.model_formats.xgboost import XGBoostUBJ
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Attempted
from tidemill.models.predictors import model_input
from tidemill.planning import batches
from tidemill.runs.io import engines
from tidemill.runs.io import scheduler as running
from tidemill.steps.io.step_runner import StepRunner
from tidemill.steps.step_messages import StepOutput, Work

# Joins within a day and with a table that has no days, windows and groups of a day, sums of floats, ranks, a
# quotient that Polars computes in another way for a row alone, and rows that break a contract.
HARBOUR = """
import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    value = tm.Float64(nullable=True)
    kind = tm.String(nullable=True)


class Kinds(tm.Contract, key=("kind",)):
    kind = tm.String()
    weight = tm.Float64()


class Weighed(tm.Contract, key=("id", "day")):
    day, id, kind = Raw.day, Raw.id, Raw.kind
    weight = tm.Float64(nullable=True)
    third = tm.Float64(nullable=True, max=0.7)
    others = tm.UInt32()


class Counted(tm.Contract, key=("day", "kind")):
    day = Raw.day
    kind = tm.Enum(["a", "b", "c", ""])
    rows = tm.UInt32()
    last = tm.Int64()
    some = tm.Rows(min=2, on_fail="warn")


class Summed(tm.Contract, key=("day", "kind")):
    day = Raw.day
    kind = tm.String()
    total = tm.Float64(max=2.5)
    mean = tm.Float64(nullable=True)


class Ranked(tm.Contract, key=("day", "id"), unknown_columns="drop"):
    day, id = Raw.day, Raw.id
    rank = tm.Float64(nullable=True)
    trend = tm.Float64(nullable=True)


flow = tm.Workflow("harbour")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet")


@flow.ingest
def kinds() -> tm.Source[Kinds]:
    return tm.files("kinds/*.parquet")


@flow.transform
def weighed(raw: tm.Frame[Raw], kinds: tm.Frame[Kinds]) -> tm.Frame[Weighed]:
    known = raw.join(kinds, on="kind", how="left")
    return known.filter(pl.col("value").is_null() | (pl.col("value") > -1.5)).select(
        "day", "id", "kind", "weight",
        third=pl.col("value") / 3,
        others=pl.len().over("day", "kind"),
    )


@flow.transform
def counted(weighed: tm.Frame[Weighed], raw: tm.Frame[Raw]) -> tm.Frame[Counted]:
    rows = weighed.join(raw.select("day", "id"), on=["day", "id"], how="inner")
    kind = pl.col("kind").fill_null("").cast(pl.Enum(["a", "b", "c", ""]))
    return rows.group_by("day", kind=kind).agg(rows=pl.len(), last=pl.col("id").max())


@flow.transform
def summed(raw: tm.Frame[Raw]) -> tm.Frame[Summed]:
    kind = pl.col("kind").fill_null("none")
    return raw.group_by("day", kind=kind).agg(total=pl.col("value").sum(), mean=pl.col("value").mean())


@flow.transform
def ranked(raw: tm.Frame[Raw]) -> tm.Frame[Ranked]:
    value = pl.col("value")
    rows = raw.with_columns(rank=value.rank() / 3, trend=value.ewm_mean(span=3).log1p())
    return rows.select("day", "id", "rank", "trend")
"""
DAYS = 40


def sent(root: Path, seed: int) -> Tides:
    """A harbour with days of none to nine rows."""
    tides, rng = Tides(root, HARBOUR), Random(seed)
    (root / "kinds").mkdir()
    weights = {"kind": ["a", "b"], "weight": [0.1, 0.7]}
    pl.DataFrame(weights).write_parquet(root / "kinds" / "kinds.parquet")
    for number in range(DAYS):
        send(tides, rng, number)
    return tides


def send(tides: Tides, rng: Random, number: int) -> None:
    count = rng.choice([1, 1, 2, 3, 9])
    rows = {
        "day": [FIRST + timedelta(days=number)] * count,
        "id": rng.sample(range(20), count),
        "value": [rng.choice([None, rng.gauss(0, 0.9)]) for _ in range(count)],
        "kind": [rng.choice(["a", "b", "c", None]) for _ in range(count)],
    }
    schema = {"day": pl.Date, "id": pl.Int64, "value": pl.Float64, "kind": pl.String}
    tides.put(f"{day(number)}.parquet", pl.DataFrame(rows, schema=schema))


def bound(tides: Tides) -> Mapping[tuple[str, str], Binding]:
    """All that is published, without what tells when and by which run."""
    project = tides.open()
    try:
        heads = project.state().heads
        return {
            (name, key): replace(binding, run="", at=0.0)
            for name, head in heads.items()
            for key, binding in head.partitions.items()
        }
    finally:
        project.close()


def tried(tides: Tides) -> Counter[tuple[str, str, str, int, int]]:
    found = [e.attempt for e in tides.events("Attempted") if isinstance(e, Attempted)]
    return Counter((a.stage, a.partition, str(a.outcome), a.rows_in, a.rows_out) for a in found)


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "can_batch", lambda *_: False)


def counting(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, tuple[str, ...]]]:
    """How many partitions of a stage will have been given by calls for several, by what columns of it."""
    calls: Counter[tuple[str, tuple[str, ...]]] = Counter()
    make = StepRunner.run_together

    def counted(shop: StepRunner, works: list[Work]) -> Any:
        made = make(shop, works)
        given = sum(isinstance(each, StepOutput) for each in made)
        calls[works[0].stage, works[0].columns] += given
        return made

    monkeypatch.setattr(StepRunner, "run_together", counted)
    return calls


@pytest.mark.parametrize("seed", range(3))
def test_what_is_made_together_is_what_is_made_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    several, single = sent(tmp_path / "several", seed), sent(tmp_path / "single", seed)
    calls = counting(monkeypatch)
    for change in range(3):
        rng = Random(f"{seed} {change}")
        for number in rng.sample(range(DAYS), 12) if change else ():
            send(several, Random(f"{seed} {change} {number}"), number)
            send(single, Random(f"{seed} {change} {number}"), number)
        if change == 2:
            several.edit("others=pl.len()", "others=1 + pl.len()")
            single.edit("others=pl.len()", "others=1 + pl.len()")
        several.run()
        with monkeypatch.context() as patched:
            one_by_one(patched)
            single.run()
        one, other = bound(several), bound(single)
        assert [(k, one[k], other[k]) for k in one if one[k] != other.get(k)] == []
        assert one.keys() == other.keys()
        assert tried(several) == tried(single)
    # By one query, and by queries that mustn't see the rows of several partitions.
    expected = [(name, ()) for name in ("weighed", "counted", "summed", "ranked")]
    assert min(calls[key] for key in (*expected, ("weighed", ("others",)))) > 5


def test_batches_are_as_large_as_their_rows_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = sent(tmp_path, 0)
    tides.run()
    tides.edit('total=pl.col("value").sum()', 'total=1 + pl.col("value").sum()')
    for module in (batches, engines):
        monkeypatch.setattr(module, "MAX_STEPS", 8)
    monkeypatch.setattr(batches, "_ROWS", 15)
    sizes: list[list[int]] = []
    make = StepRunner.run_together

    def noted(runner: StepRunner, works: list[Work]) -> Any:
        if works[0].stage == "summed":
            sizes.append([work.rows for work in works])
        return make(runner, works)

    monkeypatch.setattr(StepRunner, "run_together", noted)
    tides.run()
    assert len(sizes) > 3
    for size, after in pairwise(sizes):
        assert len(size) == 8 or sum(size) + after[0] > 15


def test_what_a_stage_says_is_said_of_each_partition(tmp_path: Path) -> None:
    tides = sent(tmp_path, 0)
    tides.edit("    known = raw.join(", '    print("called")\n    known = raw.join(')
    receipt = tides.run()
    project = tides.open()
    said = [line for line in project.history.log(receipt.run) if line.text == "called"]
    project.close()
    tried = [
        partition
        for step, found in tides.ran(receipt).items()
        if "weighed" in step
        for partition in found
    ]
    assert sorted(line.partition for line in said) == sorted(tried)


def test_small_partitions_of_a_memo_are_stored_and_counted(tmp_path: Path) -> None:
    tides = sent(tmp_path, 0)
    asked = tmp_path / "asked"
    tides.edit(
        "@flow.transform\ndef weighed(",
        '@tm.memo(gives=pl.Float64, version="1", price=0.5)\n'
        "def share(value, number):\n"
        f"    with open({str(asked)!r}, 'a') as file:\n"
        "        file.writelines(f'{n}\\n' for n in number)\n"
        "    return [None if v is None else v / 9 for v in value]\n\n\n"
        "@flow.transform\ndef weighed(",
    )
    tides.edit('third=pl.col("value") / 3', 'third=share("value", "id")')
    first = tides.run()
    calls = asked.read_text().splitlines()
    assert first.memo is not None
    assert first.memo.asked == len(calls) > DAYS
    assert first.memo.spent == len(calls) / 2
    tides.edit('third=share("value", "id")', 'third=share("value", "id") + 0')
    second = tides.run()
    assert asked.read_text().splitlines() == calls
    assert second.memo is not None
    assert second.memo.asked == 0


# A model of gradient-boosted trees over days of few rows, some without any, with nulls and odd keys.
SCORED = """
import lightgbm
import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("day", "name")):
    day = tm.Date(partition="1d")
    name = tm.String()
    value = tm.Float64(nullable=True)
    target = tm.Float64()


class Features(tm.Contract, key=("day", "name")):
    day, value, target = Raw.day, Raw.value, Raw.target
    name = NAME


flow = tm.Workflow("harbour")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet")


@flow.transform
def features(raw: tm.Frame[Raw]) -> tm.Frame[Features]:
    return raw.filter(pl.col("target") < 9).with_columns(CAST)


@flow.model(window=tm.last("30d", before=tm.last("5d")))
def model(features: tm.Frame[Features]) -> tm.Fitted:
    rows = features.select("value", "target").collect()
    data = lightgbm.Dataset(rows.select("value").to_numpy(), rows["target"].to_numpy())
    options = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 2, "deterministic": True}
    return tm.fitted(lightgbm.train(options, data, 5), inputs=Features.reads("value"), output="target")


@flow.evaluate(window=tm.last("5d"))
def scores(model: tm.Predictor, features: tm.Frame[Features]) -> tm.Scores:
    scored = model.predict(features)
    return tm.scores(scored, mae=(pl.col("prediction") - pl.col("target")).abs().mean())


live = flow.approve(model, gates=[tm.beats_baseline("mae", by=-100.0)])
flow.table("out", model=live, features=features, sink=tm.parquet("out"))
"""
NAMES = {
    "tm.String()": ("'name'", True),
    "tm.Enum(['', 'b', 'c d', 'é'])": ("pl.col('name').cast(pl.Enum(['', 'b', 'c d', 'é']))", True),
    "tm.Categorical()": ("pl.col('name').cast(pl.Categorical)", False),
}


@pytest.mark.parametrize("name", NAMES)
def test_partitions_that_are_scored_together_are_delivered_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    cast, batched = NAMES[name]
    text = SCORED.replace("NAME", name).replace("CAST", cast)
    several, single = Tides(tmp_path / "several", text), Tides(tmp_path / "single", text)
    rng = Random(name)
    for number in range(DAYS):
        count = rng.choice([1, 2, 4])
        rows = {
            "day": [FIRST + timedelta(days=number)] * count,
            "name": rng.sample(["", "b", "c d", "é"], count),
            "value": [rng.choice([None, rng.gauss(0, 2)]) for _ in range(count)],
            "target": [rng.choice([float(number % 9), 9.0]) for _ in range(count)],
        }
        for tides in (several, single):
            tides.put(
                f"{day(number)}.parquet", pl.DataFrame(rows, schema_overrides={"value": pl.Float64})
            )
    calls = counting(monkeypatch)
    assert several.run().exit_code == 0
    with monkeypatch.context() as patched:
        one_by_one(patched)
        assert single.run().exit_code == 0
    files = {path.name: path.read_bytes() for path in (tmp_path / "several" / "out").iterdir()}
    assert len(files) == DAYS
    assert files == {
        path.name: path.read_bytes() for path in (tmp_path / "single" / "out").iterdir()
    }
    assert calls["out", ()] == (DAYS if batched else 0)


NUMBERS = ("a", "b", "c")


@cache
def stored_model(name: str, classes: int) -> Any:
    """The `predict` of a booster that was stored and loaded, of a regression or of some classes."""
    draw = np.random.default_rng(3)
    table = draw.normal(size=(300, len(NUMBERS)))
    label = table[:, 0] if not classes else (table[:, 0] * 2).astype(int) % classes
    if name == "lightgbm":
        lightgbm = pytest.importorskip("lightgbm")
        objective = {"objective": "multiclass", "num_class": classes} if classes else {}
        params = {"verbosity": -1, "min_data_in_leaf": 3, "num_threads": 2, **objective}
        model = lightgbm.train(params, lightgbm.Dataset(table, label), 6)
    else:
        xgboost = pytest.importorskip("xgboost")
        objective = {"objective": "multi:softprob", "num_class": classes} if classes else {}
        model = xgboost.train({"nthread": 2, **objective}, xgboost.DMatrix(table, label), 6)
    form = LightGBMText() if name == "lightgbm" else XGBoostUBJ()
    assert form.is_rowwise
    return form.load(bytes(form.dump(model)))


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(1, 70), min_size=1, max_size=9))
def test_rows_of_several_partitions_are_predicted_as_those_of_each(
    name: str, classes: int, seed: int, sizes: list[int]
) -> None:
    predict, draw = stored_model(name, classes), np.random.default_rng(seed)
    special = [np.nan, np.inf, -np.inf, -0.0, 1e308]
    values = draw.normal(size=(sum(sizes), len(NUMBERS))) * 10.0 ** draw.integers(-3, 4)
    odd = draw.random(values.shape) < 0.1
    values[odd] = draw.choice(special[:1] if name == "xgboost" else special, odd.sum())
    together = pl.DataFrame(values, schema=NUMBERS)
    ends = [0, *np.cumsum(sizes).tolist()]
    alone = [predict(model_input(together[a:b], NUMBERS)) for a, b in pairwise(ends)]
    found = predict(model_input(together, NUMBERS))
    assert np.concatenate(alone).tobytes() == found.tobytes()
