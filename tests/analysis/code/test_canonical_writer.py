"""Nodes are written by their own method, or by all their fields."""

from __future__ import annotations

import ast
from typing import Any

from tidemill.analysis.code.canonical_writer import CanonicalWriter, Methods
from tidemill.analysis.code.scopes import Import, NameUse


def written(source: str, methods: Methods | None = None) -> list[str | NameUse]:
    writer = CanonicalWriter(methods or {})
    writer.visit(ast.parse(source, mode="eval").body)
    return writer.out


def test_a_node_without_a_method_is_written_by_all_its_fields() -> None:
    assert "".join(map(str, written("(1, not 2)"))) == (
        "Tuple([Constant(1,)UnaryOp(Not()Constant(2,))])"
    )


def test_contexts_and_kinds_of_text_do_not_count() -> None:
    assert written("u'a'") == written("'a'")


def test_a_method_writes_nodes_of_its_type() -> None:
    def constant(writer: CanonicalWriter, node: Any) -> None:
        writer.out.append(f"<{node.value}>")

    assert "".join(map(str, written("[7]", {ast.Constant: constant}))) == "List([<7>])"


def test_names_are_used_in_the_current_scope() -> None:
    writer = CanonicalWriter({})
    outside = writer.enter("function")
    scope = writer.scope
    writer.store("a", 1)
    writer.load("b", 2, ("c", "d"))
    writer.store_optional(None, 3)
    writer.record_import("m", 4, Import(module="m"))
    assert outside is None
    assert scope is not None
    assert (scope.bound, scope.sources) == ({"a": "local"}, {"m": [Import(module="m")]})
    stored, loaded, absent = writer.out
    assert isinstance(stored, NameUse)
    assert isinstance(loaded, NameUse)
    assert (stored.name, stored.stored, stored.scope) == ("a", True, scope)
    assert (loaded.name, loaded.path, loaded.line) == ("b", ("c", "d"), 2)
    assert absent == "~"


def test_names_in_decorators_are_optional() -> None:
    def name(writer: CanonicalWriter, node: Any) -> None:
        writer.load(node.id, node.lineno)

    writer = CanonicalWriter({ast.Name: name})
    writer.write_optional([ast.Name("a", ast.Load(), lineno=1), None])
    writer.visit(ast.Name("b", ast.Load(), lineno=1))
    uses = [part for part in writer.out if isinstance(part, NameUse)]
    assert [(use.name, use.optional) for use in uses] == [("a", True), ("b", False)]
