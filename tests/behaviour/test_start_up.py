"""A command, a worker, and the first call in a process import what they need and nothing else.

Imports are most of the time that a run takes which has nothing to do. Each module on its way is written down.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.start_up import KNOWN, STARTS, build, imports, own

# What takes long to import, or is for steps, models, servers and readers of what isn't there.
NEEDLESS = {
    "email.parser",
    "numpy",
    "statistics",
    "tidemill.adapters.databases.urls",
    "tidemill.adapters.lanes.thread_lane",
    "tidemill.adapters.model_formats.lightgbm",
    "tidemill.adapters.sinks.parquet",
    "tidemill.cli.render.failures",
    "tidemill.governance.role_settings",
    "tidemill.history.io.runs",
    "tidemill.models.comparison",
    "tidemill.operations.alert_settings",
    "tidemill.planning.model_stages",
    "tidemill.planning.placement",
    "tidemill.project.slurm_settings",
    "tidemill.runs.io.execute",
    "tidemill.serving.serve_settings",
}
# `--help` shows text.
NEEDLESS_HELP = {
    *("asyncio", "difflib", "msgspec", "polars", "sqlite3", "tidemill.cli.run"),
    *("tidemill.project.project", "tomllib"),
}
# A worker needs what makes steps, but not what starts workers.
NEEDLESS_WORKER = {
    *("tidemill.adapters.clusters.host", "tidemill.adapters.lanes.process_lane", "tidemill.cli"),
    *("tidemill.planning.planner", "tidemill.project.runs"),
}


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shops"))


@pytest.mark.parametrize("start", STARTS)
def test_a_start_imports_what_is_written_down(start: str, shops: Path) -> None:
    found, known = imports(shops, start), {*json.loads(KNOWN.read_text(encoding="utf-8"))[start]}
    needless = {"help": NEEDLESS_HELP, "worker": NEEDLESS_WORKER}.get(start, NEEDLESS)
    unwanted = found.keys() & needless
    assert not unwanted, f"nothing may import {_with_importers(unwanted, found)}"
    more, fewer = own(found) - known, known - own(found)
    assert not more, (
        f"{start} imports {len(more)} modules more than the {len(known)} that it needed: "
        f"{_with_importers(more, found)}. Import them where they are used, or in TYPE_CHECKING; what each "
        "start does need is written down by `python -m tests.support.start_up`"
    )
    assert not fewer, f"`python -m tests.support.start_up` can forget {', '.join(sorted(fewer))}"


def _with_importers(names: set[str], found: dict[str, str]) -> str:
    return ", ".join(f"{name} (by {found[name]})" for name in sorted(names))
