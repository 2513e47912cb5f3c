"""Documents of JSON in which one thing was changed, as a strategy of Hypothesis."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

# What a program that expects another type, or text that can be written, stumbles over.
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, -1, 10**400, 1.5, 1e308, "", "x", "\ud800", "\0", "ü", [], [[]], {}, {"x": None}]
)  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a document with each key or index that it has."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """The document with one value replaced, removed, added, or with a changed text."""
    changed = copy.deepcopy(document)
    holder, key = draw(st.sampled_from([*places(changed)]))
    kind = draw(st.sampled_from(["replace", "remove", "add", "edit"]))
    if kind == "remove":
        del holder[key]
    elif kind == "add" and isinstance(holder, dict):
        holder[draw(st.sampled_from(["", "x", "\ud800", "digest"]))] = draw(ODD)
    elif kind == "edit" and isinstance(holder[key], str):
        text = holder[key]
        at = draw(st.integers(0, len(text)))
        holder[key] = text[:at] + draw(st.text(max_size=2) | st.just("\udfff")) + text[at + 1 :]
    else:
        holder[key] = draw(ODD)
    return changed


@st.composite
def mutated_bytes(draw: st.DrawFn, document: Any) -> bytes:
    """A changed document as it is stored, or one of which some bytes were overwritten or cut off."""
    if draw(st.booleans()):
        return json.dumps(draw(mutated(document))).encode()
    text = bytearray(json.dumps(document, indent=1).encode())
    at = draw(st.integers(0, len(text) - 1))
    text[at : at + draw(st.integers(0, 40))] = draw(st.binary(max_size=3))
    return bytes(text)
