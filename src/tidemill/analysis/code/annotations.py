"""Identify the annotations of classes whose fields other code reads: Polars turns them into columns.

A type that isn't the project's counts by name only: an annotation has no hidden inputs.
"""

from __future__ import annotations

import sys
import typing
from typing import Any

from tidemill.analysis.code.walker_protocol import Visitor
from tidemill.core.fingerprint import Part

# Evaluating an annotation that is text runs it.
_FAILURES = (NameError, SyntaxError, TypeError, AttributeError, LookupError, ValueError)


def field_types_part(cls: type, visitor: Visitor) -> Part:
    """Identify the types of the fields of a named tuple or a typed dictionary."""
    try:
        found: dict[str, Any] = dict(getattr(cls, "__annotations__", {}))
    except NameError:  # Python evaluates them lazily
        return visitor.refuse("an annotation names what isn't there")
    return [[name, annotation_part(hint, cls, visitor)] for name, hint in found.items()]


def annotation_part(hint: Any, owner: type, visitor: Visitor) -> Part:
    """Identify an annotation in the body of `owner` by its value, or by its text if it can't be evaluated."""
    return visitor.annotation().value(_resolve(hint, owner))


def _resolve(hint: Any, owner: type) -> Any:
    def holder() -> None: ...

    holder.__annotations__ = {"hint": hint}
    around = getattr(sys.modules.get(owner.__module__), "__dict__", {})
    try:
        return typing.get_type_hints(holder, around, dict(vars(owner)), include_extras=True)["hint"]
    except _FAILURES:
        return hint
