"""Generate the Python source of contract classes, for a person to review and maintain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from keyword import iskeyword
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.inference.infer import (
    DeclarationLine,
    class_head,
    is_declarable,
    quote,
    type_call,
)
from tidemill.contracts.inference.text_types import text_arguments
from tidemill.contracts.odcs.writer import grain_text
from tidemill.contracts.spec import ContractSpec, Rule
from tidemill.contracts.table_rules import Budget, ReferenceRule, Rows, TableRule
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import Grain

_DEFAULTS: Mapping[str, Any] = {
    **{field.name: getattr(Column(dtype=DType("Int64")), field.name) for field in fields(Column)},
}
# The imports that the source needs, by the names that it uses.
_STANDARD = {
    "datetime.": "import datetime",
    "io.": "import io",
    "zoneinfo.": "import zoneinfo",
    "Decimal(": "from decimal import Decimal",
}
_OTHERS = {"pl.": "import polars as pl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedSource:
    """The source of classes, and the parts of their contracts that Python can't express."""

    text: str
    left_out: tuple[str, ...] = ()


def generate_source(contracts: Sequence[ContractSpec]) -> GeneratedSource:
    """Generate the classes of contracts and their imports; referenced contracts come first."""
    placed = _in_reference_order(contracts)
    above = {
        spec.name: frozenset(other.name for other in placed[:at]) for at, spec in enumerate(placed)
    }
    classes = [_class(spec, above[spec.name]) for spec in placed]
    body = "\n\n\n".join(each.text for each in classes)
    left_out = tuple(line for each in classes for line in each.left_out)
    return GeneratedSource(
        text=f"{_imports(body)}\n\n\n{body}\n" if body else "", left_out=left_out
    )


def _in_reference_order(contracts: Sequence[ContractSpec]) -> list[ContractSpec]:
    """Order contracts after those that they refer to, except in cycles."""
    waiting, placed = [*contracts], list[ContractSpec]()
    while waiting:
        names = {spec.name for spec in waiting}
        free = [spec for spec in waiting if not (_referred(spec) - {spec.name}) & names]
        placed += free or waiting[:1]
        waiting = [spec for spec in waiting if spec not in placed]
    return placed


def _referred(spec: ContractSpec) -> set[str]:
    return {rule.contract for rule in spec.table_rules if isinstance(rule, ReferenceRule)}


def _imports(body: str) -> str:
    """Return the imports, sorted: the standard library, other packages, Tidemill."""
    blocks = (_STANDARD, _OTHERS, {"tm.": "import tidemill as tm"})
    found = (
        "\n".join(line for name, line in block.items() if _uses(name, body)) for block in blocks
    )
    return "\n\n".join(filter(None, found))


def _uses(name: str, body: str) -> bool:
    return re.search(rf"(?<![.\w]){re.escape(name)}", body) is not None


def _class(spec: ContractSpec, above: frozenset[str]) -> GeneratedSource:
    columns = [column for column in spec.columns if is_declarable(column.name)]
    names = {column.name for column in columns}
    rules = [rule for rule in spec.rules if _writable(rule, set(spec.names) - names)]
    wider = [rule for rule in spec.table_rules if _is_writable(rule, names, above)]
    key = spec.key if set(spec.key) <= names else ()
    declared: list[Rule | TableRule] = [*rules, *wider]
    taken = names | {rule.name for rule in declared}
    parts = (
        [_docstring_line(spec.description)],
        [_column_line(column) for column in columns] or ["    ..."],
        [_rule_line(rule) for rule in rules],
        [_table_rule_line(rule) for rule in wider],
        [*_record_line(spec.rows, "rows", taken), *_record_line(spec.budget, "budget", taken)],
    )
    body = "\n\n".join(filter(None, ("\n".join(part) for part in parts)))
    text = f"{class_head(class_name(spec.name), _arguments(spec, key))}\n{body}"
    return GeneratedSource(text=text, left_out=tuple(_left_out(spec, names, declared)))


def _left_out(
    spec: ContractSpec, names: set[str], rules: Sequence[Rule | TableRule]
) -> Iterator[str]:
    if class_name(spec.name) != spec.name:
        yield f"{spec.name}: the name; the class is called {class_name(spec.name)}"
    for column in spec.columns:
        if column.name not in names:
            yield f"{spec.name}: column {column.name!r}, whose name isn't a valid Python name"
    declared: tuple[Rule | TableRule, ...] = (*spec.rules, *spec.table_rules)
    for rule in declared:
        if rule not in rules:
            yield f"{spec.name}: rule {rule.name!r}: {_UNWRITABLE}"
    if not set(spec.key) <= names:
        yield f"{spec.name}: the key ({', '.join(spec.key)}), which includes such a column"


