"""Load the stored inputs of a step, and confirm after a query that they are what was verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.analysis.query.summary import Reads
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import DamagedObjectError, StepError, StorageError
from tidemill.ledger.binding import Binding
from tidemill.planning.batches import IN_MEMORY_ROWS
from tidemill.steps.step_messages import Inputs, Work, count_rows
from tidemill.store.frames import FrameStore
from tidemill.workflow.stage import Input, Stage

if TYPE_CHECKING:
    from tidemill.folds.io.partials_cache import FoldSession
    from tidemill.models.io.batches import Partitions

T = TypeVar("T")


class InputFrames:
    """Loads the inputs of the steps of one run."""

    def __init__(self, frames: FrameStore) -> None:
        self._frames = frames

    def confirm(self, *inputs: Inputs) -> None:
        """Raise StorageError if an input of some steps changed in the store while it was read."""
        self._frames.confirm(
            b for each in inputs for bound in each.values() for b in bound.values()
        )

    def blame_damage(self, inputs: Inputs, act: Callable[[], T]) -> T:
        """Return what `act` returns; DamagedObjectError if it fails because an input is damaged."""
        try:
            return act()
        except (StepError, PolarsError, PanicException):
            self._frames.verify(_bindings(inputs))
            raise

    def of_partition(
        self,
        stage: Stage,
        inputs: Inputs,
        folder: FoldSession | None,
        reads: Reads | None = None,
    ) -> dict[str, pl.LazyFrame]:
        """Return a LazyFrame for every frame input; without partitions it is empty, or a fold of nothing.

        Stages without folds need no `folder`. Of their columns, those that the stage `reads` are
        verified, by default all.
        """
        self._frames.require(_bindings(inputs))
        # Bytes that are kept aren't streamed.
        few = count_rows(inputs) <= IN_MEMORY_ROWS
        return {
            item.name: self._frame(item, inputs.get(item.name, {}), folder, reads or {}, few)
            for item in stage.frames
        }

    def _frame(
        self,
        item: Input,
        bound: Mapping[str, Binding],
        folder: FoldSession | None,
        reads: Reads,
        few: bool,
    ) -> pl.LazyFrame:
        assert item.contract is not None
        with _name_damage(item.name):
            if item.fold is not None:
                assert folder is not None
                return self.blame_damage({item.name: bound}, lambda: folder.fold(item, bound))
            wanted = reads.get(item.name)
            return self._frames.load(
                tuple(bound.values()), item.contract, item.columns, reads=wanted, in_memory=few
            )

    def by_partition(self, stage: Stage, inputs: Inputs) -> dict[str, Partitions]:
        """What loads each partition of the inputs of a stage that are rows, in order."""
        return {
            item.name: {
                key: partial(self._frames.load, (binding,), item.contract, item.columns)
                for key, binding in inputs.get(item.name, {}).items()
            }
            for item in stage.frames
            if item.contract is not None and item.fold is None
        }

    def of_stage(
        self,
        name: str,
        bindings: Sequence[Binding],
        contract: ContractSpec,
        columns: Sequence[str] = (),
    ) -> pl.LazyFrame:
        """Return some or all columns of published partitions of the stage `name`, in their order."""
        self._frames.require({name: bindings})
        with _name_damage(name):
            return self._frames.load(bindings, contract, columns)

    def of_all(
        self, stage: Stage, inputs: Sequence[Inputs], reads: Reads
    ) -> dict[str, pl.LazyFrame]:
        """A frame for every input, with the rows of many partitions or of the one that all of them read."""
        found: dict[str, pl.LazyFrame] = {}
        for item in stage.frames:
            assert item.contract is not None
            bound = [binding for each in inputs for binding in each.get(item.name, {}).values()]
            if item.contract.partitioning.is_whole:
                bound = bound[:1]
            self._frames.require({item.name: bound})
            found[item.name] = self._frames.load_concatenated(
                item.name, bound, item.contract, item.columns, reads=reads.get(item.name)
            )
        return found

    def ruled_rows(self, work: Work, name: str) -> pl.DataFrame:
        """Return the rows of an object of a ruling, which no run can compute again."""
        try:
            return self._frames.rows(name)
        except StorageError as error:
            place = f"{work.stage} {work.partition}"
            number = next(n for n, r in enumerate(work.rulings, 1) if name in (r.object, r.fixed))
            raise StorageError(
                f"{error}. Ruling {number} on {place} needs it: restore it from a backup, or withdraw the "
                f"ruling: `tidemill quarantine undo {place} --ruling {number} --reason TEXT`"
            ) from error


@contextmanager
def _name_damage(stage: str) -> Iterator[None]:
    """Name the stage whose object is damaged in the error about it."""
    try:
        yield
    except DamagedObjectError as error:
        raise DamagedObjectError(f"{stage} can't be read: {error}") from error


def _bindings(inputs: Inputs) -> dict[str, tuple[Binding, ...]]:
    return {name: tuple(bound.values()) for name, bound in inputs.items()}
