"""Rules of a contract whose expressions hide what they do.

Rules are told apart by what Polars writes of them. It writes a function of a module by its name only,
so no edit of it would ever be seen; and what is drawn without a seed judges the same rows otherwise.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from tidemill.analysis.query.opaque_parts import Hit, hits_in, is_suspect
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import Fault

_COMPUTE = "compute a column in the stage and put a rule on that"
_SAYS = {
    "python": "holds a Python function, and an edit of that isn't seen",
    "plugin": "calls a plugin, and another build of that isn't seen",
    "unseeded": "draws random numbers without a seed",
}


def rule_faults(spec: ContractSpec) -> Iterator[Fault]:
    """A fault for each rule of a contract that does what its expression doesn't tell."""
    for rule in spec.rules:
        hidden = _hidden(rule.expr)
        if hidden is not None:
            seed = hidden == _SAYS["unseeded"]
            yield Fault(
                message=f"rule {rule.name} of contract {spec.name} {hidden}",
                where=spec.place,
                hint=f"{'give it a seed' if seed else 'say it as an expression'}, or {_COMPUTE}",
            )


def _hidden(expr: Any) -> str | None:
    """What an expression does that it doesn't tell; None if it tells all."""
    # Whoever has an expression has imported Polars; to import it for every workflow takes long.
    failed = sys.modules["polars"].exceptions.PolarsError
    try:
        text = expr.meta.serialize(format="json")
        hits = hits_in(text, json.loads(text)) if is_suspect(text) else ()
    except (failed, TypeError, ValueError, AttributeError, RecursionError) as error:
        # Where cloudpickle isn't installed, Polars can't write functions at all.
        reason = str(error).strip().rpartition("\n")[2]
        return _SAYS["python"] if "pickle" in reason else f"can't be written down: {reason}"
    return _said(hits[0]) if hits else None


def _said(hit: Hit) -> str:
    return _SAYS.get(hit.kind, f"reads something that isn't its row ({hit.name})")
