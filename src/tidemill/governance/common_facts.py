"""The facts that every change has: what changes, where, and who asked for it."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.policy import FactValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeContext:
    """Where a change is made, by whom, and what the project declares.

    `sample` is the share of source rows that the environment's runs read. `keeps` and `budget` say whether it
    is declared how long data is kept, and how much may be spent.
    """

    workflow: str
    environment: str
    author: str
    owner: str = ""
    profile: str = ""
    sample: float = 1.0
    keeps: bool = False
    budget: bool = False


def common_facts(context: ChangeContext, name: str) -> dict[str, FactValue]:
    """The facts of any change under a name: of a stage, a model or an environment."""
    return {
        "name": name,
        "workflow": context.workflow,
        "environment": context.environment,
        "profile": context.profile,
        "author": context.author,
        "owner": context.owner,
        "sampled": context.sample < 1,
    }
