"""The modules that a start of Tidemill imports, in a process of its own, on a small project that is built.

`python -m tests.support.start_up` writes down what they are now.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

KNOWN = Path(__file__).parent.parent / "behaviour" / "start_up.json"
FLOW = """import polars as pl

import tidemill as tm


class Sale(tm.Contract, key=("day", "shop")):
    day = tm.Date(partition="1d")
    shop = tm.String()
    amount = tm.Float64(min=0)


class Total(tm.Contract, key=("day",)):
    day = tm.Date(partition="1d")
    amount = tm.Float64()


flow = tm.Workflow("shops", owner="ana")


@flow.ingest
def sales() -> tm.Source[Sale]:
    return tm.files("sales.csv")


@flow.transform
def totals(sales: tm.Frame[Sale]) -> tm.Frame[Total]:
    return sales.group_by("day").agg(pl.col("amount").sum())
"""
# What a process does after its start.
STARTS: Mapping[str, str] = {
    "help": "from tidemill.cli import main; sys.argv = ['tidemill', '--help']; main()",
    "command": "from tidemill.cli import main; sys.argv = ['tidemill', 'run']; main()",
    "worker": "import tidemill.project.worker",
    "call": "import shops, tidemill; project = tidemill.open(); project.run(); project.close()",
}
# It notes who imports a module first, and at the end of the process writes that down.
_WATCH = """
import atexit, json, sys
found = {}
class Watch:
    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe(1)
        while frame.f_globals["__name__"].startswith("importlib"):
            frame = frame.f_back
        found.setdefault(name, frame.f_globals["__name__"])
sys.meta_path.insert(0, Watch())
atexit.register(lambda: json.dump(
    {name: by for name, by in found.items() if name in sys.modules}, open("imported.json", "w")
))
"""


def build(folder: Path) -> Path:
    """A project in a folder, with all that a run of it publishes."""
    settings = '[tool.tidemill]\nworkflow = "shops:flow"\n'
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
    (folder / "shops.py").write_text(FLOW, encoding="utf-8")
    rows = "day,shop,amount\n2026-01-01,a,1.5\n2026-01-02,a,2.5\n"
    (folder / "sales.csv").write_text(rows, encoding="utf-8")
    _run(folder, STARTS["command"])
    return folder


def imports(folder: Path, start: str) -> dict[str, str]:
    """Each module that a start in a built project imports, with the module that imported it first."""
    _run(folder, f"{_WATCH}\n{STARTS[start]}")
    found: dict[str, str] = json.loads((folder / "imported.json").read_text(encoding="utf-8"))
    return found


def _run(folder: Path, code: str) -> None:
    # The user's module is in the current folder, and the package may be as well.
    command = [sys.executable, "-c", f"import sys\n{code}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def own(modules: Mapping[str, str]) -> set[str]:
    """The modules of Tidemill among some."""
    return {name for name in modules if name.partition(".")[0] == "tidemill"}


def main() -> None:
    with TemporaryDirectory() as folder:
        project = build(Path(folder))
        found = {start: sorted(own(imports(project, start))) for start in STARTS}
    KNOWN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
