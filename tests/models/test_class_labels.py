"""The labels of classifiers, and the baselines of all models."""

from __future__ import annotations

import polars as pl
import pytest

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.core.errors import UsageError
from tidemill.models.class_labels import baseline_of, class_labels, one_class_fault, share_of
from tidemill.workflow.model import ClassLabel


def column(name: str, *args: str) -> Column:
    return Column(name="y", dtype=DType(name, args))


ENUM = column("Enum", "low", "mid", "high")


@pytest.mark.parametrize(
    ("label", "declared", "known", "labels"),
    [
        (column("Float64"), None, (), ()),
        (column("Int64"), None, (0, 1, 2), (0, 1, 2)),
        (column("Boolean"), None, (0, 1), (False, True)),
        # The positions of an Enum are those of its contract.
        (ENUM, None, range(3), ("low", "mid", "high")),
        # A library that knows text labels sorts them.
        (ENUM, None, ("high", "low", "mid"), ("high", "low", "mid")),
        (column("String"), ("b", "a"), (0, 1), ("b", "a")),
        (column("Int8"), (5, 7), (), (5, 7)),
        (column("Float64"), None, (1.0, 2.0), (1.0, 2.0)),
    ],
)
def test_labels(
    label: Column,
    declared: tuple[ClassLabel, ...] | None,
    known: tuple[ClassLabel, ...],
    labels: tuple[ClassLabel, ...],
) -> None:
    found = class_labels(label, declared, known)
    assert [(type(one), one) for one in found] == [(type(one), one) for one in labels]


@pytest.mark.parametrize(
    ("label", "declared", "known", "words"),
    [
        (
            column("String"),
            None,
            (0, 1),
            "predicts the class 0, but 'y' is String: name the classes",
        ),
        (column("Boolean"), None, (0, 1, 2), "predicts the class 0, but 'y' is Boolean"),
        (ENUM, None, (0, 1), "predicts the class 0, but 'y' is Enum"),
        (ENUM, ("low", "none"), (), "predicts the class 'none'"),
        (column("Int64"), None, (4,), "only one value of 'y', 4: a classifier needs two"),
        (column("Int64"), (1, 1), (), r"classes=\[1, 1\] names a class twice"),
        (column("Int64"), (True, False), (), "the class True"),
        (column("Date"), (1, 2), (), "'y' is Date"),
    ],
)
def test_labels_that_the_column_cant_have(
    label: Column,
    declared: tuple[ClassLabel, ...] | None,
    known: tuple[ClassLabel, ...],
    words: str,
) -> None:
    with pytest.raises(UsageError, match=words):
        class_labels(label, declared, known)


def test_baselines() -> None:
    def of(
        values: list[object], label: Column, classes: tuple[ClassLabel, ...] = ()
    ) -> float | None:
        table = pl.DataFrame({"y": values}, strict=False)
        if label.dtype.name == "Enum":
            table = table.select(pl.col("y").cast(pl.Enum(["low", "mid", "high"])))
        value: float | None = table.select(baseline_of(label, classes)).item()
        return value

    assert of([1.0, 2.0, 9.0, None], column("Float64")) == 2
    assert of([True, False, False, None], column("Boolean")) == pytest.approx(1 / 3)
    assert of([0, 1, 1, 1], column("Int64"), (0, 1)) == 0.75
    assert of(["low", "low", "high", None], ENUM, ("low", "mid", "high")) == pytest.approx(2 / 3)
    assert of([None], column("Float64")) is None
    with pytest.raises(UsageError, match="'y' is String, but the model doesn't say which classes"):
        of(["a"], column("String"))


def test_shares_add_up() -> None:
    table = pl.DataFrame(
        {"y": ["low", "high", "low"]}, schema={"y": pl.Enum(["low", "mid", "high"])}
    )
    shares = [table.select(share_of(ENUM, name)).item() for name in ("low", "mid", "high")]
    assert shares == pytest.approx([2 / 3, 0, 1 / 3])


@pytest.mark.parametrize(
    ("label", "classes", "shares", "value"),
    [
        (column("Boolean"), (), (0.0, 1.0), "True"),
        (column("Boolean"), (False, True), (1.0, 0.0), "False"),
        (ENUM, ("low", "mid", "high"), (0.0, 1.0, 0.0), "'mid'"),
        (column("Boolean"), (), (1e-9, 1 - 1e-9), None),
        # The median of a number is no share.
        (column("Float64"), (), (0.0, 1.0), None),
    ],
)
def test_one_class_only(
    label: Column, classes: tuple[ClassLabel, ...], shares: tuple[float, ...], value: str | None
) -> None:
    words = f"only one value of 'y', {value}: a classifier needs two"
    fault = one_class_fault(label, classes, shares)
    assert fault.endswith(words) if value else fault == ""
