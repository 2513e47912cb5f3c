"""`tidemill env` and `tidemill promote`: branch off, compare, take along, drop."""

import time
from pathlib import Path

import tidemill as tm
from tests.support.commands import forgotten_imports, tidemill

DAY = "2026-01-05"


def test_from_a_branch_to_production(built: Path) -> None:
    assert tidemill("env", "diff", "prod", "prod").out == "prod and prod have the same data\n"
    ended = tidemill("run", "--env", "dev", "--create")
    assert (ended.code, "- dev is a new branch of prod" in ended.out) == (0, True)
    assert tidemill("env", "diff", "dev").out == "dev and prod have the same data\n"
    listed = [line.split() for line in tidemill("env", "list").out.splitlines()]
    assert [line[:3] for line in listed] == [
        ["environment", "branch", "of"], ["prod", "-", listed[1][2]], ["dev", "prod", listed[2][2]],
    ]  # fmt: skip
    file = built / "data" / "sales" / f"{DAY}.csv"
    lines = file.read_text().split("\n")
    file.write_text("\n".join([lines[0], *lines[2:]]))
    assert tidemill("run", "--env", "dev").code == 0
    told = tidemill("env", "diff", "dev", "prod", "sales").out.split("\n")
    assert told[1].startswith("sales")
    assert DAY in told[1]
    told = tidemill("env", "diff", "dev", "prod", "sales", DAY).out.split("\n")
    assert told[0] == f"sales {DAY}: 1 row missing there"
    assert told[3].startswith("removed")
    ended = tidemill("promote", "dev")
    assert ended.code == 0, ended.err
    assert (
        tidemill("env", "diff", "dev", "prod", "sales").out == "dev and prod have the same data\n"
    )
    assert "nothing to do" in tidemill("plan").out
    assert tidemill("env", "drop", "dev").out == "dropped dev\n"
    assert len(tidemill("env", "list").out.splitlines()) == 2


def test_what_is_refused(built: Path) -> None:
    for arguments, words in (
        (("promote", "dev"), "there is no environment 'dev'"),
        (("promote", "prod"), "can't be promoted to itself"),
        (("show", "sales", "--env", "dev"), "there is no environment 'dev'"),
        (("env", "drop"), "name the environments"),
        (("env", "drop", "prod"), "can't be dropped"),
        (("env", "diff", "dev"), "there is no environment 'dev'"),
        (("env", "diff", "prod", "prod", "--rows"), "needs a STAGE"),
        (("env", "create", "x", "--from", "prod", "--empty"), "can't be combined"),
        (("env", "create", "x", "--sample", "5"), "is not a sample"),
        (("run", "--sample", "0.5"), "prod never runs on a sample"),
        (("plan", "--env", "x", "--create", "--sample", "2"), "is not a sample"),
    ):
        ended = tidemill(*arguments)
        assert (ended.code, words in ended.err) == (2, True), (arguments, ended.err)


def test_a_branch_with_a_life_and_a_sample(built: Path) -> None:
    made = tidemill("env", "create", "short", "--ttl", "14d", "--sample", "0.5").out
    assert made.startswith("short is a new branch of prod, on a sample of 0.5, until 20")
    assert tidemill("env", "create", "bare", "--empty").out == "bare is new and empty\n"
    assert tidemill("env", "create", "bare").code == 6
    headers = tidemill("env", "list").out.splitlines()[0].split()
    assert headers == ["environment", "branch", "of", "created", "expires", "sample"]
    assert tidemill("env", "drop", "--expired").out == "no environment has expired\n"
    assert tidemill("plan", "--env", "bare", "--limit", "1").code == 0


