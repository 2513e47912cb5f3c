"""The base class of users' contracts: what a contract says, and what can be done with it.

The declaration is the domain's. What works with data is imported when it is first used, so that
declaring a workflow loads no more than its words.
"""

from __future__ import annotations

from tidemill.domain import contract


class Contract(contract.Contract, base=True):
    __doc__ = contract.Contract.__doc__
