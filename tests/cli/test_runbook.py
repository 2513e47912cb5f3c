"""`tidemill runbook` writes a page that can be committed."""

from __future__ import annotations

from pathlib import Path

import pytest

import tidemill as tm
from tests.support.commands import edit, forgotten_imports, tidemill


def test_the_page_of_a_project_that_ran(built: Path) -> None:
    ended = tidemill("runbook", "--out", "docs/runbook.md")
    assert (ended.code, ended.out) == (0, "docs/runbook.md written\n")
    page = (built / "docs" / "runbook.md").read_text()
    assert "- **The workflow**: the-bakers" in page
    assert "- `sales`: at least 30 rows a partition" in page
    assert "| `forecast` | deliver | `features`, `demand` | - | by day of date |" in page
    assert "rule `large-shift` asks for a review of delivery" in page
    assert "- **superseded results**: 400 d" in page
    again = tidemill("runbook", "--out", "docs/runbook.md", "--check")
    assert (again.code, again.out) == (0, "docs/runbook.md is up to date\n")
    assert tidemill("runbook").out == page
    with forgotten_imports(), tm.open() as project:
        project.incidents.report("the tills are | down", severity="page", stage="sales")
    changed = tidemill("runbook", "--out", "docs/runbook.md", "--check")
    assert (changed.code, "differs" in changed.out) == (1, True)
    assert (built / "docs" / "runbook.md").read_text() == page
    assert "the tills are \\| down | it lasts | - |" in tidemill("runbook").out
    found = tidemill("runbook", "--json", "--dated").document
    assert found["schema"] == "tidemill.runbook/1"
    assert found["runbook"]["incidents"][0]["stage"] == "sales"
    assert found["runbook"]["written"]


def test_a_project_that_never_ran(fresh: Path) -> None:
    settings = fresh / "pyproject.toml"
    settings.write_text(
        settings.read_text()
        + '[tool.tidemill.alerts]\nowners = { sales = "tills" }\n'
        + '[tool.tidemill.alerts.channels.ops]\nkind = "slack"\nurl = "https://x/secret-1"\n'
        + '[tool.tidemill.schedules.nightly]\ncron = "0 2 * * *"\n'
        + '[tool.tidemill.scorecard]\ndeliver_within = "2d"\ncost_per_1000 = 0.002\n'
        + 'recover_within = "4h"\nfresh = "99 %"\n'
        + '[tool.tidemill.offpeak]\nfile = "prices.csv"\nzone = "UTC"\n'
        + '[tool.tidemill.slo.fresh]\nstage = "sales"\nfreshness = "26h"\ntarget = 0.99\n'
    )
    edit(
        fresh / "bakery.py",
        "    ],\n)",
        '    ],\n    review=tm.review(by="ops", when="rows > 5"),\n)',
    )
    edit(
        fresh / "bakery.py",
        "volume = tm.Rows(min=30)",
        'volume = tm.Rows(min=30, max=90)\n    recent = tm.Freshness("date", within="3d")',
    )
    ended = tidemill("runbook")
    assert ended.code == 0, ended.err
    assert "- **sales**: tills" in ended.out
    assert "at least 30 and at most 90 rows a partition" in ended.out
    assert "the newest date is at most 3d old" in ended.out
    assert "1 of ops have to agree when rows > 5" in ended.out
    assert "- **nightly**: 0 2 \\* \\* \\* (UTC): all stages" in ended.out
    assert "- **ops**: slack, every alert" in ended.out
    assert "secret-1" not in ended.out
    costs = ended.out.partition("## What it may cost, and its targets\n\n")[2].partition("\n\n##")[
        0
    ]
    assert costs.splitlines() == [
        "- **budget.monthly**: 40 CPU-hours",
        "- **off-peak**: what can wait does so for 24 h at most, by prices.csv",
        "- **changes are delivered**: within 2 d",
        "- **1,000 predictions cost**: at most 0.002 USD",
        "- **errors are recovered from**: within 4 h",
        "- **data are fresh**: 99 % of the time",
    ]
    # No state is begun for it.
    assert not (fresh / ".tidemill").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--check",), 2, "name it with --out"),
        (("--out", "data"), 2, "is a directory"),
        (("--out", "README.md/x.md"), 1, "can't be written"),
    ],
)
def test_what_can_not_be_written(
    fresh: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = tidemill("runbook", *arguments)
    assert (ended.code, said in ended.err) == (code, True)
