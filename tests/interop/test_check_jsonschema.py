"""Workflow files for GitHub and GitLab agree with the schemas that SchemaStore publishes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.neighbours import ROOT, python_beside

TEMPLATES = ROOT / "src" / "tidemill" / "templates" / "ci"


def check(schema: str, file: Path) -> subprocess.CompletedProcess[str]:
    python = python_beside("check_jsonschema")
    return subprocess.run(
        [python, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", file],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("github-workflows", ROOT / "examples" / "schedulers" / "github.yml"),
        ("github-workflows", TEMPLATES / "github.yml"),
        ("gitlab-ci", TEMPLATES / "gitlab.yml"),
    ],
    ids=lambda value: f"{value}".removeprefix(f"{ROOT}/"),
)
def test_a_file_is_valid(tmp_path: Path, schema: str, file: Path) -> None:
    done = check(schema, file)
    assert done.returncode == 0, done.stdout + done.stderr
    # A key that the service doesn't know is seen.
    wrong = tmp_path / "wrong.yml"
    text = file.read_text(encoding="utf-8").replace("rules:", "rule:")
    wrong.write_text(text.replace("runs-on:", "run-on:"), encoding="utf-8")
    done = check(schema, wrong)
    assert done.returncode == 1
    assert "run-on" in done.stdout or "rule" in done.stdout
