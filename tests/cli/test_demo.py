"""The demo is played once, as a user would; what every act ran is read from the ledger that it leaves.

That takes minutes, so `make test` plays a few days only, in the class below.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

import tidemill as tm
from tidemill.cli import demo
from tidemill.cli.demo import ACTS, unused_folder
from tidemill.cli.demo_governance import REASON
from tidemill.core.errors import TidemillError
from tidemill.ledger.review import ReviewOutcome
from tidemill.ledger.run import Receipt, Status

# The flights of 349 days, to December 15.
SENT = 322_437
[PIPELINE] = [act for act in ACTS if act.title.startswith("A scikit-learn pipeline")]
ALL = dict.fromkeys(("flights", "weather", "features", "labels", "scored_flights"), 349)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("played") / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "tidemill", "demo", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def receipts(played: tuple[Path, str]) -> list[Receipt]:
    with tm.open(played[0]) as project:
        runs = [run.receipt for run in reversed(project.runs(100))]
    found = [receipt for receipt in runs if receipt is not None]
    assert (
        len(found) == len(runs) == sum("run" in command for act in ACTS for command in act.commands)
    )
    return found


def ran(receipt: Receipt) -> dict[str, int]:
    return {tally.stage: tally.ran for tally in receipt.stages if tally.ran}


@pytest.mark.slow
def test_every_act_is_told(played: tuple[Path, str]) -> None:
    for number, act in enumerate(ACTS, 1):
        assert f"{number}. {act.title}" in played[1]


@pytest.mark.slow
def test_the_history_is_built_and_nothing_is_lost(receipts: list[Receipt]) -> None:
    assert ran(receipts[0]) == {
        "flights": 334,
        "weather": 334,
        "features": 334,
        "labels": 334,
        "delay_model": 2,
        "delay_scores": 2,
        "scored_flights": 334,
    }
    weather = next(tally for tally in receipts[0].stages if tally.stage == "weather")
    # Three hours that the clock change gives twice, and one wind of 1,048 miles an hour.
    assert (weather.rows_in, weather.rows_out, weather.quarantined) == (23_971, 23_967, 4)


@pytest.mark.slow
@pytest.mark.parametrize("act", [1, 3], ids=["run again", "a comment"])
def test_nothing_runs(receipts: list[Receipt], act: int) -> None:
    assert ran(receipts[act]) == {}


@pytest.mark.slow
def test_only_the_new_day_runs(receipts: list[Receipt]) -> None:
    assert ran(receipts[2]) == {
        "flights": 1,
        "weather": 1,
        "features": 1,
        "labels": 1,
        "delay_scores": 2,
        "scored_flights": 1,
    }


@pytest.mark.slow
def test_only_what_reads_the_feature_runs(receipts: list[Receipt]) -> None:
    assert ran(receipts[4]) == {"features": 335, "delay_scores": 2, "scored_flights": 335}


@pytest.mark.slow
def test_bad_rows_are_quarantined_and_the_rest_flows(
    receipts: list[Receipt], played: tuple[Path, str]
) -> None:
    assert ran(receipts[5]).keys() >= {"flights", "features", "labels", "scored_flights"}
    assert sum(tally.quarantined for tally in receipts[5].stages) == 12
    with tm.open(played[0]) as project:
        assert project.quarantined("flights").collect().height == 12
        assert project.read("flights").collect().height == SENT - 12 + 2


def verdict(receipt: Receipt) -> str:
    """What the gates found in a run."""
    [message] = [text for text in receipt.messages if text.startswith("delay_model ")]
    return message


@pytest.mark.slow
def test_a_better_model_is_better_beyond_noise(receipts: list[Receipt]) -> None:
    better = receipts[6]
    assert better.exit_code == 0
    assert " approved:" in verdict(better)
    assert re.search(r"passed beats_live\(mae\): .* better by 0.6\d+ \(95%: 0", verdict(better))


@pytest.mark.slow
def test_a_model_that_is_worse_for_one_carrier_is_stopped(receipts: list[Receipt]) -> None:
    worse, back = receipts[7:9]
    assert (worse.status, worse.exit_code) == (Status.FAILED, 4)
    assert "passed beats_live(mae): " in verdict(worse)
    found = r"FAILED no_slice_worse\(mae, over=carrier\): worse by more than 10% in 1 of \d+ \(AS: "
    assert re.search(found + r"\S+ against \S+, worse by \S+ \(95%: ", verdict(worse))
    assert ran(back) == {}


@pytest.mark.slow
def test_triggers_fire_when_there_is_enough_new_data(
    receipts: list[Receipt], played: tuple[Path, str]
) -> None:
    first, trained = receipts[9:11]
    assert "delay_model" not in ran(first)
    assert ran(trained)["delay_model"] == 2
    assert " approved:" in verdict(trained)
    _, _, told = played[1].partition("December arrives")
    before, _, after = told.partition("Triggers fire")
    assert " fires: " not in before
    assert re.findall(r"(\S+) fires: ", after) == ["volume(0.2)", "every(14d)"]
    assert re.search(r"degraded\(mae, by=0.05\): .* of 365 evidence, \S+ to go", before)


@pytest.mark.slow
def test_a_pipeline_goes_live_in_place_of_the_booster(
    receipts: list[Receipt], played: tuple[Path, str]
) -> None:
    waits = verdict(receipts[11])
    assert receipts[11].exit_code == 4
    assert "waits for review" in waits
    assert "passed beats_live(mae): " in waits
    with tm.open(played[0]) as project:
        versions = project.models["delay_model"].versions
        live = project.models["delay_model"].version("live")
    assert live.artifact.format == "sklearn"
    assert {version.artifact.format for version in versions} == {"lightgbm", "sklearn"}
    assert f"{live.id} (live) compared with" in played[1]


@pytest.mark.slow
def test_somebody_else_than_the_author_approves_it(played: tuple[Path, str]) -> None:
    with tm.open(played[0]) as project:
        [state] = project.reviews.list("all")
    assert (state.review.author, state.outcome) == ("ana", ReviewOutcome.APPROVED)
    [vote] = state.votes
    assert (vote.actor, vote.reason) == ("ben", REASON)
    assert f"review {state.review.id} was approved by ben" in played[1]


@pytest.mark.slow
def test_a_model_of_a_sample_is_refused(receipts: list[Receipt]) -> None:
    assert receipts[12].exit_code == 4
    assert "rule whole-data: a model of a sample of the flights" in verdict(receipts[12])


@pytest.mark.slow
def test_other_rules_are_tried_on_what_was_decided(played: tuple[Path, str]) -> None:
    _, _, told = played[1].partition("What would other rules have decided?")
    assert "0 the same, 1 different" in told
    assert re.search(r"delay_model +review +allow +-predictions-shift", told)


@pytest.mark.slow
def test_the_audit_verifies_and_an_edited_copy_does_not(played: tuple[Path, str]) -> None:
    _, _, told = played[1].partition("The records are sealed")
    sealed, _, edited = told.partition("An edited copy is noticed")
    assert re.search(r"verified [\d,]+ events with 1 checkpoint\n *sealed: ", sealed)
    assert "changed: " not in sealed
    assert re.search(r"changed: .*checkpoints.jsonl, line 1", edited)


@pytest.mark.slow
def test_it_leaves_a_project_with_every_flight_scored(played: tuple[Path, str]) -> None:
    with tm.open(played[0]) as project:
        assert project.plan().empty
        held = {name: len(head.partitions) for name, head in project.state().heads.items()}
    assert {name: held[name] for name in ALL} == ALL
    assert len(list((played[0] / "out" / "scored").glob("*.parquet"))) == 349


def test_an_earlier_demo_is_never_played_over(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    assert unused_folder(folder) == folder
    folder.mkdir()
    assert unused_folder(folder) == folder
    (folder / "mine.py").touch()
    assert unused_folder(folder) == tmp_path / "demo-2"


def short(command: tuple[str, ...], act: demo.Act) -> demo.Act:
    """The same change, followed by another command."""
    return replace(act, commands=(command,), exit_code=0, explained=False)


class TestAFewDays:
    """All changes on some days of November, with quick commands; the whole takes minutes."""

    @pytest.fixture(autouse=True)
    def november(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(demo, "_FIRST", date(2013, 11, 14))
        monkeypatch.setattr(demo, "_LAST", date(2013, 11, 16))

    def test_every_change_applies_after_those_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []
        first, *others = ACTS
        acts = (short(("plan",), first), *(short(("--version",), act) for act in others))
        monkeypatch.setattr(demo, "ACTS", acts)
        monkeypatch.chdir(tmp_path)
        demo.play_acts(tmp_path / "demo", told.append)
        assert "\n0 runs: 0 of 0 steps computed; the others were up to date or reused.\n" in told
        # The commands at the end work from the prompt at which the demo was started.
        [plan] = [line for line in told if " -C demo plan " in line]
        done = subprocess.run(plan, shell=True, capture_output=True, text=True, check=False)
        assert (done.returncode, "flight-delays in prod: " in done.stdout) == (0, True)
        for number, act in enumerate(ACTS, 1):
            assert any(f"{number}. {act.title}" in line for line in told)
        days = sorted(file.stem for file in (tmp_path / "demo/data/flights").iterdir())
        assert days == [
            *(f"2013-11-{day}" for day in (14, 15, 16)),
            *(f"2013-12-{day:02}" for day in range(1, 16)),
        ]
        text = (tmp_path / "demo/flights.py").read_text(encoding="utf-8")
        for changed in (
            "is_between(15, 20)",
            '"rounds": 40',
            'select("origin", *columns)',
            "Every flight",
        ):
            assert changed in text

    def test_another_exit_code_than_expected_ends_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        act = replace(ACTS[1], commands=(("--version",), ("show", "nothing")))
        monkeypatch.setattr(demo, "ACTS", (act,))
        with pytest.raises(
            TidemillError, match="`tidemill show nothing` of act 1 ended with exit code 2, not 0"
        ):
            demo.play_acts(tmp_path / "demo", lambda line: None)

    @pytest.mark.parametrize(
        ("change", "words"),
        [(ACTS[3].change, "no longer contains"), (PIPELINE.change, "no longer trains a booster")],
    )
    def test_a_change_of_another_file_is_refused(
        self, change: Callable[[Path], str], words: str, tmp_path: Path
    ) -> None:
        (tmp_path / "flights.py").write_text("# mine\n", encoding="utf-8")
        with pytest.raises(TidemillError, match=words):
            change(tmp_path)

    def test_a_plan_is_shown_and_explained_once(self) -> None:
        [explained] = [act for act in ACTS if act.explained]
        assert explained.title == "A feature changes"
        assert explained.commands[0] == ("plan",)

    def test_the_runs_are_summed_up_in_a_sentence(self) -> None:
        tally = {
            "ran": 3,
            "removed": 1,
            "failed": 1,
            "bound": 10,
            "rechecked": 20,
            "current": 1_000,
        }
        receipts = [{"stages": [tally, tally]}, {"stages": [tally]}]
        assert demo.summary(receipts) == (
            "2 runs: 9 of 3,099 steps computed; the others were up to date or reused."
        )

    def test_a_command_names_the_program_if_it_is_not_on_the_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scripts = tmp_path / ".venv" / "bin"
        scripts.mkdir(parents=True)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "executable", str(scripts / "python"))
        monkeypatch.setenv("PATH", "/usr/bin")
        folder = tmp_path / "my demo"
        assert demo.prompt_command(folder, "plan") == (
            ".venv/bin/python -m tidemill -C 'my demo' plan"
        )
        (scripts / "tidemill").touch(mode=0o755)
        assert demo.prompt_command(folder, "plan") == ".venv/bin/tidemill -C 'my demo' plan"
        monkeypatch.setenv("PATH", str(scripts))
        assert demo.prompt_command(tmp_path.parent / "x", "runs") == (
            f"tidemill -C {tmp_path.parent / 'x'} runs"
        )
