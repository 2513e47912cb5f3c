"""Record where a function's text changes a value that it didn't create, or passes one on.

A chain is a name with the attributes and items that are read from it. Chains are resolved after the whole
function was read: a local name stands for what it was assigned.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tidemill.analysis.code.call_arguments import last_name
from tidemill.analysis.code.scopes import Chain, Import, NameUse, Scope
from tidemill.core.lazy_dataclass import dataclass

# Methods that change a value in place; whether a value has such a method is seen when it is known.
OF_ARRAYS = frozenset(
    {"fill", "put", "resize", "itemset", "byteswap", "setflags", "__setitem__", "__iadd__"}
    | {"__isub__", "__imul__", "__ior__", "__iand__"}
)
OF_FRAMES = frozenset({"insert_column", "replace_column", "drop_in_place"})
OF_CONTAINERS = frozenset(
    {"append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "update", "add"}
    | {"setdefault", "popitem", "discard", "difference_update", "intersection_update"}
    | {"symmetric_difference_update", "appendleft", "extendleft", "popleft", "rotate", "subtract"}
    | {"move_to_end", "__setitem__", "__delitem__", "__setattr__", "__delattr__"}
    | {"__iadd__", "__ior__", "__iand__", "__isub__", "__imul__"}
)
IN_PLACE = OF_CONTAINERS | OF_ARRAYS | OF_FRAMES | {"partition"}
# Functions that change their first argument, with the method that does the same.
_CHANGES_FIRST = {
    **dict.fromkeys(("heappush", "heapreplace", "heapify", "insort", "insort_left"), "append"),
    **dict.fromkeys(("insort_right", "setitem", "delitem"), "__setitem__"),
    **dict.fromkeys(("heappop", "shuffle"), "sort"),
    **dict.fromkeys(("copyto", "putmask", "place", "fill_diagonal"), "fill"),
}
_SETTERS = frozenset(("setattr", "delattr", "__setattr__", "__delattr__"))
# Methods that return what a value contains.
_INNER = frozenset({"get", "setdefault", "pop", "values", "items", "__getitem__", "popitem"})
_OPERATORS = {
    **{ast.Add: "__iadd__", ast.BitOr: "__ior__", ast.BitAnd: "__iand__"},
    **{ast.Sub: "__isub__", ast.Mult: "__imul__"},
}
_MOST_STEPS = 8
# In the path of a chain: what a call returns.
RESULT = "()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a chain leads to from outside the function: a name, an import, or a `parameter`.

    `path` are the attributes; `deep`: something that the value contains.
    """

    name: str
    path: tuple[str, ...] = ()
    source: Import | None = None
    parameter: bool = False
    deep: bool = False

    def extend(self, other: Target) -> Target:
        """What `other`, which begins with a parameter, leads to if this is the argument."""
        if self.deep:
            return self
        path = (*self.path, *other.path)
        # A recursive function may go deeper in each call.
        long = len(path) > _MOST_STEPS
        return replace(self, path=path[:_MOST_STEPS], deep=other.deep or long)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateWrite:
    """A change of a value: of an `attribute`, or of its contents (None), possibly by a `method`."""

    target: Target
    line: int
    attribute: str | None = None
    method: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCall:
    """A call, and those of its arguments that come from outside, by position or name."""

    function: Target
    arguments: tuple[tuple[int | str, Target], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A change as the text has it, of what a chain leads to."""

    chain: Chain
    line: int
    attribute: str | None = None
    method: str = ""


def chain_of(node: ast.expr | None, scope: Scope | None) -> Chain | None:
    """The chain of an expression; None if it doesn't begin with a name."""
    match node:
        case ast.Name():
            return Chain(use=NameUse(scope=scope, name=node.id, line=node.lineno))
        case ast.Attribute():
            base = chain_of(node.value, scope)
            return base and (base if base.deep else replace(base, path=(*base.path, node.attr)))
        case ast.Subscript():
            base = chain_of(node.value, scope)
            return base and replace(base, deep=True)
        case ast.NamedExpr() | ast.Starred():
            return chain_of(node.value, scope)
        case ast.Call():
            return _chain_of_call(node, scope)
    return None


def _chain_of_call(node: ast.Call, scope: Scope | None) -> Chain | None:
    """The chain of a call that returns a part of a value: `vars(x)`, `getattr(x, "a")`, `x.get(1)`."""
    if isinstance(node.func, ast.Attribute) and node.func.attr in _INNER:
        base = chain_of(node.func.value, scope)
        return base and replace(base, deep=True)
    called = getattr(node.func, "id", "")
    if called not in ("vars", "getattr") or not node.args:
        base = chain_of(node.func, scope)
        return base and (base if base.deep else replace(base, path=(*base.path, RESULT)))
    base = chain_of(node.args[0], scope)
    name = "__dict__" if called == "vars" else _constant(node.args[1:2])
    if base is None or base.deep:
        return base
    return replace(base, path=(*base.path, name)) if name else replace(base, deep=True)


def _constant(nodes: Sequence[ast.expr]) -> str:
    """The text that a list of one expression is; "" if it isn't known."""
    value = nodes[0].value if nodes and isinstance(nodes[0], ast.Constant) else None
    return value if isinstance(value, str) else ""


def writes_to(node: ast.expr, scope: Scope | None) -> Iterator[Written]:
    """The change that assigning to an attribute or an item makes, or deleting it."""
    if isinstance(node, ast.Attribute):
        if chain := chain_of(node.value, scope):
            yield Written(chain=chain, line=node.lineno, attribute=node.attr)
    elif isinstance(node, ast.Subscript) and (chain := chain_of(node.value, scope)):
        yield _item_write(chain, node.lineno, _constant([node.slice]))


def _item_write(chain: Chain, line: int, key: str) -> Written:
    """The change of an item; an item of `x.__dict__` is an attribute of `x`."""
    if not chain.deep and chain.path[-1:] == ("__dict__",):
        owner = replace(chain, path=chain.path[:-1])
        return Written(chain=owner, line=line, attribute=key or "*")
    return Written(chain=chain, line=line)


def in_place_write(node: ast.AugAssign, scope: Scope | None) -> Iterator[Written]:
    """The change that `x += y` makes where `x` is a list or the like."""
    method = _OPERATORS.get(type(node.op))
    if isinstance(node.target, ast.Name) and method and (chain := chain_of(node.target, scope)):
        yield Written(chain=chain, line=node.lineno, method=method)


def writes_by_call(node: ast.Call, scope: Scope | None) -> Iterator[Written]:
    """The changes that a call makes by itself: a method of a container, `setattr` and the like."""
    called = last_name(node.func)
    first = chain_of(node.args[0], scope) if node.args else None
    if called in _SETTERS and first is not None:
        yield Written(chain=first, line=node.lineno, attribute=_constant(node.args[1:2]) or "*")
    elif called in _CHANGES_FIRST and first is not None:
        yield Written(chain=first, line=node.lineno, method=_CHANGES_FIRST[called])
    elif isinstance(node.func, ast.Attribute) and called in IN_PLACE:
        yield from _method_write(node, called, chain_of(node.func.value, scope), first)


def _method_write(
    node: ast.Call, method: str, owner: Chain | None, first: Chain | None
) -> Iterator[Written]:
    if owner is None:
        return
    if isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") in (
        *("dict", "list", "set", "object"),
    ):
        owner = first  # `list.append(x, 1)`
    if owner is not None and not owner.deep and owner.path[-1:] == ("__dict__",):
        plain = replace(owner, path=owner.path[:-1])
        yield Written(chain=plain, line=node.lineno, attribute="*")
    elif owner is not None:
        yield Written(chain=owner, line=node.lineno, method=method)


