"""`tidemill check`: every fault at once, with its line."""

from pathlib import Path

from tests.support.commands import edit, in_labels, tidemill


def test_no_faults(fresh: Path) -> None:
    ended = tidemill("check")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("bakery: 7 stages, no faults: sales (ingest), weather (ingest)")
    found = tidemill("check", "--json").document
    assert found == {
        "schema": "tidemill.check/1",
        "workflow": "bakery",
        "faults": [],
        "notes": [],
        "twice": [],
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
        table = ended.err.rpartition("\n\n")[2].split("\n")
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
        assert "\n- labels: loaves came out otherwise the second time (2026-02-01); " in ended.out
        assert ended.out.rstrip().split("\n")[-1].split() == ["labels", "2026-02-01", "loaves", "-"]

    def test_a_step_that_gives_nothing(self, built: Path) -> None:
        in_labels(built, "raise ZeroDivisionError('no')")
        ended = tidemill("check", "--twice", "--sample", "4")
        assert ended.code == 1
        assert "\n- labels 2026-01-05 raised ZeroDivisionError: no at bakery.py:" in ended.out
        last = ended.out.rstrip().split("\n")[-1]
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
