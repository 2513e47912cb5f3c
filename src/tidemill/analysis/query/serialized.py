"""Serialize a query as JSON with every parameter, before any optimization.

Equal texts must be equal queries, so two gaps are closed here. JSON has no NaN and no infinities, for
which Polars writes null. Wrappers that only record a look at the schema, and the random names of caches,
are dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any, TypeAlias

import polars as pl
from polars.exceptions import PolarsError

Node: TypeAlias = dict[str, Any]

# Releases (major, minor) whose plans were tested; in other releases operators may have other meanings.
SUPPORTED = ((2, 1),)
# Non-finite floats in the binary form of a plan (MessagePack), of 64 and 32 bits, and the unlikely numbers
# that replace them. A NaN with a payload stays null.
_STAND_INS = {
    bytes.fromhex(token): bytes.fromhex(number)
    for token, number in (
        ("cb7ff0000000000000", "cb7fe45c8a1f3b9d27"),
        ("cbfff0000000000000", "cbffe45c8a1f3b9d27"),
        ("cb7ff8000000000000", "cb7fe91ab5c3d7e211"),
        ("cbfff8000000000000", "cbffe91ab5c3d7e211"),
        ("ca7f800000", "ca7f53a4d7"),
        ("caff800000", "caff53a4d7"),
        ("ca7fc00000", "ca7f6b2c91"),
        ("caffc00000", "caff6b2c91"),
    )
}
_NOT_FINITE = re.compile(b"|".join(map(re.escape, _STAND_INS)))


class UnreadableQuery(Exception):
    """The query can't be serialized; the message is the reason."""


def is_supported(version: str) -> bool:
    """Whether plans of this release of Polars are supported."""
    return tuple(version.split(".")[:2]) in {tuple(map(str, known)) for known in SUPPORTED}


def serialize_query(frame: pl.LazyFrame) -> str:
    """Serialize a query to JSON without losing numbers; Unreadable if Polars can't."""
    if not is_supported(pl.__version__):
        known = ", ".join(f"{major}.{minor}" for major, minor in SUPPORTED)
        raise UnreadableQuery(
            f"query plans of Polars {pl.__version__} are not supported (supported: {known}; install one of "
            "these, or a newer Tidemill)"
        )
    try:
        binary = frame.serialize()
        if _NOT_FINITE.search(binary):
            frame = pl.LazyFrame.deserialize(BytesIO(_with_finite(binary)))
        target = BytesIO()
        # `serialize(format="json")` adds only a warning, and warnings can't be silenced per thread.
        frame._ldf.serialize_json(target)
    except PolarsError as error:
        reason = str(error).strip().rpartition("\n")[2]
        # With cloudpickle installed, Polars pickles functions, which are then found in the text.
        python = "cloudpickle" in reason
        raise UnreadableQuery(
            "a Python function in its query"
            if python
            else f"Polars can't serialize the query: {reason}"
        ) from error
    return target.getvalue().decode()


def parse_query(text: str) -> Node:
    """Parse a serialized query; Unreadable if it is nested too deep."""
    try:
        plan: Node = json.loads(text, object_hook=_unwrap)
    except RecursionError as error:
        raise UnreadableQuery("the query is nested too deeply") from error
    return plan


def node_schema(node: Node) -> dict[str, pl.DataType]:
    """Ask Polars for the schema of a part of a query; PolarsError if it has none."""
    frame = pl.LazyFrame.deserialize(BytesIO(json.dumps(node).encode()), format="json")
    return dict(frame.collect_schema())


def _unwrap(record: Node) -> Node:
    # Called for every record, and few of them are wrappers.
    if len(record) == 1 and ("IR" in record or "Cache" in record):
        match record:
            case {"IR": {"dsl": dict(inner)}} | {"Cache": {"input": dict(inner), "id": _}}:
                return inner
    return record


def _with_finite(binary: bytes) -> bytes:
    for number in _STAND_INS.values():
        if number in binary:
            raise UnreadableQuery("it contains a number that stands for NaN or infinity here")
    return _NOT_FINITE.sub(lambda found: _STAND_INS[found[0]], binary)


def variant_of(record: Mapping[str, Any]) -> tuple[str, Any]:
    """The name and content of a record that is a variant; LookupError if it isn't one."""
    if len(record) != 1:
        raise LookupError(f"not one name but {list(record)}")
    return next(iter(record.items()))
