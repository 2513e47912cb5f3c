"""`tidemill plan --against`: what a change does is known before it is merged, and nothing is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.commands import edit, forgotten_imports, tidemill
from tests.support.repository import git
from tidemill.cli.render.change_review import MARK, MAX_BYTES
from tidemill.lineage.io.git_ref import ProjectAtRef
from tidemill.project import change_review
from tidemill.project.project import open_project

SHOP = '''"""What a shop takes in a day."""

import polars as pl

import tidemill as tm


class Orders(tm.Contract, version="1.0.0", key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    email = tm.String(pii="email")
    cents = tm.Int64(min=0)


class Daily(tm.Contract, version="1.0.0", key=("day",)):
    day = Orders.day
    orders = tm.UInt32()
    cents = tm.Int64()


flow = tm.Workflow("shop", owner="sales")


@flow.ingest
def orders() -> tm.Source[Orders]:
    return tm.files("data/*.csv")


@flow.transform
def daily(orders: tm.Frame[Orders]) -> tm.Frame[Daily]:
    return orders.group_by("day").agg(orders=pl.len(), cents=pl.col("cents").sum())


flow.table("report", stage=daily, sink=tm.parquet("out"))
'''
SETTINGS = '[tool.tidemill]\nworkflow = "shop:flow"\ncpu_hour = 0.05\n'
CODE, DATA = "shop.py", ("2026-03-01", "2026-03-02", "2026-03-03")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop that published three days and committed its code; its data isn't in the repository."""
    root = tmp_path_factory.mktemp("made") / "shop"
    (root / "data").mkdir(parents=True)
    for number, day in enumerate(DATA):
        rows = [f"{day},{n},ann{n}@example.org,{100 * (n + number)}" for n in range(3)]
        (root / "data" / f"{day}.csv").write_text("\n".join(["day,id,email,cents", *rows]) + "\n")
    (root / CODE).write_text(SHOP)
    (root / "pyproject.toml").write_text(SETTINGS)
    (root / ".gitignore").write_text(".tidemill/\ndata/\nout/\n__pycache__/\n")
    with forgotten_imports(), open_project(root) as project:
        project.run(inline=True)
    before = Path.cwd()
    os.chdir(root)
    try:
        git("init", "--quiet", "--initial-branch=main")
        git("add", ".")
        git("commit", "--quiet", "-m", "first")
    finally:
        os.chdir(before)
    return root


