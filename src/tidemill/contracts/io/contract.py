"""The base class of users' contracts: what a contract says, and what can be done with it.

The declaration is the domain's. What works with data is imported when it is first used, so that
declaring a workflow loads no more than its words.
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


class Contract(contract.Contract, base=True):
    __doc__ = contract.Contract.__doc__

    @classmethod
    def describe(cls) -> Description:
        """The contract as a table: `print` it, or end a cell of a notebook with it."""
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
        given: Mapping[type[contract.Contract], pl.DataFrame] | None = None,
    ) -> pl.DataFrame:
        """`rows` synthetic rows that the contract allows, always the same for a `seed`.

        The share `bad` of them, at the end, breaks a rule each, of all kinds in turn. `partition` is the
        one that all are of; else there are a few. `given` has rows of the contracts that `tm.References`
        refer to. Rules are kept by drawing anew what breaks them: ContractError names one that hardly
        any row passes. `tm.Rows`, freshness and drift are left out.
        """
        found: pl.DataFrame = import_module("tidemill.contracts.io.synthetic").sample(
            cls, rows, seed=seed, bad=bad, partition=partition, given=given
        )
        return found

    @classmethod
    def validate(cls, data: Data, *, partition: str | None = None) -> Validated:
        """Hold a frame, or Parquet files by their paths, against the contract: see `tm.validate`."""
        found: Validated = import_module("tidemill.contracts.io.validate").validate(
            cls, data, partition=partition
        )
        return found


# A notebook that has begun shows contracts by themselves; nothing else pays for it.
if "IPython" in sys.modules:
    import_module("tidemill.contracts.io.notebooks").draw_contracts()
