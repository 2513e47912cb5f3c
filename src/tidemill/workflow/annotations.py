"""Annotations of stage functions: frames of a contract, and predictors.

Type checkers see `Frame[C]` as a `polars.LazyFrame`. At run time it is only a marker that carries the
contract, so that declaring a workflow doesn't import Polars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

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
