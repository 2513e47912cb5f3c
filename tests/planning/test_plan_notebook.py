"""Plans in notebooks."""

from __future__ import annotations

from dataclasses import replace

from tests.planning.test_plan import planned
from tidemill.planning.plan import ModelState
from tidemill.planning.plan_notebook import plan_html
from tidemill.workflow.trigger import TriggerEvidence


def test_a_row_per_stage() -> None:
    found = plan_html(planned(2, 200))
    assert found.count("<tr>") == 4
    assert "<caption>w in prod: 400 steps</caption>" in found
    cells = '<td>run</td><td class="n">200</td><td class="n">0</td><td>0 .. 99 (200)</td>'
    assert f"<td>s0</td>{cells}" in found
    assert "<td>reason 0; reason 1; reason 2; 197 more reasons</td>" in found
    assert "</svg>due</span>" in found
    assert "nothing to do</span>" in plan_html(planned(0, 0))
    assert len(plan_html(planned(2, 2_000))) < 6_000


def test_what_triggers_saw() -> None:
    evidence = TriggerEvidence(trigger="every(7d)", fires=True, seen="<8 days>", note="held")
    model = ModelState(stage="m", outdated=(), due=(), evidence=evidence)
    found = plan_html(replace(planned(1, 1), models=(model,)))
    assert "<td>every(7d)</td><td>&lt;8 days&gt;</td>" in found


def test_a_large_plan_is_cut() -> None:
    assert len(plan_html(planned(3_000, 2)).encode()) < 200_000
