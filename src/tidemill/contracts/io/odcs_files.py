"""Contracts in files of the Open Data Contract Standard (ODCS) 3; needs the extra `odcs`."""

from __future__ import annotations

from pathlib import Path

from tidemill.contracts.declaration import Contract
from tidemill.contracts.io import odcs_yaml as files
from tidemill.contracts.odcs.reader import Imported, imported
from tidemill.contracts.odcs.writer import document
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import SourceError


def read_odcs(file: str | Path) -> Imported:
    """The contracts in a YAML file of ODCS 3, one for each table, and what they don't represent.

    SourceError when it isn't such a file, with lines and paths; ContractError when a table contradicts
    itself. Nothing of the file is run.
    """
    found = files.read(Path(file))
    return imported(found.fields, file=str(file), unknown=found.unknown)


def write_odcs(contract: type[Contract] | ContractSpec, file: str | Path | None = None) -> str:
    """A contract as YAML of ODCS 3.1, also written to `file`; `read_odcs` gives an equal contract.

    ContractError for a rule that can't be written, such as one with a literal infinity.
    """
    spec = contract if isinstance(contract, ContractSpec) else contract.__tidemill_contract__
    text = files.text_of(document(spec))
    if file is not None:
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise SourceError(f"{file} can't be written: {error.strerror}") from error
    return text
