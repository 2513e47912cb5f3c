"""Find the opaque parts of a query or an expression: code, files, other sources, randomness.

Their effect isn't in the text of the query. They occur under many names, so the whole text is searched,
not only the known operators.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from tidemill.core.lazy_dataclass import dataclass

# As bytes in JSON: `PLPY`, `cloudpickle`, and the start of a pickle (protocols 4 and 5).
_CODE = tuple(
    ",".join(map(str, code)) for code in (b"PLPY", b"cloudpickle", b"\x80\x04\x95", b"\x80\x05\x95")
)
_PICKLES = _CODE[2:]
# Operators, expressions and functions, by the kind of opaque part.
_KINDS = {
    "AnonymousFunction": "python",
    "OpaquePython": "python",
    "PipeWithSchema": "python",
    "PipeWithDtype": "python",
    "Display": "python",
    "FoldHorizontal": "python",
    "ReduceHorizontal": "python",
    "CumFoldHorizontal": "python",
    "CumReduceHorizontal": "python",
    "FfiPlugin": "plugin",
    "Scan": "scan",
    "PythonScan": "source",
    "Resolver": "source",
    "SQL": "sql",
    "Sink": "sink",
    "SinkMultiple": "sink",
}
_SUSPECTS = [*(f'"{name}"' for name in _KINDS), '"seed":null', *_CODE]


@dataclass(frozen=True, slots=True)
class OpaquePart:
    """A part of a query whose effect isn't in its text.

    `kind` is python, plugin, scan, source, sql, sink, unseeded or codes.
    """

    kind: str
    name: str


def find_opaque_parts(text: str, plan: Any) -> tuple[OpaquePart, ...]:
    """All opaque parts of a plan, which was parsed from `text`."""
    return sorted_parts(_opaque_parts(plan, "query")) if may_have_opaque_parts(text) else ()


def sorted_parts(parts: Iterable[OpaquePart]) -> tuple[OpaquePart, ...]:
    """Each of some parts once, by kind and name."""
    return tuple(sorted({*parts}, key=attrgetter("kind", "name")))


def may_have_opaque_parts(text: str) -> bool:
    """Whether a text may have opaque parts; most have none and needn't be parsed."""
    return any(suspect in text for suspect in _SUSPECTS)


def _opaque_parts(part: Any, place: str) -> Iterator[OpaquePart]:
    if isinstance(part, list):
        if part and isinstance(part[0], int):
            yield from _pickled_code(part, place)
            return
        for item in part:
            yield from _opaque_parts(item, place)
    elif isinstance(part, dict):
        for name, content in part.items():
            # Columns may have any name.
            if place != "fields":
                yield from _named_part(name, content)
            yield from _opaque_parts(content, name)
        yield from _unseeded_sampling(part, place)
    elif isinstance(part, str) and part in ("Resolver",):
        yield OpaquePart("source", part)


def _named_part(name: str, content: Any) -> Iterator[OpaquePart]:
    if isinstance(content, (dict, list)) and name in _KINDS:
        yield OpaquePart(_KINDS[name], _part_name(name, content))
    elif name == "apply" and content is not None:
        yield OpaquePart("python", "map_groups")


def _part_name(name: str, content: Any) -> str:
    """Name an opaque part by its file, its library or its text."""
    match name, content:
        case "Scan", {"sources": {"Paths": [{"inner": str(path)}, *_]}}:
            return path
        case "Scan", {"scan_type": dict(kinds)}:
            return f"a scan of {', '.join(kinds)}"
        case "SQL", {"query": str(query)}:
            return query
        case "FfiPlugin", {"lib": _, "symbol": _}:
            return f"{content['lib']}:{content['symbol']}"
    return name


def _pickled_code(numbers: list[int], place: str) -> Iterator[OpaquePart]:
    text = json.dumps(numbers, separators=(",", ":"))
    head = text[:64]
    if any(code in text for code in _CODE[:2]) or any(code in head for code in _PICKLES):
        yield OpaquePart("python", f"a Python function in {place}")


def _unseeded_sampling(part: dict[str, Any], place: str) -> Iterator[OpaquePart]:
    if "seed" not in part or part["seed"] is not None:
        return
    options = part.get("options")
    method = (options if isinstance(options, dict) else part).get("method", place)
    if place == "Rank" and method != "Random":
        return
    yield OpaquePart(
        "unseeded", str(next(iter(method)) if isinstance(method, dict) else method).lower()
    )
