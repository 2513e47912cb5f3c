"""Find hidden inputs in the arguments of calls: a moment named "now", a path, the address of an object.

They are named like attributes of an unknown value: `hidden_inputs` knows the kind of each.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

# What a call does with an argument: it writes it as text, or reads the file of that name.
Role: TypeAlias = Literal["printed", "opened"]

ADDRESS = "repr(object())"
# Functions and arguments that take the path of a file, or what it contains.
_READERS = frozenset(("deserialize",))
_OPTIONS = frozenset(("model_file", "init_model"))
PATHS = (*(f"{name}(path)" for name in _READERS), *(f"{name}=path" for name in _OPTIONS))
_MOMENTS = frozenset(("now", "today"))
_MOMENT_MAKERS = frozenset(
    ("datetime64", "Timestamp", "to_datetime", "DatetimeIndex", "date_range", "Period")
)
# Only with a dtype that is one of moments.
_ARRAYS = frozenset(("array", "asarray", "full", "Series", "Index"))
_PRINTERS = frozenset(("repr", "str", "ascii", "format"))


def hidden_arguments(node: ast.Call) -> Iterator[str]:
    """The names of the hidden inputs that the arguments of a call stand for."""
    called = last_name(node.func)
    values = [*node.args, *(word.value for word in node.keywords)]
    if called in _MOMENT_MAKERS or (called in _ARRAYS and any(map(_is_of_moments, values))):
        yield from sorted(_MOMENTS & {text.strip().lower() for text in _texts(values)})
    if called in _PRINTERS and any(map(is_bare_object, values)):
        yield ADDRESS
    if called in _READERS and any(map(_is_path, node.args[:1])):
        yield f"{called}(path)"
    for word in node.keywords:
        if word.arg in _OPTIONS and _is_path(word.value):
            yield f"{word.arg}=path"


def argument_roles(node: ast.Call) -> Iterator[tuple[ast.Name, Role]]:
    """The names among the arguments of a call that are written as text, or name a file."""
    called = last_name(node.func)
    for value in node.args[:1]:
        if isinstance(value, ast.Name) and called in _PRINTERS | _READERS:
            yield value, "printed" if called in _PRINTERS else "opened"
    for word in node.keywords:
        if isinstance(word.value, ast.Name) and word.arg in _OPTIONS:
            yield word.value, "opened"


def is_bare_object(node: ast.expr) -> bool:
    """Whether an expression is `object()`, whose text is its address."""
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "object"
    )


def last_name(node: ast.expr) -> str:
    """The last name of `a.b.c`; "" of anything else."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _texts(values: Iterable[ast.expr]) -> Iterator[str]:
    """Literal texts, also in lists."""
    for value in values:
        if isinstance(value, (ast.List, ast.Tuple)):
            yield from _texts(value.elts)
        elif isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def _is_of_moments(value: ast.expr) -> bool:
    """Whether an argument is a dtype of moments: `"datetime64[s]"`, `np.datetime64`."""
    texts: Sequence[str] = [*_texts([value]), last_name(value)]
    return any("datetime64" in text or text.startswith("M8") for text in texts)


def _is_path(value: ast.expr) -> bool:
    """Whether an argument is certainly a path: a text, `Path(...)`, `FOLDER / "name"`."""
    if isinstance(value, ast.Call):
        return last_name(value.func) == "Path"
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
        return True
    return isinstance(value, ast.JoinedStr) or any(True for _ in _texts([value]))
