"""The settings of a cluster: its address is explicit, and what can't be is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.core.errors import UsageError
from tidemill.project.cluster_settings import ClusterSettings
from tidemill.project.ray_settings import parse_ray_settings
from tidemill.project.settings import find_settings

PROJECT = '[tool.tidemill]\nworkflow = "shop:flow"\n'


def executor_of(tmp_path: Path, line: str) -> str:
    (tmp_path / "pyproject.toml").write_text(PROJECT + line)
    return find_settings(tmp_path).executor


@pytest.mark.parametrize(
    "address",
    ["", "ray://head:10001", "10.0.0.5:6379", "ray://[fd00::1]:10001", "a-b.svc.local:1", "slurm"],
)
def test_an_address_is_explicit(tmp_path: Path, address: str) -> None:
    assert executor_of(tmp_path, f'executor = "{address}"') == address


@pytest.mark.parametrize(
    "value",
    [
        '"auto"', '"local"', '"ray"', '"ray://"', '"ray://head"', '"head:0"', '"head:70000"', "1", "[]",
        '"ray://user:token@head:10001"', '"http://head:10001"', '"ray://head:10001/?x=1"',
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match="executor"):
        executor_of(tmp_path, f"executor = {value}")


def test_a_class_has_what_all_have_unless_it_says_otherwise() -> None:
    table = {
        "workers": 3,
        "pending": "2m",
        "cpus": 2,
        "memory": "4GB",
        "classes": {"training": {"gpus": 1, "labels": {"pool": "gpu", "arch": "a"}}},
    }
    assert parse_ray_settings(table, "here") == ClusterSettings(
        workers=3,
        pending=120.0,
        worker=WorkerShape(cpus=2.0, memory=4_000_000_000),
        classes={
            "training": WorkerShape(
                cpus=2.0, memory=4_000_000_000, gpus=1, labels=(("arch", "a"), ("pool", "gpu"))
            )
        },
    )


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"worker": 1}, r"here worker: .*workers"),
        ({"workers": 0}, "here workers = 0 is not a whole number of 1 or more"),
        ({"workers": True}, "workers = True"),
        ({"cpus": 0}, "here cpus = 0 is not a number above 0"),
        ({"cpus": "two"}, "cpus = 'two'"),
        ({"memory": "much"}, "here memory = "),
        ({"memory": 1.5}, "here memory = 1.5"),
        ({"gpus": 0.5}, "gpus = 0.5 is not a whole number"),
        ({"pending": "soon"}, "here pending = "),
        ({"labels": {"pool": 1}}, "labels = {'pool': 1} is no table of texts"),
        ({"classes": []}, "here classes = .* is not a table"),
        ({"classes": {"train": {}}}, r"here classes\.train: .*training"),
        ({"classes": {"training": 1}}, r"here classes\.training = 1 is not a table"),
        ({"classes": {"training": {"workers": 1}}}, r"classes\.training: workers"),
        ({"classes": {"training": {"cpus": -1}}}, r"here classes\.training: cpus = -1"),
    ],
)
def test_a_fault_is_named_with_its_place_and_value(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_ray_settings(table, "here")
