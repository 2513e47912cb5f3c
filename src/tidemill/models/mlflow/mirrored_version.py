"""What MLflow is told of a version of a model: a run with parameters and metrics, and tags.

No row and no value of a column is part of it, no name of a person, and no text that somebody wrote about a
version: partitions by value, slices of scores, the evidence of gates and the reasons of decisions stay here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from tidemill.core.fingerprint import Part, fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.redaction import Redact
from tidemill.ledger.delivery import Decision
from tidemill.ledger.model_version import ModelVersion
from tidemill.models.mlflow.accepted_text import (
    MOST_PARAMETER,
    MOST_RUN_TAG,
    MOST_VERSION_TAG,
    accepted_name,
    accepted_number,
    accepted_value,
)
from tidemill.workflow.model import Artifact

VERSION, MODEL = "tidemill.version", "tidemill.model"
# Identifies a model in filters, in which names can't be quoted.
OWNER = "tidemill.owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredMetric:
    """A figure at a time (milliseconds since 1970)."""

    name: str
    value: float | str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredVersion:
    """A version as it is mirrored: its run took from `started` to `ended` (milliseconds since 1970).

    `source` says where the version is, for a server that doesn't get its files. `digest` changes with
    everything that is mirrored of it.
    """

    id: str
    artifact: Artifact
    started: int
    ended: int
    parameters: Mapping[str, str]
    metrics: tuple[MirroredMetric, ...]
    run_tags: Mapping[str, str]
    version_tags: Mapping[str, str]
    source: str

    @property
    def digest(self) -> str:
        figures: list[Part] = [[one.name, repr(one.value), one.at] for one in self.metrics]
        tags = [self.run_tags, self.version_tags]
        return fingerprint("mlflow", self.parameters, figures, *tags)[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredModel:
    """A model as it is mirrored: registered under a `name`, with its versions, oldest first.

    `owner` identifies it. `alias` belongs to the version `live` ("": none is live), and `aliases` are
    those that may exist: of all environments that do.
    """

    model: str
    owner: str
    name: str
    environment: str
    versions: tuple[MirroredVersion, ...]
    alias: str
    live: str
    aliases: frozenset[str]


def owner_of(experiment: str, name: str) -> str:
    """What identifies a model by its experiment and its first name there, in characters without quotes."""
    return fingerprint("mlflow model", experiment, name)[:16]


def mirror_version(
    version: ModelVersion, workflow: str, environment: str, redact: Redact
) -> MirroredVersion:
    """What is mirrored of a version, as it is in an environment; secrets are removed by `redact`."""
    artifact, ended = version.artifact, _milliseconds(version.trained_at)
    took = version.cost.wall_s if version.cost is not None else 0.0
    parameters = {name: redact(text) for name, text in _parameters(artifact)}
    return MirroredVersion(
        id=version.id,
        artifact=artifact,
        started=ended - _milliseconds(took),
        ended=ended,
        parameters={
            accepted_name(name): accepted_value(text, MOST_PARAMETER)
            for name, text in parameters.items()
        },
        metrics=tuple(_metrics(version)),
        run_tags={
            name: accepted_value(redact(text), MOST_RUN_TAG)
            for name, text in _run_tags(version, workflow).items()
        },
        version_tags={
            name: accepted_value(redact(text), MOST_VERSION_TAG)
            for name, text in _version_tags(version, environment).items()
        },
        source=f"tidemill://{'/'.join(map(accepted_name, (workflow, version.model, version.id)))}",
    )


def _parameters(artifact: Artifact) -> Iterator[tuple[str, str]]:
    """The parameters of a training, and what tells its code and its data apart from others."""
    own: Mapping[str, object] = json.loads(artifact.params)
    yield from {
        "seed": json.dumps(artifact.seed),
        "tidemill.recipe": artifact.recipe,
        "tidemill.rows": str(artifact.rows),
        "tidemill.format": artifact.format,
        **({"tidemill.parent": artifact.parent.id} if artifact.parent is not None else {}),
    }.items()
    for name, partitions in sorted(artifact.trained_on.items()):
        data = fingerprint("mlflow data", artifact.snapshot.get(name, {}))[:16]
        yield f"tidemill.data.{name}", f"{data} ({len(partitions)} partitions)"
    for name, value in own.items():
        yield name, value if isinstance(value, str) else json.dumps(value)


def _metrics(version: ModelVersion) -> Iterator[MirroredMetric]:
    several = len({each.stage for each in version.evaluations}) > 1
    for each in version.evaluations:
        for name, figure in each.scores.metrics.items():
            yield MirroredMetric(
                name=accepted_name(f"{each.stage}.{name}" if several else name),
                value=accepted_number(figure),
                at=_milliseconds(each.at),
            )
    if version.cost is not None:
        at, cost = _milliseconds(version.trained_at), version.cost
        yield MirroredMetric(name="tidemill.cpu_s", value=accepted_number(cost.cpu_s), at=at)
        yield MirroredMetric(name="tidemill.peak_rss", value=float(cost.peak_rss), at=at)


def _run_tags(version: ModelVersion, workflow: str) -> dict[str, str]:
    return {
        "tidemill.workflow": workflow,
        MODEL: version.model,
        "tidemill.run": version.run,
        "tidemill.key": version.key,
        "mlflow.source.name": workflow,
        "mlflow.source.type": "PROJECT",
    }


def _version_tags(version: ModelVersion, environment: str) -> dict[str, str]:
    tags = {
        "tidemill.run": version.run,
        "tidemill.object": version.artifact.object,
        f"tidemill.{environment}.state": str(version.state),
    }
    if version.removed is not None:
        tags["tidemill.removed"] = "by a sweep"
    return tags | dict(_decision_tags(version.decisions, f"tidemill.{environment}"))


def _decision_tags(decisions: Sequence[Decision], prefix: str) -> Iterator[tuple[str, str]]:
    """The last decision on a version, the verdicts of gates that it had last, and its last review."""
    for decision in decisions:
        yield f"{prefix}.decision", decision.verdict
        if decision.results:
            gates = "; ".join(f"{result.word} {result.gate}" for result in decision.results)
            yield f"{prefix}.gates", gates
        if decision.review:
            yield f"{prefix}.review", decision.review


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1_000)
