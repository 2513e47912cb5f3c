"""One bad partition of a stage takes nothing else with it, and the run says which it was and what to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import process

FLOW = """
import os
import signal
import time

import polars as pl
import tidemill as tm


class Row(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()


flow = tm.Workflow("flow")


@flow.ingest
def raw() -> tm.Source[Row]:
    return tm.files("data/*.csv")


def poison(frame: pl.DataFrame) -> pl.DataFrame:
    if str(frame["day"][0]) in ("2026-01-02", "2026-01-04"):
        {does}
    return frame


@flow.transform({limits})
def poisoned(raw: tm.Frame[Row]) -> tm.Frame[Row]:
    return raw.map_batches(poison)


@flow.transform
def after(poisoned: tm.Frame[Row]) -> tm.Frame[Row]:
    return poisoned


@flow.transform
def beside(raw: tm.Frame[Row]) -> tm.Frame[Row]:
    return raw
"""


@pytest.mark.parametrize(
    ("does", "limits", "why", "advice"),
    [
        ("raise KeyError(int(frame['id'][0]))", "",
         "in 2026-01-02: KeyError: 2 at flow.py:", "`tidemill run poisoned 2026-01-02 --debug`"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "resources=tm.resources(cpus=1)",
         "its process was ended by SIGKILL (tried 2 times)", "check its output"),
        pytest.param(
         "time.sleep(600)", "resources=tm.resources(timeout='15s')",
         "it took longer than its timeout of 15 s", "resources=tm.resources(timeout=...)",
         marks=pytest.mark.slow),
        ("time.sleep(bytearray(10**9).count(1) + 600)", "resources=tm.resources(memory='300MB')",
         "more than its memory cap of 300 MB", "resources=tm.resources(memory=...)"),
    ],
)  # fmt: skip
def test_a_poison_partition_is_alone(
    tmp_path: Path, does: str, limits: str, why: str, advice: str
) -> None:
    (tmp_path / "flow.py").write_text(FLOW.replace("{does}", does).replace("{limits}", limits))
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "flow:flow"\n')
    (tmp_path / "data").mkdir()
    for day in range(1, 6):
        (tmp_path / "data" / f"{day}.csv").write_text(f"day,id\n2026-01-0{day},{day}\n")
    ended = process("run", "--json", cwd=tmp_path)
    told = " ".join(ended.stderr.split())
    assert ended.returncode == 1, told
    receipt: dict[str, Any] = json.loads(ended.stdout)["receipt"]
    assert {t["stage"]: (t["ran"], t["failed"], t["skipped"]) for t in receipt["stages"]} == {
        "raw": (5, 0, 0),
        "poisoned": (3, 2, 0),
        "after": (3, 0, 2),
        "beside": (5, 0, 0),
    }
    [failure] = receipt["failures"]
    assert (failure["stage"], failure["skipped"]) == ("poisoned", 2)
    assert failure["partitions"] == ["2026-01-02", "2026-01-04"]
    assert why in failure["why"]
    assert advice in failure["advice"]
    assert "failed partitions skipped why what to do poisoned 2026-01-02, 2026-01-04 2" in told
    # What the table tells isn't told a second time.
    assert not any(line.startswith("- ") for line in ended.stderr.split("\n"))
