"""Personal data are for people with a role."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.people import ROLES, open_as, write_settings
from tests.support.tides import LENIENT, Tides, day
from tidemill.console.personal_values import HIDDEN, hidden_columns, personal_columns
from tidemill.console.views.quarantined_row import show_quarantined_row
from tidemill.console.views.row_rulings import correct_row
from tidemill.console.views.stage_drift import show_drift
from tidemill.console.views.stage_profile import show_profile
from tidemill.console.views.stage_quarantine import list_quarantined_rows, show_quarantined
from tidemill.console.views.stage_rows import show_rows
from tidemill.core.errors import UsageError
from tidemill.ledger.access_token import TokenScope


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    tides = Tides(tmp_path / "project", LENIENT)
    tides.edit(
        "value = tm.Float64(nullable=True,", 'value = tm.Float64(pii="health", nullable=True,'
    )
    tides.send(0, (1.0, 2000.0))
    tides.send(1, (3.0,))
    tides.run()
    write_settings(tides.root, ROLES)
    return tides


def test_a_viewer_sees_none_of_the_values(tides: Tides) -> None:
    with open_as(tides, "vera") as project:
        stage = project.workspace.stage("raw")
        assert dict(personal_columns(project, stage, ["id", "value"])) == {"value": "health"}
        # What the contract doesn't name may hold anything.
        assert hidden_columns(project, stage, ["id", "value", "more"]) == {"value", "more"}
        rows = show_rows(project, "raw", day(0)).table
        listed = list_quarantined_rows(project, "raw", day(0)).table
        first = show_quarantined(project, "raw", day(0)).table
        row = show_quarantined_row(project, "raw", 0, day(0))
        profile = show_profile(project, "raw", day(0))
        drift = show_drift(project, "raw")
    assert [column.name for column in rows.columns if column.is_hidden] == ["value"]
    for table in (rows, listed, first):
        at = [column.name for column in table.columns].index("value")
        assert {one.cells[at] for one in table.rows} == {HIDDEN}
        assert all(HIDDEN not in (*one.cells[:at], *one.cells[at + 1 :]) for one in table.rows)
    assert [(cell.text, cell.is_editable) for cell in row.cells if cell.name == "value"] == [
        (HIDDEN, False)
    ]
    [value] = [column for column in profile.columns if column.name == "value"]
    assert (value.is_hidden, value.least, value.mean, value.top) == (True, None, None, ())
    assert not value.shares.now
    assert [column.shares.now for column in drift.columns if column.name == "value"] in ([], [()])


def test_an_operator_sees_them_unless_the_settings_ask_for_more(tides: Tides) -> None:
    with open_as(tides, "otto") as project:
        assert hidden_columns(project, project.workspace.stage("raw"), ["value", "more"]) == set()
        assert HIDDEN not in show_rows(project, "raw", day(0)).table.rows[0].cells
    write_settings(tides.root, f'{ROLES}\n[tool.tidemill.console]\npersonal = "admin"\n')
    with open_as(tides, "otto") as project:
        assert HIDDEN in show_rows(project, "raw", day(0)).table.rows[0].cells
        with pytest.raises(UsageError, match="value holds personal data, which you may not see"):
            correct_row(project, "raw", 0, "guessed", '{"value": "1.0"}', partition=day(0))


@pytest.mark.parametrize(
    ("scopes", "is_seen"),
    [
        ((TokenScope.READ,), False),
        ((TokenScope.PREDICT, TokenScope.READ), False),
        ((TokenScope.RUN,), True),
        ((TokenScope.READ, TokenScope.REVIEW), True),
    ],
)
def test_a_token_that_may_only_read_sees_what_viewers_see(
    tides: Tides, scopes: tuple[TokenScope, ...], is_seen: bool
) -> None:
    with open_as(tides, "otto") as project:
        actor = replace(project.workspace.actor, token="t1", scopes=frozenset(scopes))
        project.workspace = project.workspace.acting_as(actor)
        assert (HIDDEN not in show_rows(project, "raw", day(0)).table.rows[0].cells) == is_seen


def test_of_a_stage_that_is_gone_nothing_is_known(tides: Tides) -> None:
    tides.text = tides.text.replace("def doubled(", "def other(").replace("doubled", "other")
    for person, is_seen in (("vera", False), ("otto", True)):
        with open_as(tides, person) as project:
            table = show_rows(project, "doubled", day(0)).table
        assert table.columns
        assert [column.is_hidden for column in table.columns] == [not is_seen] * len(table.columns)