def arguments_of(node: ast.Call, scope: Scope | None) -> Iterator[tuple[int | str, Chain]]:
    """The arguments of a call that are chains."""
    for place, value in enumerate(node.args):
        if chain := chain_of(value, scope):
            yield place, chain
    for word in node.keywords:
        if word.arg and (chain := chain_of(word.value, scope)):
            yield word.arg, chain


def aliases(targets: Sequence[ast.expr], value: ast.expr, scope: Scope | None) -> None:
    """Record that names stand for the value that they are assigned."""
    for option in _options(value):
        chain = chain_of(option, scope)
        for target in targets if chain is not None else ():
            if isinstance(target, ast.Name) and scope is not None and chain is not None:
                scope.aliases.setdefault(target.id, []).append(chain)


def item_aliases(target: ast.expr, iterable: ast.expr, scope: Scope | None) -> None:
    """Record that names stand for items of what a loop goes through."""
    chain = chain_of(iterable, scope)
    if chain is None or scope is None:
        return
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            scope.aliases.setdefault(node.id, []).append(replace(chain, deep=True))


def _options(value: ast.expr) -> Iterator[ast.expr]:
    """The expressions of which a value is one: `a or b`, `a if c else b`."""
    if isinstance(value, ast.BoolOp):
        yield from value.values
    elif isinstance(value, ast.IfExp):
        yield from (value.body, value.orelse)
    else:
        yield value


def targets_of(chain: Chain, root: Scope | None, steps: int = _MOST_STEPS) -> Iterator[Target]:
    """What a chain leads to outside the function whose scope is `root`, now that all bindings are known."""
    use, scope = chain.use, chain.use.scope
    home = None if scope is None else scope.binding_scope(use.name)
    if home is None:
        yield Target(name=use.name, path=chain.path, deep=chain.deep)
        return
    for source in home.sources.get(use.name, ()):
        yield Target(name=use.name, path=chain.path, source=source, deep=chain.deep)
    for known in home.aliases.get(use.name, ()) if steps else ():
        for target in targets_of(known, root, steps - 1):
            step = Target(name="", path=chain.path, deep=chain.deep)
            yield target.extend(step)
    if home is root and home.bound.get(use.name) == "parameter":
        yield Target(name=use.name, path=chain.path, parameter=True, deep=chain.deep)