def class_name(name: str) -> str:
    """Return a valid class name: `daily-sales` becomes DailySales."""
    if name.isidentifier() and not iskeyword(name):
        return name
    words = re.findall(r"[A-Za-z0-9]+", name)
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return joined if joined.isidentifier() and not iskeyword(joined) else f"Table{joined}"


def _writable(rule: Rule, unnamed: set[str]) -> bool:
    return is_declarable(rule.name) and unnamed.isdisjoint(rule.expr.meta.root_names())


_UNWRITABLE = "its name or a column's isn't a valid Python name, or it refers to no class above"


def _is_writable(rule: TableRule, names: set[str], above: frozenset[str]) -> bool:
    if isinstance(rule, ReferenceRule) and rule.contract not in above:
        return False
    return is_declarable(rule.name) and set(_columns(rule)) <= names


def _columns(rule: TableRule) -> tuple[str, ...]:
    column: str = getattr(rule, "column", "")
    columns: tuple[str, ...] = getattr(rule, "columns", (column,))
    return columns


def _table_rule_line(rule: TableRule) -> str:
    """Return the declaration of a table rule, such as `once = tm.Unique("a", "b", on_fail="warn")`."""
    kind = type(rule).__name__.removesuffix("Rule").replace("Reference", "References")
    arguments = [*map(quote, _columns(rule))]
    if isinstance(rule, ReferenceRule):
        arguments = [_names(rule.columns), class_name(rule.contract), _names(rule.to)]
    usual = {item.name: item.default for item in fields(rule)}
    for name in (
        "within",
        "by",
        "limit",
        "vs_last",
        "reference",
        "tolerance",
        "stage",
        "on_fail",
        "description",
    ):
        value = getattr(rule, name, None)
        if value is not None and value != usual[name]:
            arguments.append(f"{name}={_value(value)}")
    return DeclarationLine(name=rule.name, type=f"tm.{kind}", arguments=tuple(arguments)).text()


def _names(names: Sequence[str]) -> str:
    return quote(names[0]) if len(names) == 1 else f"[{', '.join(map(quote, names))}]"


def _docstring_line(text: str) -> str:
    if not text:
        return ""
    plain = '"' not in text and "\\" not in text and text.isprintable()
    return f'    """{text}"""' if plain else f"    {text!r}"


def _arguments(spec: ContractSpec, key: tuple[str, ...]) -> list[str]:
    arguments = [f'version="{spec.version}"']
    if key:
        arguments.append(f"key=({', '.join(map(quote, key))}{',' if len(key) == 1 else ''})")
    if spec.unknown_columns != "fail":
        arguments.append(f'unknown_columns="{spec.unknown_columns}"')
    if spec.compatibility != "none":
        arguments.append(f'compatibility="{spec.compatibility}"')
    return arguments


def _column_line(column: Column) -> str:
    call = type_call(column.dtype)
    assert call is not None, f"{column.dtype} isn't a column type"
    arguments = [f"{name}={value}" for name, value in _column_arguments(column)]
    arguments += text_arguments(column.text)
    return DeclarationLine(name=column.name, type=call[0], arguments=(*call[1], *arguments)).text()


def _column_arguments(column: Column) -> Iterator[tuple[str, str]]:
    for name, usual in _DEFAULTS.items():
        value = getattr(column, name)
        if name in ("name", "dtype", "text") or value == usual:
            continue
        yield name, f"[{', '.join(map(_value, value))}]" if name == "isin" else _value(value)


def _value(value: Any) -> str:
    match value:
        case str():
            return (
                quote(str(value)) if not isinstance(value, Grain) else quote(str(grain_text(value)))
            )
        case float() if value != value or abs(value) == float("inf"):
            return f'float("{value}")'
        case list():
            return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _rule_line(rule: Rule) -> str:
    arguments = [expression_source(rule.expr)]
    if rule.on_fail != "quarantine":
        arguments.append(f'on_fail="{rule.on_fail}"')
    if rule.description:
        arguments.append(f"description={quote(rule.description)}")
    return DeclarationLine(name=rule.name, type="tm.rule", arguments=tuple(arguments)).text()


def expression_source(expr: Any) -> str:
    """Return Python source for an expression, which deserialises it from JSON."""
    text = expr.meta.serialize(format="json")
    return f'pl.Expr.deserialize(io.StringIO({text!r}), format="json")'


def _record_line(record: Rows | Budget | None, name: str, taken: set[str]) -> Iterator[str]:
    if record is None:
        return
    while name in taken:
        name += "_"
    usual = Rows() if isinstance(record, Rows) else None
    arguments = [
        f"{field.name}={_value(getattr(record, field.name))}"
        for field in fields(record)
        if getattr(record, field.name) != getattr(usual, field.name, None)
    ]
    yield f"    {name} = tm.{type(record).__name__}({', '.join(arguments)})"
