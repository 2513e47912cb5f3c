"""The source of a function is found, or the reason why not is named."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.code_values import reason
from tests.support.modules import Project
from tidemill.analysis.code.code_fingerprint import code_of


def notebook(cell: str, name: str, where: dict[str, Any]) -> None:
    linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
    exec(compile(cell, name, "exec"), where)


def test_cells_of_a_notebook_have_source() -> None:
    where: dict[str, Any] = {"__name__": "__main__"}
    notebook("LIMIT = 3\n", "<cell 1>", where)
    notebook("def stage(x):\n    return x + LIMIT\n", "<cell 2>", where)
    before = code_of(where["stage"])
    notebook("LIMIT = 4\n", "<cell 3>", where)
    assert before.unresolved == ()
    assert code_of(where["stage"]).digest != before.digest


def test_lambdas_on_one_line_are_told_apart(project: Project) -> None:
    main = project.load(
        main="ALL = [lambda x: x + 1, lambda x: x + 1.0, lambda x: (lambda y: y), lambda x: x + 1]\n"
        "INNER = ALL[2](1)\n"
    )
    digests = [project_digest(function) for function in (*main.ALL, main.INNER)]
    assert digests[0] == digests[3]
    assert len(set(digests)) == 4


def test_statements_on_one_line_are_told_apart(project: Project) -> None:
    main = project.load(main="x = 1; a = lambda: 1; b = lambda: 2\n")
    assert project_digest(main.a) != project_digest(main.b)


def project_digest(function: Callable[..., object]) -> str:
    code = code_of(function)
    assert code.unresolved == ()
    return code.digest


CLOSED = """
def make(n):
    return [lambda: n + 1, lambda: n + 2, lambda: n + 2]
ALL = make(1)
"""


def test_lambdas_that_close_over_variables_are_told_apart(project: Project) -> None:
    digests = [project_digest(function) for function in project.load(main=CLOSED).ALL]
    assert digests[1] == digests[2]
    assert len(set(digests)) == 2


def test_lambdas_without_columns_are_not_guessed(project: Project) -> None:
    main = project.load(main=CLOSED)
    plain = main.ALL[0]
    code = plain.__code__.replace(co_linetable=b"")
    stripped = type(plain)(code, vars(main), "x", (), plain.__closure__)
    assert "told apart" in reason(code_of(stripped))


EDITS = [
    "def stage(x):\n    return x + 2\n",  # another body
    "\ndef stage(x):\n    return x + 1\n",  # another line
    "def stage(x):\n    return x + 1.0\n",  # another type
    "def other(x):\n    return x + 1\n",  # another name
    "def stage(y):\n    return y + 1\n",  # another parameter
    "def stage(x, /):\n    return x + 1\n",
    "x = 1\n",
    "def stage(x:\n",  # no longer Python
    "return 1\n",
    "1 +\x00\n",
]


@pytest.mark.parametrize("edit", EDITS)
def test_source_that_changed_after_the_import_is_not_trusted(project: Project, edit: str) -> None:
    stage = project.load(main="def stage(x):\n    return x + 1\n").stage
    assert code_of(stage).unresolved == ()
    project.write(main=edit + "# padding, so that the size differs\n")
    assert reason(code_of(stage)) == "its source changed after it was imported"
    project.write(main="def stage(x):\n    return x + 1\n\n\n")
    assert code_of(stage).unresolved == ()


def test_lambdas_that_swapped_places_stay_what_they_are(project: Project) -> None:
    main = project.load(main="ALL = [lambda: 1, lambda: 2]\n")
    before = [project_digest(function) for function in main.ALL]
    project.write(main="ALL = [lambda: 2, lambda: 1]  # swapped\n")
    assert [project_digest(function) for function in main.ALL] == before
    assert before[0] != before[1]


def test_lambdas_that_swapped_places_and_close_over_variables_are_not_trusted(
    project: Project,
) -> None:
    main = project.load(main=CLOSED)
    project.write(main=CLOSED.replace("n + 1, lambda: n + 2", "n + 2 , lambda: n + 1"))
    assert "told apart" in reason(code_of(main.ALL[0]))


def test_a_notebook_compiles_statements_alone() -> None:
    cell = "import math\ndef stage(x): return math.floor(x)\n"
    where: dict[str, Any] = {"__name__": "__main__"}
    linecache.cache["<cell 9>"] = (len(cell), None, cell.splitlines(keepends=True), "<cell 9>")
    for line, text in enumerate(cell.splitlines()):
        exec(compile("\n" * line + text, "<cell 9>", "exec"), where)
    assert code_of(where["stage"]).unresolved == ()


def test_a_function_without_source_still_counts_with_its_defaults() -> None:
    where: dict[str, Any] = {"__name__": "__main__"}
    exec("def make(n):\n    def stage(x=n): return x, n\n    return stage", where)
    one, other = code_of(where["make"](1)), code_of(where["make"](2))
    assert reason(one) == "its source can't be found"
    assert one.digest != other.digest
