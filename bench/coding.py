"""The kinds of code edit: whether what has to run again does, and what need not doesn't."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from bench import projects
from bench.common import Row, inside, measure
from bench.edits import CODED, MUST, NEED_NOT, OPAQUE, QUERY, SHAPES, Edit, edit
from bench.scenes import RUN, attempts

DAYS = 3


def kinds_of_edit(work: Path) -> list[Row]:
    """Rows of each kind, of a stage that is known by its query and of one that is opaque."""
    return [
        row
        for kind, parts in (("query", QUERY), ("opaque", OPAQUE))
        for row in _of_stage(work / f"coded-{kind}", kind, CODED.format(**parts))
    ]


def _of_stage(work: Path, kind: str, text: str) -> list[Row]:
    built = projects.coded(work / "built", text, SHAPES, DAYS)
    measure(RUN, built)
    before = _published(built)
    stale = [name for name, changes in MUST.items() if _stale(built, changes, before)]
    needless = [name for name, changes in NEED_NOT.items() if _steps(built, changes)]
    shutil.rmtree(work)
    return [
        _count(f"{len(MUST)} code edits that must run, stale results, {kind}", stale, 2),
        _count(f"{len(NEED_NOT)} code edits that need not, run for nothing, {kind}", needless, 2),
    ]


def _count(name: str, found: list[str], elsewhere: int) -> Row:
    told = ", ".join(found) or "none"
    return Row(
        name=name,
        value=len(found),
        unit="edits",
        goal=0,
        baseline=f"{told}; elsewhere {elsewhere} at best",
    )


def _stale(built: Path, changes: Edit, before: Mapping[str, str]) -> bool:
    """Whether the edited project holds something else than a fresh one of the same code."""
    project = _edited(built, changes)
    measure(RUN, project)
    found = _published(project)
    measure(RUN, projects.forget(project))
    fresh = _published(project)
    if fresh == before:
        raise RuntimeError(f"{changes} changes no result")
    return found != fresh


def _steps(built: Path, changes: Edit) -> int:
    """The steps that ran after the edit."""
    project = _edited(built, changes)
    ran, _ = attempts(project, measure(RUN, project))
    return sum(ran.values())


def _edited(built: Path, changes: Edit) -> Path:
    project = built.with_name("edited")
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(built, project)
    for change in changes:
        text = (project / "coded.py").read_text(encoding="utf-8")
        edit(project / ("coded.py" if change[0] in text else "shapes.py"), [change])
    return project


def _published(project: Path) -> dict[str, str]:
    return {name: str(content) for name, content in inside(project, "published", "coded").items()}
