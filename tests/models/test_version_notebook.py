"""Versions of models in notebooks."""

from __future__ import annotations

from dataclasses import replace

from tests.models.test_card import evaluated, scored, whole
from tidemill.ledger.model_version import VersionState
from tidemill.models.version_notebook import DRAWN_STATES, version_html, versions_html
from tidemill.workflow.gate import Scores


def test_a_version() -> None:
    version = whole()
    html = version_html(version)
    assert html == version._repr_html_()
    assert "</svg>live</span>" in html
    # By day, by slice, and the curve.
    assert html.count('role="img"') == 3
    assert "<td>mae</td>" in html
    assert "<td>beats_live(mae)</td>" not in html  # the last decision is a person's
    judged = version_html(replace(version, decisions=version.decisions[:1]))
    assert "<td>beats_live(mae)</td><td>passed</td>" in judged


def test_a_version_that_was_not_evaluated() -> None:
    html = version_html(whole(evaluations=(), decisions=()))
    assert "<svg" in html  # the glyph of its state
    assert 'role="img"' not in html


def test_many_slices_and_evaluations() -> None:
    stages = [evaluated(scored(days=400, slices=500), f"s{n}") for n in range(9)]
    html = version_html(whole(evaluations=tuple(stages)))
    assert len(html.encode()) < 200_000
    assert "<td>s0: mae</td>" in html


def test_versions_have_a_line() -> None:
    newest = whole()
    older = whole(evaluations=(evaluated(Scores(rows=5, metrics={"mae": 2.0})),))
    html = versions_html("m <b>", [newest, older])
    assert "mae of the last 2 versions: 2 to 1" in html
    assert "<caption>m &lt;b&gt;</caption>" in html
    assert "<svg" not in versions_html("m", [newest, whole(evaluations=())])
    assert set(DRAWN_STATES) == {*VersionState}
