"""What is mirrored of a version: all that compares trainings, and nothing that is private."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import pytest

from tests.support.mirrored_models import PRIVATE, SECRET, mirrored_model, model_version
from tidemill.ledger.delivery import Decision
from tidemill.ledger.model_version import ModelVersion, VersionState
from tidemill.models.mlflow.mirrored_version import MirroredVersion, owner_of
from tidemill.workflow.model import ParentVersion


def mirrored(version: ModelVersion, environment: str = "prod") -> MirroredVersion:
    [found] = mirrored_model(version, environment=environment).versions
    return found


def test_parameters_metrics_and_tags() -> None:
    found = mirrored(model_version(params={"rounds": 60, "loss": "l1", "seed": 9}))
    data = found.parameters.pop("tidemill.data.features")  # type: ignore[attr-defined]
    assert data.endswith("(2 partitions)")
    assert found.parameters == {
        "seed": "9",
        "tidemill.recipe": "recipe",
        "tidemill.rows": "24",
        "tidemill.format": "lightgbm",
        "rate": "0.1",
        "key": "***",
        "rounds": "60",
        "loss": "l1",
    }
    assert {one.name: one.value for one in found.metrics} == {
        "mae": 11.5,
        "tidemill.cpu_s": 1.0,
        "tidemill.peak_rss": 1000.0,
    }
    assert found.version_tags == {
        "tidemill.run": "run-1",
        "tidemill.object": found.artifact.object,
        "tidemill.prod.state": "live",
        "tidemill.prod.decision": "approved",
        "tidemill.prod.gates": "passed beats_live(mae)",
        "tidemill.prod.review": "r-1",
    }
    assert (found.ended - found.started, found.source) == (2_000, "tidemill://shop/delay_model/v1")


def test_nothing_private_is_mirrored() -> None:
    found = mirrored(model_version(metrics={"mae": math.nan}))
    sent = [found.parameters, found.run_tags, found.version_tags, found.source]
    text = json.dumps([*sent, [asdict(one) for one in found.metrics]])
    assert not [each for each in (*PRIVATE, SECRET) if each in text]


def test_the_digest_changes_with_everything_that_is_mirrored() -> None:
    version = model_version()
    withdrawn = Decision(
        subject="s", artifact="v1", approved=False, results=(), actor="ana", at=1.0
    )
    [evaluation] = version.evaluations
    again = replace(evaluation, at=evaluation.at + 1)
    parent = ParentVersion(id="v0", key="k", digest="d")
    others = [
        replace(version, state=VersionState.WITHDRAWN),
        replace(version, removed=1.0),
        replace(version, evaluations=(evaluation, again)),
        replace(version, evaluations=(evaluation, replace(again, stage="more"))),
        replace(version, artifact=replace(version.artifact, parent=parent)),
        replace(version, decisions=(*version.decisions, withdrawn)),
        replace(version, cost=None),
    ]
    digests = {mirrored(each).digest for each in (version, *others)}
    assert len(digests) == len(others) + 1
    assert mirrored(version).digest == mirrored(model_version()).digest


@pytest.mark.parametrize("other", [("shop", "b"), ("sho", "pa")])
def test_models_of_one_name_have_owners_of_their_own(other: tuple[str, str]) -> None:
    assert owner_of("shop", "a") == owner_of("shop", "a") != owner_of(*other)
