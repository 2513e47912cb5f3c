"""Find parameters in the space of a search that the training function doesn't read."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from tidemill.analysis.code.source_tree import load_source
from tidemill.core.errors import Fault, did_you_mean
from tidemill.workflow.parameters import params_faults
from tidemill.workflow.search import Search

_PARAMS = "params"
# How alike a name must be to a declared one to be taken for a misspelling of it.
_ALIKE = 0.8


def parameter_faults(
    search: object, model: str, function: Callable[..., Any], params: Mapping[str, Any]
) -> Iterator[Fault]:
    """Yield a fault for each searched parameter that isn't declared, nor read, and for an opaque metric."""
    if not isinstance(search, Search):
        return
    yield from params_faults(model, {"metric": search.metric}, search.place)
    read = read_parameters(function)
    for name in search.space:
        if name in params or (read is not None and name in read):
            continue
        near = get_close_matches(name, [*params.keys() - search.space.keys()], 1, _ALIKE)
        if read is not None:
            message = f"search tries {name!r}, which is neither in params= nor read by its function"
        elif near:
            message = f"search tries {name!r}, which isn't in params="
        else:
            continue
        advice = did_you_mean(name, {*params, *(read or ())})
        yield Fault(
            message=f"model {model!r}: its {message} ({advice})",
            where=search.place,
            hint=f"correct the name, or declare a value: params={{{name!r}: ...}}",
        )


def read_parameters(function: Callable[..., Any]) -> frozenset[str] | None:
    """The names that a function reads as `params["name"]` or `params.get("name")`.

    None if it can't be known: it passes `params` on, or its source isn't there.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    source = load_source(code.co_filename, {}) if code is not None else None
    node = source.find(code) if code is not None and source is not None else ""
    if isinstance(node, str):
        return None
    read = dict(_reads(node))
    used = {id(each) for each in ast.walk(node) if _is_params(each)}
    return frozenset(read.values()) if used == read.keys() else None


def _reads(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The expressions `params` of which one name is read, by id."""
    for each in ast.walk(node):
        match each:
            case ast.Subscript(value=held, slice=ast.Constant(value=str(name))):
                pass
            case ast.Call(
                func=ast.Attribute(value=held, attr="get"), args=[ast.Constant(value=str(name)), *_]
            ):
                pass
            case _:
                continue
        if _is_params(held):
            yield id(held), name


def _is_params(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == _PARAMS
