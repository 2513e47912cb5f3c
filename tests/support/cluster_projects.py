"""A project on this machine and its copies whose steps run on a cluster, for tests that compare both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# The steps of these stages go to a worker, until it is known that they aren't worth the hop.
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


def were_sent(folder: Path) -> bool:
    """Whether features were made on a node."""
    return any("@" in each["worker"] for each in attempts(folder) if each["stage"] == "features")


def computed_again(folder: Path) -> set[str]:
    """The stages of which another run computes something."""
    run(folder)
    return {each["stage"] for each in attempts(folder) if each["outcome"] != "current"}


def objects(folder: Path) -> set[str]:
    """The names of all objects: digests of their content."""
    return {path.name for path in (folder / "objects").rglob("*") if path.is_file()}


def elsewhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let this side of the connection take all workers for processes of another machine."""
    hook = folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'tidemill' in sys.orig_argv:\n"
        "    import tidemill.adapters.clusters.host as host\n"
        "    host.machine_id = lambda: 'this machine'\n"
    )
    paths = [str(hook), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
