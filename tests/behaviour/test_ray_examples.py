"""The manifests in examples/ray are valid, and belong together and to what the page says."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tidemill.project.ray_settings import parse_executor

EXAMPLES = Path(__file__).parents[2] / "examples" / "ray"
yaml: Any = import_module("yaml")
CLUSTER: Any = yaml.safe_load((EXAMPLES / "raycluster.yaml").read_text())
RUN: Any = yaml.safe_load((EXAMPLES / "run.yaml").read_text())
GROUPS = [CLUSTER["spec"]["headGroupSpec"], *CLUSTER["spec"]["workerGroupSpecs"]]


@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_manifests_are_valid(version: str) -> None:
    checker: Any = import_module("kubernetes_validate")
    checker.validate(RUN, version, strict=True)
    for group in GROUPS:
        metadata = {"name": "ray"}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": group["template"]["spec"],
        }
        checker.validate(pod, version, strict=True)
        with pytest.raises(checker.ValidationError):
            checker.validate({**pod, "spec": {"container": []}}, version, strict=True)


def test_the_cluster_says_only_what_kuberay_knows() -> None:
    """The names are those of the schema of `RayCluster`, ray.io/v1, of KubeRay."""
    known = {
        "authOptions",
        "autoscalerOptions",
        "enableInTreeAutoscaling",
        "headGroupSpec",
        "rayVersion",
    }
    assert CLUSTER["spec"].keys() == known | {"workerGroupSpecs"}
    assert CLUSTER["apiVersion"] == "ray.io/v1"
    for group in CLUSTER["spec"]["workerGroupSpecs"]:
        assert group.keys() <= {
            "groupName", "labels", "maxReplicas", "minReplicas", "rayStartParams", "replicas", "template",
        }  # fmt: skip


def test_nothing_is_held_while_nothing_runs() -> None:
    spec = CLUSTER["spec"]
    assert spec["enableInTreeAutoscaling"] is True
    assert {group["minReplicas"] for group in spec["workerGroupSpecs"]} == {0}
    assert spec["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}


def test_ray_keeps_quiet_and_doesnt_retry() -> None:
    for group in GROUPS:
        [container] = group["template"]["spec"]["containers"]
        found = {each["name"]: each["value"] for each in container["env"]}
        assert found == {"RAY_USAGE_STATS_ENABLED": "0", "RAY_task_oom_retries": "0"}


def test_the_run_has_the_token_of_the_cluster_from_its_secret() -> None:
    [container] = RUN["spec"]["template"]["spec"]["containers"]
    [variable] = container["env"]
    assert variable["name"] == "RAY_AUTH_TOKEN"
    key = variable["valueFrom"]["secretKeyRef"]
    # KubeRay makes this secret.
    assert (key["name"], key["key"]) == (CLUSTER["metadata"]["name"], "auth_token")
    assert CLUSTER["spec"]["authOptions"] == {"mode": "token"}


def test_the_address_in_the_comment_is_one() -> None:
    text = (EXAMPLES / "raycluster.yaml").read_text()
    address = text.partition('executor = "')[2].partition('"')[0]
    assert parse_executor(address, "here") == f"ray://{CLUSTER['metadata']['name']}-head-svc:10001"
