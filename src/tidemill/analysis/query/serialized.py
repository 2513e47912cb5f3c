"""The text of a query as Polars writes it: JSON with every parameter, before any optimisation.

What the text leaves out is put right here, so that equal texts are equal queries: JSON has no NaN and no
infinities (Polars writes null for all of them), wrappers that only say that somebody looked at the
schema are dropped, and so are the random names of caches.
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

# Releases (major, minor) whose plans this was tested with; in another one an operator may mean, or a
# name may follow, something else.
SUPPORTED = ((2, 1),)
# Floats that aren't finite, as the binary form of a plan (MessagePack) spells them, 64 and 32 bits, and
# what stands for them here: numbers that nobody writes. A NaN with a payload stays null.
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


class Unreadable(Exception):
    """The query can't be written down; the message is the reason."""


def is_supported(version: str) -> bool:
    """Whether plans of this release of Polars are understood."""
    return tuple(version.split(".")[:2]) in {tuple(map(str, known)) for known in SUPPORTED}


def written(frame: pl.LazyFrame) -> str:
    """The query as JSON text in which no number is lost; Unreadable if Polars can't write it."""
    if not is_supported(pl.__version__):
        known = ", ".join(f"{major}.{minor}" for major, minor in SUPPORTED)
        raise Unreadable(f"plans of Polars {pl.__version__} are not known (known: {known})")
    try:
        binary = frame.serialize()
        if _NOT_FINITE.search(binary):
            frame = pl.LazyFrame.deserialize(BytesIO(_with_finite(binary)))
        target = BytesIO()
        # `serialize(format="json")` is this and a warning; warnings can't be silenced thread by thread.
        frame._ldf.serialize_json(target)
    except PolarsError as error:
        reason = str(error).strip().rpartition("\n")[2]
        # Where it is installed, Polars pickles functions with it, and they are found in the text.
        python = "cloudpickle" in reason
        raise Unreadable(
            "a Python function in its query"
            if python
            else f"Polars can't write the query down: {reason}"
        ) from error
    return target.getvalue().decode()


def parsed(text: str) -> Node:
    """The query as nested records; Unreadable if it is nested too deep."""
    try:
        plan: Node = json.loads(text, object_hook=_plain)
    except RecursionError as error:
        raise Unreadable("the query is nested too deep to be read") from error
    return plan


def schema_of(node: Node) -> dict[str, pl.DataType]:
    """Polars' own schema of a part of a query; PolarsError if it has none."""
    frame = pl.LazyFrame.deserialize(BytesIO(json.dumps(node).encode()), format="json")
    return dict(frame.collect_schema())


def _plain(record: Node) -> Node:
    # Called for every record, of which hardly any is a wrapper.
    if len(record) == 1 and ("IR" in record or "Cache" in record):
        match record:
            case {"IR": {"dsl": dict(inner)}} | {"Cache": {"input": dict(inner), "id": _}}:
                return inner
    return record


def _with_finite(binary: bytes) -> bytes:
    for number in _STAND_INS.values():
        if number in binary:
            raise Unreadable("it holds a number that stands for NaN or infinity here")
    return _NOT_FINITE.sub(lambda found: _STAND_INS[found[0]], binary)


def plain_items(record: Mapping[str, Any]) -> tuple[str, Any]:
    """Name and content of a record that stands for a variant; LookupError if it isn't one."""
    if len(record) != 1:
        raise LookupError(f"not one name but {list(record)}")
    return next(iter(record.items()))
