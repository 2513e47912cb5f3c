"""A contract as the Python text of its class, to be read and owned by a person."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from keyword import iskeyword
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.inference.infer import Line, call_of, declarable, head, quoted
from tidemill.contracts.odcs.writer import grain_said
from tidemill.contracts.spec import ContractSpec, Rule
from tidemill.contracts.table_rules import Budget, ReferenceRule, Rows, WideRule
from tidemill.core.partition import Grain

_DEFAULTS: Mapping[str, Any] = {
    **{field.name: getattr(Column(dtype=DType("Int64")), field.name) for field in fields(Column)},
}
# The imports that the text needs, by what shows in it.
_STANDARD = {
    "datetime.": "import datetime",
    "io.": "import io",
    "zoneinfo.": "import zoneinfo",
    "Decimal(": "from decimal import Decimal",
}
_OTHERS = {"pl.": "import polars as pl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The text of classes, and what of their contracts Python has no words for."""

    text: str
    left_out: tuple[str, ...] = ()


def source(contracts: Sequence[ContractSpec]) -> Source:
    """The classes of some contracts, with the imports that they need; what is referred to comes first."""
    placed = _placed(contracts)
    above = {
        spec.name: frozenset(other.name for other in placed[:at]) for at, spec in enumerate(placed)
    }
    written = [_class(spec, above[spec.name]) for spec in placed]
    body = "\n\n\n".join(each.text for each in written)
    left_out = tuple(line for each in written for line in each.left_out)
    return Source(text=f"{_imports(body)}\n\n\n{body}\n" if body else "", left_out=left_out)


def _placed(contracts: Sequence[ContractSpec]) -> list[ContractSpec]:
    """Each contract after those that it refers to, as far as they don't refer to each other."""
    waiting, placed = [*contracts], list[ContractSpec]()
    while waiting:
        names = {spec.name for spec in waiting}
        free = [spec for spec in waiting if not (_referred(spec) - {spec.name}) & names]
        placed += free or waiting[:1]
        waiting = [spec for spec in waiting if spec not in placed]
    return placed


def _referred(spec: ContractSpec) -> set[str]:
    return {rule.contract for rule in spec.wider if isinstance(rule, ReferenceRule)}


def _imports(body: str) -> str:
    """As people sort them: the standard library, other packages, this one."""
    blocks = (_STANDARD, _OTHERS, {"tm.": "import tidemill as tm"})
    found = (
        "\n".join(line for shown, line in block.items() if _shows(shown, body)) for block in blocks
    )
    return "\n\n".join(filter(None, found))


def _shows(name: str, body: str) -> bool:
    return re.search(rf"(?<![.\w]){re.escape(name)}", body) is not None


def _class(spec: ContractSpec, above: frozenset[str]) -> Source:
    columns = [column for column in spec.columns if declarable(column.name)]
    names = {column.name for column in columns}
    rules = [rule for rule in spec.rules if _writable(rule, set(spec.names) - names)]
    wider = [rule for rule in spec.wider if _is_said(rule, names, above)]
    key = spec.key if set(spec.key) <= names else ()
    said: list[Rule | WideRule] = [*rules, *wider]
    taken = names | {rule.name for rule in said}
    parts = (
        [_docstring(spec.description)],
        [_line(column) for column in columns] or ["    ..."],
        [_rule(rule) for rule in rules],
        [_wide(rule) for rule in wider],
        [*_counted(spec.rows, "rows", taken), *_counted(spec.budget, "budget", taken)],
    )
    body = "\n\n".join(filter(None, ("\n".join(part) for part in parts)))
    text = f"{head(class_name(spec.name), _arguments(spec, key))}\n{body}"
    return Source(text=text, left_out=tuple(_left_out(spec, names, said)))


def _left_out(
    spec: ContractSpec, names: set[str], rules: Sequence[Rule | WideRule]
) -> Iterator[str]:
    if class_name(spec.name) != spec.name:
        yield f"{spec.name}: the name, for which the class is called {class_name(spec.name)}"
    for column in spec.columns:
        if column.name not in names:
            yield f"{spec.name}: column {column.name!r}, whose name Python can't give to one"
    declared: tuple[Rule | WideRule, ...] = (*spec.rules, *spec.wider)
    for rule in declared:
        if rule not in rules:
            yield f"{spec.name}: rule {rule.name!r}: {_UNSAID}"
    if not set(spec.key) <= names:
        yield f"{spec.name}: its key ({', '.join(spec.key)}), which has such a column"


