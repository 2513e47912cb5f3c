import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tidemill.adapters.sqlite import statements as sqlite_statements
from tidemill.adapters.sqlite.migrations import add_functions, allow_appends, migrations
from tidemill.adapters.sqlite.statements import queries

ADAPTERS = Path(sqlite_statements.__file__).parent


def is_used(name: str, text: str) -> bool:
    """Whether code names a query, or builds its name from two words."""
    first, _, rest = name.partition("_")
    return (
        f'"{name}"' in text
        or (f'f"{first}_{{' in text and f'"{rest}"' in text)
        or (f'}}_{rest}"' in text and f'"{first}"' in text)
    )


def test_unused_queries_are_found() -> None:
    assert is_used("copy_heads", 'run(f"copy_{part}") for part in ("heads",)')
    assert is_used("heads_before", 'run(f"{name}_before"); "heads"')
    assert not is_used("copy_heads", 'run(f"copy_{part}") for part in ("tails",)')
    assert not is_used("copy_heads", 'run("heads")')


def zeros(text: str) -> dict[str, str] | list[str]:
    """A value for each parameter of a statement: by name, or in order."""
    # Python 3.14 takes no sequence for numbered parameters.
    assert not re.search(r"\?\d", text)
    return dict.fromkeys(re.findall(r":(\w+)", text), "0") or ["0"] * text.count("?")


@pytest.mark.parametrize("name", queries())
def test_every_query_fits_the_schema_and_is_used(name: str) -> None:
    text = queries()[name]
    assert "--" not in text
    assert ";" not in text
    with closing(sqlite3.connect(":memory:")) as connection:
        add_functions(connection)
        allow_appends(connection)
        for _, statements in migrations(0):
            for statement in statements:
                connection.execute(statement)
        connection.execute(queries()["make_aside"])
        # The functions of single operations.
        connection.create_function("unpacked", 1, str)
        connection.create_function("is_same_fact", 3, lambda *_: True)
        connection.execute(f"EXPLAIN {text}", zeros(text))
    assert is_used(name, "\n".join(path.read_text() for path in ADAPTERS.glob("*.py")))


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("events_page", "INTEGER PRIMARY KEY"),
        ("events_page_of_kind", "events_by_kind"),
        ("events_page_of_run", "events_by_run"),
        ("open_runs", "runs_open"),
        ("pending_effects", "outbox_pending"),
        ("traces", "USING PRIMARY KEY"),
        ("bindings", "bindings USING PRIMARY KEY"),
        ("bindings", "events USING INTEGER PRIMARY KEY"),
        ("binding", "bindings USING PRIMARY KEY"),
        ("partitions", "bindings USING PRIMARY KEY"),
        ("count_bindings", "bindings USING PRIMARY KEY"),
    ],
)
def test_queries_find_rows_by_an_index(name: str, index: str) -> None:
    text = queries()[name]
    with closing(sqlite3.connect(":memory:")) as connection:
        add_functions(connection)
        for _, statements in migrations(0):
            for statement in statements:
                connection.execute(statement)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", zeros(text)).fetchall()
    steps = [row[3] for row in plan]
    assert any(index in step for step in steps), steps
    assert not any("SCAN events" in step or "SCAN bindings" in step for step in steps), steps
