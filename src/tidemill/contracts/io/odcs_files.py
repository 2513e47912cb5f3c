"""Read and write contracts as files of the Open Data Contract Standard (ODCS) 3 (extra `odcs`)."""

from __future__ import annotations

from pathlib import Path

from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.io import odcs_yaml as files
from tidemill.contracts.odcs.reader import ImportedContracts, read_document
from tidemill.contracts.odcs.writer import write_document
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import SourceError


def read_odcs(file: str | Path) -> ImportedContracts:
    """Read the contracts in an ODCS 3 YAML file, one per table, and list the parts they don't represent.

    SourceError, with lines and paths, if the file isn't valid; ContractError if the declaration of a
    table is inconsistent. Nothing in the file is executed.
    """
    found = files.read_file(Path(file))
    return read_document(found.fields, file=str(file), unknown=found.unknown)


def write_odcs(
    contract: type[DeclaredContract] | ContractSpec, file: str | Path | None = None
) -> str:
    """Return a contract as ODCS 3.1 YAML, and write it to `file` if given.

    `read_odcs` returns an equal contract. ContractError for a rule that can't be written, such as one
    with a literal infinity.
    """
    spec = contract if isinstance(contract, ContractSpec) else contract.__tidemill_contract__
    text = files.to_yaml(write_document(spec))
    if file is not None:
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise SourceError(f"can't write {file}: {error.strerror}") from error
    return text
