"""The settings of jobs: what `sbatch` is told, and what can't be is said at once."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.adapters.slurm.job_script import JobTerms
from tidemill.core.errors import UsageError
from tidemill.project.slurm_settings import SlurmSettings, parse_slurm_settings


def test_a_class_has_what_all_have_unless_it_says_otherwise() -> None:
    table = {
        "workers": 3,
        "cpus": 2,
        "memory": "4GB",
        "partition": "short,long",
        "account": "team",
        "time_limit": "90m",
        "address": "10.0.0.1:7711",
        "setup": ["module load python/3.12"],
        "options": ["--reservation=team"],
        "python": "/shared/bin/python",
        "classes": {"training": {"gpus": 1, "partition": "gpu", "constraint": "a100|h100"}},
    }
    found = parse_slurm_settings(table, "here")
    labels = (("partition", "short,long"), ("account", "team"))
    shape = WorkerShape(cpus=2, memory=4_000_000_000, labels=labels, lifetime_s=5400.0)
    assert found.shape("deferrable") == shape
    assert found.shape("training").labels == (
        ("partition", "gpu"), ("account", "team"), ("constraint", "a100|h100"),
    )  # fmt: skip
    assert (found.shape("training").gpus, found.shape("training").lifetime_s) == (1, 5400.0)
    assert found.job == JobTerms(
        address="10.0.0.1:7711",
        python="/shared/bin/python",
        setup=("module load python/3.12",),
        options=("--reservation=team",),
    )


def test_nothing_has_to_be_set() -> None:
    assert parse_slurm_settings({}, "here") == SlurmSettings()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"partitions": "a"}, r"here partitions: .*partition"),
        ({"partition": "a b"}, "here partition = 'a b' is no text such as"),
        ({"account": ""}, "here account = ''"),
        ({"qos": 1}, "here qos = 1"),
        ({"constraint": "a;b"}, "here constraint = 'a;b'"),
        ({"cpus": 0.5}, "here cpus = 0.5 is not a whole number of 1 or more"),
        ({"time_limit": "30s"}, "here time_limit = '30s' is too short: Slurm counts in minutes"),
        ({"time_limit": "soon"}, "here time_limit = "),
        ({"address": "login:0"}, "here address = 'login:0' has no port from 1 to 65,535"),
        ({"address": "tcp://login"}, "here address = 'tcp://login'"),
        ({"python": "a b"}, "here python = 'a b'"),
        ({"setup": "module load"}, "here setup = 'module load' is no list of texts"),
        ({"options": ["-p debug"]}, "here options = '-p debug' is no option such as"),
        ({"options": ["--array=0-9"]}, "here options = '--array=0-9' is set by Tidemill"),
        ({"options": ["--job=x"]}, "here options = '--job=x' is set by Tidemill"),
        ({"options": ["--clusters=b"]}, "here options = '--clusters=b' is set by Tidemill"),
        ({"options": ["--"]}, "here options = '--' is set by Tidemill"),
        ({"options": ["--requeue"]}, "here options = '--requeue' is set by Tidemill"),
        ({"classes": {"training": {"setup": []}}}, r"here classes\.training: setup"),
        ({"labels": {}}, "here labels"),
    ],
)
def test_a_fault_is_named_with_its_place_and_value(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_slurm_settings(table, "here")
