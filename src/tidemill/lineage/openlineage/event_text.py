"""Encode an event of OpenLineage as JSON of a bounded size.

Receivers refuse large events: a proxy or a broker often takes no more than 1 MB.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tidemill.lineage.openlineage.facets import CORE, Json

MOST_BYTES = 1_000_000
# Some readers of lines take these for ends of lines.
_LINE_ENDS = {ord(letter): f"\\u{ord(letter):04x}" for letter in "\x85\u2028\u2029"}
_LEFT_OUT = "tidemill_leftOut"
# What is left out first, and the name of its list of entries.
_TRIMMED = (
    ("columnLineage", "fields"),
    ("dataQualityAssertions", "assertions"),
    ("tags", "tags"),
    ("schema", "fields"),
    ("sql", "query"),
    ("documentation", "description"),
    ("errorMessage", "message"),
)


def encode_event(event: Json, most_bytes: int = MOST_BYTES) -> bytes:
    """The event in one line of UTF-8.

    From one that is too large, whole facets are left out, the largest kinds first. A facet of the run counts
    the entries that are missing.
    """
    text = _encoded(event)
    for name, entries in _TRIMMED:
        if len(text) <= most_bytes:
            break
        missing = sum(_remove(facets, name, entries) for facets in _facets(event))
        if missing:
            run = event["run"]["facets"]
            base = {"_producer": event["producer"], "_schemaURL": f"{CORE}#/$defs/BaseFacet"}
            known = run.get(_LEFT_OUT, base)
            run[_LEFT_OUT] = {**known, name: known.get(name, 0) + missing}
            text = _encoded(event)
    return text


def _encoded(event: Json) -> bytes:
    # A lone surrogate, as a file system may have it in names, is no character.
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_LINE_ENDS).encode("utf-8", "replace")


def _facets(event: Json) -> Iterator[Json]:
    yield event["run"]["facets"]
    yield event["job"]["facets"]
    for dataset in (*event["inputs"], *event["outputs"]):
        for kind in ("facets", "inputFacets", "outputFacets"):
            if kind in dataset:
                yield dataset[kind]


def _remove(facets: Json, name: str, entries: str) -> int:
    removed = facets.pop(name, None)
    if removed is None:
        return 0
    held = removed[entries]
    return 1 if isinstance(held, str) else len(held)
