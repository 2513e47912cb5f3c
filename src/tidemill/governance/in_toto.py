"""Statements about bytes (in-toto Statement v1) that say how they were made (SLSA provenance v1).

Sources: https://github.com/in-toto/attestation/tree/main/spec/v1 and https://slsa.dev/provenance/v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.json_text import canonical_json

Json: TypeAlias = dict[str, Any]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PROVENANCE_TYPE = "https://slsa.dev/provenance/v1"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedFile:
    """A file that a statement is about, by its name and the SHA-256 of its bytes in hex."""

    name: str
    sha256: str


def statement(subjects: Sequence[Json], predicate: Json) -> Json:
    """A statement that says by a provenance predicate how its subjects were made."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": list(subjects),
        "predicateType": PROVENANCE_TYPE,
        "predicate": predicate,
    }


def file_descriptor(file: AttestedFile, **annotations: Any) -> Json:
    """Describe a file; annotations without a value are left out."""
    return described(file.name, {"digest": {"sha256": file.sha256}}, annotations)


def value_descriptor(name: str, value: Json) -> Json:
    """Describe a value, which stands in the annotations, by the SHA-256 of its canonical JSON."""
    digest = {"sha256": sha256(canonical_json(value)).hexdigest()}
    return described(name, {"digest": digest, "mediaType": "application/json"}, value)


def listing_descriptor(
    name: str, files: Mapping[str, str], *, limit: int, **annotations: Any
) -> Json:
    """Describe files by their digests: as one digest, and by name unless there are more than `limit`.

    The digest is `dirHash1`, the hash of a listing as `sha256sum` writes it, where all digests are SHA-256;
    else `tidemillListing`, the same of digests of other kinds.
    """
    is_hashed = all(map(_SHA256.fullmatch, files.values()))
    digest = {"dirHash1" if is_hashed else "tidemillListing": listing_digest(files)}
    shown = dict(sorted(files.items())) if len(files) <= limit else None
    return described(name, {"digest": digest}, {**annotations, "count": len(files), "files": shown})


def listing_digest(files: Mapping[str, str]) -> str:
    """The SHA-256 of a line `DIGEST  NAME` for each file, sorted by name, as `sha256sum` writes them."""
    lines = "".join(_listing_line(name, digest) for name, digest in sorted(files.items()))
    return sha256(lines.encode()).hexdigest()


def _listing_line(name: str, digest: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    # A backslash before the digest says that the name is escaped.
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"


def described(name: str, facts: Json, annotations: Mapping[str, Any]) -> Json:
    """A descriptor of a resource; annotations without a value are left out."""
    notes = {key: value for key, value in annotations.items() if value not in (None, "", {}, [])}
    return {"name": name, **facts, **({"annotations": notes} if notes else {})}


def moment(at: float) -> str:
    """A time in Unix seconds as RFC 3339 in UTC: `2026-01-31T12:00:00.000Z`."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def subjects_of(document: Json) -> tuple[AttestedFile, ...]:
    """The files that a statement without faults is about."""
    return tuple(
        AttestedFile(name=each["name"], sha256=each["digest"]["sha256"])
        for each in document["subject"]
    )


def statement_faults(document: object) -> list[str]:
    """What isn't as the specifications of statements and of provenance say; empty if nothing.

    Fields that they don't know are ignored, as they ask.
    """
    if not isinstance(document, dict):
        return ["the statement isn't a JSON object"]
    faults = [
        f"{key} is {document.get(key)!r}, not {wanted!r}"
        for key, wanted in (("_type", STATEMENT_TYPE), ("predicateType", PROVENANCE_TYPE))
        if document.get(key) != wanted
    ]
    faults += _subject_faults(document.get("subject"))
    predicate = document.get("predicate")
    if not isinstance(predicate, dict):
        return [*faults, "it has no predicate"]
    return [*faults, *_build_faults(predicate.get("buildDefinition")),
            *_run_faults(predicate.get("runDetails"))]  # fmt: skip


def _subject_faults(subjects: object) -> Iterator[str]:
    if not isinstance(subjects, list) or not subjects:
        yield "it has no subject"
        return
    names: set[str] = set()
    for number, subject in enumerate(subjects, 1):
        name = subject.get("name") if isinstance(subject, dict) else None
        if not isinstance(name, str) or not name:
            yield f"subject {number} has no name"
            continue
        digest = subject.get("digest")
        value = digest.get("sha256") if isinstance(digest, dict) else None
        if not isinstance(value, str) or not _SHA256.fullmatch(value):
            yield f"subject {name} has no sha256 of 64 hex digits"
        if name in names:
            yield f"subject {name} comes twice"
        names.add(name)


def _build_faults(definition: object) -> Iterator[str]:
    if not isinstance(definition, dict):
        yield "its predicate has no buildDefinition"
        return
    if not _is_uri(definition.get("buildType")):
        yield f"buildType is {definition.get('buildType')!r}, which isn't a URI"
    if not isinstance(definition.get("externalParameters"), dict):
        yield "it has no externalParameters"
    if not isinstance(definition.get("internalParameters", {}), dict):
        yield "its internalParameters aren't an object"
    yield from _descriptor_faults(definition, "resolvedDependencies")


def _run_faults(details: object) -> Iterator[str]:
    builder = details.get("builder") if isinstance(details, dict) else None
    if not isinstance(details, dict) or not isinstance(builder, dict):
        yield "its predicate has no runDetails with a builder"
        return
    if not _is_uri(builder.get("id")):
        yield f"the id of its builder is {builder.get('id')!r}, which isn't a URI"
    metadata = details.get("metadata", {})
    if not isinstance(metadata, dict):
        yield "its metadata isn't an object"
        return
    for name in ("startedOn", "finishedOn"):
        value = metadata.get(name, "")
        if value != "" and not (isinstance(value, str) and _TIME.fullmatch(value)):
            yield f"{name} is {value!r}, which isn't a time such as 2026-01-31T12:00:00Z"
    yield from _descriptor_faults(details, "byproducts")


def _descriptor_faults(place: Json, name: str) -> Iterator[str]:
    found = place.get(name, [])
    if not isinstance(found, list):
        yield f"its {name} aren't a list"
        return
    for number, each in enumerate(found, 1):
        if not isinstance(each, dict) or not {"uri", "digest", "content"} & each.keys():
            yield f"number {number} of its {name} has neither uri, digest nor content"


def _is_uri(value: object) -> bool:
    return isinstance(value, str) and _URI.fullmatch(value) is not None
