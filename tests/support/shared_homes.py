"""Shared homes on a PostgreSQL server that all tests of a process use, each home in a schema of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tidemill.adapters.postgres.address import HomeAddress
    from tidemill.adapters.postgres.ledger import PostgresLedger


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The url of a server; the test is skipped, and says why, where none can be."""
    # Where the wheel is tried, there are no tools.
    from tools import postgres

    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def new_home(postgres_url: str) -> Callable[[], str]:
    """Call it for the URL of a home that nobody has used."""
    numbers = itertools.count(1)
    return lambda: f"{postgres_url}&schema=home_{next(numbers)}"


@pytest.fixture
def address(new_home: Callable[[], str]) -> HomeAddress:
    """The address of a new home."""
    return as_address(new_home())


def as_address(url: str) -> HomeAddress:
    """Take the URL of a home apart."""
    from tidemill.adapters.postgres.address import parse_address

    return parse_address(url, "the test's", with_password=True)


@pytest.fixture
def machine(address: HomeAddress, tmp_path: Path) -> Iterator[Callable[..., PostgresLedger]]:
    """Call it with a name for the ledger of the new home on a machine of that name."""
    from tidemill.adapters.postgres.ledger import PostgresLedger

    opened: list[PostgresLedger] = []

    def machine(name: str, **options: Any) -> PostgresLedger:
        opened.append(PostgresLedger(copy_on(tmp_path, name), address, **options))
        return opened[-1]

    yield machine
    for each in opened:
        each.close()


def copy_on(folder: Path, machine: str) -> Path:
    """The file of the copy of a ledger that a machine has."""
    return folder / machine / "ledger.db"
