"""The base class of users' contracts: what a contract says, and what can be done with it.

The declaration is the domain's. What works with data is imported when it is first used, so that
declaring a workflow loads no more than its words.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from tidemill.domain import contract

if TYPE_CHECKING:
    from tidemill.act.validating import Data, Validated
    from tidemill.decide.description import Description


class Contract(contract.Contract, base=True):
    __doc__ = contract.Contract.__doc__

    @classmethod
    def describe(cls) -> Description:
        """The contract as a table: `print` it, or end a cell of a notebook with it."""
        module = import_module("tidemill.decide.description")
        found: Description = module.Description(spec=cls.__tidemill_contract__)
        return found

    @classmethod
    def validate(cls, data: Data, *, partition: str | None = None) -> Validated:
        """Hold a frame, or Parquet files by their paths, against the contract: see `tm.validate`."""
        found: Validated = import_module("tidemill.act.validating").validate(
            cls, data, partition=partition
        )
        return found


# A notebook that has begun shows contracts by themselves; nothing else pays for it.
if "IPython" in sys.modules:
    import_module("tidemill.act.notebooks").draw_contracts()
