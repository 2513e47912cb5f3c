"""The examples in the source distribution of the standard's own package, which `make setup` fetches."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

FOLDER = Path(sys.prefix) / "examples"
SOURCE = "open_data_contract_standard-3.2.0"


def example(name: str) -> str:
    """The text of an example; FileNotFoundError before `make setup` has run."""
    with tarfile.open(FOLDER / f"{SOURCE}.tar.gz") as source:
        found = source.extractfile(f"{SOURCE}/tests/fixtures/{name}")
        assert found is not None, name
        return found.read().decode("utf-8")
