"""Read what the metadata of installed packages says of their licenses, archives and dependencies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from tidemill.governance.ml_bom import PackageFacts

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# What the names of hashes are in a bill of materials.
_HASHES = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}
# A longer text, or one of several lines, is the license itself instead of its name.
_LONGEST_LICENSE = 80


def installed_packages(versions: Mapping[str, str]) -> dict[str, PackageFacts]:
    """The facts of packages that are installed here in the same version as in a training."""
    found: dict[str, PackageFacts] = {}
    for name, number in versions.items():
        try:
            known = distribution(name)
        except (PackageNotFoundError, ValueError):
            continue
        if known.version == number:
            found[name] = _facts(known)
    return found


def _facts(known: Distribution) -> PackageFacts:
    expression = _first(known, "License-Expression")
    return PackageFacts(
        expression=expression,
        licenses=() if expression else tuple(dict.fromkeys(_licenses(known))),
        hashes=_archive_hashes(known),
        requires=tuple(dict.fromkeys(_required(known))),
    )


def _licenses(known: Distribution) -> Iterator[str]:
    for classifier in known.metadata.get_all("Classifier") or []:
        kind, _, name = classifier.rpartition(" :: ")
        if kind.startswith("License"):
            yield name
    text = _first(known, "License")
    if text and "\n" not in text and len(text) <= _LONGEST_LICENSE:
        yield text


def _first(known: Distribution, name: str) -> str:
    return str(next(iter(known.metadata.get_all(name) or []), "")).strip()


def _archive_hashes(known: Distribution) -> dict[str, str]:
    """The hashes of the archive; only an installation from a URL records them."""
    try:
        document = json.loads(known.read_text("direct_url.json") or "{}")
        hashes = document.get("archive_info", {}).get("hashes", {})
        return {_HASHES[kind]: str(digest) for kind, digest in hashes.items() if kind in _HASHES}
    except (ValueError, AttributeError):
        return {}


def _required(known: Distribution) -> Iterator[str]:
    """The packages that it always needs; those of extras are left out."""
    for requirement in known.requires or []:
        name = _NAME.match(requirement)
        if name is not None and "extra ==" not in requirement:
            yield name[0]
