"""Which names are locals, and what renaming them may not do."""

import ast
import string
from textwrap import dedent
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.analysis.code.canonical_text import Shape, shape_of


def shape(source: str, *, in_class: bool = False) -> Shape:
    node = ast.parse(dedent(source)).body[0]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    return shape_of(node, node.decorator_list, in_class=in_class)


def names(source: str) -> list[str]:
    return [ref.label for ref in shape(source).refs if not ref.bare]


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


EQUAL = [
    # only the names of locals, annotations, docstrings or what has no effect differ
    ("def f(x):\n    a = x\n    return a", "def f(x):\n    b = x\n    return b"),
    ("def f(x):\n    a, b = x\n    return a - b", "def f(x):\n    b, a = x\n    return b - a"),
    ("def f(x): return [a for a in x]", "def f(x): return [b for b in x]"),
    ("def f(x):\n    with x as a: return a", "def f(x):\n    with x as b: return b"),
    (
        "def f():\n    try: g()\n    except E as a: h(a)",
        "def f():\n    try: g()\n    except E as b: h(b)",
    ),
    ("def f():\n    import m as a\n    return a.x", "def f():\n    import m as b\n    return b.x"),
    (
        "def f(x):\n    match x:\n        case [a]: return a",
        "def f(x):\n    match x:\n        case [b]: return b",
    ),
    ("def f(x): return (a := x) + a", "def f(x): return (b := x) + b"),
    ("def f(x):\n    'doc'\n    return x", "def f(x): return x"),
    ("def f(x):\n    'doc'", "def f(x): pass"),
    ("def f(x): ...", "def f(x): pass"),
    ("def f(x: int) -> str: return x", "def f(x): return x"),
    ("def f(x):\n    a: int = x\n    return a", "def f(x):\n    a = x\n    return a"),
    (
        "def f(x):\n    def g(y: int): 'doc'; return y\n    return g",
        "def f(x):\n    def g(y): return y\n    return g",
    ),
    ("def f(x): return (x)  # same", "def f(x):\n\n    return x"),
    ("def f(): return u'a', 0x10, 1_0", "def f(): return 'a', 16, 10"),
    (
        "def f(x):\n    a = 1\n    def g():\n        nonlocal a\n        a = 2\n    return a, g",
        "def f(x):\n    b = 1\n    def g():\n        nonlocal b\n        b = 2\n    return b, g",
    ),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_what_leaves_no_trace(one: str, other: str) -> None:
    assert shape(one).digest == shape(other).digest


DIFFERENT = [
    # another variable is meant
    ("def f(x):\n    a, b = x\n    return a - b", "def f(x):\n    a, b = x\n    return b - a"),
    (
        "def f(a):\n    c = b = a\n    b = 1\n    return b",
        "def f(a):\n    c = b = a\n    c = 1\n    return b",
    ),
    ("def f(a):\n    b = 1\n    return a", "def f(a):\n    b = 1\n    return b"),
    ("def f(a):\n    b = 1\n    return b", "def f(a):\n    return b"),
    (
        "def f(a):\n    g = lambda a: a\n    return g",
        "def f(a):\n    g = lambda b: a\n    return g",
    ),
    ("def f(a): return [a for b in a]", "def f(a): return [b for b in a]"),
    ("def f(x): return [a for a in x for b in x]", "def f(x): return [b for a in x for b in x]"),
    (
        "def f():\n    x = 1\n    def g():\n        x = 2\n    return g, x",
        "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    return g, x",
    ),
    # names that can be seen from outside
    ("def f(a): return a", "def f(b): return b"),
    ("def f(a, b): return a", "def f(b, a): return a"),
    ("def f(*a): return a", "def f(**a): return a"),
    ("def f(a, /): return a", "def f(a): return a"),
    ("def f(a): return g(a, k=1)", "def f(a): return g(a, j=1)"),
    ("def f(a): return g(a, k=1)", "def f(a): return g(a, **{'k': 1})"),
    ("def f(a): return a.b", "def f(a): return a.c"),
    ("def f(a):\n    def g(): pass\n    return g", "def f(a):\n    def h(): pass\n    return h"),
    ("def f(a):\n    class G: b = 1\n    return G", "def f(a):\n    class G: c = 1\n    return G"),
    (
        "def f(a):\n    class G: b: int\n    return G",
        "def f(a):\n    class G: b: str\n    return G",
    ),
    ("def f():\n    import a as m\n    return m", "def f():\n    import b as m\n    return m"),
    ("def f():\n    import a.b\n    return a", "def f():\n    import a.c\n    return a"),
    ("def f():\n    from a import m\n    return m", "def f():\n    from .a import m\n    return m"),
    ("def f():\n    a = 1\n    return locals()", "def f():\n    b = 1\n    return locals()"),
    ("def f(x):\n    a = 1\n    return x.sql('a')", "def f(x):\n    b = 1\n    return x.sql('a')"),
    ("def f():\n    a = 1\n    return g", "def f():\n    global a\n    a = 1\n    return g"),
    # constants, operators, order
    ("def f(): return 1", "def f(): return 1.0"),
    ("def f(): return 1", "def f(): return True"),
    ("def f(): return 'a'", "def f(): return b'a'"),
    ("def f(): return 0.0", "def f(): return -0.0"),
    ("def f(x): return x + 1", "def f(x): return x - 1"),
    ("def f(x): return x < 1", "def f(x): return x <= 1"),
    ("def f(x): return [x, (x)]", "def f(x): return [x, (x,)]"),
    ("def f(x): return x", "def f(x): yield x"),
    ("def f(x): return x", "async def f(x): return x"),
    ("def f(x):\n    if x: g()\n    h()", "def f(x):\n    if x:\n        g()\n        h()"),
    ("def f(x): return [y for y in x]", "def f(x): return (y for y in x)"),
    ("def f(x): return {y for y in x}", "def f(x): return {y: y for y in x}"),
    (
        "def f(x):\n    match x:\n        case [a, *_]: return a",
        "def f(x):\n    match x:\n        case [a, *b]: return a",
    ),
    ("def f(x): return g(x, y)", "def f(x): return g(x)(y)"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_makes_a_difference(one: str, other: str) -> None:
    assert shape(one).digest != shape(other).digest


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
    found = shape_of(node, [], in_class=False)
    assert [(ref.name, ref.optional) for ref in found.refs] == [("B", True)]


def test_a_private_name_in_a_class_means_another() -> None:
    assert [problem.name for problem in shape("def f(): return __x", in_class=True).problems] == [
        "__x"
    ]
    assert shape("def f(): return __x, __y__").problems == ()


def test_references_say_where_and_whether_they_are_given_a_seed() -> None:
    refs = shape(
        "def f():\n    a.b()\n    a.b(1)\n    a.b(None)\n    a.b(n=None)\n    a.b(**c)"
    ).refs
    assert [(ref.label, ref.line, ref.seeded) for ref in refs] == [
        ("a.b", 2, False),
        ("a.b", 3, True),
        ("c", 6, False),
    ]


def test_attributes_of_values_that_cannot_be_known_are_noted() -> None:
    loose = shape("def f(x):\n    return x.a.sample(1), g(1).b.shuffle(2), x.sample(k=1)").loose
    assert {(item.name, item.repeatable) for item in loose} == {
        ("a", False),
        ("sample", False),
        ("b", False),
        ("shuffle", True),
        ("sample", True),
    }


def test_imports_in_a_decorator_or_a_class_body_are_noted() -> None:
    refs = shape("def f():\n    class A:\n        import m\n        x = m.y\n    return A").refs
    assert [(ref.label, ref.bare) for ref in refs] == [("m", True), ("m.y", False)]
    assert names("@(d := e)\ndef f(): return d") == ["e", "d"]


# Generated functions: statements over a few variables

LOCALS = ("a", "b", "c")
NAMES = st.sampled_from((*LOCALS, "x", "OUT"))
ATOMS = NAMES | st.integers(0, 99).map(str)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, inner).map(lambda t: f"g({t[0]}, k={t[1]})"),
        inner.map(lambda e: f"[a for a in {e} if a > b]"),
        inner.map(lambda e: f"(lambda y: y + {e})"),
        inner.map(lambda e: f"(c := {e})"),
        inner.map(lambda e: f"{e}.a" if not e[0].isdigit() else e),
    ),
    max_leaves=6,
)
STATEMENTS = st.one_of(
    st.tuples(st.sampled_from(LOCALS), EXPRESSIONS).map(lambda t: f"{t[0]} = {t[1]}"),
    st.tuples(st.sampled_from(LOCALS), EXPRESSIONS).map(lambda t: f"{t[0]}: int = {t[1]}"),
    st.tuples(st.sampled_from(LOCALS), EXPRESSIONS).map(
        lambda t: f"for {t[0]} in {t[1]}: g({t[0]})"
    ),
    st.tuples(st.sampled_from(LOCALS), EXPRESSIONS).map(
        lambda t: f"with {t[1]} as {t[0]}: g({t[0]})"
    ),
    EXPRESSIONS.map(lambda e: f"if {e}: return a"),
    EXPRESSIONS.map(lambda e: f"return {e}"),
)
BODIES = st.lists(STATEMENTS, min_size=1, max_size=5)


