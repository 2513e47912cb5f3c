"""The facts about a release of quarantined rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tidemill.governance.common_facts import ChangeContext, common_facts
from tidemill.ledger.policy import FactValue


def release_facts(
    context: ChangeContext, stage: str, reasons: Sequence[Collection[str]], rows: Collection[int]
) -> dict[str, FactValue]:
    """The facts about the release of some quarantined `rows` of a partition; without any, of all of them.

    `reasons` are the rules that each quarantined row broke.
    """
    chosen = sorted({*rows}) or range(len(reasons))
    broken = dict.fromkeys(rule for row in chosen for rule in reasons[row])
    return {
        **common_facts(context, stage),
        "rows": len(chosen),
        "share": len(chosen) / len(reasons) if reasons else None,
        "broken_rules": tuple(sorted(broken)),
    }
