"""Pass the rows of a training window in batches, so that the window need not fit in memory.

The inputs of a model stage know their partitions. Features and labels are joined one partition at a time, so
that memory holds about one partition and one batch, whatever the length of the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl

from tidemill.contracts.spec import Reads
from tidemill.core.errors import TidemillError, UsageError, did_you_mean
from tidemill.core.extras import install_command
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.models.encoding import Encoder
from tidemill.models.given_frames import given_frame

if TYPE_CHECKING:
    import lightgbm
    import xgboost

# Loads the rows of each partition of an input, by its key.
Partitions: TypeAlias = Mapping[str, Callable[[], pl.LazyFrame]]
# The columns that a model gets: an encoder of them, or their names.
Inputs: TypeAlias = Encoder | Reads | Sequence[str]

_ATTRIBUTE = "_tidemill_partitions"
_COLUMN = "_tidemill_partition_column"


def with_partitions(frame: pl.LazyFrame, partitions: Partitions, column: str = "") -> pl.LazyFrame:
    """Let a frame know its partitions, and their `column`; what is derived from it doesn't."""
    setattr(frame, _ATTRIBUTE, partitions)
    setattr(frame, _COLUMN, column)
    return frame


def known_partitions(frame: pl.LazyFrame) -> Partitions | None:
    """The partitions of an input; None for another frame, such as one that is derived from an input."""
    known: Partitions | None = getattr(frame, _ATTRIBUTE, None)
    return known


def partition_column(frame: pl.LazyFrame) -> str:
    """The column by which an input is partitioned; "" if it isn't known."""
    column: str = getattr(frame, _COLUMN, "")
    return column


def batches(
    features: pl.LazyFrame | pl.DataFrame,
    labels: pl.LazyFrame | pl.DataFrame | None = None,
    *,
    on: Sequence[str] = (),
    rows: int = 100_000,
) -> Batches:
    """Pass the rows of an input of a model in batches of up to `rows` rows, always in the same order.

    With `labels` only rows with a label are passed: both are joined on the columns `on`, partition by
    partition. Pass frames as the training function gets them: from others, such as filtered ones, and from
    labels that are partitioned in another way, all labels are held in memory for the join. So they are
    unless the partition column is in `on`: a label may be in another partition then. Raises UsageError for
    columns that don't exist.
    """
    if rows < 1 or isinstance(rows, bool):
        raise UsageError(f"batches(rows={rows}): a batch has at least 1 row")
    own = given_frame(features, "batches")
    if labels is None:
        return Batches(list(_partitions_of(own).values()), rows)
    other = given_frame(labels, "batches")
    keys = [on] if isinstance(on, str) else list(on)
    for frame, name in ((own, "features"), (other, "labels")):
        _require_keys(frame, keys, name)
    return Batches(list(_joined(own, other, keys)), rows)


def _partitions_of(frame: pl.LazyFrame) -> Partitions:
    known = known_partitions(frame)
    return {WHOLE: lambda: frame} if known is None else known


def _joined(
    features: pl.LazyFrame, labels: pl.LazyFrame, keys: list[str]
) -> Iterator[Callable[[], pl.LazyFrame]]:
    own, other = _partitions_of(features), _partitions_of(labels)
    if WHOLE in own and WHOLE not in other:
        own = {WHOLE: lambda: features}
        other = {WHOLE: lambda: labels}
    columns = {partition_column(features), partition_column(labels)} - {""}
    if own.keys().isdisjoint(other) or not columns <= {*keys}:
        # Labels of a partition may be in another one, or they are partitioned in another way.
        other = {WHOLE: lambda: labels}
    for key, load in own.items():
        found = other.get(key, other.get(WHOLE))
        if found is not None:
            yield partial(_join, load, found, keys)


def _join(
    features: Callable[[], pl.LazyFrame], labels: Callable[[], pl.LazyFrame], keys: list[str]
) -> pl.LazyFrame:
    return features().join(labels(), on=keys, how="inner", maintain_order="left")


def _require_keys(frame: pl.LazyFrame, keys: Sequence[str], name: str) -> None:
    known = frame.collect_schema().names()
    if not keys:
        raise UsageError(
            f"batches(features, labels): name the columns to join on, on={known[:2]!r}"
        )
    for key in keys:
        if key not in known:
            advice = did_you_mean(key, known)
            raise UsageError(
                f"batches(on={list(keys)!r}): {name} have no column {key!r} ({advice})"
            )


