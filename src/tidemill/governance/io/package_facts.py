"""Read what the metadata of installed packages says of their licenses, archives and dependencies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tidemill.governance.ml_bom import PackageFacts

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# What the names of hashes are in a bill of materials.
_HASHES = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}
_HEX = re.compile(r"[0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128}")
# Names of licenses with AND, OR, WITH and brackets, as SPDX writes them.
_SPDX = r"\(*[A-Za-z0-9.:+-]+\)*"
_EXPRESSION = re.compile(rf"{_SPDX}(?: (?:AND|OR|WITH) {_SPDX})*")
# What stands for no license, or for a whole group of them.
_NO_LICENSE = ("", "UNKNOWN", "OSI Approved", "DFSG approved")
_OF_EXTRA = re.compile(r"\bextra\s*==")
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
    expression, source = _first(known, "License-Expression"), _direct_source(known)
    is_spdx = _EXPRESSION.fullmatch(expression) is not None
    names = [name for name in (expression, *_licenses(known)) if name not in _NO_LICENSE]
    return PackageFacts(
        expression=expression if is_spdx else "",
        licenses=() if is_spdx else tuple(dict.fromkeys(names)),
        hashes=_archive_hashes(source),
        requires=tuple(dict.fromkeys(_required(known))),
        origin=_origin(source),
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


def _direct_source(known: Distribution) -> dict[str, Any]:
    """Where it was installed from by a URL (PEP 610); empty if it was by its name."""
    try:
        found = json.loads(known.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _part(source: dict[str, Any], name: str) -> dict[str, Any]:
    found = source.get(name)
    return found if isinstance(found, dict) else {}


def _archive_hashes(source: dict[str, Any]) -> dict[str, str]:
    """The hashes of the archive; only an installation from a URL records them."""
    hashes = _part(_part(source, "archive_info"), "hashes")
    return {
        _HASHES[kind]: digest
        for kind, digest in hashes.items()
        if kind in _HASHES and isinstance(digest, str) and _HEX.fullmatch(digest)
    }


def _origin(source: dict[str, Any]) -> str:
    """What isn't an index: an address without a password, or a folder, whose path is no one's business."""
    vcs, url = _part(source, "vcs_info"), _address(source.get("url"))
    if "dir_info" in source:
        is_editable = _part(source, "dir_info").get("editable") is True
        return "an editable folder" if is_editable else "a folder"
    if vcs:
        return f"{vcs.get('vcs', '')}+{url}@{vcs.get('commit_id', '')}"
    if "archive_info" in source:
        return "a file" if url.startswith("file:") else url
    return ""


def _address(url: object) -> str:
    """A URL without user, password, parameters and fragment."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _required(known: Distribution) -> Iterator[str]:
    """The packages that it always needs; those of extras are left out."""
    for requirement in known.requires or []:
        name = _NAME.match(requirement)
        if name is not None and _OF_EXTRA.search(requirement) is None:
            yield name[0]
