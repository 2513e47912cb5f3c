"""The transitive dependencies of packages, by installed version.

Installed versions count, whatever versions were required. A requirement whose marker can't be judged
counts, too: an unneeded package only means that a stage runs once more when it is updated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeAlias

from tidemill.analysis.code.module_origin import build_suffix
from tidemill.analysis.code.requirement_markers import may_hold, normal_name

# A distribution, by its normalized name, and its requested extras.
Requirement: TypeAlias = tuple[str, frozenset[str]]

_HEADER = re.compile(r"^(Name|Version|Requires-Dist):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
# `name[extra, extra] (>=1.0) ; marker`; everything but the name is optional.
_REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[([^\]]*)\])?[^;]*;?(.*)", re.DOTALL)


def dependency_closure(packages: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Add to `packages` every installed package that they depend on, by name and version."""
    given = tuple(packages)
    # Several distributions may share a module; they are then listed in one name.
    roots = [normal_name(part) for name, _ in given for part in name.split(", ")]
    found: dict[str, tuple[str, str]] = {}
    queue: list[Requirement] = [(name, frozenset()) for name in roots]
    seen = set(queue)
    for name, extras in queue:  # it grows while it is read
        installed = requirements_of(name, extras)
        if installed is None:
            continue
        found[name], needs = installed
        queue += (asked := [item for item in needs if item not in seen])
        seen.update(asked)
    return tuple(sorted({*given, *(found[name] for name in found if name not in roots)}))


@cache
def requirements_of(
    name: str, extras: frozenset[str]
) -> tuple[tuple[str, str], tuple[Requirement, ...]] | None:
    """A distribution's name and version, and its direct requirements; None if it isn't installed."""
    # Imported late: it takes 50 ms, and a project without packages doesn't need it.
    from importlib import metadata

    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    headers = _metadata_headers(distribution)
    if not headers["Requires-Dist"] and distribution.read_text("requires.txt"):  # an older format
        headers["Requires-Dist"] = distribution.requires or []
    needs = (_parse_requirement(line, extras) for line in headers["Requires-Dist"])
    named, version = [*headers["Name"], name][0], [*headers["Version"], ""][0]
    found = named, version + build_suffix(distribution)
    return found, tuple(dict.fromkeys(item for item in needs if item))


def _metadata_headers(distribution: Any) -> dict[str, list[str]]:
    """Parse three headers of a distribution; the standard library would parse the licences, too."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    found: dict[str, list[str]] = {"Name": [], "Version": [], "Requires-Dist": []}
    for header, value in _HEADER.findall(text.partition("\n\n")[0]):
        found[header].append(value)
    return found


def _parse_requirement(requirement: str, extras: frozenset[str]) -> Requirement | None:
    match = _REQUIREMENT.fullmatch(requirement)
    if match is None or not may_hold(match[3], extras):
        return None
    parts = (match[2] or "").split(",")
    return normal_name(match[1]), frozenset(normal_name(part) for part in parts if part.strip())
