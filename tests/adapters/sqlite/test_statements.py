import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tidemill.adapters.sqlite import statements as sqlite_statements
from tidemill.adapters.sqlite.connections import SCHEMA
from tidemill.adapters.sqlite.statements import migrations, queries

ADAPTERS = Path(sqlite_statements.__file__).parent


def test_migrations_are_numbered_without_a_gap_and_known() -> None:
    assert [version for version, _ in migrations(0)] == list(range(1, SCHEMA + 1))
    assert list(migrations(SCHEMA)) == []


def test_a_trigger_is_one_statement() -> None:
    statements = [text for _, several in migrations(0) for text in several]
    triggers = [text for text in statements if text.startswith("CREATE TRIGGER")]
    assert len(triggers) == 3
    assert all(text.endswith("END;") for text in triggers)


def is_used(name: str, text: str) -> bool:
    """Whether code names a query, or puts its name together of two words."""
    first, _, rest = name.partition("_")
    return (
        f'"{name}"' in text
        or (f'f"{first}_{{' in text and f'"{rest}"' in text)
        or (f'}}_{rest}"' in text and f'"{first}"' in text)
    )


def test_what_is_not_named_is_not_used() -> None:
    assert is_used("copy_heads", 'run(f"copy_{part}") for part in ("heads",)')
    assert is_used("heads_before", 'run(f"{name}_before"); "heads"')
    assert not is_used("copy_heads", 'run(f"copy_{part}") for part in ("tails",)')
    assert not is_used("copy_heads", 'run("heads")')


@pytest.mark.parametrize("name", queries())
def test_every_query_fits_the_schema_and_is_used(name: str) -> None:
    text = queries()[name]
    assert "--" not in text
    assert ";" not in text
    numbers = set(re.findall(r"\?(\d+)", text)) or re.findall(r"\?", text)
    with closing(sqlite3.connect(":memory:")) as connection:
        for _, statements in migrations(0):
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"EXPLAIN {text}", [None] * len(numbers))
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
    numbers = set(re.findall(r"\?(\d+)", text)) or re.findall(r"\?", text)
    with closing(sqlite3.connect(":memory:")) as connection:
        for _, statements in migrations(0):
            for statement in statements:
                connection.execute(statement)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", ["0"] * len(numbers)).fetchall()
    steps = [row[3] for row in plan]
    assert any(index in step for step in steps), steps
    assert not any("SCAN events" in step or "SCAN bindings" in step for step in steps), steps
