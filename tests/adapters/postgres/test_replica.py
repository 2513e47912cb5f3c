"""Each statement on a copy fits its tables, and none is left over."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.shared_homes import copy_on
from tidemill.adapters.postgres import replica as replica_module
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.adapters.postgres.replica import COPY_FOLDER, of_copy
from tidemill.adapters.sqlite.statements import queries, read_script

ADAPTER = Path(replica_module.__file__).parent


@pytest.mark.parametrize("name", queries(COPY_FOLDER))
def test_every_statement_fits_the_tables_and_is_used(
    name: str, machine: Callable[[str], PostgresLedger], tmp_path: Path
) -> None:
    machine("one")
    code = "\n".join(path.read_text() for path in ADAPTER.glob("*.py"))
    assert f'of_copy("{name}")' in code
    text = of_copy(name)
    values = dict.fromkeys(re.findall(r":(\w+)", text), "0") or ["0"] * text.count("?")
    with closing(sqlite3.connect(copy_on(tmp_path, "one"))) as connection:
        connection.executescript(read_script("noted.sql", COPY_FOLDER))
        connection.create_function("is_same_fact", 3, lambda *_: 1)
        guard = "this_is_a_copy_of_a_ledger_in_postgresql_so_open_it_by_its_url"
        connection.create_function(guard, 0, lambda: 1)
        connection.execute(f"EXPLAIN {text}", values)
