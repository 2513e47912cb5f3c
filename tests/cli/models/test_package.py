"""`tidemill models`, `deliver` and `rollback`: versions are listed, compared, exported, and moved."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path

import lightgbm as lgb
import polars as pl
import pytest

import tidemill as tm
from tests.support.commands import tidemill
from tests.support.users import noted
from tidemill.models.golden_rows import ORIGINAL


def retrain(folder: Path, old: str, new: str) -> None:
    path = folder / "bakery.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    ended = tidemill("run", "--train", "demand")
    assert ended.code in (0, 4), ended.err


def versions() -> dict[str, str]:
    """Versions by their state."""
    found = tidemill("models", "--json").document
    assert found["schema"] == "tidemill.models/1"
    return {each["state"]: each["artifact"]["id"] for each in found["versions"]}


@pytest.fixture
def three(built: Path) -> Path:
    """Live is the second of three versions; the gates refused the third."""
    retrain(built, '"rounds": 60', '"rounds": 80')
    retrain(built, '"rounds": 80', '"rounds": 1')
    return built


def test_from_the_list_to_an_export(three: Path) -> None:
    known = versions()
    assert set(known) == {"live", "approved", "refused"}
    live, first, refused = known["live"], known["approved"], known["refused"]
    listed = tidemill("models").out.splitlines()
    assert [line.split()[1:3] for line in listed[1:]] == [
        [refused, "refused"], [live, "live"], [first, "approved"],
    ]  # fmt: skip
    assert tidemill("models", "list", "demand").out.splitlines() == listed
    shown = tidemill("models", "show", "demand").out
    assert shown.startswith(f"demand {live}: live, lightgbm")
    for words in ("  machine     ", "  packages    ", "polars ", "demand_scores: mae", "CPU"):
        assert words in shown
    assert f"demand {refused}: refused" in tidemill("models", "show", "demand", refused[:6]).out
    assert "FAILED" in tidemill("models", "show", "demand", refused).out
    document = tidemill("models", "show", "demand", first, "--json").document["version"]
    assert document["artifact"]["snapshot"]["features"]["2026-01-05"]
    assert document["cost"]["attempts"] == 1
    newest = tidemill("models", "compare", "demand")
    assert newest.out.startswith(f"demand: {refused} (refused) compared with {live} (live)")
    compared = tidemill("models", "compare", "demand", first, live)
    assert compared.code == 0, compared.err
    for words in (f"{live} (live) compared with {first} (approved)", "shop=market", "predict 1 row",
                  "- rounds: 60 -> 80"):  # fmt: skip
        assert words in compared.out
    body = tidemill("models", "compare", "demand", first, live, "--json").document["comparison"]
    assert body["latency"][live]["rows"] > 300
    assert body["same_rows"] == {"demand_scores": True}
    exported = tidemill("models", "export", "demand", first, "kept")
    assert exported.code == 0, exported.err
    manifest = json.loads((three / "kept" / "manifest.json").read_text())
    assert [*manifest["files"]] == [f"demand-{first}.lightgbm", "golden.parquet"]
    payloads = [(three / "kept" / name).read_bytes() for name in manifest["files"]]
    digests = [file["sha256"] for file in manifest["files"].values()]
    assert [hashlib.sha256(payload).hexdigest() for payload in payloads] == digests
    assert payloads[0].startswith(b"tree\n")
    golden = pl.read_parquet(payloads[1])
    booster = lgb.Booster(model_str=payloads[0].decode())
    inputs = golden.select(one["name"] for one in manifest["inputs"]).to_numpy()
    assert list(booster.predict(inputs)) == golden[f"{ORIGINAL}0"].to_list()
    assert (manifest["version"], manifest["inputs"][0]["name"]) == (first, "hour")
    # Once more changes nothing; another file in its place is kept.
    assert tidemill("models", "export", "demand", first, "kept").code == 0
    again = tidemill("models", "export", "demand", "kept")
    assert (again.code, "exists already" in again.err) == (2, True)


def test_the_newest_is_compared_with_the_version_that_it_replaced(built: Path) -> None:
    [first] = versions().values()
    alone = tidemill("models", "compare", "demand")
    assert alone.code == 2
    assert f"{first} is the only version of demand that was live" in alone.err
    retrain(built, '"rounds": 60', '"rounds": 80')
    compared = tidemill("models", "compare", "demand").out
    assert compared.startswith(
        f"demand: {versions()['live']} (live) compared with {first} (approved)"
    )


def test_what_is_live_is_moved_and_its_history_shown(three: Path) -> None:
    known = versions()
    live, first, refused = known["live"], known["approved"], known["refused"]
    ended = tidemill("rollback", "demand", "--reason", "too many loaves", "--note", "ana")
    assert ended.out.startswith(f"demand {first} is live in place of {live}, ")
    assert f"by {noted('ana')}: too many loaves\n- forecast keeps its delivered rows" in ended.out
    again = tidemill("rollback", "demand", "--json").document
    assert (again["schema"], again["delivery"]["moved"]) == ("tidemill.delivery/1", False)
    assert versions()["withdrawn"] == live
    assert f"withdrawn by {noted('ana')}" in tidemill("models", "show", "demand", live).out
    shown = tidemill("models", "history", "demand").out.splitlines()
    assert [line.split()[-4:] for line in shown[1:3]] == [
        [first, "-", "gates", "-"], [live, first, "gates", "-"],
    ]  # fmt: skip
    assert shown[3].endswith("(ana, rollback)  too many loaves")
    periods = tidemill("models", "history", "demand", "--json").document["periods"]
    assert [period["until"] is None for period in periods] == [False, False, True]
    ended = tidemill("deliver", "demand", refused)
    assert (ended.code, "refused on" in ended.err) == (4, True)
    for words in ("beats_live(mae)", "beats_baseline(mae)"):
        assert (words in ended.err) is (words == "beats_live(mae)")
    followed = tidemill("deliver", "demand", live[:8], "--run")
    assert followed.code == 0, followed.err
    assert f"demand {live} is live in place of {first}" in followed.out
    assert "run 2" in followed.out
    assert "receipt" in tidemill("deliver", "demand", live, "--run", "--json").document


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rollback", "demand"), "is the first version"),
        (("rollback", "dmand"), "there is no model 'dmand'"),
        (("deliver", "demand", "nope"), "has no version 'nope'"),
        (("models", "show", "dmand"), "there is no model 'dmand'"),
        (("models", "list", "sales"), "there is no model 'sales'"),
        (("models", "export", "demand", "a", "b", "c"), "MODEL, VERSION and PATH"),
    ],
)
def test_what_is_refused(built: Path, arguments: tuple[str, ...], words: str) -> None:
    ended = tidemill(*arguments)
    assert (ended.code, words in ended.err) == (2, True), ended.err


def test_a_card_is_printed_and_written_with_pictures(built: Path) -> None:
    printed = tidemill("models", "card", "demand")
    assert printed.code == 0, printed.err
    assert printed.out.startswith('---\nlibrary_name: "lightgbm"\n')
    assert "| `temperature` | Float64 | deg C |" in printed.out
    assert "![" not in printed.out
    ended = tidemill("models", "card", "demand", "--to", "card", "--json")
    document = ended.document
    assert (document["schema"], document["folder"]) == ("tidemill.model_card/1", "card")
    assert f"# demand `{document['version']}`" in document["markdown"]
    written = (built / "card" / "README.md").read_text()
    for name in ("evaluation-1-1.svg",):
        assert f"]({name})" in written
        assert (built / "card" / name).read_text().startswith("<svg")
    # A card replaces an earlier one, and nothing else.
    assert tidemill("models", "card", "demand", "--to", "card").out.startswith(
        "wrote card/README.md"
    )
    (built / "card" / "README.md").write_text("mine")
    refused = tidemill("models", "card", "demand", "--to", "card")
    assert (refused.code, "isn't a model card" in refused.err) == (2, True)
    assert (built / "card" / "README.md").read_text() == "mine"
    blocked = tidemill("models", "card", "demand", "--to", "card/README.md")
    assert blocked.code != 0
    assert "README.md" in blocked.err


def test_a_card_in_python_has_the_price_of_the_training(built: Path) -> None:
    settings = built / "pyproject.toml"
    text = settings.read_text()
    settings.write_text(text.replace("[tool.tidemill]\n", "[tool.tidemill]\ncpu_hour = 0.05\n"))
    with_price = tm.open(built)
    card = with_price.models["demand"].card()
    assert repr(card).startswith("<ModelCard demand ")
    assert "| price | 0" in card.markdown
    assert card._repr_markdown_().startswith("\n# demand")
    with_price.close()


def test_the_lineage_of_a_version_that_was_continued(built: Path) -> None:
    path = built / "bakery.py"
    text = path.read_text()
    for old, new in [
        ("    seed=7,\n", "    seed=7,\n    warm_start=4,\n"),
        ("seed: int\n) -> tm.Fitted", "seed: int, parent: tm.Parent | None\n) -> tm.Fitted"),
        ('params["rounds"])', 'params["rounds"], init_model=parent.model if parent else None)'),
        # Both have to go live.
        ('        tm.beats_live("mae"),\n', ""),
        ('        tm.no_slice_worse("mae", over="shop", by=0.10),\n', ""),
    ]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    assert tidemill("run", "--train", "demand").code == 0
    first = versions()["live"]
    runpy.run_path(str(built / "new_day.py"))["add_days"](built / "data", 1)
    planned = tidemill("plan", "--train", "demand")
    assert f"; continues {first}, generation 1 of 4" in planned.out
    document = tidemill("plan", "--train", "demand", "--json").document
    assert [step["parent"] for step in document["steps"] if step["id"] == "train demand"] == [first]
    assert tidemill("run", "--train", "demand").code == 0
    second = versions()["live"]
    shown = tidemill("models", "show", "demand", second).out
    assert f"  lineage     continues {first}, generation 1" in shown
    assert f"\n  continues {first}, generation 1\n" in tidemill("explain", "demand").out
    compared = tidemill("models", "compare", "demand", first, second).out
    [continues] = [line.split() for line in compared.splitlines() if line.startswith("continues")]
    [generation] = [line.split() for line in compared.splitlines() if line.startswith("generation")]
    assert (continues, generation) == (["continues", "-", first], ["generation", "0", "1"])
    assert "lineage" not in tidemill("models", "show", "demand", first).out