@pytest.fixture
def shop(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it, which is also the current folder."""
    root = tmp_path / "shop"
    shutil.copytree(made, root)
    monkeypatch.chdir(root)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    yield root
    # Nothing stays in the folder for temporary files, however a review ended.
    assert [*temporary.iterdir()] == []


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version at the ref is imported in this process: starting one takes longer than all the rest."""

    def ask(found: ProjectAtRef, workflow: str | None, command: Sequence[str]) -> str:
        into = found.folder.parent / "told.json"
        own = sys.modules.pop("shop", None)
        ended = tidemill("-C", str(found.folder), *command, str(into))
        if own is not None:
            sys.modules["shop"] = own
        assert ended.code == 0, ended.err
        return into.read_text()

    monkeypatch.setattr(change_review, "ask_version", ask)


def contents(root: Path) -> dict[str, bytes]:
    """All files of a project but the repository's, the probes that every plan keeps, and SQLite's log."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
        and not {".git", "__pycache__"} & {*path.relative_to(root).parts}
        and path.name != "probes.json"
        and not path.name.endswith(("-wal", "-shm"))
    }


def test_rows_of_both_versions_are_compared(shop: Path) -> None:
    edit(shop / CODE, 'pl.col("cents").sum()', '(pl.col("cents") + 1).sum()')
    before, status = contents(shop), git("status", "--porcelain")
    ended = tidemill("plan", "--against", "main")
    assert (ended.code, ended.err) == (0, "")
    lines = [" ".join(line.split()) for line in ended.out.split("\n")]
    assert lines[0].startswith("shop in prod against main (")
    assert "- 1 stage changed: daily; 1 stage downstream of them" in lines
    assert any(
        line.startswith("daily transform changed the expression for `cents`") for line in lines
    )
    assert any(line.startswith("report deliver downstream reads daily") for line in lines)
    compared = "daily 2026-03-02 .. 2026-03-03 (2) 2 2 - - 2 cents (2 rows, by at most 3) -"
    assert compared in lines
    # Neither the project nor the repository changed.
    assert contents(shop) == before
    assert git("status", "--porcelain") == status


def test_a_comment_for_a_pull_request(shop: Path) -> None:
    edit(shop / CODE, "cents = tm.Int64(min=0)", "cents = tm.Int64(min=150)")
    edit(shop / CODE, "orders = tm.UInt32()", "orders = tm.UInt32(nullable=True)")
    ended = tidemill("plan", "--against", "main", "--markdown", "--compare-rows", "3", "--json")
    found = ended.document
    assert found["schema"] == "tidemill.plan.against/1"
    [orders, daily] = found["rows"]["tables"]
    assert (orders["stage"], orders["before"], orders["after"], orders["removed"]) == (
        *("orders", 6, 5, 1),
    )
    assert (orders["quarantined_before"], orders["quarantined_after"]) == (0, 1)
    assert (daily["stage"], daily["columns"]) == ("daily", {"orders": 1, "cents": 1})
    # Of the first day too few rows are left.
    assert found["rows"]["skipped"]["orders"].startswith("2026-03-01: orders 2026-03-01 breaks its")
    assert found["rows"]["skipped"]["daily"].startswith("2026-03-01: orders 2026-03-01 breaks its")
    assert [each["stage"] for each in found["contracts"]] == ["orders", "daily"]
    assert found["plan"]["workflow"] == "shop"
    text = ended.err
    assert text.startswith(f"{MARK}\n### `shop` in `prod` against `main` (`")
    assert text.count("<details>") == text.count("</details>") >= 3
    assert "| orders | ingest | changed |" in text
    assert "ann0@example.org" not in text
    assert len(text.encode()) < MAX_BYTES


def test_nothing_changed(shop: Path, quick: None) -> None:
    ended = tidemill("plan", "--against", "HEAD")
    assert ended.code == 0
    assert "- no stage changed\n- plan: nothing to do" in ended.out
    assert "rows on a sample" not in ended.out


def test_a_stage_that_fails(shop: Path, quick: None) -> None:
    edit(
        shop / CODE,
        "return orders.group_by",
        'if orders.select("day").collect().height: raise ValueError("no\\n<b>luck</b>")\n'
        "    return orders.group_by",
    )
    ended = tidemill("plan", "--against", "main", "--compare-rows", "1", "--markdown")
    assert ended.code == 0
    assert "daily: not compared: 2026-03-03: " in ended.out
    assert "ValueError: no <b>luck</b>" in ended.out


def test_a_stage_that_never_ends(shop: Path, quick: None) -> None:
    edit(
        shop / CODE,
        "return orders.group_by",
        'if orders.select("day").collect().height: [None for _ in iter(int, 1)]\n'
        "    return orders.group_by",
    )
    ended = tidemill("plan", "--against", "main", "--compare-for", "1s")
    assert ended.code == 0
    assert "daily: not compared: the time limit of 1 s ended before it was computed" in ended.out


def test_new_stages_and_stages_that_have_another_name(shop: Path, quick: None) -> None:
    edit(shop / CODE, "def daily(orders", "def per_day(orders")
    edit(shop / CODE, "stage=daily", "stage=per_day")
    edit(
        shop / CODE,
        "flow.table(",
        "@flow.transform\ndef busy(per_day: tm.Frame[Daily]) -> tm.Frame[Daily]:\n"
        '    return per_day.filter(pl.col("orders") > 1)\n\n\nflow.table(',
    )
    found = tidemill("plan", "--against", "main", "--json").document
    # The delivery reads another stage by name, so that which one it became is known.
    assert [(each["stage"], each["what"], each["was"]) for each in found["edits"][:2]] == [
        ("per_day", "renamed", "daily"), ("busy", "new", ""),
    ]  # fmt: skip
    renamed, new = found["rows"]["tables"]
    assert (renamed["stage"], renamed["changed"], renamed["before"]) == ("per_day", 0, 2)
    assert (new["stage"], new["new"], new["after"]) == ("busy", True, 2)


def test_what_costs_money_or_reaches_outside_is_not_tried(shop: Path, quick: None) -> None:
    edit(shop / CODE, "@flow.transform\n", "@flow.transform\n@tm.impure\n")
    edit(shop / CODE, 'pl.col("cents").sum()', '(pl.col("cents") + 1).sum()')
    ended = tidemill("plan", "--against", "main")
    assert ended.code == 0
    assert "- daily: impure: none -> it is recomputed in every run" in ended.out
    assert "daily: not compared: it is declared impure" in ended.out


def test_a_sink_that_becomes_public_and_rules_that_change(shop: Path, quick: None) -> None:
    (shop / "tidemill.rules.toml").write_text(
        '[[rule]]\nid = "public"\non = ["table"]\nwhen = "public_sink"\nmessage = "ask first"\n'
        'effect = "review"\n'
    )
    edit(shop / CODE, 'sink=tm.parquet("out")', 'sink=tm.parquet("out"), public=True')
    (shop / "data" / "2026-03-04.csv").write_text("day,id,email,cents\n2026-03-04,1,x,5\n")
    ended = tidemill("plan", "--against", "main", "--compare-rows", "0")
    # People have to agree.
    assert ended.code == 4
    assert "- report: public sink: no -> yes" in ended.out
    assert "- policy rules: public (new)" in ended.out
    assert "report: rule public will ask for a review: ask first" in ended.out
    assert "review by everybody, because the project declares no roles" in ended.out


def test_what_is_reused_reruns_nothing_and_rules_were_asked(shop: Path, quick: None) -> None:
    (shop / "tidemill.rules.toml").write_text(
        '[[rule]]\nid = "public"\non = ["table"]\nwhen = "public_sink"\nmessage = "ask first"\n'
    )
    for more in ("+ 1", "+ 2"):
        edit(shop / CODE, 'pl.col("cents").sum()', f'pl.col("cents").sum() {more}')
        with forgotten_imports(), open_project(shop) as project:
            project.run(inline=True)
        git("checkout", "--quiet", "shop.py")
    edit(shop / CODE, 'pl.col("cents").sum()', 'pl.col("cents").sum() + 1')
    ended = tidemill("plan", "--against", "main", "--compare-rows", "0")
    assert ended.code == 0
    (daily,) = [line.split() for line in ended.out.splitlines() if line.startswith("  daily ")][:1]
    assert (daily[2], daily[-1]) == ("changed", "-")
    assert "reuse" in ended.out
    assert "- rules: nothing that is known before a run holds it back; what moves" in ended.out


def test_a_contract_that_may_not_change_like_this(shop: Path, quick: None) -> None:
    edit(shop / CODE, 'Daily(tm.Contract, version="1.0.0"', 'Daily(tm.Contract, version="0.9.0"')
    ended = tidemill("plan", "--against", "main", "--compare-rows", "0")
    assert (ended.code, "the version decreased; raise it" in ended.out) == (3, True)
    assert "- 1 contract changed, 1 in a way that isn't allowed" in ended.out


def test_a_base_that_can_not_be_imported(shop: Path) -> None:
    text = (shop / CODE).read_text()
    (shop / CODE).write_text("import nowhere\n")
    git("commit", "--quiet", "-am", "broken")
    (shop / CODE).write_text(text)
    ended = tidemill("plan", "--against", "main")
    assert ended.code == 0
    assert "- the version at `main` can't be loaded, so only the plan is shown".replace(
        "`", ""
    ) in ended.out.replace("`", "")
    assert "the workflow imports 'nowhere', which isn't installed" in ended.out
    assert "- plan: nothing to do" in ended.out


def test_a_project_that_was_not_there(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = shop / "inner"
    inner.mkdir()
    for name in (CODE, "pyproject.toml"):
        shutil.copy(shop / name, inner / name)
    monkeypatch.chdir(inner)
    ended = tidemill("plan", "--against", "main", "--markdown")
    assert (ended.code, "at main there is no folder inner" in ended.out) == (0, True)
    # Nothing was published there, and nothing is begun.
    assert not (inner / ".tidemill").exists()


def test_without_a_home_only_the_code_is_compared(shop: Path, quick: None) -> None:
    shutil.rmtree(shop / ".tidemill")
    shutil.rmtree(shop / "data")
    edit(shop / CODE, 'pl.col("cents").sum()', '(pl.col("cents") + 1).sum()')
    ended = tidemill("plan", "--against", "main")
    assert ended.code == 0
    assert "- 1 stage changed: daily; 1 stage downstream of them" in ended.out
    assert "- what would rerun isn't known: nothing is published here" in ended.out
    assert "not compared: nothing is published here" in ended.out
    assert not (shop / ".tidemill").exists()


def test_an_environment_without_data(shop: Path, quick: None) -> None:
    edit(shop / CODE, 'pl.col("cents").sum()', '(pl.col("cents") + 1).sum()')
    assert tidemill("env", "create", "empty", "--empty").code == 0
    ended = tidemill("plan", "--against", "main", "--env", "empty")
    assert ended.code == 0
    assert "daily: not compared: nothing of it is published" in ended.out


def test_a_shallow_clone(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git("commit", "--quiet", "--allow-empty", "-m", "second")
    git("tag", "v1", "HEAD~1")
    subprocess.run(
        [
            "git",
            "clone",
            "--quiet",
            "--depth=1",
            "--no-tags",
            shop.as_uri(),
            str(tmp_path / "clone"),
        ],
        check=True,
        capture_output=True,
    )
    monkeypatch.chdir(tmp_path / "clone")
    ended = tidemill("plan", "--against", "origin/v1")
    assert ended.code == 2
    assert "which is a shallow clone: fetch it first" in ended.err
    assert "git fetch --depth=1 origin v1" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--against", "nowhere"), "there is no commit 'nowhere'"),
        (("--against=--all",), "there is no commit '--all'"),
        (("--against", "main", "--why"), "--why and --against can't be combined"),
        (("--compare-rows", "1"), "--against compares; add it"),
        (("--against", "main", "--compare-rows", "-1"), "-1"),
        (("--against", "main", "--compare-for", "soon"), "'soon' is not a duration"),
        (("nothing", "--against", "main"), "there is no stage 'nothing'"),
    ],
)
def test_what_can_not_be_asked(shop: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = tidemill("plan", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_no_repository_and_no_git(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(shop / ".git")
    ended = tidemill("plan", "--against", "main")
    assert (ended.code, ended.err) == (2, f"error: {shop} isn't in a git repository\n")
    monkeypatch.setenv("PATH", "")
    ended = tidemill("plan", "--against", "main")
    assert (ended.code, "can't find `git` on the path" in ended.err) == (2, True)


def test_who_may_not_plan_sees_nothing(shop: Path) -> None:
    (shop / "pyproject.toml").write_text(f'{SETTINGS}[tool.tidemill.roles]\nsomebody = "admin"\n')
    ended = tidemill("plan", "--against", "main")
    assert (ended.code, ended.out) == (7, "")


def test_a_long_comment_is_cut(shop: Path, quick: None) -> None:
    more = "".join(
        f"@flow.transform\ndef copy_{n:03}(orders: tm.Frame[Orders]) -> tm.Frame[Daily]:\n"
        f'    return orders.group_by("day").agg(orders=pl.len(), cents=pl.lit({n}))\n\n\n'
        for n in range(150)
    )
    edit(shop / CODE, "flow.table(", f"{more}flow.table(")
    ended = tidemill("plan", "--against", "main", "--markdown", "--compare-rows", "0")
    assert ended.code == 0
    assert "and 50 more stages" in ended.out
    assert len(ended.out.encode()) <= MAX_BYTES
    assert ended.out.count("<details>") == ended.out.count("</details>")
