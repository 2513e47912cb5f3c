"""The packages whose versions a project pins, from its lock and requirements files."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

# `name==1.2`, with extras and without a wildcard.
_PIN = re.compile(
    r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*[^\s;,*#\\]+(?![^\s;,#\\])"
)


def pinned_packages(files: Mapping[str, str]) -> frozenset[str]:
    """The names of the packages that some files pin to one version; `files` are texts by name.

    Lock files of uv, Poetry, PDM, Pipenv and PEP 751 pin all that they list, a requirements file and
    pyproject.toml what they name with `==`; the latter also the package that it describes. A file that can't
    be read pins nothing.
    """
    found: set[str] = set()
    for path, text in files.items():
        name = path.rpartition("/")[2]
        try:
            found.update(_pins(name, text))
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            continue
    return frozenset(found)


def _pins(name: str, text: str) -> Iterator[str]:
    if name == "pyproject.toml":
        yield from _of_pyproject(tomllib.loads(text))
    elif name == "Pipfile.lock":
        yield from (
            key for part in ("default", "develop") for key in json.loads(text).get(part, {})
        )
    elif name.endswith((".lock", ".toml")):
        document = tomllib.loads(text)
        listed = document.get("package", document.get("packages", []))
        yield from (each["name"] for each in listed if "version" in each)
    else:
        yield from (found[1] for line in text.splitlines() if (found := _PIN.match(line)))


def _of_pyproject(document: Mapping[str, Any]) -> Iterator[str]:
    project = document.get("project", {})
    # The project's own code is what its commit says.
    if "name" in project:
        yield project["name"]
    lists = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    lists += document.get("dependency-groups", {}).values()
    for given in lists:
        for each in given:
            if isinstance(each, str) and (found := _PIN.match(each)):
                yield found[1]
