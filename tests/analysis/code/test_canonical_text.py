"""Which names are locals, and what renaming them may not do."""

import ast
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.function_shapes import shape

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


def test_a_private_name_in_a_class_means_another() -> None:
    assert [problem.name for problem in shape("def f(): return __x", in_class=True).problems] == [
        "__x"
    ]
    assert shape("def f(): return __x, __y__").problems == ()


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
