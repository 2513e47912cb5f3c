"""A bill of materials of a model version (CycloneDX 1.6), from recorded facts.

It has the model with its card, the data that it was trained on, and the packages of the training.
Source: https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from hashlib import sha256
from uuid import UUID

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.governance.in_toto import Json, listing_digest, moment
from tidemill.governance.json_text import canonical_json
from tidemill.governance.provenance import BuildInput, BuildRecord, masked, package_url
from tidemill.ledger.model_version import ModelVersion
from tidemill.models.card_front_matter import library_of, task_of
from tidemill.models.input_compatibility import trained_inputs
from tidemill.models.intervals import SHOWN_CONFIDENCE, metric_estimate
from tidemill.workflow.gate import Scores, Slice
from tidemill.workflow.model import Artifact

SCHEMA, VERSION = "http://cyclonedx.org/schema/bom-1.6.schema.json", "1.6"
# A data set of more files has one digest of all of them.
_LISTED = 1_000
_NOT_RECORDED = "license, intended use, ethical considerations"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFacts:
    """What the metadata of an installed package says of it.

    `expression` is an SPDX expression of its licenses, `licenses` are names where there is none. `hashes` are
    those of the archive that it was installed from, by algorithm. `requires` are packages by name. `origin`
    is where it was installed from, if that isn't a package index.
    """

    expression: str = ""
    licenses: tuple[str, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    origin: str = ""


def model_bom(
    version: ModelVersion,
    record: BuildRecord,
    packages: Mapping[str, PackageFacts],
    *,
    owner: str = "",
    tidemill: str = "",
    at: float,
) -> Json:
    """Write the bill of materials of a version at a time (Unix seconds).

    `packages` are those of the training of which something is known, `tidemill` is the version that writes.
    """
    data = [_data(item, owner) for item in record.inputs]
    libraries = [
        _library(name, number, packages.get(name, PackageFacts()))
        for name, number in _packages(version.artifact).values()
    ]
    tool = {"type": "application", "name": "tidemill", **_without_empty({"version": tidemill})}
    document = masked(
        {
            "$schema": SCHEMA,
            "bomFormat": "CycloneDX",
            "specVersion": VERSION,
            "version": 1,
            "metadata": {
                "timestamp": moment(at),
                "tools": {"components": [tool]},
                "component": _model(version, record),
            },
            "components": [*data, *libraries],
            "dependencies": list(_dependencies(version, record, packages)),
        },
        record.redact,
    )
    return {**document, "serialNumber": _serial_number(document)}


def _serial_number(document: Json) -> str:
    """A UUID (version 8) that follows from the content."""
    digest = bytearray(sha256(canonical_json(document)).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return f"urn:uuid:{UUID(bytes=bytes(digest))}"


def _model(version: ModelVersion, record: BuildRecord) -> Json:
    artifact = version.artifact
    facts = {
        "workflow": record.workflow,
        "environment": record.environment,
        "state": str(version.state),
        "run": version.run,
        "format": artifact.format,
        "recipe": artifact.recipe,
        "seed": "" if artifact.seed is None else str(artifact.seed),
        "parent": artifact.parent.id if artifact.parent is not None else "",
        "commit": record.run.commit,
        "not recorded": _NOT_RECORDED,
        **{f"machine: {name}": text for name, text in artifact.hardware.items()},
        **{f"parameter: {name}": json.dumps(v) for name, v in json.loads(artifact.params).items()},
        **{
            f"gate: {result.gate}": f"{result.outcome}: {result.evidence}"
            for decision in version.decisions
            for result in decision.results
        },
    }
    return {
        "type": "machine-learning-model",
        "bom-ref": _model_ref(version),
        "name": version.model,
        "version": version.id,
        "hashes": [_sha256(artifact.object[:64])],
        "modelCard": _card(version, record),
        "properties": _properties(facts),
    }


def _card(version: ModelVersion, record: BuildRecord) -> Json:
    artifact = version.artifact
    parameters = {
        "approach": {"type": "supervised"},
        "task": task_of(artifact),
        "architectureFamily": library_of(artifact),
        "datasets": [{"ref": _data_ref(item)} for item in record.inputs if item.kind == "table"],
        "inputs": list(_inputs(artifact)),
        "outputs": [{"format": artifact.output}],
    }
    metrics = list(_metrics(version))
    card: Json = {"modelParameters": _without_empty(parameters)}
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    card["considerations"] = {"technicalLimitations": list(_limitations(version))}
    return card


def _inputs(artifact: Artifact) -> Iterator[Json]:
    """The columns that a model reads, with their types and units if their contract is known."""
    known = trained_inputs(artifact)
    for name in artifact.inputs:
        if known is None:
            yield {"format": name}
            continue
        column = known.contract.column(name)
        unit = f" ({column.unit})" if column.unit else ""
        yield {"format": f"{name}: {column.dtype}{unit}"}


def _metrics(version: ModelVersion) -> Iterator[Json]:
    """The newest figures of each evaluation, of all rows and by slice, with intervals over days."""
    latest = version.latest_scores()
    for stage, scores in latest.items():
        prefix = f"{stage}." if len(latest) > 1 else ""
        for part in (None, *scores.slices):
            figures = scores.metrics if part is None else part.metrics
            for name, value in figures.items():
                if math.isfinite(value):
                    yield _metric(
                        f"{prefix}{name}", value, _interval(scores, name, part), scores, part
                    )


def _metric(
    kind: str, value: float, interval: Json | None, scores: Scores, part: Slice | None
) -> Json:
    found: Json = {"type": kind, "value": repr(value)}
    if part is not None:
        found["slice"] = f"{scores.by}={part.value}"
    if interval is not None:
        found["confidenceInterval"] = interval
    return found


def _interval(scores: Scores, name: str, part: Slice | None) -> Json | None:
    estimate = metric_estimate(scores, name, part)
    if estimate is None or not estimate.is_enough:
        return None
    interval = estimate.interval(SHOWN_CONFIDENCE)
    return {"lowerBound": repr(interval.low), "upperBound": repr(interval.high)}


def _limitations(version: ModelVersion) -> Iterator[str]:
    artifact = version.artifact
    until = f" up to {artifact.anchor}" if artifact.anchor not in ("", WHOLE) else ""
    yield f"It was trained on {artifact.rows:,} rows{until}."
    for stage, scores in version.latest_scores().items():
        yield f"{stage} scored it on {scores.rows:,} rows."
    if not version.evaluations:
        yield "It wasn't evaluated."
    for encoding in artifact.encodings:
        if encoding.kind == "category":
            outcome = "refused" if encoding.unseen == "fail" else "treated as missing"
            yield (
                f"Values of {encoding.name} other than the {len(encoding.categories):,} known ones are "
                f"{outcome}."
            )


def _data(item: BuildInput, owner: str) -> Json:
    """An input as a component, with a component for each file."""
    reference = _data_ref(item)
    is_hashed = bool(item.files) and all(len(digest) == 64 for digest in item.files.values())
    facts = {
        "files": str(len(item.files)),
        "dirHash1": listing_digest(item.files) if is_hashed else "",
        "content": item.content or ("" if is_hashed else listing_digest(item.files)),
        "kind": item.kind,
    }
    dataset: Json = {"type": "dataset", "name": item.name}
    if owner and item.kind == "table":
        dataset["governance"] = {"owners": [{"organization": {"name": owner}}]}
    component: Json = {
        "type": "data",
        "bom-ref": reference,
        "name": item.name,
        **_without_empty({"version": item.contract}),
        "data": [dataset],
        "properties": [
            *_properties(facts),
            *({"name": "tidemill:column", "value": column} for column in item.columns),
        ],
    }
    if is_hashed and len(item.files) <= _LISTED:
        component["components"] = [
            {
                "type": "file",
                "bom-ref": f"{reference}/{name}",
                "name": name,
                "hashes": [_sha256(digest)],
            }
            for name, digest in sorted(item.files.items())
        ]
    return component


def _packages(artifact: Artifact) -> dict[str, tuple[str, str]]:
    """Names and versions by package URL: of a name that is spelt in two ways the first."""
    found: dict[str, tuple[str, str]] = {}
    for name, number in sorted(artifact.packages.items()):
        found.setdefault(package_url(name, number), (name, number))
    return found


def _library(name: str, number: str, facts: PackageFacts) -> Json:
    component: Json = {
        "type": "platform" if name == "python" else "library",
        "bom-ref": package_url(name, number),
        "name": name,
        "version": number,
        "purl": package_url(name, number),
    }
    if facts.expression:
        component["licenses"] = [{"expression": facts.expression}]
    elif facts.licenses:
        component["licenses"] = [{"license": {"name": each}} for each in facts.licenses]
    if facts.hashes:
        component["hashes"] = [
            {"alg": kind, "content": digest} for kind, digest in sorted(facts.hashes.items())
        ]
    if facts.origin:
        component["properties"] = _properties({"installed from": facts.origin})
    return component


def _dependencies(
    version: ModelVersion, record: BuildRecord, packages: Mapping[str, PackageFacts]
) -> Iterator[Json]:
    """What each component was made from, as far as that is known."""
    known = {name: url for url, (name, _) in _packages(version.artifact).items()}
    data = [_data_ref(item) for item in record.inputs]
    yield _dependency(_model_ref(version), [*data, *known.values()])
    sources = [_data_ref(item) for item in record.inputs if item.kind == "source"]
    for item in record.inputs:
        yield _dependency(_data_ref(item), sources if item.kind == "table" else [])
    by_name = {_plain_name(name): reference for name, reference in known.items()}
    for name, reference in known.items():
        needed = packages.get(name, PackageFacts()).requires
        found = {by_name[other] for each in needed if (other := _plain_name(each)) in by_name}
        yield _dependency(reference, sorted(found - {reference}))


def _dependency(reference: str, needed: Iterable[str]) -> Json:
    return {"ref": reference, "dependsOn": sorted(set(needed))}


def _plain_name(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _model_ref(version: ModelVersion) -> str:
    return f"model:{version.model}@{version.id}"


def _data_ref(item: BuildInput) -> str:
    return f"{item.kind}:{item.name}"


def _sha256(digest: str) -> Json:
    return {"alg": "SHA-256", "content": digest}


def _properties(facts: Mapping[str, str]) -> list[Json]:
    return [{"name": f"tidemill:{name}", "value": text} for name, text in facts.items() if text]


def _without_empty(facts: Json) -> Json:
    return {name: value for name, value in facts.items() if value not in ("", [])}