def test_a_branch_with_a_profile(built: Path) -> None:
    settings = built / "pyproject.toml"
    text = settings.read_text()
    settings.write_text(f"{text}\n[tool.tidemill.profiles.quick]\nsample = 0.9\n")
    ended = tidemill("run", "--env", "quick", "--create", "--profile", "quick", "--limit", "1")
    told = "- quick is a new branch of prod, on a sample of 0.9, with the profile quick\n"
    assert (ended.code, told in ended.out) == (0, True), ended.out + ended.err
    made = tidemill("env", "create", "deep", "--from", "quick").out
    assert made == "deep is a new branch of quick, on a sample of 0.9, with the profile quick\n"
    made = tidemill("env", "create", "other", "--profile", "quick").out
    assert made == "other is a new branch of prod, on a sample of 0.9, with the profile quick\n"
    headers, production, *rest = tidemill("env", "list").out.splitlines()
    assert headers.split()[-2:] == ["sample", "profile"]
    assert production.split()[-2:] == ["-", "-"]
    assert {tuple(line.split()[-2:]) for line in rest} == {("0.9", "quick")}
    found = tidemill("env", "list", "--json").document["environments"]
    assert [item["profile"] for item in found] == ["", "quick", "quick", "quick"]
    for arguments, words in (
        (
            ("run", "--profile", "quick"),
            "which changes what is computed: use --env NAME",
        ),
        (("plan", "--env", "x", "--profile", "quik"), "did you mean 'quick'"),
        (
            ("env", "create", "x", "--profile", "slow"),
            "there is no profile 'slow' in [tool.tidemill.pro",
        ),
        (
            ("plan", "--env", "quick", "--profile", "quick", "--sample", "0.1"),
            "omit the sample",
        ),
    ):
        ended = tidemill(*arguments)
        assert (ended.code, words in ended.err) == (2, True), (arguments, ended.err)


def test_what_expired(built: Path) -> None:
    tidemill("env", "create", "short", "--ttl", "0.001s")
    tidemill("env", "create", "deep", "--from", "short")
    assert "(expired)" in tidemill("env", "list").out
    told = tidemill("env", "drop", "--expired").out
    assert told == "short expired but is kept: deep branched off it\n"
    assert tidemill("env", "drop", "deep", "--expired").out == "dropped deep\ndropped short\n"


def test_json(built: Path) -> None:
    made = tidemill("env", "create", "dev", "--json").document
    assert (made["schema"], made["environment"]["parent"]) == ("tidemill.environment/1", "prod")
    found = tidemill("env", "list", "--json").document
    assert [item["name"] for item in found["environments"]] == ["prod", "dev"]
    assert tidemill("env", "diff", "dev", "--json").document["stages"] == []
    rows = tidemill("env", "diff", "dev", "prod", "sales", DAY, "--json").document
    assert (rows["rows"]["changed"], rows["examples"]) == (0, [])
    assert tidemill("promote", "dev", "--json").document["schema"] == "tidemill.receipt/1"
    assert tidemill("env", "drop", "dev", "--json").document["done"]["dropped"] == ["dev"]


def test_another_run_is_a_conflict(built: Path) -> None:
    tidemill("env", "create", "dev")
    with forgotten_imports(), tm.open(built) as project:
        ledger, holder = project.tools.ledger, {"host": "elsewhere", "pid": "1"}
        for name in ("prod", "dev"):
            ledger.acquire(
                f"run:{name}", holder, now=time.time(), ttl=60.0, dead=lambda holder: False
            )
    for command in (("promote", "dev"), ("env", "drop", "dev")):
        ended = tidemill(*command)
        assert (ended.code, "active in " in ended.err and "pid 1 on elsewhere; " in ended.err) == (
            6,
            True,
        )


def test_a_misspelt_environment_begins_no_branch(built: Path) -> None:
    assert tidemill("env", "create", "dev-ana").code == 0
    for command in ("plan", "run"):
        ended = tidemill(command, "--env", "dev-anna")
        assert (ended.code, ended.out) == (2, "")
        assert "there is no environment 'dev-anna' (did you mean 'dev-ana'?)" in ended.err
        assert "`tidemill env create dev-anna`, or with --create in its first run" in ended.err
    assert len(tidemill("env", "list").out.splitlines()) == 3
    assert tidemill("plan", "--env", "dev-anna", "--create").code == 0
    assert tidemill("plan", "--env", "prod").code == 0
    assert tidemill("plan", "--env", "dev-ana", "--create").code == 0


def test_commands_whose_arguments_name_environments_take_no_other(built: Path) -> None:
    for command in (
        ("env", "list"),
        ("env", "create", "x"),
        ("promote", "x"),
        ("env", "drop", "x"),
    ):
        assert tidemill(*command, "--env", "dev").code == 2
        ended = tidemill("--env", "dev", *command)
        assert (ended.code, "--env can't be used here" in ended.err) == (2, True)
