"""The base class of users' contracts: what a contract says, and what can be done with it.

The declaration is the domain's. What works with data is imported when it is first used, so that
declaring a workflow loads no more than its words.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, cast

from tidemill.domain import contract

if TYPE_CHECKING:
    from tidemill.decide.description import Description


class Contract(contract.Contract, base=True):
    __doc__ = contract.Contract.__doc__

    @classmethod
    def describe(cls) -> Description:
        """The contract as a table: `print` it, or end a cell of a notebook with it."""
        made = import_module("tidemill.decide.description").Description
        return cast("Description", made(spec=cls.__tidemill_contract__))


# A notebook that has begun shows contracts by themselves; nothing else pays for it.
if "IPython" in sys.modules:
    import_module("tidemill.act.notebooks").draw_contracts()
