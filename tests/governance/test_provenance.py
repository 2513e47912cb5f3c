"""Statements from records: what is known is said, what isn't is left out, secrets are masked."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.models.test_card import evaluated, whole
from tests.models.test_card_front_matter import version
from tidemill.governance.in_toto import AttestedFile, statement_faults
from tidemill.governance.json_text import canonical_json
from tidemill.governance.provenance import (
    AttestedPartition,
    AttestedReview,
    AttestedRun,
    BuildInput,
    BuildRecord,
    artifact_file_name,
    model_statement,
    package_url,
    partition_file_name,
    table_statement,
)
from tidemill.ledger.model_version import ModelVersion
from tidemill.testing.records import effect, policy_decision, review, scores, vote
from tidemill.workflow.model import ParentVersion

FILE = AttestedFile(name="delay_model-abc.txt", sha256="ab" * 32)
RUN = AttestedRun(id="run-1")


def record(**facts: Any) -> BuildRecord:
    common = {"workflow": "flights", "stage": "delay_model", "environment": "prod", "run": RUN}
    return BuildRecord(**{**common, **facts})


def stated(found: ModelVersion, **facts: Any) -> dict[str, Any]:
    made = model_statement(found, record(**facts), FILE)
    assert statement_faults(made) == []
    canonical_json(made)
    predicate: dict[str, Any] = made["predicate"]
    return predicate


def test_of_a_version_without_records_little_is_said() -> None:
    """No scores, decisions, packages, commit, or start of the run."""
    bare = version()
    predicate = stated(replace(bare, evaluations=(), decisions=()))
    definition = predicate["buildDefinition"]
    assert definition["resolvedDependencies"] == []
    assert "command" not in definition["externalParameters"]
    assert "parent" not in definition["internalParameters"]
    assert predicate["runDetails"]["byproducts"] == []
    assert predicate["runDetails"]["builder"] == {"id": "urn:tidemill:builder:1"}
    assert "startedOn" not in predicate["runDetails"]["metadata"]


def test_of_a_whole_version_everything_is_said() -> None:
    found = whole()
    parent = ParentVersion(id="before", key="k", digest="d")
    packages = {"python": "3.11.7", "tidemill": "0.1.0"}
    artifact = replace(
        found.artifact,
        parent=parent,
        generation=2,
        packages=packages,
        golden="cd" * 32 + ".parquet",
    )
    inputs = (
        BuildInput(name="features", files={"a.parquet": "1" * 64}, columns=("hour",)),
        BuildInput(name="old", content="digest"),
    )
    run = AttestedRun(
        id="run-1", started=1.0, command="tidemill run", commit="c" * 40, changed=True
    )
    predicate = stated(
        replace(found, artifact=artifact),
        inputs=inputs,
        run=run,
        policy=(policy_decision(),),
        reviews=(
            AttestedReview(review=review()),
            AttestedReview(review=review("r2"), votes=(vote(),), outcome="approved"),
        ),
    )
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    assert definition["externalParameters"]["command"] == "tidemill run"
    assert definition["internalParameters"]["parent"] == "before"
    code, features, old, python, tidemill = definition["resolvedDependencies"]
    assert code["annotations"] == {"changed": True}
    assert features["annotations"]["columns"] == ["hour"]
    assert old == {
        "name": "old", "digest": {"tidemillContent": "digest"}, "annotations": {"kind": "table"}
    }  # fmt: skip
    assert (python["uri"], tidemill["uri"]) == (
        "pkg:generic/python@3.11.7",
        "pkg:pypi/tidemill@0.1.0",
    )
    assert details["builder"]["version"] == {"tidemill": "0.1.0"}
    assert details["metadata"]["startedOn"] == "1970-01-01T00:00:01.000Z"
    names = [each["name"] for each in details["byproducts"]]
    assert names.count("decision") == 3
    assert names[-3:] == ["policy", "review", "review"]
    outcomes = [each["annotations"]["outcome"] for each in details["byproducts"][-2:]]
    assert outcomes == ["open", "approved"]


def test_scores_that_json_does_not_know_are_null_and_shown_once() -> None:
    bad = replace(scores(math.nan), metrics={"mae": math.nan, "r2": -math.inf})
    twice = (evaluated(bad), replace(evaluated(bad), run="run-3"), evaluated(bad, "other"))
    predicate = stated(replace(version(), evaluations=twice, decisions=()))
    first, second = predicate["runDetails"]["byproducts"]
    assert (first["name"], second["name"]) == ("scores/delay_scores", "scores/other")
    assert first["annotations"]["metrics"] == {"mae": None, "r2": None}
    assert first["annotations"]["run"] == "run-2"


def test_secrets_are_masked_in_all_texts() -> None:
    found = version(params='{"url": "https://u:pw@host/", "n": [1, "pw"]}')
    predicate = stated(found, redact=lambda text: text.replace("pw", "***"))
    parameters = predicate["buildDefinition"]["externalParameters"]["parameters"]
    assert parameters == {"url": "https://u:***@host/", "n": [1, "***"]}
    assert b"pw" not in canonical_json(predicate)


def partition(key: str, run: str, at: float) -> AttestedPartition:
    file = AttestedFile(name=f"table/{key}.parquet", sha256="ab" * 32)
    return AttestedPartition(
        key=key, files=(file,), run=run, at=at, rows=3, contract="", recipe="recipe"
    )


def test_the_invocation_of_a_table_is_the_run_that_published_last() -> None:
    parts = [partition("a", "run-2", 2.0), partition("b", "run-1", 1.0)]
    made = table_statement(parts, record(run=AttestedRun(id="run-2", started=1.5)))
    assert statement_faults(made) == []
    assert [each["annotations"]["run"] for each in made["subject"]] == ["run-2", "run-1"]
    predicate = made["predicate"]
    assert predicate["runDetails"]["metadata"] == {
        "invocationId": "run-2",
        "startedOn": "1970-01-01T00:00:01.500Z",
        "finishedOn": "1970-01-01T00:00:02.000Z",
    }
    assert "sink" not in predicate["buildDefinition"]["externalParameters"]
    assert predicate["buildDefinition"]["internalParameters"] == {"recipes": ["recipe"]}
    made = table_statement(parts, record(), effect())
    external = made["predicate"]["buildDefinition"]["externalParameters"]
    assert external["sink"]["format"] == "parquet"


@pytest.mark.parametrize(
    ("name", "number", "url"),
    [
        ("python", "3.14.0rc1", "pkg:generic/python@3.14.0rc1"),
        ("typing_extensions", "4.16.0", "pkg:pypi/typing-extensions@4.16.0"),
        ("PyYAML", "6.0", "pkg:pypi/pyyaml@6.0"),
        ("torch", "2.15.0+cpu", "pkg:pypi/torch@2.15.0%2Bcpu"),
    ],
)
def test_packages_have_urls(name: str, number: str, url: str) -> None:
    assert package_url(name, number) == url


def test_files_are_named_as_they_leave_the_project() -> None:
    artifact = version().artifact
    assert artifact_file_name(replace(artifact, object="ab.w12.lightgbm")).endswith(".lightgbm")
    assert artifact_file_name(replace(artifact, object="ab")).endswith(artifact.id)
    assert partition_file_name("a/b ü", "ab.w12.parquet") == "a%2Fb%20%C3%BC.parquet"
    assert partition_file_name("2026-01-01", "ab.parquet", 2) == "2026-01-01+2.parquet"
    # As a folder of Parquet files has them.
    assert partition_file_name(".a_B", "ab.parquet") == "%2Ea_B.parquet"
    assert len(partition_file_name("ü" * 200, "ab.parquet")) == 208
