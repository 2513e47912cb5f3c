"""Steps on a Ray cluster give what they give here, also when workers and nodes are lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster_projects import (
    TIDEMILL,
    attempts,
    computed_again,
    copy_with,
    elsewhere,
    near,
    objects,
    run,
    were_sent,
)
from tests.support.ray_clusters import ray_cluster
from tests.support.tables import bodies

__all__ = ["near", "ray_cluster"]
pytestmark = pytest.mark.slow


def test_a_run_on_ray_gives_the_same_objects(near: Path, ray_cluster: Any) -> None:
    far = copy_with(near, "far", f'executor = "{ray_cluster.address}"')
    run(near)
    said = run(far)
    assert objects(far / ".tidemill") == objects(near / ".tidemill")
    assert were_sent(far)
    # What a hop costs counts in the next run.
    kept = json.loads((far / ".tidemill" / "hops.json").read_text())
    assert kept[ray_cluster.address] > 0
    assert "(raylet)" not in said
    # Nothing is computed again.
    assert computed_again(far) == set()
    token = ray_cluster.environment["RAY_AUTH_TOKEN"].encode()
    kept = [path for path in (far / ".tidemill").rglob("*") if path.is_file()]
    assert not [path for path in kept if token in path.read_bytes()]
    assert token.decode() not in "".join(bodies(far / ".tidemill" / "ledger.db"))


def test_a_node_that_shares_nothing_gets_code_and_state(
    near: Path, ray_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the workers say that they are another machine; they share only the folder with objects."""
    far = copy_with(
        near,
        "far",
        f'executor = "{ray_cluster.address}"',
        f'artifacts = "file://{near.parent}/objects"',
    )
    run(near)
    elsewhere(monkeypatch, near.parent)
    run(far)
    names = objects(near.parent / "objects")
    own = objects(near / ".tidemill")
    assert {name for name in names if "." in name} >= {name for name in own if "." in name}
    assert were_sent(far)


def test_nodes_of_other_machines_open_a_shared_home_themselves(
    near: Path, ray_cluster: Any, new_home: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    far = copy_with(
        near,
        "far",
        f'executor = "{ray_cluster.address}"',
        f'home = "{new_home()}"',
        f'artifacts = "file://{near.parent}/objects"',
    )
    run(near)
    elsewhere(monkeypatch, near.parent)
    run(far)
    names, own = objects(near.parent / "objects"), objects(near / ".tidemill")
    assert {name for name in names if "." in name} >= {name for name in own if "." in name}
    assert were_sent(far)
    # The node's own folder of the home, which says whose it is.
    [home] = far.glob(".tidemill-*")
    own_id = (home / "home-id").read_text()
    nodes = Path(tempfile.gettempdir()).glob("tidemill-node-*/*/home-id")
    assert own_id in {file.read_text() for file in nodes}
    assert computed_again(far) == set()


def test_objects_that_no_other_machine_can_read_are_refused(
    near: Path, ray_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = copy_with(near, "far", f'executor = "{ray_cluster.address}"')
    elsewhere(monkeypatch, near.parent)
    ended = subprocess.run(
        [*TIDEMILL, "run"], cwd=far, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode != 0
    said = " ".join(ended.stdout.split())
    assert "is another machine and can't read the objects in" in said
    assert 'artifacts = "s3://BUCKET/PATH"' in said


def test_kills_of_a_worker_and_a_node_heal(near: Path, ray_cluster: Any) -> None:
    """The run goes on with what is left, and gives the same."""
    slow = near / "bakery.py"
    slow.write_text(
        slow.read_text().replace(
            ") -> tm.Frame[Features]:\n",
            ") -> tm.Frame[Features]:\n    sum(range(10_000_000))\n",
        )
    )
    far = copy_with(
        near,
        "far",
        f'executor = "{ray_cluster.address}"',
        table="[tool.tidemill.ray]\nworkers = 4\n",
    )
    run(near)
    node = ray_cluster.add(num_cpus=2)
    with subprocess.Popen(
        [*TIDEMILL, "run"], cwd=far, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            killed = next(hosts_of(ray_cluster.nodes[node]))
            time.sleep(1.0)
            os.kill(killed, signal.SIGKILL)
            next(hosts_of(ray_cluster.nodes[node], other_than=killed))
            time.sleep(1.0)
            ray_cluster.remove(node)
            said, _ = running.communicate(timeout=300)
        finally:
            running.kill()
    assert running.returncode == 0, said
    assert "(raylet)" not in said
    assert objects(far / ".tidemill") == objects(near / ".tidemill")
    assert any(each["outcome"] == "retried" for each in attempts(far))
    assert computed_again(far) == set()


def hosts_of(raylet: int, other_than: int = 0) -> Iterator[int]:
    """The workers of Tidemill on a node, as they appear."""
    end = time.monotonic() + 120.0
    while time.monotonic() < end:
        children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
        for child in map(int, children):
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            if words.startswith(b"ray::Host") and child != other_than:
                yield child
        time.sleep(0.05)
    raise AssertionError("no worker started")
