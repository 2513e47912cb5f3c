"""`tidemill check`: every fault at once, with its line; and what changed since a git ref."""

import json
import tempfile
from pathlib import Path

import pytest

from tests.support.commands import edit, in_labels, process, tidemill
from tests.support.repository import git


def test_no_faults(fresh: Path) -> None:
    ended = tidemill("check")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("bakery: 7 stages, no faults: sales (ingest), weather (ingest)")
    found = tidemill("check", "--json").document
    assert found == {
        "schema": "tidemill.check/1",
        "workflow": "bakery",
        "endpoints": [],
        "faults": [],
        "notes": [],
        "twice": [],
        "trained_twice": [],
        "against": [],
        "stages": [],
    }


def test_every_fault_of_the_wiring_with_its_line(fresh: Path) -> None:
    edit(fresh / "bakery.py", "def labels(sales:", "def labels(slaes:")
    edit(fresh / "bakery.py", 'window=tm.last("7d"))', 'window=tm.last("9d"))')
    ended = tidemill("check")
    assert (ended.code, ended.out) == (3, "")
    # The windows of both inputs of the evaluation overlap with the training's.
    assert "has 3 faults:" in ended.err
    assert "there is no stage 'slaes' (did you mean 'sales'?)" in ended.err
    found = tidemill("check", "--json")
    assert found.code == 3
    faults = found.document["faults"]
    assert [fault["where"].partition(":")[0] for fault in faults] == ["bakery.py"] * 3
    assert found.err == ended.err


def test_a_column_that_the_contract_does_not_have(fresh: Path) -> None:
    edit(fresh / "bakery.py", "weekday=pl.col", "week_day=pl.col")
    ended = tidemill("check")
    assert ended.code == 3
    assert "has no column 'weekday' of contract Features (did you mean 'week_day'?)" in ended.err


def test_faults_between_stages_do_not_hide_those_in_them(fresh: Path) -> None:
    edit(fresh / "bakery.py", "def labels(sales:", "def labels(slaes:")
    edit(fresh / "bakery.py", "weekday=pl.col", "week_day=pl.col")
    edit(
        fresh / "bakery.py",
        "    volume = tm.Rows(min=30)",
        '    rare = tm.rule(pl.col("sould") < 1_000)\n    volume = tm.Rows(min=30)',
    )
    for arguments in ((), ("--json",)):
        ended = tidemill("check", *arguments)
        assert ended.code == 3
        assert "has 4 faults:" in ended.err
        for words in (
            "there is no stage 'slaes'",
            "has no column 'weekday' of contract Features",
            "rule rare of contract Sales reads column 'sould'",
        ):
            assert words in ended.err
    assert len(ended.document["faults"]) == 4


def test_a_module_that_declares_nothing_sound(fresh: Path) -> None:
    (fresh / "bakery.py").write_text("import tidemill as tm\ntm.Workflow('x').ingest(7)\n")
    ended = tidemill("check")
    assert (ended.code, "has 1 fault:" in ended.err) == (3, True)


def test_rules_that_cannot_be_evaluated_are_faults_before_there_is_data(fresh: Path) -> None:
    edit(fresh / "bakery.py", "weekday=pl.col", "week_day=pl.col")
    edit(
        fresh / "bakery.py",
        "    volume = tm.Rows(min=30)",
        '    rare = tm.rule(pl.col("sould") < 1_000)\n    volume = tm.Rows(min=30)',
    )
    ended = tidemill("check")
    assert ended.code == 3
    assert "has 3 faults:" in ended.err
    assert "has no column 'weekday' of contract Features" in ended.err
    assert "rule rare of contract Sales reads column 'sould'" in ended.err
    assert "did you mean 'sold'?" in ended.err


def test_what_cannot_be_reused_is_a_note(fresh: Path) -> None:
    edit(
        fresh / "bakery.py",
        "    return sales.select(*HOUR,",
        "    import time\n\n    time.time()\n    return sales.select(*HOUR,",
    )
    ended = tidemill("check")
    assert ended.code == 0
    [note] = [line for line in ended.out.split("\n") if line.startswith("- ")]
    assert note.startswith("- labels is never reused: it reads the clock")
    assert note.endswith("mark the stage @tm.impure, or vouch for it with version=")
    assert tidemill("check", "--json").document["notes"] == [note.removeprefix("- ")]


