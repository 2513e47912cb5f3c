"""Annotations of stage functions: frames of a contract, predictors, and the parents of models.

Type checkers see `Frame[C]` as a `polars.LazyFrame`. At run time it is only a marker that carries the
contract, so that declaring a workflow doesn't import Polars.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tidemill.workflow.model import ColumnEncoding

C = TypeVar("C")

if TYPE_CHECKING:
    import polars as pl
    from typing_extensions import TypeAliasType

    Frame = TypeAliasType("Frame", pl.LazyFrame, type_params=(C,))
else:

    class Frame(Generic[C]):
        """A Polars LazyFrame with the columns of contract C: `def daily(orders: tm.Frame[Orders])`."""


class Predictor(Protocol):
    """A trained model, as an evaluation receives it."""

    def predict(self, features: pl.LazyFrame) -> pl.LazyFrame:
        """Return `features` with a Float64 column `prediction`; null where the model can't predict."""


class Parent(Protocol):
    """The version of a model that a training continues: `parent: tm.Parent | None`."""

    @property
    def model(self) -> Any:
        """The model in its library's class, such as a `lightgbm.Booster` or a scikit-learn estimator."""

    @property
    def version(self) -> str:
        """The id of the version."""

    @property
    def generation(self) -> int:
        """How many versions were continued up to this one; 0 for one that was trained from scratch."""

    @property
    def trained_on(self) -> Mapping[str, tuple[str, ...]]:
        """The partitions of each input that it was trained on."""

    @property
    def encodings(self) -> tuple[ColumnEncoding, ...]:
        """How its inputs become numbers, for `tm.encoder(..., parent=parent)`."""

    def unseen(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the partitions of an input that are new or have changed since the parent was trained.

        A partition counts if it differs in any input, so that features and labels match. An input without
        partitions is returned whole. Pass the input as the training function gets it; UsageError for another
        frame.
        """
