"""Find rules of a contract whose serialised expressions don't determine their result.

A rule is identified by its serialised expression. Polars serialises a function of a module by name only,
so an edit of it would go unnoticed; and random numbers without a seed judge the same rows differently
each time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from tidemill.analysis.query.opaque_parts import (
    OpaquePart,
    find_opaque_parts,
    may_have_opaque_parts,
)
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import Fault

_COMPUTE = "compute a column in the stage and put a rule on that"
_SAYS = {
    "python": "holds a Python function, whose edits can't be detected",
    "plugin": "calls a plugin, whose new builds can't be detected",
    "unseeded": "draws random numbers without a seed",
}


def opaque_rule_faults(spec: ContractSpec) -> Iterator[Fault]:
    """Yield a fault for each rule of a contract whose expression is opaque."""
    for rule in spec.rules:
        opaque = _opaque_reason(rule.expr)
        if opaque is not None:
            seed = opaque == _SAYS["unseeded"]
            yield Fault(
                message=f"rule {rule.name} of contract {spec.name} {opaque}",
                where=spec.place,
                hint=f"{'give it a seed' if seed else 'write it as an expression'}, or {_COMPUTE}",
            )


def _opaque_reason(expr: Any) -> str | None:
    """Say what is opaque in an expression; None if its text determines its result."""
    # An expression exists only if Polars is imported; importing it here would slow every workflow.
    failed = sys.modules["polars"].exceptions.PolarsError
    try:
        text = expr.meta.serialize(format="json")
        hits = find_opaque_parts(text, json.loads(text)) if may_have_opaque_parts(text) else ()
    except (failed, TypeError, ValueError, AttributeError, RecursionError) as error:
        # Without cloudpickle, Polars can't serialise functions at all.
        reason = str(error).strip().rpartition("\n")[2]
        return _SAYS["python"] if "pickle" in reason else f"can't be serialised: {reason}"
    return _describe_part(hits[0]) if hits else None


def _describe_part(hit: OpaquePart) -> str:
    return _SAYS.get(hit.kind, f"reads something other than the row ({hit.name})")
