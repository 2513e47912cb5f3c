"""Say how a version of a model or a table was made, from recorded facts only.

The result follows from the ledger alone, so that it is the same whenever it is written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, fields, is_dataclass
from enum import Enum
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition_file import partition_stem
from tidemill.core.percent_encoding import percent_encoded
from tidemill.governance.in_toto import (
    AttestedFile,
    Json,
    described,
    file_descriptor,
    listing_descriptor,
    moment,
    statement,
    value_descriptor,
)
from tidemill.ledger.delivery import Effect
from tidemill.ledger.model_version import ModelVersion
from tidemill.ledger.policy import PolicyDecision
from tidemill.ledger.review import Review, Vote
from tidemill.workflow.model import Artifact

# How builds are described, and by what; docs/how-to/provenance.md documents both.
MODEL_BUILD = "urn:tidemill:build:model:1"
TABLE_BUILD = "urn:tidemill:build:table:1"
BUILDER = "urn:tidemill:builder:1"
# A statement names the files of an input up to this number; of more it has one digest.
_LISTED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedRun:
    """A run: its start in Unix seconds, its command, and the commit of the code that it ran.

    `commit` is empty where none was recorded; with `changed` files differed from it.
    """

    id: str
    started: float | None = None
    command: str = ""
    commit: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInput:
    """An input of a build: the digests of its files by name, and the columns that were read.

    `contract` is the version of its contract; `content` identifies what was read of it where its files
    aren't known.
    """

    name: str
    files: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    contract: str = ""
    content: str = ""
    kind: str = "table"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedReview:
    """A review, the votes of people, and its outcome; "" while it is open."""

    review: Review
    votes: tuple[Vote, ...] = ()
    outcome: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRecord:
    """What is recorded of a build, whatever it made; `redact` masks secrets in what leaves the project."""

    workflow: str
    stage: str
    environment: str
    run: AttestedRun
    inputs: tuple[BuildInput, ...] = ()
    policy: tuple[PolicyDecision, ...] = ()
    reviews: tuple[AttestedReview, ...] = ()
    redact: Callable[[str], str] = str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedPartition:
    """A partition of a table: its files, when and by which run it was published, from which inputs."""

    key: str
    files: tuple[AttestedFile, ...]
    run: str
    at: float
    rows: int
    contract: str
    recipe: str


def model_statement(version: ModelVersion, facts: BuildRecord, file: AttestedFile) -> Json:
    """Say how a version of a model was trained, scored and decided on."""
    artifact = version.artifact
    external = {
        **_external(facts),
        "parameters": json.loads(artifact.params),
        "seed": artifact.seed,
    }
    internal = {
        "key": version.key,
        "recipe": artifact.recipe,
        "format": artifact.format,
        "inputs": list(artifact.inputs),
        "output": artifact.output,
        "encodings": [_plain(each) for each in artifact.encodings],
        "contracts": dict(artifact.contracts),
        "rows": artifact.rows,
        "hardware": dict(artifact.hardware),
        "parent": artifact.parent.id if artifact.parent is not None else None,
        "generation": artifact.generation,
    }
    definition = {
        "buildType": MODEL_BUILD,
        "externalParameters": _without_empty(external),
        "internalParameters": _without_empty(internal),
        "resolvedDependencies": [*_dependencies(facts), *_packages(artifact.packages)],
    }
    made = _run_details(facts, version.trained_at, artifact.packages.get("tidemill", ""))
    values = [*_scores(version), *_decisions(version), *_rulings(facts)]
    made["byproducts"] = [*_golden(version), *_described(values, facts)]
    subject = file_descriptor(file, model=version.model, version=version.id, format=artifact.format)
    return _statement([subject], definition, made, facts)


def table_statement(
    partitions: Sequence[AttestedPartition], facts: BuildRecord, sink: Effect | None = None
) -> Json:
    """Say how partitions of a table were made; `sink` is the last effect that delivered one of them.

    The invocation is the run that published the last of them; each subject names its own.
    """
    subjects = [
        file_descriptor(
            file,
            partition=each.key,
            rows=each.rows,
            run=each.run,
            publishedOn=moment(each.at),
        )
        for each in partitions
        for file in each.files
    ]
    last = max(partitions, key=lambda each: each.at)
    place = {"format": sink.format, "target": sink.target, "table": sink.table} if sink else {}
    external = {**_external(facts), "sink": _without_empty(place)}
    internal = {
        "recipes": sorted({each.recipe for each in partitions}),
        "contracts": sorted({each.contract for each in partitions if each.contract}),
    }
    definition = {
        "buildType": TABLE_BUILD,
        "externalParameters": _without_empty(external),
        "internalParameters": _without_empty(internal),
        "resolvedDependencies": _dependencies(facts),
    }
    made = _run_details(facts, last.at, "")
    made["byproducts"] = list(_described(_rulings(facts), facts))
    return _statement(subjects, definition, made, facts)


def artifact_file_name(artifact: Artifact) -> str:
    """The name of a model's file, as `tidemill models export` writes it."""
    return f"{artifact.stage}-{artifact.id}{_suffix(artifact.object)}"