class _Rename(ast.NodeTransformer):
    """Renames names, not attributes and keywords, through a map without collisions."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(self.names.get(node.id, node.id), node.ctx), node)


# `OUT` and `g` come from outside, and so must `a`, `b` and `c` where nothing binds them.
BOUND = ["a = b = c = x"]


@given(BODIES, st.permutations(["a", "b", "c", "d", "e"]), st.text(string.printable, max_size=9))
def test_renamed_locals_comments_and_docstrings_leave_no_trace(
    body: list[str], order: list[str], comment: str
) -> None:
    lines = [*BOUND, *body]
    plain = ast.parse("def f(x):\n" + "\n".join(f"    {line}" for line in lines))
    renamed = _Rename(dict(zip(LOCALS, order, strict=False))).visit(plain)
    text = ast.unparse(renamed).split("\n")
    text.insert(1, f"    {comment!r}")
    text.insert(2, f"    # {comment.encode()!r}")
    assert (
        shape("\n".join(text)).digest
        == shape("def f(x):\n" + "\n".join(f"    {li}" for li in lines)).digest
    )


@given(BODIES, st.data())
def test_another_constant_or_variable_is_always_seen(body: list[str], data: st.DataObject) -> None:
    tree = ast.parse("def f(x):\n" + "\n".join(f"    {line}" for line in [*BOUND, *body]))
    before = shape(ast.unparse(tree)).digest
    spots = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) is int
    ]
    uses = [
        node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in ("OUT", "x")
    ]
    node = data.draw(st.sampled_from([*spots, *uses]))
    if isinstance(node, ast.Constant):
        node.value = int(str(node.value)) + 1
    elif isinstance(node, ast.Name):
        node.id = "OTHER"
    assert shape(ast.unparse(tree)).digest != before
