"""Random edits of a workflow and its files, each of one kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any, TypeAlias

from tests.soundness.files import FIRST, File, Files, random_file, random_row, some_day
from tests.soundness.model import KNOBS, Column, Flow, Rule, Stage, Table, broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A workflow, its files, and the workflows that it was before; `engine` is Polars' version."""

    flow: Flow
    files: Files
    engine: str
    past: tuple[Flow, ...] = field(default=())


Edit: TypeAlias = Callable[[Random, Project], "Project | None"]


def apply(kind: str, rng: Random, project: Project) -> Project | None:
    """The project after an edit of this kind; None when there is nothing to edit so."""
    edited = EDITS[kind](rng, project)
    if edited is None or broken(edited.flow):
        return None
    if edited.flow is not project.flow:
        edited = replace(edited, past=(*project.past[-5:], project.flow))
    return edited


def _code(change: Callable[[Random, Project, Stage], Stage | None]) -> Edit:
    """An edit of one transform."""

    def edit(rng: Random, project: Project) -> Project | None:
        for stage in rng.sample(project.flow.stages, k=len(project.flow.stages)):
            edited = change(rng, project, stage)
            if edited is not None:
                return replace(project, flow=project.flow.swap(edited))
        return None

    return edit


def _knob(name: str) -> Edit:
    def change(rng: Random, project: Project, stage: Stage) -> Stage | None:
        if name not in stage.knobs:
            return None
        other = rng.choice([n for n in range(12) if n != stage.knobs[name]])
        return replace(stage, knobs={**stage.knobs, name: other})

    return _code(change)


def _shared(rng: Random, project: Project) -> Project | None:
    if not any("shared" in stage.knobs for stage in project.flow.stages):
        return None
    number = project.flow.shared + rng.randint(1, 3)
    return replace(project, flow=replace(project.flow, shared=number))


def _look(name: str) -> Edit:
    def change(rng: Random, project: Project, stage: Stage) -> Stage | None:
        return replace(stage, looks={**stage.looks, name: stage.looks[name] + 1})

    return _code(change)


def _own_query(rng: Random, project: Project, stage: Stage) -> Stage | None:
    """Another argument of the operator."""
    name = rng.choice(("number", "flag", "of"))
    value: object
    if name == "of":
        value = rng.choice(project.flow.table(stage.inputs[0]).integers())
    else:
        value = not stage.args["flag"] if name == "flag" else rng.randint(1, 6)
    return replace(stage, args={**stage.args, name: value})


def _unrelated(rng: Random, project: Project) -> Project | None:
    flow = project.flow
    return replace(project, flow=replace(flow, unrelated=flow.unrelated + 1))


def _line_shift(rng: Random, project: Project) -> Project | None:
    flow = project.flow
    return replace(project, flow=replace(flow, shift=(flow.shift + rng.randint(1, 3)) % 9))


def _revert(rng: Random, project: Project) -> Project | None:
    return replace(project, flow=rng.choice(project.past)) if project.past else None


def _contract(change: Callable[[Random, Table], Table | None]) -> Edit:
    """An edit of one stage's contract."""

    def edit(rng: Random, project: Project) -> Project | None:
        for name in rng.sample(project.flow.names, k=len(project.flow.names)):
            table = change(rng, project.flow.table(name))
            if table is not None:
                return replace(project, flow=project.flow.swap_table(name, table))
        return None

    return edit


def _rule_added(rng: Random, table: Table) -> Table | None:
    if len(table.rules) > 1 or not table.integers():
        return None
    known = {rule.name for rule in table.rules}
    rule = Rule(
        name=next(name for name in ("limit0", "limit1") if name not in known),
        column=rng.choice(table.integers()),
        below=rng.choice((30, 60, 200)),
        on_fail=rng.choice(("quarantine", "quarantine", "warn", "fail")),
    )
    return replace(table, rules=(*table.rules, rule))


def _rule_moved(by: int) -> Callable[[Random, Table], Table | None]:
    def change(rng: Random, table: Table) -> Table | None:
        if not table.rules:
            return None
        first, *rest = table.rules
        return replace(table, rules=(replace(first, below=first.below + by), *rest))

    return change


def _rule_removed(rng: Random, table: Table) -> Table | None:
    return replace(table, rules=table.rules[1:]) if table.rules else None


def _rule_on_fail(rng: Random, table: Table) -> Table | None:
    if not table.rules:
        return None
    first, *rest = table.rules
    others = [how for how in ("quarantine", "warn", "fail") if how != first.on_fail]
    return replace(table, rules=(replace(first, on_fail=rng.choice(others)), *rest))


