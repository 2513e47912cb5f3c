"""Versions of models as they are recorded, with everything that must not be mirrored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tidemill.ledger.delivery import Decision
from tidemill.ledger.model_version import Evaluation, ModelVersion, TrainingCost, VersionState
from tidemill.models.mlflow.mirrored_version import MirroredModel, mirror_version, owner_of
from tidemill.testing.records import model_artifact, scores
from tidemill.workflow.gate import GateResult

# What no server may get: a person, a value of a column, what somebody wrote.
PRIVATE = ("ana@example.org", "Berlin-Mitte", "because of Mrs Smith", "17.25 against")
# A secret that a redactor knows.
SECRET = "s3cret-value"


def model_version(
    id: str = "v1",
    *,
    state: VersionState = VersionState.LIVE,
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, object] | None = None,
    decisions: Sequence[Decision] = (),
    at: float = 1_700_000_000.0,
) -> ModelVersion:
    person, value, reason, evidence = PRIVATE
    found = scores()
    [part] = found.slices
    figures = {"mae": 11.5} if metrics is None else dict(metrics)
    found = replace(found, metrics=figures, slices=(replace(part, value=value),))
    decision = Decision(
        subject="subject",
        artifact=id,
        approved=True,
        results=(GateResult(gate="beats_live(mae)", passed=True, evidence=f"{evidence} {value}"),),
        actor=person,
        at=at,
        reason=reason,
        review="r-1",
    )
    artifact = replace(
        model_artifact(id),
        params=json.dumps({"rate": 0.1, "key": SECRET, **(params or {})}),
        trained_on={"features": (value, "2013-03-07")},
        snapshot={"features": {value: "abc"}},
    )
    return ModelVersion(
        artifact=artifact,
        state=state,
        trained_at=at,
        run="run-1",
        bytes=100,
        key="key",
        evaluations=(Evaluation(stage="scores", scores=found, run="run-1", at=at, rows_read="x"),),
        decisions=(decision, *decisions),
        cost=TrainingCost(attempts=1, wall_s=2.0, cpu_s=1.0, peak_rss=1000, rows=24),
        approvers={"r-1": (person,)},
    )


def mirrored_model(
    *versions: ModelVersion,
    live: str = "v1",
    environment: str = "prod",
    aliases: Sequence[str] = (),
    name: str = "shop.delay",
) -> MirroredModel:
    return MirroredModel(
        model="delay_model",
        owner=owner_of("shop", name),
        name=name,
        environment=environment,
        versions=tuple(
            mirror_version(each, "shop", environment, lambda text: text.replace(SECRET, "***"))
            for each in versions
        ),
        alias=environment,
        live=live,
        aliases=frozenset((environment, *aliases)),
    )
