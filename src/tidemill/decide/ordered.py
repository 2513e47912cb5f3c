"""Whether a rule of a contract depends on the order in which rows come."""

from __future__ import annotations

import polars as pl
from polars.exceptions import PolarsError

from tidemill.decide.query import Unreadable, numbered
from tidemill.decide.schema import schema_of
from tidemill.domain.contract import ContractSpec


def depends_on_order(spec: ContractSpec) -> bool:
    """Whether some rule may say otherwise of the same rows in another order; what can't be read may."""
    # Rows of which the order is open: whatever then is open in the verdict depends on it.
    rows = pl.LazyFrame(schema=schema_of(spec)).unique(maintain_order=False)
    try:
        return any(numbered(rows.select(rule.expr)).unstable for rule in spec.rules)
    except (Unreadable, PolarsError):
        return True
