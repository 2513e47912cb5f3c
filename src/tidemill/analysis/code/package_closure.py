"""What else decides about the results of code: the packages that its packages need.

What is installed counts, whatever was asked for. A requirement of which it can't be told whether it
holds here counts too: one package too many only means that a stage runs once more when it is updated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeAlias

from tidemill.analysis.code.module_origin import build_of
from tidemill.analysis.code.requirement_markers import may_hold, normal_name

# A distribution, by its normal name, and the optional parts of it that are asked for.
Asked: TypeAlias = tuple[str, frozenset[str]]

_HEADER = re.compile(r"^(Name|Version|Requires-Dist):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
# `name[extra, extra] (>=1.0) ; marker`, with all but the name left out at will.
_REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[([^\]]*)\])?[^;]*;?(.*)", re.DOTALL)


def closure_of(packages: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """`packages` as they are given, and all that is installed and that they need, by name and version."""
    given = tuple(packages)
    # A module may be shared by several distributions, which are then named together.
    roots = [normal_name(part) for name, _ in given for part in name.split(", ")]
    found: dict[str, tuple[str, str]] = {}
    queue: list[Asked] = [(name, frozenset()) for name in roots]
    seen = set(queue)
    for name, extras in queue:  # it grows while it is read
        installed = needs_of(name, extras)
        if installed is None:
            continue
        found[name], needs = installed
        queue += (asked := [item for item in needs if item not in seen])
        seen.update(asked)
    return tuple(sorted({*given, *(found[name] for name in found if name not in roots)}))


@cache
def needs_of(name: str, extras: frozenset[str]) -> tuple[tuple[str, str], tuple[Asked, ...]] | None:
    """A distribution's name and version, and what it needs itself; None if it isn't installed."""
    # Here, as it costs a twentieth of a second, and a project without packages need not pay it.
    from importlib import metadata

    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    said = _said(distribution)
    if not said["Requires-Dist"] and distribution.read_text("requires.txt"):  # an older format
        said["Requires-Dist"] = distribution.requires or []
    needs = (_asked(line, extras) for line in said["Requires-Dist"])
    named, version = [*said["Name"], name][0], [*said["Version"], ""][0]
    found = named, version + build_of(distribution)
    return found, tuple(dict.fromkeys(item for item in needs if item))


def _said(distribution: Any) -> dict[str, list[str]]:
    """Some headers of a distribution. The standard library parses the licences that follow as well."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    found: dict[str, list[str]] = {"Name": [], "Version": [], "Requires-Dist": []}
    for header, value in _HEADER.findall(text.partition("\n\n")[0]):
        found[header].append(value)
    return found


def _asked(requirement: str, extras: frozenset[str]) -> Asked | None:
    match = _REQUIREMENT.fullmatch(requirement)
    if match is None or not may_hold(match[3], extras):
        return None
    parts = (match[2] or "").split(",")
    return normal_name(match[1]), frozenset(normal_name(part) for part in parts if part.strip())
