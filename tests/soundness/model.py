"""A random workflow as data: what it computes, and how its code happens to be written.

Three readers share it: `render` writes it as modules of a project, `reference` interprets it naively,
`oracle` names what each step must depend on. None of them knows of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

# Where a number that decides about a stage's values can stand in its code.
KNOBS = (
    "body",
    "default",
    "helper",
    "constant",
    "attribute",
    "other",
    "transitive",
    "closure",
    "shared",
)
# What may differ between two texts of one meaning; `form` is another way to write the query.
LOOKS = ("comment", "docstring", "format", "annotation", "local", "form")
# The query isn't the truth about these: their code and all columns count.
OPAQUE = frozenset({"elements", "collect", "rows", "model"})
TAGS = ("ash", "elm", "oak", "yew")
# What a fold makes of a column; which of them is said by the number of its stage.
VERBS = ("sum", "min", "max", "count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A contracted column that may be null; `top` is its upper bound."""

    name: str
    type: str = "Int64"
    top: int | None = None
    on_fail: str = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """That a column is below a number."""

    name: str
    column: str
    below: int
    on_fail: str = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A contract: columns that identify a row (a Date `day`, an Int64 `id`), and others."""

    index: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    keyed: bool = True

    @property
    def cut(self) -> bool:
        """Whether it has a partition a day."""
        return "day" in self.index

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.index, *(column.name for column in self.columns))

    def type(self, name: str) -> str:
        known = {column.name: column.type for column in self.columns}
        return known.get(name, "Date" if name == "day" else "Int64")

    def integers(self) -> list[str]:
        """The columns that can be computed with, but the index."""
        return [column.name for column in self.columns if column.type.startswith("Int")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An ingest stage; its files are in a folder of its name."""

    name: str
    table: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A transform: an operator on inputs with arguments, plus the sum of its knobs."""

    name: str
    op: str
    inputs: tuple[str, ...]
    table: Table
    args: Mapping[str, Any] = field(default_factory=dict)
    knobs: Mapping[str, int] = field(default_factory=dict)
    looks: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(LOOKS, 0))

    @property
    def made(self) -> str:
        """The column that the stage computes."""
        return f"v{self.name[1:]}"

    @property
    def verb(self) -> str:
        """What a fold makes of its column; the number of one with a window is how long that is."""
        place = self.args["flag"] if self.op == "folds" else self.args["number"]
        return VERBS[place % len(VERBS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A workflow: its stages in an order in which they can run, and what else is in its modules."""

    sources: tuple[Source, ...]
    stages: tuple[Stage, ...]
    shared: int = 1
    unrelated: int = 0
    shift: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.tables)

    @property
    def tables(self) -> dict[str, Table]:
        sources = {source.name: source.table for source in self.sources}
        return {**sources, **{stage.name: stage.table for stage in self.stages}}

    def table(self, name: str) -> Table:
        return self.tables[name]

    def stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    def total(self, stage: Stage) -> int:
        """What all knobs of a stage add up to."""
        shared = self.shared if "shared" in stage.knobs else 0
        return shared + sum(value for name, value in stage.knobs.items() if name != "shared")

    def swap(self, stage: Stage) -> Flow:
        """The workflow with another stage of that name."""
        stages = (stage if known.name == stage.name else known for known in self.stages)
        return replace(self, stages=tuple(stages))

    def swap_table(self, name: str, table: Table) -> Flow:
        """The workflow with another contract of a stage."""
        sources = (replace(s, table=table) if s.name == name else s for s in self.sources)
        stages = (replace(s, table=table) if s.name == name else s for s in self.stages)
        return replace(self, sources=tuple(sources), stages=tuple(stages))


def nth_column(table: Table, place: int) -> str:
    """The column that `pl.nth` finds."""
    return table.names[place % len(table.names)]


def broken(flow: Flow) -> bool:
    """Whether some stage asks for what its inputs don't have: such a workflow isn't rendered."""
    return any(_asks_too_much(flow, stage) for stage in flow.stages)


def _asks_too_much(flow: Flow, stage: Stage) -> bool:
    table, args = flow.table(stage.inputs[0]), stage.args
    other = flow.table(stage.inputs[-1])
    if stage.op == "nth" and nth_column(table, args["place"]) not in table.integers():
        return True
    return args["of"] not in table.names or args["other"] not in other.names


