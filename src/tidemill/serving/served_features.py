"""Decide whether the query of a stage can compute features for the rows of a request.

Then training and serving run the same query, so that they can't differ. One input of the stage is the rows
of the request. The others are lookups: published partitions, read as the stage reads them in a run. Each
result row must come from one row of the request, and keep its key, by which it is found.
"""

from __future__ import annotations

from collections.abc import Collection

from tidemill.analysis.query.row_wise import NotRowWise, RowWise, row_wise_query
from tidemill.analysis.query.serialized import Node
from tidemill.analysis.query.summary import QuerySummary
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.stage import Input, Kind, Stage


class NotServable(Exception):
    """The stage can't compute features for a request; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedFeatures:
    """How a stage computes the features of a request.

    Requests have `columns` of the input `rows`; `lookups` are the other inputs. `key` finds the features of
    a row. With `repeat` each row is computed several times, because Polars has other kernels for single rows.
    """

    stage: str
    rows: str
    columns: tuple[str, ...]
    lookups: tuple[str, ...]
    key: tuple[str, ...]
    repeat: bool


def served_features(stage: Stage, query: QuerySummary, tree: Node | None) -> ServedFeatures:
    """Return how a stage computes the features of a request; NotServable if it can't.

    `query` is the summary of its query, and `tree` the query on placeholder frames, None if it isn't known.
    """
    _require_query(stage, query)
    assert stage.output is not None
    assert tree is not None
    refused: list[str] = []
    for item in stage.frames:
        try:
            found = _row_wise(stage, item, tree, stage.output.key)
        except NotRowWise as reason:
            refused.append(f"by rows of {item.name}: {reason}")
            continue
        return _of_rows(stage, item, query, found)
    raise NotServable(
        f"{stage.name} doesn't compute each row from one row of an input ({'; '.join(refused)}): compute "
        "what looks at several rows in an upstream stage, and join it here"
    )


def _require_query(stage: Stage, query: QuerySummary) -> None:
    """Raise NotServable for a stage whose query doesn't say all that it does."""
    if stage.kind is not Kind.TRANSFORM:
        raise NotServable(f"{stage.name} is no transform ({stage.kind})")
    if query.opaque:
        raise NotServable(f"{stage.name} isn't judged by its query: {query.opaque}")
    hidden = query.touched or ((query.unstable,) if query.unstable else ())
    if hidden:
        raise NotServable(f"{stage.name} may give other values each time: {hidden[0]}")
    if query.memos:
        raise NotServable(f"{stage.name} calls memos, which requests would fill")
    folds = [item.name for item in stage.frames if item.fold is not None]
    if folds:
        raise NotServable(
            f"{stage.name} reads a fold of {folds[0]}: publish it as a stage, and join that here"
        )
    if stage.output is None or not stage.output.key:
        raise NotServable(
            f"{stage.name} has no key, by which the features of a row could be found: declare one in its "
            "contract"
        )


def _row_wise(stage: Stage, item: Input, tree: Node, key: Collection[str]) -> RowWise:
    found = row_wise_query(tree, item.name, item.columns)
    if item.window is not None:
        raise NotRowWise(f"it reads a window of {item.name}, and a request has only its own rows")
    lost = [name for name in key if name not in found.kept]
    if lost:
        raise NotRowWise(f"the key column {lost[0]!r} isn't taken from {item.name} as it is")
    return found


def _of_rows(stage: Stage, item: Input, query: QuerySummary, found: RowWise) -> ServedFeatures:
    assert stage.output is not None
    assert item.contract is not None
    key, own = stage.output.key, item.contract.partitioning.column
    needed = {*query.reads.get(item.name, ()), *key}
    # The partition of a row says which partitions of the lookups it sees.
    if own and stage.partitioning.column:
        needed.add(own)
    return ServedFeatures(
        stage=stage.name,
        rows=item.name,
        columns=tuple(name for name in item.columns if name in needed),
        lookups=tuple(other.name for other in stage.frames if other.name != item.name),
        key=key,
        repeat=found.repeat,
    )
