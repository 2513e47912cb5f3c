"""Where a text changes a value that it didn't create, and what it passes on."""

from __future__ import annotations

import pytest

from tests.support.function_shapes import shape
from tidemill.analysis.code.state_writes import StateWrite, Target


def described(write: StateWrite) -> str:
    """`name.path...` with an attribute (`=n`) or a method (`!pop`), for a compact table."""
    end = f"={write.attribute}" if write.attribute is not None else f"!{write.method}"
    return f"{named(write.target)}{end.removesuffix('!')}"


def named(target: Target) -> str:
    begin = "@" if target.parameter else ""
    source = "" if target.source is None else f"{target.source.module}:{target.source.item}:"
    return f"{begin}{source}{'.'.join((target.name, *target.path))}{'[]' if target.deep else ''}"


@pytest.mark.parametrize(
    ("body", "writes"),
    [
        # Attributes, items, and the dictionary of a module
        ("h.N = 1", ["h=N"]),
        ("(h or h).N = 1", []),
        ("h.N += 1", ["h=N"]),
        ("h.N: int = 1", ["h=N"]),
        ("del h.N", ["h=N"]),
        ("h.a.b.N = 1", ["h.a.b=N"]),
        ("h.S['n'] = 1", ["h.S"]),
        ("del h.S['n']", ["h.S"]),
        ("h.S['n'] += 1", ["h.S"]),
        ("h.S['a'].b['c'] = 1", ["h.S[]"]),
        ("h.S['a'].b = 1", ["h.S[]=b"]),
        ("S[0], h.N = 1, 2", ["S", "h=N"]),
        ("for h.N in x: pass", ["h=N"]),
        ("with x as h.N: pass", ["h=N"]),
        ("vars(h)['N'] = 1", ["h=N"]),
        ("vars(h)[k] = 1", ["h=*"]),
        ("h.__dict__['N'] = 1", ["h=N"]),
        ("h.__dict__.update(N=1)", ["h=*"]),
        ("vars(h).pop('N')", ["h=*"]),
        ("getattr(h, 'S')['n'] = 1", ["h.S"]),
        ("getattr(h, k)['n'] = 1", ["h[]"]),
        ("getattr(h.S['a'], 'b')['n'] = 1", ["h.S[]"]),
        # Calls
        ("setattr(h, 'N', 1)", ["h=N"]),
        ("setattr(h, k, 1)", ["h=*"]),
        ("delattr(h.a, 'N')", ["h.a=N"]),
        ("object.__setattr__(h.a, 'N', 1)", ["h.a=N"]),
        ("h.S.update(n=1)", ["h.S!update"]),
        ("h.S['a'].append(1)", ["h.S[]!append"]),
        ("h.S.get('a').append(1)", ["h.S[]!append"]),
        ("h.S.setdefault('a', {})['n'] = 1", ["h.S[]", "h.S!setdefault"]),
        ("list.append(h.S, 1)", ["h.S!append"]),
        ("dict.update(**x)", []),
        ("heappush(h.S, 1)", ["h.S!append"]),
        ("random.shuffle(h.S)", ["h.S!sort"]),
        ("operator.setitem(h.S, 'n', 1)", ["h.S!__setitem__"]),
        ("np.copyto(h.S, x)", ["h.S!fill"]),
        ("h.S.count(1)", []),
        ("h.make().append(1)", ["h.make.()!append"]),
        ("h.make().n = 1", ["h.make.()=n"]),
        ("h.make()[0] = 1", ["h.make.()"]),
        ("f(1)(2).append(1)", ["f.().()!append"]),
        ("x = [].append(1)", []),
        # Other names
        ("s = h.S\n    s['n'] = 1", ["h.S"]),
        ("s: dict = h.S\n    s['n'] = 1", ["h.S"]),
        ("s = t = h\n    t.N = 1", ["h=N"]),
        ("s = h.S or {}\n    s['n'] = 1", ["h.S"]),
        ("s = h.S if x else h.T\n    s['n'] = 1", ["h.S", "h.T"]),
        ("s = h.S['a']\n    s['n'] = 1", ["h.S[]"]),
        ("s = h\n    t = s.S\n    t['a'].pop()", ["h.S[]!pop"]),
        ("s = h.S\n    s += [1]", ["h.S!__iadd__"]),
        ("s = h.S\n    s //= 2", []),
        ("if s := h.S: s['n'] = 1", ["h.S"]),
        ("for s in h.S: s['n'] = 1", ["h.S[]"]),
        ("for k, s in h.S.items(): s['n'] = 1", ["h.S[]"]),
        ("[s.pop() for s in h.S]", ["h.S[]!pop"]),
        ("s = {}\n    s['n'] = 1", []),
        ("s = make(h.S)\n    s['n'] = 1", ["make.()"]),
        ("for s in make(): s['n'] = 1", ["make.()[]"]),
        ("s = s\n    s['n'] = 1", []),
        ("from h import S as s\n    s['n'] = 1", ["h:S:s"]),
        ("import h.inner\n    h.inner.N = 1", ["h.inner::h.inner=N"]),
        ("global N\n    N = 1", ["=N"]),
        # Parameters
        ("p['n'] = 1", ["@p"]),
        ("p.n = 1", ["@p=n"]),
        ("q = p.a\n    q.append(1)", ["@p.a!append"]),
        ("def g(r): r['n'] = 1", []),
    ],
)
def test_writes(body: str, writes: list[str]) -> None:
    assert [described(write) for write in shape(f"def f(p):\n    {body}").writes] == writes


@pytest.mark.parametrize(
    ("body", "calls"),
    [
        ("fill(h.S)", ["fill 0=h.S"]),
        ("h.fill(1, h.S, n=S)", ["h.fill 1=h.S n=S"]),
        ("h.C.load(1)", ["h.C.load"]),
        ("fill(p)", ["fill 0=@p"]),
        ("p.load()", ["@p.load"]),
        ("s = h.S\n    fill(*s)", ["fill 0=h.S"]),
        ("fill(1, make())", ["fill 1=make.()"]),
        ("h.S['a'].load(h.S)", []),
        ("fill(**h.S)", []),
    ],
)
def test_calls_that_pass_something_on(body: str, calls: list[str]) -> None:
    found = [
        " ".join([named(c.function), *(f"{key}={named(arg)}" for key, arg in c.arguments)])
        for c in shape(f"def f(p):\n    {body}").calls
    ]
    assert found == calls


def test_what_a_parameter_leads_to_is_put_in_the_place_of_the_argument() -> None:
    own = Target(name="p", path=("a",), parameter=True)
    assert Target(name="h", path=("S",)).extend(own) == Target(name="h", path=("S", "a"))
    for _ in range(20):
        own = own.extend(Target(name="", path=("next",)))
    assert own == Target(name="p", path=("a", *["next"] * 7), parameter=True, deep=True)
    inner = Target(name="h", deep=True)
    assert inner.extend(own) == inner


def test_writes_are_in_no_digest() -> None:
    """They follow from the text, which is."""
    one = shape("def f(p):\n    s = h.S\n    s['n'] = 1")
    two = shape("def f(p):\n    t = h.S\n    t['n'] = 1")
    assert one.digest == two.digest
    assert one.writes == two.writes
