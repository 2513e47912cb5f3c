"""The interface of a loaded model that answers requests."""

from __future__ import annotations

from typing import Any, Protocol

from polars.exceptions import PanicException

from tidemill.core.errors import ConflictError, TidemillError
from tidemill.serving.call_cost import CallCost
from tidemill.workflow.model import Feed

# The code of a model or a stage may raise anything. SystemExit and panics of Rust are no Exceptions.
USER_ERRORS = (Exception, SystemExit, PanicException)


class Runner(Protocol):
    """A model that is loaded, with what its calls cost.

    `feed` is what `predict` takes: a two-dimensional float array (rows x inputs, null as NaN), or a Polars
    frame of the inputs. `cost` is unknown until `warm_up` measures it. `thread_safe`: threads may call it at
    the same time. `fallback` says why a faster way to run the model isn't used; empty if it is.
    """

    feed: Feed
    cost: CallCost
    thread_safe: bool
    fallback: str

    def predict_row(self, values: list[float]) -> float | list[float]:
        """Predict one row: a number, or a probability per class if there are more than two.

        Only for a model that takes arrays. UsageError for another number of values than inputs.
        """

    def predict(self, rows: Any) -> Any:
        """Predict rows: a float array with a number per row, or with a probability per row and class.

        UsageError for another number of columns than inputs.
        """

    def contributions(self, rows: Any) -> Any:
        """How much each input adds to the raw score of rows: an array of rows x (inputs + 1).

        The last column is what the model predicts without any input, and a row adds up to the raw score:
        log-odds for two classes. With more than two classes it is rows x classes x (inputs + 1). UsageError
        for a model that doesn't know.
        """

    def close(self) -> None:
        """Free the model after the calls that are in flight; later calls raise ConflictError."""


class DeadlinePassed(TimeoutError):
    """The deadline of a request passed while it waited; a model may raise other errors of timeouts."""


def closed_error() -> ConflictError:
    """The error of a call after `close`."""
    return ConflictError("the model is closed: another version replaced it")


def task_error(error: BaseException) -> Exception:
    """An error of user code as one that a task may raise; SystemExit would end the event loop."""
    if isinstance(error, Exception):
        return error
    return TidemillError(f"user code ended with {type(error).__name__}: {error}")
