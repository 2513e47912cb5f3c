"""Arguments that stand for a hidden input."""

from __future__ import annotations

import ast

import pytest

from tidemill.analysis.code.call_arguments import (
    ADDRESS,
    argument_roles,
    hidden_arguments,
    is_bare_object,
    last_name,
)


def call(text: str) -> ast.Call:
    node = ast.parse(text, mode="eval").body
    assert isinstance(node, ast.Call)
    return node


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('np.datetime64("now")', ["now"]),
        ('datetime64("Today", "D")', ["today"]),
        ('pd.Timestamp("now")', ["now"]),
        ('pd.to_datetime(["2026-01-01", " NOW "])', ["now"]),
        ('pd.date_range("2026-01-01", end="today")', ["today"]),
        ('np.array(["now", "2026-01-01"], dtype="datetime64[s]")', ["now"]),
        ('np.asarray(("today",), np.datetime64)', ["today"]),
        ('np.array(["now"], "M8[s]")', ["now"]),
        # A text among others
        ('np.array(["now", "then"])', []),
        ('np.datetime64("2026-01-01")', []),
        ("np.datetime64(now)", []),
        ('pl.lit("now")', []),
        ('frame.replace("now", "then")', []),
        # The text of a bare object is its address.
        ("repr(object())", [ADDRESS]),
        ("str(object())", [ADDRESS]),
        ('"{}".format(object())', [ADDRESS]),
        ('format(object(), "")', [ADDRESS]),
        ("object()", []),
        ("print(object())", []),
        ("repr(make())", []),
        # Readers of files in C
        ('pl.DataFrame.deserialize("x.bin")', ["deserialize(path)"]),
        ('pl.Expr.deserialize(f"{x}.bin")', ["deserialize(path)"]),
        ("pl.Expr.deserialize(Path(x))", ["deserialize(path)"]),
        ('pl.Expr.deserialize(FOLDER / "x", format="json")', ["deserialize(path)"]),
        ("pl.DataFrame.deserialize(io.BytesIO(x))", []),
        ("pl.DataFrame.deserialize(x + y)", []),
        ('lgb.Booster(model_file="m.txt")', ["model_file=path"]),
        ("lgb.Booster(model_file=None)", []),
        ('lgb.train(params, data, init_model="m.txt")', ["init_model=path"]),
        ("lgb.train(params, data, init_model=booster)", []),
    ],
)
def test_hidden_inputs_in_arguments(text: str, names: list[str]) -> None:
    assert [*hidden_arguments(call(text))] == names


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("repr(x)", [("x", "printed")]),
        ('"{}".format(x)', [("x", "printed")]),
        ("pl.Expr.deserialize(PATH)", [("PATH", "opened")]),
        ("lgb.Booster(model_file=PATH)", [("PATH", "opened")]),
        ("lgb.Booster(params=PATH)", []),
        ("repr(x.y)", []),
        ("f(x)", []),
    ],
)
def test_roles_of_arguments(text: str, roles: list[tuple[str, str]]) -> None:
    assert [(name.id, role) for name, role in argument_roles(call(text))] == roles


def test_last_names() -> None:
    assert last_name(call("a.b.c()").func) == "c"
    assert last_name(call("a()").func) == "a"
    assert last_name(call("a()()").func) == ""
    assert is_bare_object(call("object()"))
    assert not is_bare_object(call("a.object()"))
