"""Which steps must run, and which may: judged from values and meaning, never from digests of the project.

A step *must* run when nothing like it ever ran: its meaning, its contract's effect on values, and the
values of the columns that it reads, in the partitions that it sees, were never met together. It *may*
run at the declared grain: an opaque stage is judged by the text of its code and all contracted
columns, a query by each of its numbers and the types of what it reads, an ingest by its files' bytes. An
ingest must run when the rows of its partition, their order or types in a file were never met.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.soundness.edits import Project
from tests.soundness.model import OPAQUE, Column, Flow, Stage, Table, nth_column
from tests.soundness.reference import Part, World
from tests.soundness.render import plain_text

Place: TypeAlias = tuple[str, str]
Key: TypeAlias = int


@dataclass(frozen=True, slots=True)
class Wanted:
    """The keys of every step: by what it must not share with another, and by what it may."""

    must: Mapping[Place, Key]
    may: Mapping[Place, Key]


def wanted(project: Project, world: World) -> Wanted:
    """The keys of all steps that would make everything anew."""
    flow, files, engine = project.flow, project.files, project.engine
    must: dict[Place, Key] = {}
    may: dict[Place, Key] = {}
    for source in flow.sources:
        table = _value_part(source.table)
        for partition in world.parts[source.name]:
            names = files.feeding(source.name, partition)
            held = [(name, files.of[source.name][name]) for name in names]
            bytes_ = [(name, file.rows, sorted(file.types.items())) for name, file in held]
            own = [(n, file.rows_of(partition), sorted(file.types.items())) for n, file in held]
            # The names of files order their rows, and count.
            must[source.name, partition] = _key(source.name, table, partition, own)
            may[source.name, partition] = _key(source.name, table, partition, bytes_)
    columns = _Columns(flow, world)
    for stage in flow.stages:
        narrow, wide = _meaning(flow, stage), _declared(flow, stage)
        for partition in world.parts[stage.name]:
            place = (stage.name, partition)
            seen = list(zip(stage.inputs, world.sight[place], strict=True))
            reads = [
                [(k, columns.read(name, k, _reads(flow, stage, at))) for k in keys]
                for at, (name, keys) in enumerate(seen)
            ]
            must[place] = _key(narrow, engine, partition, reads)
            if stage.op in OPAQUE:
                reads = [
                    [(k, columns.read(name, k, flow.table(name).names)) for k in keys]
                    for name, keys in seen
                ]
            may[place] = _key(stage.name, wide, engine, partition, reads)
    return Wanted(must, may)


def _key(*parts: Any) -> Key:
    return hash(repr(parts))


class _Columns:
    """The values of single columns, each turned into a number once."""

    def __init__(self, flow: Flow, world: World) -> None:
        self._flow = flow
        self._world = world
        self._known: dict[tuple[str, str, str], Key] = {}

    def read(self, stage: str, partition: str, names: Iterable[str]) -> list[tuple[str, Key]]:
        return [(name, self._of(stage, partition, name)) for name in names]

    def _of(self, stage: str, partition: str, name: str) -> Key:
        place = (stage, partition, name)
        if place not in self._known:
            table = self._flow.table(stage)
            part: Part = self._world.parts[stage][partition]
            values = [repr(row[name]) for row in part.good]
            if not table.keyed:
                values.sort()
            self._known[place] = _key(table.type(name), values)
        return self._known[place]


def _value_part(table: Table) -> Any:
    """What a contract does to values."""
    columns = [_effect(column) for column in table.columns]
    rules = [rule for rule in table.rules if rule.on_fail == "quarantine"]
    return (table.index, table.keyed, columns, rules)


def _effect(column: Column) -> Any:
    bounds = column.top if column.on_fail == "quarantine" else None
    return (column.name, column.type, column.on_fail, bounds)


def _meaning(flow: Flow, stage: Stage) -> Any:
    args = _used(flow, stage)
    return (stage.op, args, flow.total(stage), _value_part(stage.table), stage.table.names)


def _declared(flow: Flow, stage: Stage) -> Any:
    if stage.op in OPAQUE:
        types = [[(n, flow.table(i).type(n)) for n in flow.table(i).names] for i in stage.inputs]
        return (plain_text(flow, stage), types, _value_part(stage.table))
    # Two texts of one meaning are one query; the numbers that add up to a total stand apart in it.
    numbers = dict(stage.knobs)
    if "shared" in numbers:
        numbers["shared"] = flow.shared
    types = [
        [(column, flow.table(name).type(column)) for column in _reads(flow, stage, place)]
        for place, name in enumerate(stage.inputs)
    ]
    # A selector takes columns in their order, which a query may depend on.
    order = flow.table(stage.inputs[0]).integers() if stage.op == "wild" else []
    return (stage.op, _used(flow, stage), order, numbers, types, _value_part(stage.table))


def _used(flow: Flow, stage: Stage) -> list[tuple[str, Any]]:
    """The arguments that the operator looks at."""
    names = _ARGUMENTS[stage.op]
    found = [(name, stage.args[name]) for name in names]
    table = flow.table(stage.inputs[0])
    if stage.op == "rank":
        found.append(("method", stage.args["number"] % 2))
    if stage.op == "nth":
        found.append(("nth", nth_column(table, stage.args["place"])))
    if stage.op == "wild":
        found.append(("wild", sorted(table.integers())))
    if stage.op in ("fold", "folds"):
        found.append(("verb", stage.verb))
    return found


_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "filter": ("of", "number"),
    "project": ("of",),
    "ties": ("of", "number", "flag"),
    "unique": ("of", "flag"),
    "over": ("of", "number", "flag"),
    "shift": ("of", "number"),
    "rank": ("of", "flag"),
    "nth": (),
    "wild": (),
    "elements": ("of", "number"),
    "collect": ("of",),
    "rows": ("of", "number"),
    "memo": ("of", "number", "flag"),
    "join": ("other", "flag"),
    "union": ("of", "other"),
    "group": ("of", "number", "real"),
    "total": ("of", "number", "real"),
    "window": ("of", "number"),
    "model": ("of", "number"),
    "fold": ("of", "real"),
    "folds": ("of",),
    "first": ("of", "number", "flag"),
    "loose": ("of",),
    "tally": ("of",),
}


def _reads(flow: Flow, stage: Stage, place: int) -> tuple[str, ...]:
    """The columns of an input that decide about the rows, or about a column, of the output."""
    args = stage.args
    table = flow.table(stage.inputs[place])
    of = args["other" if place else "of"]
    if stage.op in _ROWWISE:
        kept = () if place else tuple(args["kept"])
        computed = _computed_from(flow, stage, place)
        index = _joined_on(flow, stage) if place else table.index
        return tuple(dict.fromkeys((*index, *kept, *computed)))
    real = (args["real"],) if len(stage.table.columns) > 1 else ()
    index = _FEWER.get(stage.op, table.index)
    return tuple(dict.fromkeys((*index, of, *real)))


_ROWWISE = frozenset(_ARGUMENTS) - {
    *("group", "total", "model", "loose", "tally", "window", "first", "union", "fold", "folds")
}
# Of these only a part of the index decides anything.
_FEWER = {"total": ("id",), "fold": ("id",), "model": ("id",), "loose": ("day",), "tally": ("day",)}


def _computed_from(flow: Flow, stage: Stage, place: int) -> tuple[str, ...]:
    table = flow.table(stage.inputs[place])
    match stage.op:
        case "join":
            return (stage.args["other"],) if place else ()
        case "nth":
            return (nth_column(table, stage.args["place"]),)
        case "wild":
            return tuple(sorted(table.integers()))
    return (stage.args["of"],)


def _joined_on(flow: Flow, stage: Stage) -> tuple[str, ...]:
    first, second = (flow.table(name).index for name in stage.inputs)
    return tuple(name for name in second if name in first)
