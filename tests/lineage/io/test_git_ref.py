"""`tidemill check --against REF`: what changed in the contracts since then."""

import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.commands import edit, process, tidemill


def git(*arguments: str) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def committed(fresh: Path) -> Path:
    """The fresh project in a repository with one commit."""
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    return fresh


def test_nothing_changed(committed: Path) -> None:
    ended = tidemill("check", "--against", "HEAD")
    assert ended.code == 0
    assert ended.out.endswith("\n\nagainst HEAD: no contract changed\n")


def test_changes_with_whom_they_may_break(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = committed / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    edit(committed / "bakery.py", "sold = tm.Int64(min=0,", "sold = tm.Int64(nullable=True, min=5,")
    git("add", "bakery.py")
    before = git("status", "--porcelain")
    ended = tidemill("check", "--against", "HEAD")
    assert ended.code == 0
    table = ended.out.partition("against HEAD:\n\n")[2].rstrip().split("\n")
    assert [line.split("  ")[0] for line in table[:1]] == ["sales: Sales 1.0.0 -> 1.0.0"]
    assert "  sold: nullable no -> yes" in table[1]
    assert table[1].endswith("loosens    labels: may break (reads sold)")
    assert table[2].split() == ["sold:", "min", "0", "->", "5", "tightens", "-"]
    assert table[3] == "- Sales changed and is still 1.0.0: make it 1.1.0"
    # Neither the repository nor the temporary folder keeps anything of it.
    assert list(folder.iterdir()) == []
    assert git("status", "--porcelain") == before


def test_as_a_document(committed: Path) -> None:
    edit(committed / "bakery.py", "sold = tm.Int64(min=0,", "sold = tm.Int64(nullable=True, min=0,")
    [found] = tidemill("check", "--against", "HEAD", "--json").document["against"]
    [change] = found["diff"]["changes"]
    assert (found["stage"], change["words"]) == ("sales", "nullable no -> yes")
    assert [each["stage"] for each in found["consequences"]] == ["labels"]


READS = 'reads=[Sales.reads("date", "shop", "hour", "sold", guarantees=["sold.min"])]'


def test_a_guarantee_that_is_taken_away_breaks_who_relies_on_it(committed: Path) -> None:
    file = committed / "bakery.py"
    edit(
        file,
        "@flow.transform\ndef labels",
        f"@flow.transform({READS})\ndef labels",
    )
    edit(file, "sold = tm.Int64(min=0,", "sold = tm.Int64(min=-1,")
    # Neither the mode nor a major version lets it pass.
    edit(file, 'Sales(tm.Contract, version="1.0.0"', 'Sales(tm.Contract, version="2.0.0"')
    ended = tidemill("check", "--against", "HEAD")
    assert ended.code == 3
    assert "labels: broken (relies on sold.min)" in ended.out
    assert (
        "\n- labels (bakery.py:71) is broken by sold: min 0 -> -1 (it relies on sold.min)\n"
        in ended.out
    )
    [found] = tidemill("check", "--against", "HEAD", "--json").document["against"]
    [broken] = [each for each in found["consequences"] if each["breaks"]]
    assert (broken["stage"], broken["place"], broken["why"]) == (
        "labels", "bakery.py:71", "relies on sold.min",
    )  # fmt: skip
    # One that relies on something else is left alone.
    edit(file, '"sold.min"', '"sold.null"')
    ended = tidemill("check", "--against", "HEAD")
    assert (ended.code, "broken" in ended.out) == (0, False)


def test_stages_that_came_went_or_have_another_name(committed: Path) -> None:
    file = committed / "bakery.py"
    edit(file, "def weather()", "def sky()")
    edit(
        file,
        "sales: tm.Frame[Sales], weather: tm.Frame[Weather]",
        "sales: tm.Frame[Sales], sky: tm.Frame[Weather]",
    )
    edit(file, "sales.join(weather,", "sales.join(sky,")
    edit(file, 'flow.table("forecast"', 'flow.table("tomorrow"')
    edit(file, "# Scored on", "@flow.transform\ndef copy(sky: tm.Frame[Weather]) -> tm.Frame[Weather]:\n"
         "    return sky\n\n\n# Scored on")  # fmt: skip
    ended = tidemill("check", "--against", "HEAD")
    assert ended.code == 0
    told = ended.out.partition("against HEAD:\n\n")[2].split("\n")
    assert [line.split() for line in told[:4]] == [
        ["stage", "kind", "change"],
        ["weather", "->", "sky", "ingest", "renamed"],
        ["copy", "transform", "new"],
        ["forecast", "->", "tomorrow", "deliver", "renamed"],
    ]
    assert told[-2] == "no contract changed"
    found = tidemill("check", "--against", "HEAD", "--json").document["stages"]
    assert [(each["was"], each["stage"], each["what"]) for each in found] == [
        ("weather", "sky", "renamed"), ("", "copy", "new"), ("forecast", "tomorrow", "renamed"),
    ]  # fmt: skip


def test_a_stage_that_went_with_who_read_it(committed: Path) -> None:
    file = committed / "bakery.py"
    edit(
        file,
        'flow.table("forecast", model=live, features=features, sink=tm.parquet("out/forecast"))',
        "",
    )
    ended = tidemill("check", "--against", "HEAD")
    assert [line.split() for line in ended.out.split("\n") if line.startswith("forecast")] == [
        ["forecast", "deliver", "removed"]
    ]


def test_a_version_that_fell_is_a_fault(committed: Path) -> None:
    edit(
        committed / "bakery.py",
        'Sales(tm.Contract, version="1.0.0"',
        'Sales(tm.Contract, version="0.9.0"',
    )
    ended = tidemill("check", "--against", "HEAD")
    assert ended.code == 3
    assert "\n- Sales 1.0.0 -> 0.9.0: the version fell; raise it\n" in ended.out


def test_what_a_compatibility_rules_out_is_a_fault(committed: Path) -> None:
    edit(
        committed / "bakery.py", "Sales(tm.Contract,", 'Sales(tm.Contract, compatibility="forward",'
    )
    edit(committed / "bakery.py", "sold = tm.Int64(min=0,", "sold = tm.Int64(nullable=True, min=0,")
    ended = tidemill("check", "--against", "HEAD")
    assert ended.code == 3
    assert "rules out: sold: nullable no -> yes (loosens); make it 2.0.0\n" in ended.out
    edit(committed / "bakery.py", 'version="1.0.0"', 'version="2.0.0"')
    assert tidemill("check", "--against", "HEAD").code == 0


@pytest.mark.parametrize("ref", ["nowhere", "--all"])
def test_no_such_ref(committed: Path, ref: str) -> None:
    ended = tidemill("check", f"--against={ref}")
    assert ended.code == 2
    assert f"there is no commit '{ref}'" in ended.err


def test_no_repository(fresh: Path) -> None:
    ended = tidemill("check", "--against", "HEAD")
    assert ended.code == 2
    assert ended.err == f"error: {fresh} is in no git repository\n"


def test_no_git(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    ended = tidemill("check", "--against", "HEAD")
    assert (ended.code, "no `git` on the path" in ended.err) == (2, True)


def test_a_workflow_that_could_not_be_imported_then(committed: Path) -> None:
    text = (committed / "bakery.py").read_text()
    (committed / "bakery.py").write_text("import nowhere\n")
    git("commit", "--quiet", "-am", "broken")
    (committed / "bakery.py").write_text(text)
    ended = tidemill("check", "--against", "HEAD")
    assert ended.code == 1
    assert "the workflow at HEAD can't be read:" in ended.err
    assert "the workflow imports 'nowhere', which isn't installed" in ended.err


def test_a_project_that_was_not_there_then(
    committed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (committed / "inner").mkdir()
    for name in ("bakery.py", "pyproject.toml"):
        (committed / "inner" / name).write_text((committed / name).read_text())
    monkeypatch.chdir(committed / "inner")
    ended = tidemill("check", "--against", "HEAD")
    assert (ended.code, ended.err) == (2, "error: at HEAD there is no folder inner\n")


def test_files_that_cannot_be_read(committed: Path) -> None:
    for file in (committed / ".git" / "objects").rglob("*"):
        if file.is_file() and file.stat().st_size > 1000:
            file.unlink()
    ended = tidemill("check", "--against", "HEAD")
    assert (ended.code, "can't be read" in ended.err) == (2, True)


def test_an_installed_copy_is_refused(committed: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    ended = process(
        *(
            "-C",
            str(tmp_path / "other"),
            "-w",
            "bakery:flow",
            "check",
            "--tell",
            str(tmp_path / "told.json"),
        ),
        cwd=committed,
        PYTHONPATH=str(committed),
    )
    assert ended.returncode == 2
    assert "not from the files of the ref" in ended.stderr
