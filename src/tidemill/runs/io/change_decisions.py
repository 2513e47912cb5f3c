"""Whether what a run made may reach its users: without rules and reviews, all of it.

What decides by them is loaded only where there are some.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tidemill.governance.change_verdict import ALLOWED, Verdict
from tidemill.ledger.binding import Product
from tidemill.ledger.review import Review
from tidemill.workflow.stage import Stage

if TYPE_CHECKING:
    from tidemill.runs.io.gate_step import GateVerdict


class ChangeDecisions:
    """Lets every change of a run go on. `kept` are models and tables that are kept from users: none."""

    def __init__(self) -> None:
        self.kept: set[str] = set()

    def decide_delivery(
        self, model: Stage, verdict: GateVerdict, *, compare_live: bool, again: bool = False
    ) -> GateVerdict:
        """Return the verdict of the gates with that of the rules and people.

        With `compare_live` the live model was evaluated on the same rows. With `again` people are asked once
        more about what they rejected.
        """
        return verdict

    def waiting_review(self, model: str, evidence: str) -> Review | None:
        """The open review of a candidate that was measured by this evidence last; None if there is none."""
        return None

    def refusal(self, stage: str) -> str:
        """Why a stage isn't published, because of its contract; "" if it may be."""
        return ""

    def governs_table(self, stage: Stage) -> bool:
        """Whether rules are on what a stage delivers to a sink."""
        return False

    def decide_table(
        self, stage: Stage, new: Mapping[str, Product | None], *, again: bool = False
    ) -> Verdict:
        """Decide on partitions that would go to the sink of a table, or be removed from it (None)."""
        return ALLOWED
