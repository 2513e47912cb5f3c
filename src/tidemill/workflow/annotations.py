"""What stage functions are annotated with: frames of a contract, and predictors.

Type checkers see `Frame[C]` as a `polars.LazyFrame`; at run time it is only a mark that carries the
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
        """A LazyFrame whose columns are those of the contract C."""


class Predictor(Protocol):
    """A trained model, as evaluations get it."""

    def predict(self, features: pl.LazyFrame) -> pl.LazyFrame:
        """`features` with a Float64 column `prediction`; null where the model can't say."""
