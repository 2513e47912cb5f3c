"""The base class of users' contracts: the declaration, and methods that work with data.

The modules that work with data are imported on first use, so that declaring a workflow doesn't load
Polars.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from tidemill.contracts import declaration as contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tidemill.contracts.docs.text import Description
    from tidemill.contracts.io.validate import Data, Validated


class Contract(contract.DeclaredContract, base=True):
    __doc__ = contract.DeclaredContract.__doc__

    @classmethod
    def describe(cls) -> Description:
        """Describe the contract as a table, to print or to show in a notebook."""
        module = import_module("tidemill.contracts.docs.text")
        found: Description = module.Description(spec=cls.__tidemill_contract__)
        return found

    @classmethod
    def sample(
        cls,
        rows: int,
        *,
        seed: int = 0,
        bad: float = 0.0,
        partition: str | None = None,
        given: Mapping[type[contract.DeclaredContract], pl.DataFrame] | None = None,
    ) -> pl.DataFrame:
        """Generate `rows` synthetic rows that the contract allows, always the same for a `seed`.

        The share `bad` of them, at the end, breaks one rule each, with all kinds of rules in turn. All
        rows belong to `partition`; by default there are a few partitions. `given` maps the contracts
        that `tm.References` name to rows of their tables. Rows that break a rule are redrawn;
        ContractError names a rule that hardly any row passes. `tm.Rows`, freshness and drift are
        ignored.
        """
        found: pl.DataFrame = import_module("tidemill.contracts.io.synthetic").sample(
            cls, rows, seed=seed, bad=bad, partition=partition, given=given
        )
        return found

    @classmethod
    def validate(cls, data: Data, *, partition: str | None = None) -> Validated:
        """Check a frame or Parquet files against the contract; see `tm.validate`."""
        found: Validated = import_module("tidemill.contracts.io.validate").validate(
            cls, data, partition=partition
        )
        return found


# In a notebook, contracts show themselves as tables; other programs skip the import.
if "IPython" in sys.modules:
    import_module("tidemill.contracts.io.notebooks").register_formatters()