def _bound(rng: Random, table: Table) -> Table | None:
    name = rng.choice(table.integers() or [""])
    return _swapped(table, name, top=rng.choice((None, 20, 45, 100)), on_fail="quarantine")


def _column_on_fail(rng: Random, table: Table) -> Table | None:
    names = [column.name for column in table.columns if column.top is not None]
    if not names:
        return None
    return _swapped(table, rng.choice(names), on_fail=rng.choice(("quarantine", "warn")))


def _swapped(table: Table, name: str, **changes: object) -> Table | None:
    columns = tuple(
        replace(c, **changes) if c.name == name else c  # type: ignore[arg-type]
        for c in table.columns
    )
    return replace(table, columns=columns) if columns != table.columns else None


def _source_contract(change: Callable[[Random, Table], Table | None]) -> Edit:
    def edit(rng: Random, project: Project) -> Project | None:
        source = rng.choice(project.flow.sources)
        table = change(rng, source.table)
        if table is None:
            return None
        return replace(project, flow=project.flow.swap_table(source.name, table))

    return edit


def _new_column(rng: Random, table: Table) -> Table | None:
    """A column that the files always had is contracted now, or no longer; positions shift."""
    rest = tuple(column for column in table.columns if column.name != "extra")
    if any(rule.column == "extra" for rule in table.rules):
        return None
    if len(rest) < len(table.columns):
        return replace(table, columns=rest)
    place = rng.choice((0, len(rest)))
    return replace(table, columns=(*rest[:place], Column(name="extra"), *rest[place:]))


def _other_type(rng: Random, table: Table) -> Table | None:
    kind = "Int32" if table.type("n") == "Int64" else "Int64"
    return _swapped(table, "n", type=kind)


Place: TypeAlias = tuple[str, str, File]


def _files(change: Callable[[Random, File], File | None]) -> Edit:
    """An edit of one file."""

    def edit(rng: Random, project: Project) -> Project | None:
        source = rng.choice(project.flow.sources).name
        known = project.files.of[source]
        for name in rng.sample(sorted(known), k=len(known)):
            file = change(rng, known[name])
            if file is not None:
                return replace(project, files=project.files.put(source, name, file))
        return None

    return edit


def _append(rng: Random, project: Project) -> Project | None:
    """A day that no file has yet."""
    source = rng.choice(project.flow.sources).name
    known = project.files.of[source]
    days = {row["day"] for file in known.values() for row in file.rows if row["day"]}
    # All that runs gets slower by it.
    if len(days) > 6:
        return None
    day = max(days, default=FIRST) + timedelta(days=1)
    name = f"g{(day - FIRST).days}.parquet"
    return replace(project, files=project.files.put(source, name, random_file(rng, [day])))


def _late(rng: Random, project: Project) -> Project | None:
    """Rows of days that were read long ago, in a file of their own."""
    source = rng.choice(project.flow.sources).name
    file = random_file(rng, [some_day(rng), rng.choice((some_day(rng), None))])
    name = f"late{rng.randrange(3)}.parquet"
    return replace(project, files=project.files.put(source, name, file))


def _changed(rng: Random, file: File) -> File | None:
    if not file.rows:
        return None
    rows = list(file.rows)
    place = rng.randrange(len(rows))
    other = random_row(rng, rows[place]["day"])
    names = ["extra"] if rng.random() < 0.2 else rng.sample(["id", "n", "x", "tag"], k=1)
    rows[place] = {**rows[place], **{name: other[name] for name in names}}
    return file.with_rows(rows) if repr(rows) != repr(list(file.rows)) else None


def _restated(rng: Random, file: File) -> File | None:
    """Other values in all rows of one column."""
    name = rng.choice(("n", "x", "tag"))
    rows: list[Mapping[str, Any]] = [
        {**row, name: random_row(rng, row["day"])[name]} for row in file.rows
    ]
    return file.with_rows(rows) if repr(rows) != repr(list(file.rows)) else None


def _row_deleted(rng: Random, file: File) -> File | None:
    if not file.rows:
        return None
    gone = rng.randrange(len(file.rows))
    return file.with_rows([row for place, row in enumerate(file.rows) if place != gone])


def _row_added(rng: Random, file: File) -> File | None:
    if not file.rows or len(file.rows) > 8:
        return None
    return file.with_rows([*file.rows, random_row(rng, rng.choice(file.rows)["day"])])


def _reordered(rng: Random, file: File) -> File | None:
    rows = rng.sample(list(file.rows), k=len(file.rows))
    return file.with_rows(rows) if repr(rows) != repr(list(file.rows)) else None


