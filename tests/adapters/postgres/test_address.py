import pytest

from tidemill.adapters.postgres.address import parse_address
from tidemill.core.errors import UsageError


def test_what_is_sent_to_the_driver_and_what_is_shown() -> None:
    found = parse_address(
        "postgresql://ana@db.example:5433/team?sslmode=require&schema=ours",
        "x",
        with_password=False,
    )
    assert found.dsn == "postgresql://ana@db.example:5433/team?sslmode=require"
    assert found.schema == "ours"
    assert found.place == "postgresql://db.example:5433/team?schema=ours"
    assert found.folder.startswith("team-")


def test_other_parameters_are_sent_as_they_are_written() -> None:
    url = "postgresql://db/team?options=-c%20a%3Db+c&schema=ours&sslrootcert=/a%20b"
    found = parse_address(url, "x", with_password=False)
    assert found.dsn == "postgresql://db/team?options=-c%20a%3Db+c&sslrootcert=/a%20b"
    socket = parse_address("postgresql://ana@/team?host=/run/a%20b", "x", with_password=False)
    assert socket.place == "postgresql:///team?host=/run/a%20b"
    again = parse_address(socket.place, "x", with_password=False)
    assert again.folder == socket.folder


def test_credentials_are_not_shown() -> None:
    found = parse_address("postgresql://ana:s3cret99@db/team", "x", with_password=True)
    assert "s3cret99" in found.dsn
    assert "s3cret99" not in f"{found!r} {found} {found.place} {found.folder}"


def test_the_folder_depends_on_the_database_only() -> None:
    def folder(url: str) -> str:
        return parse_address(url, "x", with_password=True).folder

    own = folder("postgresql://ana@db/team")
    assert own == folder("postgresql://ben:pass@db/team?sslmode=require")
    assert own == folder("postgresql://db/team?schema=tidemill")
    others = [
        "postgresql://db2/team",
        "postgresql://db:99/team",
        "postgresql://db/other",
        "postgresql://db/team?schema=two",
        "postgresql:///team?host=/run/a",
        "postgresql:///team?host=/run/b",
        "postgresql:///team?service=a",
    ]
    assert len({own, *map(folder, others)}) == len(others) + 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql:db/team", "no // after its scheme"),
        ("postgresql://db:port/team", "a port that isn't a number"),
        ("postgresql://db/team#x", "a #|an @"),
        ("postgresql://db/te am", "a space"),
        ("postgresql://ana:x/y@db/team", "an @ after the first /"),
        ("postgresql://[::1/team", "."),
        ("postgresql://db/team?schema=Ours", "schema 'Ours': use lower-case"),
        ("postgresql://db/team?schema=", "schema ''"),
        ("postgresql://db/team?schema=pg_catalog", "none of PostgreSQL's own"),
        ("postgresql://db/team?schema=information_schema", "none of PostgreSQL's own"),
        ("postgresql://db/team?schema=a&schema=b", "a parameter twice: schema"),
        ("postgresql://", "no host and no database"),
        ("postgresql://db/team?schema=a;drop", "schema"),
    ],
)
def test_urls_that_cannot_be_used(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=f"settings home .*{says}"):
        parse_address(url, "settings", with_password=True)


@pytest.mark.parametrize(
    "url", ["postgresql://ana:s3cret99@db/team", "postgresql://db/team?password=s3cret99"]
)
def test_a_password_stays_out_of_settings(url: str) -> None:
    with pytest.raises(UsageError, match="PGPASSWORD") as refused:
        parse_address(url, "settings", with_password=False)
    assert "s3cret99" not in str(refused.value)
