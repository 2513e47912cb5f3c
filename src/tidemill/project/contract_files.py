"""Exchange contracts with files of the Open Data Contract Standard (ODCS), and generate rows of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tidemill.contracts.io.odcs_files import read_odcs as read_odcs
from tidemill.contracts.io.odcs_files import write_odcs as write_odcs
from tidemill.contracts.io.synthetic import sample as sample
from tidemill.contracts.odcs.reader import ImportedContracts as ImportedContracts
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import UsageError, did_you_mean


def contract_in_file(file: Path, name: str = "") -> tuple[ContractSpec, int]:
    """A contract from an ODCS file, and how many parts of the file no contract can represent.

    `name` may be left out for a file with one table.
    """
    found = read_odcs(file)
    if not name and len(found.contracts) != 1:
        names = ", ".join(spec.name for spec in found.contracts) or "none"
        raise UsageError(f"{file} has {len(found.contracts)} tables: say {file}#NAME ({names})")
    spec = contract_of_table(found.contracts, name or found.contracts[0].name, file)
    return spec, len(found.unrepresented)


def contract_of_table(contracts: Sequence[ContractSpec], name: str, file: Path) -> ContractSpec:
    """The contract of a table in a file; UsageError suggests the nearest name."""
    for spec in contracts:
        if spec.name == name:
            return spec
    advice = did_you_mean(name, [spec.name for spec in contracts])
    raise UsageError(f"{file} has no schema {name!r} ({advice})")