def partition_file_name(partition: str, name: str, part: int = 0) -> str:
    """A name for the object `name` of a partition, as a folder of Parquet files has it.

    `part` counts the further objects of the partition.
    """
    number = f"+{part}" if part else ""
    return f"{partition_stem(partition)}{number}{_suffix(name)}"


def _suffix(name: str) -> str:
    return f".{name.rpartition('.')[2]}" if "." in name else ""


def _external(facts: BuildRecord) -> Json:
    return {
        "workflow": facts.workflow,
        "stage": facts.stage,
        "environment": facts.environment,
        "command": facts.run.command,
    }


def _run_details(facts: BuildRecord, finished: float, tidemill: str) -> Json:
    started = None if facts.run.started is None else moment(facts.run.started)
    metadata = {
        "invocationId": facts.run.id,
        "startedOn": started,
        "finishedOn": moment(finished),
    }
    version = {"version": {"tidemill": tidemill}} if tidemill else {}
    return {"builder": {"id": BUILDER, **version}, "metadata": _without_empty(metadata)}


def _dependencies(facts: BuildRecord) -> list[Json]:
    found = []
    if facts.run.commit:
        commit = {"digest": {"gitCommit": facts.run.commit}}
        found.append(described("code", commit, {"changed": facts.run.changed or None}))
    return [*found, *map(_input, facts.inputs)]


def _input(item: BuildInput) -> Json:
    notes = {
        "kind": item.kind,
        "contract": item.contract,
        "columns": list(item.columns),
        "content": item.content,
    }
    if item.files:
        return listing_descriptor(item.name, item.files, limit=_LISTED, **notes)
    digest = {"digest": {"tidemillContent": item.content}}
    return described(item.name, digest, {**notes, "content": None})


def _packages(packages: Mapping[str, str]) -> Iterator[Json]:
    for name, number in sorted(packages.items()):
        yield {"name": name, "uri": package_url(name, number)}


def package_url(name: str, number: str) -> str:
    """The package URL of a version of a Python package, or of Python itself."""
    if name == "python":
        return f"pkg:generic/python@{percent_encoded(number)}"
    plain = name.lower().replace("_", "-")
    return f"pkg:pypi/{percent_encoded(plain)}@{percent_encoded(number)}"


def _golden(version: ModelVersion) -> Iterator[Json]:
    golden = version.artifact.golden
    if golden:
        yield file_descriptor(AttestedFile(name=f"golden{_suffix(golden)}", sha256=golden[:64]))


def _described(values: Iterable[tuple[str, Json]], facts: BuildRecord) -> Iterator[Json]:
    """Describe values by the digest of what is shown of them, without secrets."""
    for name, value in values:
        yield value_descriptor(name, masked(value, facts.redact))


def _statement(
    subjects: Sequence[Json], definition: Json, details: Json, facts: BuildRecord
) -> Json:
    predicate = {"buildDefinition": definition, "runDetails": details}
    return statement(subjects, masked(predicate, facts.redact))


def masked(value: Any, redact: Callable[[str], str]) -> Any:
    """A JSON value with every text in it redacted; keys stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: masked(item, redact) for key, item in value.items()}
    return [masked(item, redact) for item in value] if isinstance(value, list) else value


def _scores(version: ModelVersion) -> Iterator[tuple[str, Json]]:
    # The scores of a candidate are also those of the live model that it became.
    judged = {(found.stage, found.rows_read): found for found in reversed(version.evaluations)}
    for found in reversed(judged.values()):
        scores = found.scores
        yield (
            f"scores/{found.stage}",
            {
                "run": found.run,
                "at": moment(found.at),
                "rows": scores.rows,
                "metrics": _plain(scores.metrics),
                "by": scores.by,
                "slices": [
                    {"value": each.value, "rows": each.rows, "metrics": _plain(each.metrics)}
                    for each in scores.slices
                ],
            },
        )


def _decisions(version: ModelVersion) -> Iterator[tuple[str, Json]]:
    for decision in version.decisions:
        value = {
            "verdict": decision.verdict,
            "subject": decision.subject,
            "actor": decision.actor,
            "reason": decision.reason,
            "at": moment(decision.at),
            "gates": [
                {"gate": each.gate, "outcome": str(each.outcome), "evidence": each.evidence}
                for each in decision.results
            ],
        }
        yield "decision", value


def _rulings(facts: BuildRecord) -> Iterator[tuple[str, Json]]:
    for decision in facts.policy:
        yield "policy", {**_plain(decision), "at": moment(decision.at)}
    for found in facts.reviews:
        review = found.review
        value = {
            "id": review.id,
            "subject": review.subject,
            "reasons": list(review.reasons),
            "quorums": _plain(review.quorums),
            "author": review.author,
            "opened": moment(review.opened),
            "outcome": found.outcome or "open",
            "votes": [
                {
                    "actor": vote.actor,
                    "choice": str(vote.choice),
                    "reason": vote.reason,
                    "at": moment(vote.at),
                }
                for vote in found.votes
            ],
        }
        yield "review", value


def _without_empty(facts: Json) -> Json:
    return {key: value for key, value in facts.items() if value not in (None, "", {}, [])}


def _plain(value: Any) -> Any:
    """A record as JSON; numbers that JSON doesn't know become null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
