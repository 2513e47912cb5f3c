from tidemill.adapters.sqlite.migrations import SCHEMA, migrations


def test_migrations_are_numbered_without_a_gap_and_known() -> None:
    assert [version for version, _ in migrations(0)] == list(range(1, SCHEMA + 1))
    assert list(migrations(SCHEMA)) == []


def test_a_trigger_is_one_statement() -> None:
    statements = [text for _, several in migrations(0) for text in several]
    triggers = [text for text in statements if text.startswith("CREATE TRIGGER")]
    assert len(triggers) == 3
    assert all(text.endswith("END;") for text in triggers)
