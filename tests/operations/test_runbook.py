"""A runbook tells what is known, names commands that exist, and changes only with what it tells."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.cli import cli
from tidemill.operations.runbook import (
    RunbookEndpoint,
    RunbookFacts,
    RunbookIncident,
    RunbookStage,
    render_runbook,
)

SALES = RunbookStage(
    name="sales", kind="ingest", owner="tills", contract="Sales 1.0.0", partitions="by day of date",
    needs=("the newest date is at most 26h old (it warns)",), retries=2, wall_s=0.3, fails=True,
)  # fmt: skip
DEMAND = RunbookStage(
    name="demand", kind="model", owner="bakers", reads=("sales",), gates=("beats_live(mae)",),
    approval="2 of ops have to agree", wall_s=90_000.0,
)  # fmt: skip
FORECAST = RunbookStage(
    name="forecast", kind="deliver", owner="bakers", reads=("sales", "demand"), sink="parquet",
    model="demand",
)  # fmt: skip
FACTS = RunbookFacts(
    workflow="bakery",
    environment="prod",
    owner="bakers",
    stages=(SALES, DEMAND, FORECAST),
    endpoints=(RunbookEndpoint(name="loaves", model="demand", rollout=True),),
    incidents=(
        RunbookIncident(id="i2", day="2026-03-02", title="it lasts", stage="sales"),
        RunbookIncident(
            id="i1", day="2026-03-01", title="sales failed", ended="retried", took_s=600.0
        ),
    ),
    people=(("run", "ana"),),
    alerts=(("ops", "slack, every alert"),),
    schedules=(("nightly", "0 2 * * * (UTC): all stages"),),
    objectives=(("fresh", "sales is fresh within 1 h, 99 % over 28 d"),),
    rules=(("owner-declared", "refuses delivery: nobody answers"),),
    keeps=(("logs", "90 d"),),
)


def test_what_it_tells() -> None:
    text = render_runbook(FACTS)
    for said in (
        "# Runbook: bakery\n",
        "- **The workflow**: bakers\n- **sales**: tills\n- **To run**: ana",
        "| `sales` | ingest | - | Sales 1.0.0 | by day of date | 0.5 s | 2 |",
        "| `demand` | model | `sales` | - | - | more than a day | - |",
        "- **nightly**: 0 2 \\* \\* \\* (UTC): all stages",
        "- `sales`: the newest date is at most 26h old (it warns)",
        "- objective `fresh`: sales is fresh within 1 h",
        "| `i2` | 2026-03-02 | `sales` | it lasts | it lasts | - |",
        "| `i1` | 2026-03-01 | - | sales failed | retried | 15 min |",
        "Steps of `sales` failed in the last runs: `tidemill runs stages`.",
        "| one partition of sales | `tidemill run sales PARTITION --again` |",
        "| all of forecast | `tidemill run forecast --again` |",
        "| a span of time of a stage |",
        "| train demand now | `tidemill run --train demand` |",
        "| the model demand (answers at loaves) | `tidemill rollback demand --reason TEXT` |",
        "| the table forecast in parquet | `tidemill restore forecast RUN` |",
        "| hold the rollout at loaves | `tidemill endpoints hold loaves` |",
        "- `demand` goes live if it passes `beats_live(mae)`\n- `demand`: 2 of ops have to agree",
        "- rule `owner-declared` refuses delivery: nobody answers",
        "- **ops**: slack, every alert",
        "- **logs**: 90 d",
    ):
        assert said in text
    assert text == render_runbook(FACTS)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "Written on" not in text
    assert "Written on 2026-03-02." in render_runbook(replace(FACTS, written="2026-03-02"))


def test_what_isn_t_there() -> None:
    text = render_runbook(RunbookFacts(workflow="empty", environment="prod", owner="", stages=()))
    assert "**The workflow**: nobody" in text
    assert "No schedule is declared." in text
    assert "Nothing is promised" in text
    assert "No incident is recorded, and no step failed in the last runs." in text
    assert "No channel is set" in text
    for title in ("Bad rows", "Roll back", "Gates and approvals", "What is kept"):
        assert f"## {title}" not in text


def test_many_incidents_are_counted() -> None:
    many = tuple(RunbookIncident(id=f"i{n}", day="2026-03-01", title="x") for n in range(23))
    text = render_runbook(replace(FACTS, incidents=many))
    assert text.count("| `i") == 20
    assert "And 3 earlier incidents: `tidemill incidents`." in text


def test_commands_name_the_environment() -> None:
    text = render_runbook(replace(FACTS, environment="dev-ana", schedules=()))
    assert "`tidemill run --train demand --env dev-ana`" in text
    assert "without it `tidemill run --env dev-ana` does" in text
    # A home is that of all environments.
    assert "`tidemill home backup FOLDER`" in text


@pytest.mark.parametrize(
    "line", sorted({*re.findall(r"`(tidemill [^`]*)`", render_runbook(FACTS))})
)
def test_each_command_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            break
        command = found
        words.pop(0)
    default = getattr(command, "_default", "")
    if isinstance(command, click.Group) and default:
        chosen = command.get_command(context, default)
        assert chosen is not None
        command = chosen
    options = {name for each in command.params for name in each.opts}
    assert {word for word in words if word.startswith("--")} <= options


TEXT = st.text(max_size=12).filter(str.strip)


@given(TEXT, TEXT, TEXT)
def test_text_from_outside_makes_no_sections_rows_or_links(
    name: str, title: str, owner: str
) -> None:
    plain = RunbookIncident(id="i1", day="2026-03-01", title="x")
    rules = (("r", "x"),)
    simple = replace(FACTS, incidents=(plain,), rules=rules, owner="o")
    hostile = replace(
        FACTS, incidents=(replace(plain, title=title),), rules=((name, title),), owner=owner
    )
    one, other = (render_runbook(each).split("\n") for each in (simple, hostile))

    def shape(lines: list[str]) -> list[str]:
        """The level of each heading, the number of cells of each row, and that there is another line."""
        return [
            line.split(" ")[0]
            if line.startswith("#")
            else "|" * len(re.findall(r"(?<!\\)\|", line))
            if line.startswith("|")
            else line[:2]
            for line in lines
        ]

    assert shape(other) == shape(one)