def _stranger(rng: Random, file: File) -> File | None:
    """A column that no contract names comes, or goes."""
    if "more" in file.types:
        types = {name: kind for name, kind in file.types.items() if name != "more"}
        rows = [{k: v for k, v in row.items() if k != "more"} for row in file.rows]
        return replace(file, types=types, rows=tuple(rows))
    filled = [{**row, "more": rng.randrange(5)} for row in file.rows]
    return replace(file, types={**file.types, "more": "Int64"}, rows=tuple(filled))


def _retyped(rng: Random, file: File) -> File | None:
    """Equal values come in another type; a whole number may become a fraction, which is none."""
    name = rng.choice(("n", "x", "tag"))
    kinds = {"n": ("Int64", "Int32", "Float64"), "x": ("Float64", "Float32")}
    others = kinds.get(name, ("String", "Categorical"))
    kind = rng.choice([other for other in others if other != file.types[name]])
    rows = list(file.rows)
    if name == "n":
        turn = float if kind == "Float64" else int
        rows = [{**row, "n": None if row["n"] is None else turn(row["n"])} for row in rows]
        if kind == "Float64" and rows and rng.random() < 0.3:
            rows[0] = {**rows[0], "n": 1.5}
    return replace(file, types={**file.types, name: kind}, rows=tuple(rows))


def _file_deleted(rng: Random, project: Project) -> Project | None:
    source = rng.choice(project.flow.sources).name
    known = project.files.of[source]
    # Without any file a source is taken for broken.
    if len(known) < 2:
        return None
    return replace(project, files=project.files.put(source, rng.choice(sorted(known)), None))


def _partition_deleted(rng: Random, project: Project) -> Project | None:
    source = rng.choice(project.flow.sources).name
    known = project.files.of[source]
    days = sorted({str(row["day"]) for file in known.values() for row in file.rows})
    if len(days) < 2:
        return None
    day, files = rng.choice(days), project.files
    for name, file in known.items():
        rows = [row for row in file.rows if str(row["day"]) != day]
        if len(rows) < len(file.rows):
            files = files.put(source, name, file.with_rows(rows))
    return replace(project, files=files)


def _touched(rng: Random, file: File) -> File | None:
    """Saved again as it is."""
    return replace(file)


def _upgraded(rng: Random, project: Project) -> Project | None:
    return replace(project, engine=rng.choice([v for v in ENGINES if v != project.engine]))


def _same(rng: Random, project: Project) -> Project | None:
    return project


ENGINES = ("", "97.1.0")

# What is edited; the code edits that must run something, and those that needn't.
MUST: Mapping[str, Edit] = {
    "body": _code(_own_query),
    **{name: _knob(name) for name in KNOBS if name not in ("body", "shared")},
    "body's number": _knob("body"),
    "helper of several stages": _shared,
}
NEEDLESS: Mapping[str, Edit] = {
    "comment": _look("comment"),
    "docstring": _look("docstring"),
    "format": _look("format"),
    "annotation": _look("annotation"),
    "local renamed": _look("local"),
    "unrelated function": _unrelated,
    "line shift": _line_shift,
    "equal meaning": _look("form"),
    "file saved again": _files(_touched),
}
CONTRACTS: Mapping[str, Edit] = {
    "rule added": _contract(_rule_added),
    "rule tightened": _contract(_rule_moved(-15)),
    "rule loosened": _contract(_rule_moved(25)),
    "rule removed": _contract(_rule_removed),
    "rule's on_fail": _contract(_rule_on_fail),
    "bound": _contract(_bound),
    "column's on_fail": _contract(_column_on_fail),
    "column contracted": _source_contract(_new_column),
    "column's type": _source_contract(_other_type),
}
DATA: Mapping[str, Edit] = {
    "append": _append,
    "late rows": _late,
    "row changed": _files(_changed),
    "column restated": _files(_restated),
    "row added": _files(_row_added),
    "row deleted": _files(_row_deleted),
    "rows reordered": _files(_reordered),
    "file deleted": _file_deleted,
    "partition deleted": _partition_deleted,
    "stray column": _files(_stranger),
    "type in a file": _files(_retyped),
}
# Nothing is edited, or the engine; what matters is how it is run (see the driver).
RUNS: Mapping[str, Edit] = {"polars upgrade": _upgraded, "again": _same, "nothing": _same}
# The same edits, under a run that is disturbed, or comes second.
UPSETS = ("crash", "two at once", "partial", "other environment", "promotion")

EDITS: Mapping[str, Edit] = {
    **MUST,
    **NEEDLESS,
    "revert": _revert,
    **CONTRACTS,
    **DATA,
    **RUNS,
}
KINDS = (*EDITS, *UPSETS)
