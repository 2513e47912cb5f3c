"""Generate synthetic rows of a contract from a seed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.synthetic.rows import sample_rows


def sample(
    contract: type[DeclaredContract] | ContractSpec,
    rows: int,
    *,
    seed: int = 0,
    bad: float = 0.0,
    partition: str | None = None,
    given: Mapping[type[DeclaredContract], pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Generate `rows` rows of a contract, of which the share `bad` breaks a rule; see `Contract.sample`."""
    spec = contract if isinstance(contract, ContractSpec) else contract.__tidemill_contract__
    tables = {other.__tidemill_contract__.name: frame for other, frame in (given or {}).items()}
    # Name the bit generator: NumPy's default may change.
    chance = np.random.Generator(np.random.PCG64(seed))
    return sample_rows(spec, rows, chance, bad=bad, partition=partition, given=tables)
