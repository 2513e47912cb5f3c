"""Declare contracts in tests."""

from __future__ import annotations

from typing import Any

import tidemill as tm
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.spec import ContractSpec

COLUMNS = {
    "day": tm.Date(partition="1d"),
    "at": tm.Datetime("us", "UTC"),
    "order": tm.Int64(),
    "carrier": tm.String(),
    "kind": tm.Enum(["a", "b"]),
    "tags": tm.List(tm.String()),
    "weight": tm.Float64(),
    "raw": tm.Binary(),
}


class Airlines(DeclaredContract, version="1.0.0"):
    carrier = tm.String()
    code = tm.Enum(["a"])
    number = tm.Int32()
    names = tm.List(tm.String())


def spec_of(contract: type[DeclaredContract]) -> ContractSpec:
    return contract.__tidemill_contract__


def declare(body: dict[str, Any], **arguments: Any) -> ContractSpec:
    """The contract of a class with this body and these class arguments."""
    return spec_of(type("X", (DeclaredContract,), body, **arguments))


def declare_rules(body: dict[str, Any], columns: dict[str, Any] = COLUMNS) -> ContractSpec:
    """The contract of a class with these rules and columns."""
    return declare({**columns, **body})
