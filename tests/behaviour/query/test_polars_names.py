"""Every public name of Polars, in code: which of them stand for hidden inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import polars.selectors as cs

from tests.support.modules import Project
from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.analysis.code.expressions import POLARS_EVALS

_CLASSES = (pl.DataFrame, pl.LazyFrame, pl.Series, pl.Expr)
_EXAMPLES: dict[str, Any] = {"Expr": pl.col("a"), "Series": pl.Series("a", [1])}
# They need packages for drawing.
_DRAWING = {"plot", "style"}


def namespaces() -> Iterator[tuple[str, str, type]]:
    """Class and name of each namespace, and its own class."""
    for cls in (pl.Expr, pl.Series):
        for name in sorted(cls._accessors - _DRAWING):
            yield cls.__name__, name, type(getattr(_EXAMPLES[cls.__name__], name))


def methods() -> Iterator[str]:
    """Methods and attributes as they are written after a value: `list.eval`."""
    for cls in _CLASSES:
        yield from (name for name in dir(cls) if not name.startswith("_"))
    for _, name, accessor in namespaces():
        yield from (f"{name}.{item}" for item in dir(accessor) if not item.startswith("_"))


def functions() -> Iterator[str]:
    """Functions, classes and their methods, as they are written after an import."""
    yield from (f"pl.{name}" for name in dir(pl) if not name.startswith("_"))
    yield from (f"cs.{name}" for name in dir(cs) if not name.startswith("_"))
    for cls in _CLASSES:
        yield from (f"pl.{cls.__name__}.{n}" for n in dir(cls) if not n.startswith("_"))


def reported(project: Project, calls: list[str]) -> set[str]:
    """The calls that give code a hidden input, or that can't be fingerprinted."""
    lines = [f"def f{n}(x, y): return {call}" for n, call in enumerate(calls)]
    imports = "import polars as pl\nimport polars.selectors as cs\n"
    module = project.load(main=imports + "\n".join(lines))
    codes = [code_of(getattr(module, f"f{n}")) for n in range(len(calls))]
    return {
        call
        for call, code in zip(calls, codes, strict=True)
        if code.unresolved or code.hidden_inputs
    }


def test_methods_that_have_hidden_inputs(project: Project) -> None:
    names = sorted({*methods()})
    assert len(names) > 500
    calls = {f"x.{name}(pl.element(), y)" for name in names}
    # Seeded or not is seen in the arguments; these have a `y` where a seed would be.
    assert reported(project, sorted(calls)) == set()
    bare = {f"x.{name}()" for name in names}
    assert reported(project, sorted(bare)) == {
        "x.sample()",  # each without a seed
        "x.shuffle()",
        "x.list.sample()",
    }


def test_functions_that_have_hidden_inputs(project: Project) -> None:
    found = reported(project, sorted({f"{name}(y)" for name in functions()}))
    readers = {call for call in found if call.startswith(("pl.read_", "pl.scan_"))}
    assert readers == {f"pl.{n}(y)" for n in dir(pl) if n.startswith(("read_", "scan_"))}
    assert found - readers == {"pl.sql(y)", "pl.thread_pool_size(y)"}


def test_namespaces_with_an_eval_are_known() -> None:
    assert {name for _, name, accessor in namespaces() if hasattr(accessor, "eval")} == POLARS_EVALS
    assert not any(hasattr(cls, "eval") or hasattr(cls, "query") for cls in _CLASSES)
