"""Features that alone tell the label, and those that don't."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import (  # type: ignore[import-untyped]
    load_breast_cancer,
    load_diabetes,
    load_wine,
)

from tidemill.models.proxies import proxy_findings

N = 400
RANDOM = np.random.default_rng(2)
Y = RANDOM.normal(size=N)
LATE = RANDOM.random(N) < 0.2
KIND = RANDOM.integers(0, 3, N)


def found(values: Any, label: Any, *, classes: bool = False) -> list[str]:
    """What is said of one feature."""
    rows = pl.DataFrame({"x": values, "y": label}, strict=False)
    return [f"{f.sample}" for f in proxy_findings(rows, ["x"], "y", classes=classes)]


PROXIES: list[tuple[Any, Any, bool, str]] = [
    # feature, label, classes, figure
    (Y, Y, False, "R2 1.0000"),
    (-3 * Y + 7, Y, False, "R2 1.0000"),
    (np.exp(Y), Y, False, "R2 1.0000"),  # monotone, not linear
    (Y + RANDOM.normal(size=N) / 30, Y, False, "R2 0.99"),
    (LATE.astype(int), LATE, True, "AUC 1.0000"),
    (~LATE, LATE, True, "AUC 1.0000"),
    (np.where(LATE, 5.0, 1.0) + RANDOM.random(N), LATE, True, "AUC 1.0000"),
    (np.where(LATE, "late", "fine"), LATE, True, "AUC 1.0000"),
    (np.where(LATE, "late", "fine"), LATE, False, "R2 1.0000"),
    ([date(2026, 1, 1) + timedelta(days=int(v)) for v in LATE * 9], LATE, True, "AUC 1.0000"),
    (KIND * 1.5, np.array(["a", "b", "c"])[KIND], True, "accuracy 1.0000"),
    (np.array(["u", "v", "w"])[KIND], KIND, True, "accuracy 1.0000"),
    (np.array(["u", "v", "w"])[KIND], np.array(["a", "b", "c"])[KIND], False, "accuracy 1.0000"),
    ([*Y[:-1], None], Y, False, "R2 1.0000"),
    (Y, [*Y[:-1], float("nan")], False, "R2 1.0000"),
    (Y, [*Y[:-1], None], False, "R2 1.0000"),
]

HONEST: list[tuple[Any, Any, bool]] = [
    (Y + RANDOM.normal(size=N), Y, False),
    (RANDOM.normal(size=N), LATE, True),
    ([1.0] * N, Y, False),  # constant feature
    (Y, [1.0] * N, False),  # constant label
    (Y, [True] * N, True),  # one class only
    ([None] * N, Y, False),
    ([float("nan")] * N, Y, False),
    ([f"id {n}" for n in range(N)], Y, False),  # a key tells a row from others, not its label
    ([f"id {n}" for n in range(N)], LATE, True),
    ([f"id {n}" for n in range(N)], KIND, True),
    (np.arange(N), KIND, True),
    (KIND, [f"class {n}" for n in range(N)], True),  # too many classes
    (Y[:29], Y[:29], False),  # too few rows
    (LATE[:30], [True] * 9 + [False] * 21, True),  # too few of a class
    ([[1.0]] * N, Y, False),
    (["a", "b"] * (N // 2), LATE, True),
    (["a"] * (N - 2) + ["b"] * 2, LATE, True),  # one value of nearly all rows
    (["a"] * (N - 2) + ["b"] * 2, Y, False),
]  # fmt: skip


@pytest.mark.parametrize(("values", "label", "classes", "figure"), PROXIES)
def test_a_proxy_is_found(values: Any, label: Any, classes: bool, figure: str) -> None:
    [sample] = found(values, label, classes=classes)
    assert sample.startswith(figure)


@pytest.mark.parametrize(("values", "label", "classes"), HONEST)
def test_an_honest_feature_is_none(values: Any, label: Any, classes: bool) -> None:
    assert found(values, label, classes=classes) == []


def test_a_finding_names_feature_figure_and_the_way_out() -> None:
    rows = pl.DataFrame({"arrived": Y, "wind": RANDOM.normal(size=N), "delay": Y})
    [finding] = proxy_findings(rows, ["arrived", "wind"], "delay", classes=False)
    assert (finding.rule, finding.severity) == ("leakage.arrived", "warn")
    assert finding.message == (
        "`arrived` alone predicts `delay`: R2 1.0000; is it known before the prediction? If so, accept it: "
        "tm.fitted(..., allow_leakage=['arrived'])"
    )


@pytest.mark.parametrize("load", [load_diabetes, load_breast_cancer, load_wine])
def test_real_data_have_no_proxies_until_one_is_added(load: Any) -> None:
    data = load()
    names = [str(name) for name in data.feature_names]
    classes = load is not load_diabetes
    rows = pl.DataFrame(data.data, schema=names).with_columns(target=pl.Series(data.target))
    assert list(proxy_findings(rows, names, "target", classes=classes)) == []
    leaky = rows.with_columns(copy=pl.col("target") * 2 + 1)
    [finding] = proxy_findings(leaky, [*names, "copy"], "target", classes=classes)
    assert finding.rule == "leakage.copy"
