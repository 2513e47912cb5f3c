"""Call the code of a stage, and check that it reads only what the step's key covers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import polars as pl
from polars.exceptions import PanicException

from tidemill.analysis.code.call_watch import CallWatch
from tidemill.analysis.code.mutable_state import HeldState
from tidemill.analysis.query.column_reads import columns_read, disallowed_columns
from tidemill.analysis.query.scan_leaves import Leaves
from tidemill.analysis.query.summary import Reads
from tidemill.core.errors import StepError, TidemillError, UsageError
from tidemill.core.other_frames import describe_other_frame
from tidemill.memos.io.lookup import was_memo_called
from tidemill.planning.batches import IN_MEMORY_ROWS
from tidemill.reuse.recipe import all_input_columns, describe_held_state, describe_hidden_input
from tidemill.workflow.fold_inputs import readable_columns
from tidemill.workflow.stage import Stage
from tidemill.workflow.user_errors import user_error


def call_stage(stage: Stage, partition: str, arguments: Mapping[str, Any]) -> Any:
    """Call the stage's function; an error that it raises becomes a StepError with the user's trace."""
    assert stage.function is not None
    process = os.getpid()
    try:
        return stage.function(**arguments)
    except UsageError as error:
        # The stage called a function of Tidemill in a wrong way, at a line of its own.
        raise user_error(stage, partition, error) from error
    except (TidemillError, KeyboardInterrupt):
        raise
    # Neither SystemExit nor the CancelledError of asyncio is an Exception.
    except BaseException as error:
        raise user_error(stage, partition, error) from error
    finally:
        # A function that forked returns twice, and only one of the two processes is the run's.
        if os.getpid() != process:
            os._exit(0)


def collect_query(stage: Stage, partition: str, frame: pl.LazyFrame, rows: int) -> pl.DataFrame:
    """Collect a query over `rows` input rows; an error in it becomes a StepError."""
    # In memory a memo gets all rows at once; streaming would split them into smaller batches.
    whole = rows <= IN_MEMORY_ROWS or was_memo_called()
    try:
        return frame.collect(engine="in-memory" if whole else "auto")
    except (Exception, PanicException) as error:
        raise user_error(stage, partition, error) from error


class TransformCaller:
    """Calls the transforms of one run; `states` is the mutable state of their code before the first call."""

    def __init__(self, states: Mapping[str, HeldState]) -> None:
        self._states = states
        # Hidden inputs of each stage, from its first call: they are the same for other partitions.
        self._watched: dict[str, tuple[str, ...]] = {}

    def query(
        self, stage: Stage, partition: str, frames: Mapping[str, pl.LazyFrame], reads: Reads
    ) -> tuple[pl.LazyFrame, tuple[str, ...]]:
        """Return the query of a stage on the frames of a partition, and the hidden inputs that it touched.

        StepError when the stage returns no frame, or reads a column that isn't among `reads`.
        """
        exact = all_input_columns(stage) != dict(reads)
        if exact and stage.name in self._watched:
            # A stage that is judged by its query is called the same way for every partition.
            result, touched = call_stage(stage, partition, frames), self._watched[stage.name]
        else:
            with CallWatch(stage.place) as watch:
                result = call_stage(stage, partition, frames)
            found = () if stage.is_vouched_for else watch.hidden_inputs
            touched = self._watched[stage.name] = tuple(map(describe_hidden_input, found))
        touched = (*touched, *self._changed_state(stage))
        if isinstance(result, pl.DataFrame):
            result = result.lazy()
        if not isinstance(result, pl.LazyFrame):
            kind, _, conversion = describe_other_frame(result).partition("; ")
            message = f"{stage.name} returned {kind}, not a polars.LazyFrame ({stage.place})"
            message += f"; {conversion}" if conversion else ""
            raise StepError(message, stage=stage.name, partition=partition)
        if exact:
            _refuse_unkeyed(stage, partition, result, frames, reads)
        return result, touched

    def _changed_state(self, stage: Stage) -> tuple[str, ...]:
        """The mutable state of a stage's code that changed since this run began."""
        state = self._states.get(stage.name)
        changed = state.first_change() if state is not None and not stage.is_vouched_for else None
        return () if changed is None else (describe_held_state(changed),)


def _refuse_unkeyed(
    stage: Stage,
    partition: str,
    query: pl.LazyFrame,
    frames: Mapping[str, pl.LazyFrame],
    reads: Reads,
) -> None:
    """Raise StepError when a query reads columns that the step's key doesn't cover."""
    assert stage.output is not None
    if stage.output.unknown_columns != "keep":
        given = query.collect_schema()
        query = query.select([name for name in stage.output.names if name in given])
    asked = columns_read(query, Leaves.of(frames))
    # If Polars doesn't show this plan, the plan on empty frames was checked already.
    over = {} if asked is None else disallowed_columns(asked, readable_columns(stage, reads))
    if over:
        named = ", ".join(
            f"{name}.{column}" for name, columns in over.items() for column in columns
        )
        raise StepError(
            f"{stage.name} {partition} reads {named}, which it didn't on frames without rows "
            f"({stage.place}): a transform may depend only on its inputs; mark it with @tm.impure if it "
            "depends on more",
            stage=stage.name,
            partition=partition,
        )
