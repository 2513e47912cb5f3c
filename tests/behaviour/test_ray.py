"""Steps on a Ray cluster give what they give here, also when workers and nodes are lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ray_clusters import ray_cluster

__all__ = ["ray_cluster"]
pytestmark = pytest.mark.slow

# Every step of these stages goes to a worker, however short it is.
LIMITS = "resources=tm.resources(cpus=1, memory='2GB')"
TIDEMILL = [sys.executable, "-P", "-m", "tidemill"]


@pytest.fixture
def near(fresh: Path) -> Path:
    """A project whose steps have limits."""
    file = fresh / "bakery.py"
    text = file.read_text()
    text = text.replace("@flow.transform\n", f"@flow.transform({LIMITS})\n")
    file.write_text(text.replace("    seed=7,\n", f"    seed=7,\n    {LIMITS},\n"))
    return fresh


def copy_with(near: Path, name: str, *settings: str, table: str = "") -> Path:
    """A copy of the project with more settings."""
    far = near.parent / name
    shutil.copytree(near, far)
    file, head = far / "pyproject.toml", "[tool.tidemill]\n"
    text = file.read_text().replace(head, head + "".join(f"{line}\n" for line in settings))
    file.write_text(text + table)
    return far


def run(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [*TIDEMILL, "run", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def attempts(folder: Path) -> list[dict[str, Any]]:
    """The attempts of the last run."""
    ended = subprocess.run(
        [*TIDEMILL, "runs", "last", "--json"], cwd=folder, capture_output=True, check=True
    )
    found = json.loads(ended.stdout)
    assert isinstance(found, dict)
    return list(found["attempts"])


def computed_again(folder: Path) -> set[str]:
    """The stages of which another run computes something."""
    run(folder)
    return {each["stage"] for each in attempts(folder) if each["outcome"] != "current"}


def objects(folder: Path) -> set[str]:
    """The names of all objects: digests of their content."""
    return {path.name for path in (folder / "objects").rglob("*") if path.is_file()}


def test_a_run_on_ray_gives_the_same_objects(near: Path, ray_cluster: Any) -> None:
    far = copy_with(near, "far", f'executor = "{ray_cluster.address}"')
    run(near)
    said = run(far)
    assert objects(far / ".tidemill") == objects(near / ".tidemill")
    # They were made on Ray, not here.
    workers = {each["worker"] for each in attempts(far) if each["stage"] == "features"}
    assert all("@" in worker for worker in workers)
    assert "(raylet)" not in said
    # Nothing is computed again.
    assert computed_again(far) == set()
    token = ray_cluster.environment["RAY_AUTH_TOKEN"].encode()
    kept = [path for path in (far / ".tidemill").rglob("*") if path.is_file()]
    assert not [path for path in kept if token in path.read_bytes()]


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
    workers = {each["worker"] for each in attempts(far) if each["stage"] == "features"}
    assert all("@" in worker for worker in workers)


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
    workers = {each["worker"] for each in attempts(far) if each["stage"] == "features"}
    assert all("@" in worker for worker in workers)
    # The node's own folder of the home, which says whose it is.
    [home] = far.glob(".tidemill-*")
    own_id = (home / "home-id").read_text()
    nodes = Path(tempfile.gettempdir()).glob("tidemill-ray-*/*/home-id")
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


def elsewhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let this side of the connection take all workers for processes of another machine."""
    hook = folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import sys\n"
        "if any('tidemill' in word for word in sys.orig_argv):\n"
        "    import tidemill.adapters.ray.host as host\n"
        "    host.machine_id = lambda: 'this machine'\n"
    )
    paths = [str(hook), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