class TestTwice:
    def test_the_same(self, built: Path) -> None:
        ended = tidemill("check", "--twice", "--sample", "2", "--json")
        assert ended.code == 0
        features, labels = ended.document["twice"]
        assert features == {
            "stage": "features",
            "partitions": ["2026-01-05", "2026-02-01"],
            "differ": [],
            "otherwise": [],
            "where": [],
            "failed": [],
        }
        assert labels["stage"] == "labels"
        *_, table, models = (block.split("\n") for block in ended.err.split("\n\n"))
        assert models[1].split()[:3] == ["demand", "the", "same"]
        assert table[0].split("  ")[0] == "run twice"
        assert [line.split() for line in table[1:3]] == [
            ["features", "2026-01-05,", "2026-02-01", "none", "-"],
            ["labels", "2026-01-05,", "2026-02-01", "none", "-"],
        ]

    def test_columns_that_differ_are_a_note(self, built: Path) -> None:
        edit(
            built / "bakery.py",
            'sold").cast(pl.Float64)',
            "sold\") * 0.0 + hash('loaf') % 1_000_003",
        )
        ended = tidemill("check", "--twice", "--sample", "1")
        assert ended.code == 0
        assert "\n- labels: loaves differed in the second run (2026-02-01); " in ended.out
        steps = ended.out.split("\n\n")[1]
        assert steps.split("\n")[-1].split() == ["labels", "2026-02-01", "loaves", "-"]

    def test_a_step_that_gives_nothing(self, built: Path) -> None:
        in_labels(built, "raise ZeroDivisionError('no')")
        ended = tidemill("check", "--twice", "--sample", "4")
        assert ended.code == 1
        assert "\n- labels 2026-01-05 raised ZeroDivisionError: no at bakery.py:" in ended.out
        last = ended.out.split("\n\n")[1].split("\n")[-1]
        assert last.split() == [
            *("labels", "2026-01-05,", "2026-01-14,", "2026-01-23", "and", "1", "more"),
            *("failed", "-"),
        ]

    def test_nothing_is_published(self, fresh: Path) -> None:
        ended = tidemill("check", "--twice")
        assert ended.code == 0
        assert ended.out.endswith(
            "- nothing was run twice: no transform has all of its inputs published\n"
        )

    def test_usage(self, fresh: Path) -> None:
        ended = tidemill("check", "--sample", "2")
        assert ended.code == 2
        assert "add --twice" in ended.err


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
    assert table[3] == "- Sales changed but is still 1.0.0: make it 1.1.0"
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
    assert "\n- Sales 1.0.0 -> 0.9.0: the version decreased; raise it\n" in ended.out


def test_what_a_compatibility_rules_out_is_a_fault(committed: Path) -> None:
    edit(
        committed / "bakery.py", "Sales(tm.Contract,", 'Sales(tm.Contract, compatibility="forward",'
    )
    edit(committed / "bakery.py", "sold = tm.Int64(min=0,", "sold = tm.Int64(nullable=True, min=0,")
    ended = tidemill("check", "--against", "HEAD")
    assert ended.code == 3
    assert "forbids: sold: nullable no -> yes (loosens); make it 2.0.0\n" in ended.out
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
    assert ended.err == f"error: {fresh} isn't in a git repository\n"


def test_no_git(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    ended = tidemill("check", "--against", "HEAD")
    assert (ended.code, "can't find `git` on the path" in ended.err) == (2, True)


def test_a_workflow_that_could_not_be_imported_then(committed: Path) -> None:
    text = (committed / "bakery.py").read_text()
    (committed / "bakery.py").write_text("import nowhere\n")
    git("commit", "--quiet", "-am", "broken")
    (committed / "bakery.py").write_text(text)
    ended = tidemill("check", "--against", "HEAD")
    assert ended.code == 1
    assert "can't load the workflow at HEAD:" in ended.err
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
    assert (ended.code, "can't read the files of" in ended.err) == (2, True)


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


def test_a_model_is_trained_twice(built: Path) -> None:
    before = tidemill("ledger", "export", "before.jsonl")
    assert before.code == 0, before.err
    ended = tidemill("check", "--twice", "--sample", "1", "--json")
    assert ended.code == 0, ended.err
    [model] = ended.document["trained_twice"]
    assert (model["stage"], model["same_bytes"], model["same_as_published"]) == (
        *("demand", True, True),
    )
    assert (model["rows"], model["differing"]) == (256, 0)
    path = built / "bakery.py"
    text = path.read_text()
    path.write_text(text.replace('"seed": seed', '"seed": seed, "bagging_freq": 1, '
                    '"bagging_fraction": 0.5, "bagging_seed": hash("bread") % 1000'))  # fmt: skip
    assert path.read_text() != text
    ended = tidemill("check", "--twice", "--sample", "1")
    assert ended.code == 0, ended.err
    assert "demand: two trainings with one seed differ: " in ended.out
    assert '"deterministic": True' in ended.out
    assert "demand         differs" in ended.out
    path.write_text(text.replace("booster = ", "1 / 0\n    booster = "))
    ended = tidemill("check", "--twice", "--sample", "1")
    assert (ended.code, "ZeroDivisionError" in ended.out) == (1, True)
    # Nothing was published: the ledger has one event more, that of the first export.
    assert tidemill("ledger", "export", "after.jsonl").code == 0
    *events, _ = (built / "before.jsonl").read_text().splitlines()
    *after, exported, _ = (built / "after.jsonl").read_text().splitlines()
    assert after == events
    assert json.loads(exported.partition("\t")[0])["event"]["kind"] == "Acted"