def class_name(name: str) -> str:
    """A name that Python can give to a class: `daily-sales` is DailySales."""
    if name.isidentifier() and not iskeyword(name):
        return name
    words = re.findall(r"[A-Za-z0-9]+", name)
    made = "".join(word[:1].upper() + word[1:] for word in words)
    return made if made.isidentifier() and not iskeyword(made) else f"Table{made}"


def _writable(rule: Rule, unnamed: set[str]) -> bool:
    return declarable(rule.name) and unnamed.isdisjoint(rule.expr.meta.root_names())


_UNSAID = "Python can't give its name, or that of what it reads, or it refers to no class above"


def _is_said(rule: WideRule, names: set[str], above: frozenset[str]) -> bool:
    if isinstance(rule, ReferenceRule) and rule.contract not in above:
        return False
    return declarable(rule.name) and set(_columns(rule)) <= names


def _columns(rule: WideRule) -> tuple[str, ...]:
    column: str = getattr(rule, "column", "")
    columns: tuple[str, ...] = getattr(rule, "columns", (column,))
    return columns


def _wide(rule: WideRule) -> str:
    """`tm.Unique("a", "b", on_fail="warn")`."""
    kind = type(rule).__name__.removesuffix("Rule").replace("Reference", "References")
    told = [*map(quoted, _columns(rule))]
    if isinstance(rule, ReferenceRule):
        told = [_names(rule.columns), class_name(rule.contract), _names(rule.to)]
    usual = {item.name: item.default for item in fields(rule)}
    for name in ("within", "by", "limit", "vs_last", "stage", "on_fail", "description"):
        value = getattr(rule, name, None)
        if value is not None and value != usual[name]:
            told.append(f"{name}={_value(value)}")
    return Line(name=rule.name, type=f"tm.{kind}", arguments=tuple(told)).text()


def _names(names: Sequence[str]) -> str:
    return quoted(names[0]) if len(names) == 1 else f"[{', '.join(map(quoted, names))}]"


def _docstring(text: str) -> str:
    if not text:
        return ""
    plain = '"' not in text and "\\" not in text and text.isprintable()
    return f'    """{text}"""' if plain else f"    {text!r}"


def _arguments(spec: ContractSpec, key: tuple[str, ...]) -> list[str]:
    told = [f'version="{spec.version}"']
    if key:
        told.append(f"key=({', '.join(map(quoted, key))}{',' if len(key) == 1 else ''})")
    if spec.unknown_columns != "fail":
        told.append(f'unknown_columns="{spec.unknown_columns}"')
    if spec.compatibility != "none":
        told.append(f'compatibility="{spec.compatibility}"')
    return told


def _line(column: Column) -> str:
    made = call_of(column.dtype)
    assert made is not None, f"{column.dtype} is no type of columns"
    told = (f"{name}={value}" for name, value in _said(column))
    return Line(name=column.name, type=made[0], arguments=(*made[1], *told)).text()


def _said(column: Column) -> Iterator[tuple[str, str]]:
    for name, usual in _DEFAULTS.items():
        value = getattr(column, name)
        if name in ("name", "dtype") or value == usual:
            continue
        yield name, f"[{', '.join(map(_value, value))}]" if name == "isin" else _value(value)


def _value(value: Any) -> str:
    match value:
        case str():
            return (
                quoted(str(value))
                if not isinstance(value, Grain)
                else quoted(str(grain_said(value)))
            )
        case float() if value != value or abs(value) == float("inf"):
            return f'float("{value}")'
        case list():
            return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _rule(rule: Rule) -> str:
    told = [expression(rule.expr)]
    if rule.on_fail != "quarantine":
        told.append(f'on_fail="{rule.on_fail}"')
    if rule.description:
        told.append(f"description={quoted(rule.description)}")
    return Line(name=rule.name, type="tm.rule", arguments=tuple(told)).text()


def expression(expr: Any) -> str:
    """The Python text of an expression, which Polars reads back from its own."""
    text = expr.meta.serialize(format="json")
    return f'pl.Expr.deserialize(io.StringIO({text!r}), format="json")'


def _counted(record: Rows | Budget | None, name: str, taken: set[str]) -> Iterator[str]:
    if record is None:
        return
    while name in taken:
        name += "_"
    usual = Rows() if isinstance(record, Rows) else None
    told = [
        f"{field.name}={_value(getattr(record, field.name))}"
        for field in fields(record)
        if getattr(record, field.name) != getattr(usual, field.name, None)
    ]
    yield f"    {name} = tm.{type(record).__name__}({', '.join(told)})"