@dataclass(frozen=True)
class Batches:
    """The rows of a training window in batches; iterate as often as needed.

    Each iteration reads the stored partitions again. The rows and their order are always the same.
    """

    partitions: Sequence[Callable[[], pl.LazyFrame]]
    rows: int

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield frames of `rows` rows, and a last one with the rest; none is empty."""
        waiting: list[pl.DataFrame] = []
        count = 0
        for load in self.partitions:
            for piece in _pieces(load(), self.rows):
                while count + piece.height >= self.rows:
                    missing = self.rows - count
                    yield pl.concat([*waiting, piece[:missing]], rechunk=True)
                    waiting, count, piece = [], 0, piece[missing:]
                if piece.height:
                    waiting.append(piece)
                    count += piece.height
        if waiting:
            yield pl.concat(waiting, rechunk=True)

    def map(self, function: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Batches:
        """Apply a function to the rows of each partition, such as a filter or a new column."""
        return Batches([partial(_mapped, load, function) for load in self.partitions], self.rows)

    def arrow(self) -> Iterator[Any]:
        """Yield Arrow record batches, `pyarrow.RecordBatch`."""
        _library("pyarrow")
        for frame in self:
            table = frame.to_arrow().combine_chunks()
            yield table.to_batches()[0]

    def as_lightgbm(
        self, inputs: Inputs, label: str, *, weight: str | None = None, **options: Any
    ) -> lightgbm.Dataset:
        """A LightGBM data set that reads the rows in batches, as binned values of about a byte each.

        `lightgbm.train(..., init_model=...)` continues a model on it.
        `inputs` are the columns, or an encoder of them; `label` and `weight` are columns. `options` are
        those of `lightgbm.Dataset`, such as `reference` or `params`.
        """
        library = _library("lightgbm")
        counts, label_values, weights = self._numbers(label, weight)
        sequence = _sequence_class(library)
        parts = [
            sequence(_Matrix(load, inputs), count, self.rows)
            for load, count in zip(self.partitions, counts, strict=True)
            if count
        ]
        if not parts:
            raise UsageError("batches: there are no rows to train on")
        if isinstance(inputs, Encoder) and inputs.categorical:
            options.setdefault("categorical_feature", inputs.categorical)
        data: lightgbm.Dataset = _dataset_class(library)(
            parts, label=label_values, weight=weights, **{"free_raw_data": True, **options}
        )
        return data

    def as_xgboost(
        self, inputs: Inputs, label: str, *, weight: str | None = None
    ) -> xgboost.DataIter:
        """An XGBoost iterator over the batches, for `xgboost.QuantileDMatrix(...)`."""
        library = _library("xgboost")
        found: xgboost.DataIter = _iterator_class(library)(self, inputs, label, weight)
        return found

    @cached_property
    def height(self) -> int:
        """The number of rows, which are counted when this is first read."""
        counts = (load().select(pl.len()).collect().item() for load in self.partitions)
        return sum(map(int, counts))

    def _numbers(self, label: str, weight: str | None) -> tuple[list[int], Any, Any]:
        """The rows of each partition, and all labels and weights: a number each per row."""
        counts, labels, weights = [], [], []
        names = [label] if weight is None else [label, weight]
        for load in self.partitions:
            frame = _require_columns(load(), names).select(names).collect()
            counts.append(frame.height)
            # As LightGBM keeps them.
            labels.append(_numbers(frame, label).astype(np.float32))
            if weight is not None:
                weights.append(_numbers(frame, weight).astype(np.float32))
        joined = np.concatenate(labels) if labels else np.empty(0, dtype=np.float32)
        return counts, joined, np.concatenate(weights) if weights else None


def _pieces(frame: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
    """Yield the rows of a query in order, without collecting all of them."""
    yield from frame.collect_batches(chunk_size=rows, maintain_order=True)


def _mapped(
    load: Callable[[], pl.LazyFrame], function: Callable[[pl.LazyFrame], pl.LazyFrame]
) -> pl.LazyFrame:
    return function(load())


def _require_columns(frame: pl.LazyFrame, names: Sequence[str]) -> pl.LazyFrame:
    known = frame.collect_schema().names()
    for name in names:
        if name not in known:
            raise UsageError(f"batches have no column {name!r} ({did_you_mean(name, known)})")
    return frame


def _numbers(frame: pl.DataFrame, name: str) -> Any:
    try:
        return frame[name].cast(pl.Float64).to_numpy()
    except pl.exceptions.PolarsError as error:
        raise UsageError(f"batches: {name!r} is {frame.schema[name]}, not a number") from error


def matrix_of(frame: pl.DataFrame | pl.LazyFrame, inputs: Inputs) -> Any:
    """The inputs of a model as a float array, rows x columns; null is NaN."""
    if isinstance(inputs, Encoder):
        return inputs.transform(frame)
    names = list(inputs.columns if isinstance(inputs, Reads) else inputs)
    query = _require_columns(frame.lazy(), names).select(pl.col(names).cast(pl.Float64))
    return query.collect().to_numpy()


class _Matrix:
    """The inputs of one partition as an array, which is kept only while its rows are being read."""

    # The last one that was read: libraries read the partitions one after the other.
    _last: tuple[_Matrix | None, Any] = (None, None)

    def __init__(self, load: Callable[[], pl.LazyFrame], inputs: Inputs) -> None:
        self._load = load
        self._inputs = inputs

    def read(self) -> Any:
        owner, values = _Matrix._last
        if owner is not self:
            _Matrix._last = (None, None)
            values = matrix_of(self._load(), self._inputs)
            _Matrix._last = (self, values)
        return values


def _sequence_class(library: Any) -> Any:
    class PartitionRows(library.Sequence):  # type: ignore[misc]
        """The rows of a partition, as LightGBM reads them."""

        def __init__(self, matrix: _Matrix, count: int, batch_size: int) -> None:
            self.batch_size = batch_size
            self._matrix = matrix
            self._count = count

        def __getitem__(self, rows: Any) -> Any:
            return self._matrix.read()[rows]

        def __len__(self) -> int:
            return self._count

    return PartitionRows


def _dataset_class(library: Any) -> Any:
    class BatchedDataset(library.Dataset):  # type: ignore[misc]
        """A data set of sequences, for which the model to continue (`init_model`) can predict."""

        def _set_init_score_by_predictor(self, predictor: Any, data: Any, used_indices: Any) -> Any:
            # LightGBM takes sequences as rows, but can't predict them.
            if predictor is not None:
                predictor = _SequencePredictor(predictor)
            return super()._set_init_score_by_predictor(predictor, data, used_indices)

    return BatchedDataset


class _SequencePredictor:
    """Predicts the rows of sequences, a batch at a time."""

    def __init__(self, predictor: Any) -> None:
        self.num_class = predictor.num_class
        self._predictor = predictor

    def predict(self, *, data: Sequence[Any], **options: Any) -> Any:
        return np.concatenate(
            [
                self._predictor.predict(data=rows[start : start + rows.batch_size], **options)
                for rows in data
                for start in range(0, len(rows), rows.batch_size)
            ]
        )


def _iterator_class(library: Any) -> Any:
    class BatchIterator(library.DataIter):  # type: ignore[misc]
        """The batches, as XGBoost reads them, several times."""

        def __init__(self, own: Batches, inputs: Inputs, label: str, weight: str | None) -> None:
            self._batches = own
            self._inputs = inputs
            self._label = label
            self._weight = weight
            self._left: Iterator[pl.DataFrame] = iter(())
            self.reset()
            super().__init__()

        def next(self, input_data: Callable[..., Any]) -> bool:
            frame = next(self._left, None)
            if frame is None:
                return False
            names = [self._label] if self._weight is None else [self._label, self._weight]
            _require_columns(frame.lazy(), names)
            weights = None if self._weight is None else _numbers(frame, self._weight)
            input_data(
                data=matrix_of(frame, self._inputs),
                label=_numbers(frame, self._label),
                weight=weights,
            )
            return True

        def reset(self) -> None:
            self._left = iter(self._batches)

    return BatchIterator


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise TidemillError(f"batches need {name} ({error}): {install_command(name)}") from error
