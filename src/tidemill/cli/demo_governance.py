"""What the demo changes in its project to show rules, reviews and the audit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

from tidemill.core.python_command import python_module
from tidemill.project.demo_tampering import edit_votes

# Why a second person approves, and what somebody makes of it afterwards.
REASON = "the rows that move left late, and it follows them"
_EDITED = "nobody looked at the rows that move, it was late."
# What stands for another machine.
_OUTSIDE = "outside"
_KEY = f"{_OUTSIDE}/audit.pem"
_SCOPES = {"ana": "run", "ben": "review"}


def declare_rules(folder: Path) -> str:
    """Declare rules and roles, and create a token for two people."""
    name = "tidemill.rules.toml"
    template = files("tidemill") / "templates" / "flights" / name
    (folder / name).write_bytes(template.read_bytes())
    me = json.loads(_output(folder, "whoami", "--json"))["actor"]
    roles = {me: "admin", "ana": "operator", "ben": "reviewer"}
    lines = (f"{json.dumps(person)} = {json.dumps(role)}" for person, role in roles.items())
    _configure(folder, "roles", *lines)
    for person, scope in _SCOPES.items():
        text = _output(folder, "tokens", "create", person, "--scope", scope)
        with open(folder / f"{person}.token", "w", opener=_private, encoding="utf-8") as file:
            file.write(text)
    return f"{name}, roles in pyproject.toml, and the tokens ana.token and ben.token"


def loosen_rule(folder: Path) -> str:
    """Write rules beside the project's own that let predictions shift further."""
    text = (folder / "tidemill.rules.toml").read_text(encoding="utf-8")
    text = text.replace("prediction_shift > 0.05", "prediction_shift > 0.10")
    (folder / "looser.rules.toml").write_text(text, encoding="utf-8")
    return "looser.rules.toml: prediction_shift > 0.05  ->  prediction_shift > 0.10"


def keep_checkpoints(folder: Path) -> str:
    """Let checkpoints be signed, and written outside of the home."""
    (folder / _OUTSIDE).mkdir(exist_ok=True)
    _configure(folder, "audit", f'key = "{_KEY}"', f'file = "{_OUTSIDE}/checkpoints.jsonl"')
    return f"pyproject.toml: checkpoints go to {_OUTSIDE}/, which stands for another machine"


def edit_copy(folder: Path) -> str:
    """Copy the project, and rewrite in its ledger why the pipeline was approved."""
    copy = folder / "edited"
    copy.mkdir()
    for name in ("flights.py", "pyproject.toml", "tidemill.rules.toml"):
        shutil.copy(folder / name, copy)
    shutil.copytree(folder / ".tidemill", copy / ".tidemill")
    edit_votes(copy, REASON, _EDITED)
    return f"edited/.tidemill/ledger.db: {REASON}  ->  {_EDITED}"


def open_review(folder: Path) -> str:
    """The id of the review that waits."""
    found: list[dict[str, Any]] = json.loads(_output(folder, "review", "list", "--json"))["reviews"]
    return str(found[0]["review"]["id"]) if found else "none"


def _output(folder: Path, *command: str) -> str:
    done = subprocess.run(
        python_module("tidemill", *command),
        cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    return done.stdout


def _configure(folder: Path, table: str, *lines: str) -> None:
    text = "\n".join(("", f"[tool.tidemill.{table}]", *lines, ""))
    with open(folder / "pyproject.toml", "a", encoding="utf-8") as file:
        file.write(text)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
