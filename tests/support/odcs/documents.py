"""Documents of one table, for what its words mean."""

from __future__ import annotations

from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.odcs.reader import ImportedContracts, read_document
from tidemill.contracts.spec import ContractSpec

HEAD = {
    "apiVersion": "v3.1.0",
    "kind": "DataContract",
    "id": "t",
    "name": "t",
    "version": "1.2.3",
    "status": "active",
}


def read(*properties: dict[str, Any], **table: Any) -> ImportedContracts:
    """A document of one table; its properties may leave out their names."""
    named = [{"name": f"c{i}", **told} for i, told in enumerate(properties)]
    return read_document({**HEAD, "schema": [{"name": "t", "properties": named, **table}]})


def only(found: ImportedContracts) -> ContractSpec:
    [spec] = found.contracts
    return spec


def column(**told: Any) -> tuple[Column, tuple[str, ...]]:
    found = read(told)
    return only(found).columns[0], found.unrepresented


AT = "schema[0].properties[0]"
KEY = {"logicalType": "integer", "primaryKey": True}
INT, TEXT = {"logicalType": "integer"}, {"logicalType": "string"}
