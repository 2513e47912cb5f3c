"""Declare cases of stages in Python: functions that return given and expected tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tidemill.core.lazy_dataclass import dataclass

CaseFunction: TypeAlias = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PythonCase:
    """A function that returns the tables of a case; it is still called as before."""

    stage: str
    name: str
    function: CaseFunction
    options: Mapping[str, Any]

    def __call__(self) -> Mapping[str, Any]:
        return self.function()

    def table(self) -> dict[str, Any]:
        """The case as a table in a file would say it."""
        return {**self.options, **self.function(), "name": self.name, "stage": self.stage}


def case(
    stage: str | Callable[..., Any], *, name: str = "", **options: Any
) -> Callable[[CaseFunction], PythonCase]:
    """Declare a function as a case of a stage, for `tidemill test`.

    It stands in a Python file in the folder `cases`, and returns a mapping with `given` and `expect` as
    files of cases have them; tables may be frames of Polars. `stage` is the stage's name or its function,
    `name` is that of the case (default: the function's, with spaces). Other keys of a case, such as
    `partition="2026-01-05"`, can be passed as well.
    """
    named = stage if isinstance(stage, str) else getattr(stage, "__name__", str(stage))

    def decorate(function: CaseFunction) -> PythonCase:
        shown = name or getattr(function, "__name__", "case").strip("_").replace("_", " ")
        return PythonCase(stage=named, name=shown, function=function, options=options)

    return decorate