def random_flow(rng: Random) -> Flow:
    """One or two sources and one to six transforms of them."""
    sources = [_source(rng, f"r{number}") for number in range(rng.choice((1, 1, 2)))]
    flow = Flow(sources=tuple(sources), stages=(), shared=rng.randint(1, 5))
    wanted = rng.randint(1, 6)
    while len(flow.stages) < wanted:
        stage = _stage(rng, flow, f"s{len(flow.stages)}")
        if stage is not None:
            flow = replace(flow, stages=(*flow.stages, stage))
    return flow


def _source(rng: Random, name: str) -> Source:
    columns = [
        Column(name="n", top=rng.choice((None, 40))),
        Column(name="x", type="Float64"),
        Column(name="tag", type=rng.choice(("String", "Categorical", "Enum"))),
    ]
    return Source(name=name, table=Table(index=("day", "id"), columns=tuple(columns)))


# Operators by what they take: the number of inputs, and of which shape the first may be.
_ROWS = ("filter", "project", "ties", "unique", "over", "shift", "rank", "nth", "wild", "memo")
_PYTHON = ("elements", "collect", "rows")
_GROUPS = ("group", "first")
_PAIRS = ("join", "union")
_CUTS = ("window", "model", "total", "loose", "tally", "fold", "folds")
OPERATORS = (*_ROWS, *_PYTHON, *_GROUPS, *_PAIRS, *_CUTS)


def _stage(rng: Random, flow: Flow, name: str) -> Stage | None:
    op = rng.choice(OPERATORS)
    inputs = _inputs(rng, flow, op)
    if inputs is None:
        return None
    table = flow.table(inputs[0])
    other = flow.table(inputs[-1])
    args: dict[str, Any] = {
        "of": rng.choice(table.integers() or [""]),
        "other": rng.choice(other.integers() or [""]),
        "number": rng.randint(1, 6),
        "flag": rng.random() < 0.5,
        "kept": tuple(sorted(rng.sample([c.name for c in table.columns], k=_few(rng, table)))),
        "real": next((c.name for c in table.columns if c.type == "Float64"), ""),
        "place": rng.randrange(len(table.index), len(table.names)),
    }
    if not args["of"] or not args["other"]:
        return None
    knobs = {knob: rng.randint(0, 9) for knob in rng.sample(KNOBS, k=rng.randint(2, 5))}
    stage = Stage(name=name, op=op, inputs=inputs, args=args, knobs=knobs, table=table)
    table = Table(**_shape(flow, stage))
    stage = replace(stage, table=replace(table, rules=tuple(_rules(rng, stage.made))))
    return None if broken(replace(flow, stages=(*flow.stages, stage))) else stage


def _few(rng: Random, table: Table) -> int:
    return rng.randint(0, min(2, len(table.columns)))


def _inputs(rng: Random, flow: Flow, op: str) -> tuple[str, ...] | None:
    keyed = [name for name in flow.names if flow.table(name).keyed]
    cut = [name for name in keyed if flow.table(name).cut]
    if op == "tally":
        return (rng.choice([n for n in flow.names if flow.table(n).cut]),)
    if op in _CUTS:
        return (rng.choice(cut),)
    # The stage before is more likely: long chains find more.
    first = keyed[-1] if rng.random() < 0.5 else rng.choice(keyed)
    if op not in _PAIRS:
        return (first,)
    mate = [
        name
        for name in keyed
        if name != first
        and (flow.table(name).cut == flow.table(first).cut or (op == "join" and first in cut))
    ]
    return (first, rng.choice(mate)) if mate else None


def _shape(flow: Flow, stage: Stage) -> dict[str, Any]:
    """Index and columns of what an operator gives."""
    given = flow.table(stage.inputs[0])
    made = Column(name=stage.made)
    if stage.op == "loose":
        return {"index": ("day",), "columns": (made,), "keyed": False}
    if stage.op in ("model", "total", "fold"):
        return {"index": ("id",), "columns": (made, *_real(stage))}
    if stage.op in ("window", "folds", "tally", "union", "first"):
        return {"index": ("day", "id") if given.cut else ("id",), "columns": (made,)}
    if stage.op == "group":
        return {"index": given.index, "columns": (made, *_real(stage))}
    kept = [Column(name=name, type=given.type(name)) for name in stage.args["kept"]]
    return {"index": given.index, "columns": (*kept, made)}


def _rules(rng: Random, column: str) -> Iterator[Rule]:
    if rng.random() < 0.4:
        how = rng.choice(("quarantine", "warn"))
        yield Rule(name="limit0", column=column, below=rng.choice((30, 60, 200)), on_fail=how)


def _real(stage: Stage) -> Iterator[Column]:
    if stage.op in ("group", "total", "fold") and stage.args["real"]:
        yield Column(name=f"f{stage.name[1:]}", type="Float64")
