"""The leaves of a query plan, and how a stage's inputs are recognized among them.

Polars exposes its plan node by node in a private API, which is used only in the tested release and form.
A leaf is recognized by something that Polars passes through unchanged: the function of an IO source, the
paths of a scan, or a column of an in-memory frame that no query can select.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source
from polars.lazyframe.opt_flags import QueryOptFlags

from tidemill.analysis.query.serialized import is_supported

_FORM = (16, 0)
_MARK = "__tidemill_leaf__ "


class RowsRequested(Exception):
    """Raised by a recording source when its rows are requested."""


def recording_frame(
    name: str, schema: Mapping[str, pl.DataType], requested: list[str]
) -> pl.LazyFrame:
    """A frame without rows: when they are requested, it appends `name` to `noted` and raises RowsWanted."""

    def source(*_: object) -> Iterator[pl.DataFrame]:
        requested.append(name)
        raise RowsRequested(name)

    return register_io_source(source, schema=dict(schema))


def tag_frame(tag: str, frame: pl.DataFrame) -> pl.LazyFrame:
    """Tag an in-memory frame, so that its leaf can be recognized by `mark`."""
    # A column of type Null has no buffers, so it costs microseconds; no query can name it.
    marks = pl.Series(_MARK + tag, [None], pl.Null).new_from_index(0, frame.height)
    return frame.hstack([marks]).lazy().select(frame.columns)


@dataclass(frozen=True, slots=True, order=True)
class ForeignLeaf:
    """A leaf with rows that belongs to no input; its `name` is the same in every process.

    `kind` is scan, source (an IO source) or frame (rows in the query itself: an in-memory frame, or rows
    made of literals).
    """

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Leaves:
    """How the inputs of a stage are recognized, and their columns in order.

    `owners` maps the tag of a leaf to the inputs that have it. Inputs may share leaves: two stages can
    produce the same object, and a scan of it is then a leaf of both.
    """

    schemas: Mapping[str, tuple[str, ...]]
    owners: Mapping[object, tuple[str, ...]]

    @classmethod
    def of(cls, frames: Mapping[str, pl.LazyFrame]) -> Leaves | None:
        """Find the leaves of the input `frames`; None if this release of Polars isn't supported.

        ValueError for an in-memory frame with rows that isn't tagged.
        """
        schemas: dict[str, tuple[str, ...]] = {}
        owners: dict[object, tuple[str, ...]] = {}
        for name, frame in frames.items():
            nodes = plan_nodes(frame, optimised=False)
            if nodes is None:
                return None
            schemas[name] = tuple(nodes.get_schema())
            for leaf in plan_leaves(nodes):
                known = leaf_tags(leaf)
                if not known and has_rows(leaf):
                    raise ValueError(f"the frame of input {name!r} is in memory, but not marked")
                for part in known:
                    owners[part] = (*(n for n in owners.get(part, ()) if n != name), name)
        return cls(schemas, owners)

    def inputs(self, leaf: Any) -> set[tuple[str, ...]]:
        """For each part of `leaf`, the inputs that it may belong to; none for a foreign part.

        Polars merges concatenated scans into one scan of several files.
        """
        return {self.owners.get(part, ()) for part in leaf_tags(leaf)}


def plan_nodes(query: pl.LazyFrame, *, optimised: bool) -> Any | None:
    """The nodes of a query's plan, without running it; None if this release of Polars isn't supported."""
    if not is_supported(pl.__version__):
        return None
    plan: Any = query._ldf
    if optimised:
        plan = plan.with_optimizations(QueryOptFlags()._pyoptflags)
    nodes = plan.visit()
    return nodes if nodes.version() == _FORM else None


def plan_leaves(nodes: Any) -> list[Any]:
    """The leaves of a plan; NotImplementedError for a leaf that Polars doesn't expose."""
    found, todo = [], [nodes.get_node()]
    while todo:
        nodes.set_node(todo.pop())
        below = nodes.get_inputs()
        todo += below
        if not below:
            found.append(nodes.view_current_node())
    return found


def leaf_tags(leaf: Any) -> list[object]:
    """The tags by which the parts of a leaf are recognized; none for an untagged frame."""
    match type(leaf).__name__:
        case "PythonScan":
            return [leaf.options[0]]
        case "Scan":
            return list(map(str, leaf.paths))
        case "MapFunction":
            return list(map(str, leaf.function[1]))
        case "DataFrameScan":
            return [name for name in leaf.df.columns()[-1:] if name.startswith(_MARK)]
    raise NotImplementedError(type(leaf).__name__)


def is_row_count(node: Any) -> bool:
    """Whether a node replaces a scan of which only the rows are counted; its own leaf is empty."""
    return type(node).__name__ == "MapFunction" and node.function[0] == "fast_count"


def has_rows(leaf: Any) -> bool:
    """Whether a leaf may have rows; an empty frame contributes only its schema."""
    return type(leaf).__name__ != "DataFrameScan" or leaf.df.height() > 0


def foreign_leaf(leaf: Any) -> ForeignLeaf:
    """Describe a leaf that belongs to no input."""
    match type(leaf).__name__:
        case "PythonScan":
            return ForeignLeaf("source", "an IO source")
        case "Scan":
            return ForeignLeaf("scan", f"{leaf.scan_type[0]} {', '.join(map(str, leaf.paths))}")
        case "MapFunction":
            _, paths, scan, _ = leaf.function
            return ForeignLeaf("scan", f"{scan[0]} {', '.join(map(str, paths))}")
    return ForeignLeaf("frame", f"columns {', '.join(leaf.df.columns())}")
