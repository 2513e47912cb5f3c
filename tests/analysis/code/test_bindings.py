"""Which names in a function are bound inside of it."""

from __future__ import annotations

import ast
from types import SimpleNamespace

import pytest

from tests.support.function_shapes import names, shape
from tidemill.analysis.code.canonical_text import function_shape

FREE = [
    ("def f(a, /, b, *c, d, **e): return a, b, c, d, e, g", ["g"]),
    ("def f():\n    x = y\n    return x", ["y"]),
    ("def f():\n    return x\n    x = 1", []),  # a binding may follow its use
    ("def f():\n    del x", []),
    ("def f():\n    x: int\n    return x", []),
    ("def f():\n    x: int = y\n    return x", ["y"]),
    ("def f(o):\n    o.x: int\n    return x", ["x"]),
    ("def f():\n    for x in y: z\n    return x", ["y", "z"]),
    ("def f():\n    with a as b, c as (d, e): return b, d, e", ["a", "c"]),
    ("def f():\n    try: pass\n    except E as e: return e\n    except: return 1", ["E"]),
    ("def f():\n    import a.b, c as d\n    return d", ["d"]),
    ("def f():\n    from a import b as c\n    return c, b", ["c", "b"]),
    ("def f(x): return [y for y in x if y > z], y", ["z", "y"]),
    ("def f(x): return {k: v for k, v in x}, {k for k in x}, (k for k in x), v", ["v"]),
    ("def f(x): return [y for y in y]", ["y"]),  # its first iterable is evaluated around it
    ("def f(x): return [z for y in x for z in y]", []),
    ("def f(x): return [y for y in x for z in y if z]", []),
    ("def f(x): return [n := 1 for y in x], n", []),  # := binds outside of comprehensions
    ("def f(x): return (n := 1), n", []),
    ("def f(x): return lambda y, z=w: y + z + x", ["w"]),
    ("def f():\n    def g(y=a): return y, x\n    x = 1\n    return g", ["a"]),
    ("def f():\n    def g():\n        nonlocal x\n        x = 1\n    x = 2\n    return g", []),
    ("def f():\n    def g():\n        global x\n        return x\n    x = 2\n    return g", ["x"]),
    ("def f():\n    class A(B, metaclass=M):\n        c = 1\n    return A", ["B", "M"]),
    # methods don't see what the class body binds; the body itself may read a global before
    ("def f():\n    class A:\n        c = 1\n        def m(self): return c\n    return A", ["c"]),
    ("def f():\n    class A:\n        c = c\n    return A", ["c"]),
    ("def f():\n    c = 1\n    class A:\n        def m(self): return c\n    return A", []),
    ("def f():\n    class A:\n        def m(self): return __class__\n    return A", []),
    (
        "def f(x):\n    match x:\n        case [a, *b]: return a, b\n        case {'k': c, **d}: return c, d",
        [],
    ),
    (
        "def f(x):\n    match x:\n        case A(n=e) as g: return e, g\n        case K.x | _: return 1",
        ["A", "K.x"],
    ),
    ("def f(x):\n    match x:\n        case {'k': 1}: return 1\n        case [*_]: return 2", []),
    ("async def f(x):\n    async for y in x: await z(y)", ["z"]),
    ("def f(x): return x.a.b, g.a.b(1).c", ["g.a.b"]),
    ("def f(x): return f'{x} {y!r:>{w}}'", ["y", "w"]),
    ("def f(x, o):\n    o.y = x[z] = 1", ["z"]),
    ("def f(x: A) -> B: return x", []),
    ("@dec(arg)\ndef f(x: A, *y: C, z: D = 1) -> B: return x", ["dec", "arg", "A", "C", "D", "B"]),
    ("def f():\n    @dec\n    def g(x: A): return x\n    return g", ["dec", "A"]),
    ("def f(): return getattr(a, 'b', c)", ["getattr", "a.b", "c"]),
    ("def f(): return getattr(a), getattr(a.b, c)", ["getattr", "a", "a.b", "c"]),
]


@pytest.mark.parametrize(("source", "free"), FREE)
def test_names_from_outside(source: str, free: list[str]) -> None:
    assert sorted(set(names(source))) == sorted(free)


def test_type_parameters_are_seen_but_not_free() -> None:
    sources = (
        "def f[T: B](x: T) -> T: return T",
        "def f():\n    def g[T](x: T): return T\n    return g",
        "def f():\n    class G[T](A[T]): pass\n    return G",
    )
    try:
        found = [sorted(set(names(source))) for source in sources]
    except SyntaxError:  # before Python 3.12
        return
    assert found == [["B"], [], ["A"]]


def test_type_parameters_are_bound_in_any_version() -> None:
    """The nodes of newer versions, where they can't be parsed."""
    parameter = SimpleNamespace(name="T", lineno=1, bound=ast.Name("B", ast.Load(), lineno=1))
    node = ast.parse("def f(x): return T").body[0]
    assert isinstance(node, ast.FunctionDef)
    node.type_params = [parameter]  # type: ignore[attr-defined,unused-ignore]
    found = function_shape(node, [], in_class=False)
    assert [(ref.name, ref.optional) for ref in found.references] == [("B", True)]


def test_imports_in_a_decorator_or_a_class_body_are_noted() -> None:
    refs = shape(
        "def f():\n    class A:\n        import m\n        x = m.y\n    return A"
    ).references
    assert [(ref.label, ref.bare) for ref in refs] == [("m", True), ("m.y", False)]
    assert names("@(d := e)\ndef f(): return d") == ["e", "d"]
