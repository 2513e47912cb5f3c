"""Which scope binds a name, and how names are spelled."""

from __future__ import annotations

import pytest

from tidemill.analysis.code.scopes import BindingKind, Scope, ScopeKind, Spelling, is_mangled


def nested(*kinds: ScopeKind) -> list[Scope]:
    """Scopes from the outermost to the innermost."""
    scopes: list[Scope] = []
    for number, kind in enumerate(kinds, 1):
        scopes.append(Scope(kind, scopes[-1] if scopes else None, number))
    return scopes


def test_a_name_is_bound_by_the_nearest_scope() -> None:
    outer, inner = nested("function", "function")
    outer.bind("a")
    outer.bind("b")
    inner.bind("b")
    assert [inner.binding_scope(name) for name in "abc"] == [outer, inner, None]


def test_a_class_body_is_seen_only_from_itself() -> None:
    outer, body, method = nested("function", "class", "function")
    outer.bind("a")
    body.bind("a")
    assert body.binding_scope("a") is body
    assert method.binding_scope("a") is outer
    assert (outer.in_class(), method.in_class()) == (False, True)


@pytest.mark.parametrize(("is_global", "expected"), [(True, None), (False, 0)])
def test_a_declared_name_belongs_to_a_scope_further_out(
    is_global: bool, expected: int | None
) -> None:
    scopes = nested("function", "function")
    scopes[0].bind("a")
    scopes[1].bind("a")
    scopes[1].outer["a"] = is_global
    assert scopes[1].binding_scope("a") == (None if expected is None else scopes[expected])


def test_a_walrus_binds_outside_of_comprehensions() -> None:
    function, outer, inner = nested("function", "comprehension", "comprehension")
    assert inner.walrus_scope() is outer.walrus_scope() is function.walrus_scope() is function
    (alone,) = nested("comprehension")
    assert alone.walrus_scope() is alone


@pytest.mark.parametrize(
    ("bindings", "kept"),
    [
        (["local", "kept"], "kept"),
        (["kept", "local"], "kept"),
        (["parameter", "kept"], "parameter"),
        (["local", "parameter"], "parameter"),
    ],
)
def test_a_visible_binding_wins(bindings: list[BindingKind], kept: str) -> None:
    (scope,) = nested("function")
    for how in bindings:
        scope.bind("a", how)
    assert scope.bound["a"] == kept


def test_locals_are_numbered_and_visible_names_are_kept() -> None:
    function, body = nested("function", "class")
    function.bind("x")
    function.bind("y")
    function.bind("p", "parameter")
    body.bind("attribute")
    spelling = Spelling(keep=False)
    names = ["y", "x", "y", "p"]
    assert [spelling.spell(name, function) for name in names] == ["%0,", "%1,", "%0,", "p1.p,"]
    assert spelling.spell("attribute", body) == "a2.attribute,"
    assert spelling.spell("outside", None) == "$outside,"
    assert Spelling(keep=True).spell("y", function) == "l1.y,"


@pytest.mark.parametrize(
    ("name", "private"), [("__x", True), ("__x_", True), ("__x__", False), ("_x", False)]
)
def test_private_names(name: str, private: bool) -> None:
    assert is_mangled(name) is private
