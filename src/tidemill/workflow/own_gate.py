"""Gates that are functions of the user: candidate -> findings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import field
from typing import Any, TypeAlias

from tidemill.core.callsite import caller
from tidemill.core.errors import raise_faults
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import parse_seconds

# It returns True or False, findings as text, or a GateResult.
GateFunction: TypeAlias = Callable[..., Any]
LIMIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnGate:
    """A function that judges a candidate, within `limit_s` seconds."""

    name: str
    function: GateFunction = field(repr=False)
    # How long it may take isn't part of what is decided.
    limit_s: float = field(default=LIMIT_S, repr=False)

    def __str__(self) -> str:
        return self.name


def gate(function: GateFunction, *, name: str = "", limit: str | float = LIMIT_S) -> OwnGate:
    """Judge candidates by a function of your own: `function(candidate) -> findings`.

    It gets a `tm.Candidate`, and returns True or False, a finding as text, a list of findings (an empty one
    passes), or a `tm.GateResult`. Everything else fails: another value, an exception, a metric that is NaN,
    more than `limit` (`"30s"`, or seconds). It runs in a process of its own, and its code counts as part of
    the decision. `name` is how it is called in decisions, by default as the function is.
    """
    return own_gate(function, caller(1), name=name, limit=limit)


def own_gate(
    function: GateFunction, where: str, *, name: str = "", limit: str | float = LIMIT_S
) -> OwnGate:
    """As `gate`, for a function that is declared at the place `where`."""
    problems = [*_function_problems(function)]
    found = name or getattr(function, "__name__", "")
    if not problems and (not isinstance(found, str) or not found.strip("<>_ ")):
        problems.append(f"{function!r} has no name: write name=")
    if found == "<lambda>":
        problems.append("a lambda has no name: write name=")
    if isinstance(found, str) and not found.isprintable():
        problems.append(f"name={found!r} isn't printable")
    seconds = LIMIT_S
    try:
        seconds = parse_seconds(limit)
    except ValueError as error:
        problems.append(f"limit={error}")
    raise_faults("tm.gate(...)", problems, where)
    return OwnGate(name=found, function=function, limit_s=seconds)


def _function_problems(function: object) -> list[str]:
    if not callable(function):
        return [f"{function!r} is not a function"]
    if getattr(function, "__module__", "").startswith("tidemill.workflow."):
        name = getattr(function, "__name__", "gate")
        return [f"{name} makes a gate when it is called: write tm.{name}(...)"]
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        return [f"{getattr(function, '__name__', function)!r} doesn't take one candidate"]
    except ValueError:  # a function of C has no signature
        return []
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        return [f"{function!r} is a coroutine or a generator: return the findings"]
    return []
