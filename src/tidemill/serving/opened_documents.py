"""Leave out of a server's metrics and status what a caller may not read: other endpoints, and the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

from tidemill.serving.metric_families import Family


def opened_families(families: Iterable[Family], opens: Callable[[str], bool]) -> list[Family]:
    """The points of the endpoints that a caller may ask; families without any are left out."""
    found = []
    for family in families:
        points = [
            (labels, value)
            for labels, value in family.points
            if "endpoint" in labels and opens(labels["endpoint"])
        ]
        if points:
            found.append(replace(family, points=points))
    return found


def opened_status(document: bytes, opens: Callable[[str], bool]) -> bytes:
    """The status document of a server with only the endpoints that a caller may ask."""
    status = json.loads(document)
    endpoints = [each for each in status.get("endpoints", ()) if opens(each["name"])]
    return json.dumps({"schema": status.get("schema", ""), "endpoints": endpoints}).encode()
