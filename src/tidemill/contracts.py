"""The base class of users' contracts: what a contract says, and what can be done with it.

The declaration is the domain's. What works with data is imported when it is first used, so that
declaring a workflow loads no more than its words.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tidemill.domain import contract

if TYPE_CHECKING:
    from tidemill.act.validating import Data, Validated


class Contract(contract.Contract, base=True):
    __doc__ = contract.Contract.__doc__

    @classmethod
    def validate(cls, data: Data, *, partition: str | None = None) -> Validated:
        """Hold a frame, or Parquet files by their paths, against the contract: see `tm.validate`."""
        found: Validated = import_module("tidemill.act.validating").validate(
            cls, data, partition=partition
        )
        return found
