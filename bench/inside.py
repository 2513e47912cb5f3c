"""What a user's own process sees, in the project that is the current folder; one line of JSON.

inside.py run MODULE STAGE TIMES   import the module, then `tm.open().run(STAGE)` so many times
inside.py published MODULE         the content of every partition that is published
inside.py lay FOLDER               the flights data, below FOLDER
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def run(module: str, stage: str, times: str) -> dict[str, Any]:
    """Seconds of the import and of each run, everything from opening to closing the project."""
    sys.path.insert(0, "")
    began = time.perf_counter(), time.process_time()
    importlib.import_module(module)
    # What a run needs is imported once a process, and is no stage's cost; the rows of whole commands
    # have it.
    importlib.import_module("polars")
    importlib.import_module("tidemill.act.run")
    import tidemill as tm

    imported = time.perf_counter() - began[0], time.process_time() - began[1]
    runs = []
    for _ in range(int(times)):
        wall, cpu = time.perf_counter(), time.process_time()
        project = tm.open()
        receipt = project.run(stage)
        project.close()
        runs.append(
            {
                "wall_s": time.perf_counter() - wall,
                "cpu_s": time.process_time() - cpu,
                "ran": sum(tally.ran for tally in receipt.stages),
                "status": str(receipt.status),
            }
        )
    return {"import_wall_s": imported[0], "import_cpu_s": imported[1], "runs": runs}


def published(module: str) -> dict[str, Any]:
    """STAGE/PARTITION -> content, of all heads."""
    import tidemill as tm

    state = tm.open(workflow=f"{module}:flow").state()
    return {
        f"{stage}/{key}": binding.product.content
        for stage, head in state.heads.items()
        for key, binding in head.partitions.items()
    }


def lay(folder: str) -> dict[str, Any]:
    """How many rows were laid out."""
    from tidemill.cli.nycflights import lay_out

    return {"rows": lay_out(Path(folder)).rows}


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {
    "run": run,
    "published": published,
    "lay": lay,
}

if __name__ == "__main__":
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
