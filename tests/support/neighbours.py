"""The environments of other makers' tools, which `make test-interop` installs one by one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python_beside(name: str) -> Path:
    """The interpreter that has `name` and this Tidemill; the test says why it is skipped without it."""
    folder = ROOT / "build" / "beside" / name
    if not (folder / ".ready").exists():
        pytest.skip(f"{name} isn't installed: `make test-interop` installs it")
    return folder / "bin" / "python"


def type_errors(example: Path, python: Path, folder: Path) -> list[str]:
    """What a type checker says of an example, with the types that an interpreter has installed."""
    shutil.copy(example, folder)
    settings = {"typeCheckingMode": "standard", "pythonVersion": "3.11"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    checker = Path(sys.executable).with_name("basedpyright")
    done = subprocess.run(
        [checker, "--outputjson", "--level", "error", "--pythonpath", python, "-p", folder],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    return [each["message"] for each in report["generalDiagnostics"]]
