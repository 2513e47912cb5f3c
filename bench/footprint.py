"""What every start and every install pays: `tidemill --help`, and the packages that come along."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from bench.common import PYTHON, TIDEMILL, Row, alternate, measure, wall

HEAVY = ("polars", "numpy", "msgspec", "starlette", "rich")
# Given: the data plane and what it installs with itself.
GIVEN = re.compile(r"polars(-runtime.*)?|numpy")


def help_text(work: Path, times: int) -> list[Row]:
    """Rows of `tidemill --help` against a Python that does nothing."""
    shown, bare = alternate(
        times,
        lambda: measure((TIDEMILL, "--help"), work),
        lambda: measure((PYTHON, "-c", "pass"), work),
    )
    over = tuple((a.wall_s - b.wall_s) * 1000 for a, b in zip(shown, bare, strict=True))
    ours, python = (
        _imported(work, *command) for command in ((TIDEMILL, "--help"), (PYTHON, "-c", "pass"))
    )
    heavy = [name for name in HEAVY if name in ours]
    return [
        Row(
            name="tidemill --help over bare python",
            value=(wall(shown) - wall(bare)) * 1000,
            unit="ms",
            goal=40,
            baseline=f"{wall(shown) * 1000:.0f} ms against {wall(bare) * 1000:.0f} ms",
            runs=over,
        ),
        Row(
            name=f"tidemill --help, imported of {', '.join(HEAVY)}",
            value=len(heavy),
            unit="",
            goal=0,
            baseline=", ".join(heavy) or f"{len(ours - python)} modules over bare python in all",
        ),
    ]


def install() -> list[Row]:
    """Rows of what `pip install tidemill` brings, without extras, beyond polars and numpy."""
    names = sorted(name for name in _closure("tidemill") if not GIVEN.fullmatch(name))
    sizes = {name: _size(name) / 1e6 for name in names}
    told = ", ".join(f"{name} {size:.1f}" for name, size in sizes.items())
    return [
        Row(
            name="core install beyond polars and numpy, packages",
            value=len(names),
            unit="",
            goal=10,
            baseline="tidemill among them",
        ),
        Row(
            name="core install beyond polars and numpy, size",
            value=sum(sizes.values()),
            unit="MB",
            goal=15,
            baseline=told,
        ),
    ]


def _imported(work: Path, *command: str) -> set[str]:
    """The modules that a command imports, as the interpreter's own trace of imports names them."""
    trace = work / "imports"
    with trace.open("wb") as stream:
        pid = os.posix_spawn(
            command[0],
            command,
            {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stream.fileno(), 2),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            ],
        )
        os.waitpid(pid, 0)
    lines = trace.read_text(encoding="utf-8").splitlines()
    return {line.rsplit("|", 1)[1].strip() for line in lines if line.startswith("import time:")}


def _closure(name: str) -> set[str]:
    found: set[str] = set()
    open_ = [name]
    while open_:
        each = open_.pop()
        if each not in found:
            found.add(each)
            open_ += _required(each)
    return found


def _required(name: str) -> Iterator[str]:
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield re.sub(r"[-_.]+", "-", requirement.name).lower()


def _size(name: str) -> int:
    """The bytes of an installed distribution; an editable one's are those of its package."""
    files = metadata.files(name) or []
    spec = find_spec(name)
    if spec is not None and spec.submodule_search_locations:
        packages = [Path(place) for place in spec.submodule_search_locations]
        recorded = {Path(str(file.locate())).resolve() for file in files}
        recorded |= {path.resolve() for place in packages for path in place.rglob("*")}
        return sum(path.stat().st_size for path in recorded if path.is_file())
    return sum(file.locate().stat().st_size for file in files)  # type: ignore[attr-defined]
