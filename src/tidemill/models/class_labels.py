"""Say which labels a classifier predicts, and what a model without inputs would predict."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.column import Column
from tidemill.core.errors import UsageError
from tidemill.workflow.model import ClassLabel

_TEXT = ("String", "Enum", "Categorical")


def class_labels(
    label: Column, declared: Sequence[ClassLabel] | None, known: Sequence[ClassLabel]
) -> tuple[ClassLabel, ...]:
    """The labels of a classifier in the order of its probabilities; empty if it predicts numbers.

    `declared` are those of `tm.fitted(classes=...)`, `known` those that its library knows. Positions
    0, 1, ... mean the values of an Enum, or false and true. UsageError for labels that the label column
    can't have, and for a single class.
    """
    labels = tuple(known if declared is None else declared)
    if not labels:
        return ()
    if declared is None and labels == tuple(range(len(labels))):
        labels = _at_positions(label, labels)
    if len(labels) == 1:
        raise UsageError(one_class_fault(label, labels, (1.0,)))
    if len(set(labels)) < len(labels):
        raise UsageError(f"classes={list(labels)} names a class twice")
    for value in labels:
        if not _can_have(label, value):
            raise UsageError(
                f"the model predicts the class {value!r}, but {label.name!r} is {label.dtype}: "
                f"{_ADVICE}"
            )
    return labels


def one_class_fault(label: Column, classes: Sequence[ClassLabel], shares: Sequence[float]) -> str:
    """Say which value all training rows have, by the share of each class; empty for several values."""
    known = tuple(classes) or ((False, True) if label.dtype.name == "Boolean" else ())
    if not known or 1.0 not in shares:
        return ""
    value = known[shares.index(1.0)]
    return f"the training rows have only one value of {label.name!r}, {value!r}: a classifier needs two"


_ADVICE = "name the classes in the order of its probabilities: tm.fitted(..., classes=[...])"


def _at_positions(label: Column, positions: tuple[ClassLabel, ...]) -> tuple[ClassLabel, ...]:
    if label.dtype.name == "Boolean":
        return (False, True)[: len(positions)] if len(positions) <= 2 else positions
    if label.dtype.name == "Enum" and len(positions) == len(label.dtype.args):
        return tuple(map(str, label.dtype.args))
    return positions


def _can_have(label: Column, value: ClassLabel) -> bool:
    dtype = label.dtype
    if dtype.name in _TEXT:
        return isinstance(value, str) and (dtype.name != "Enum" or value in dtype.args)
    if dtype.name == "Boolean":
        return isinstance(value, bool)
    return dtype.is_number and isinstance(value, int | float) and not isinstance(value, bool)


def baseline_of(label: Column, classes: Sequence[ClassLabel]) -> pl.Expr:
    """Return the prediction of a trivial model: the median label, or a share of rows.

    With two classes it is that of the greater one, with more that of the most frequent one.
    """
    if len(classes) == 2:
        return share_of(label, classes[1])
    if len(classes) > 2:
        return pl.max_horizontal(share_of(label, name) for name in classes)
    if label.dtype.is_number or label.dtype.name == "Boolean":
        column = pl.col(label.name).cast(pl.Float64)
        return column.mean() if label.dtype.name == "Boolean" else column.median()
    raise UsageError(
        f"its label {label.name!r} is {label.dtype}, but the model doesn't say which classes it predicts: "
        f"{_ADVICE}"
    )


def share_of(label: Column, value: ClassLabel) -> pl.Expr:
    """The share of rows with a label; null without any."""
    same = pl.col(label.name) == pl.lit(value).cast(polars_type(label.dtype))
    return same.cast(pl.Float64).mean()
