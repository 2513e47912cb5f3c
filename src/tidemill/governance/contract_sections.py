"""What people are told about a contract that would replace another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidemill.contracts.compatibility.diff import diff
from tidemill.governance.change_detail import ChangeDetail
from tidemill.governance.contract_facts import ContractChange
from tidemill.governance.page_values import page_table, section
from tidemill.lineage.impact import Consequence, consequences

_BACK = (
    "the table stays published by the contract before if this is rejected",
    "if it is approved and turns out to be wrong, declare the contract before again, and run: that "
    "changes the contract, too",
)


def contract_detail(change: ContractChange, owner: str) -> ChangeDetail:
    """The sentences and sections about a changed contract; the `owner` is that of those who read it."""
    if change.old is None:
        return ChangeDetail(
            changes=(f"{change.stage} would be published by {change.new.title}",),
            worse=("the contract before isn't recorded, so that it isn't known what breaks",),
            back=_BACK,
        )
    found = diff(change.old, change.new)
    effects = consequences(found, change.consumers, (change.old, change.new))
    rows = [(each.about, each.words, str(each.direction), each.note) for each in found.changes]
    readers = [*_readers(change, effects, owner)]
    return ChangeDetail(
        changes=(
            f"{change.stage} is published by {change.old.title}, and would be by {change.new.title}",
            *(str(each) for each in found.changes if not each.told),
        ),
        worse=tuple(
            f"{name} breaks: {why}{_of(who)}"
            for name, breaks, why, who, _ in readers
            if breaks == "yes"
        ),
        back=_BACK,
        sections=(
            section(
                "Changes of the contract",
                table=page_table(("about", "change", "effect", "note"), rows),
            ),
            section(
                "Who reads it",
                table=page_table(("stage", "breaks", "why", "owner", "declared in"), readers),
            ),
        ),
    )


def _of(owner: str) -> str:
    return f" (owner: {owner})" if owner else ""


def _readers(
    change: ContractChange, effects: Sequence[Consequence], owner: str
) -> Iterator[tuple[str, str, str, str, str]]:
    """The stages that read the table, those that break first, and the tables that deliver it."""
    broken = change.broken or ()
    places = {consumer.stage: consumer.place for consumer in change.consumers}
    names = dict.fromkeys((*broken, *places, *change.tables))
    for name in names:
        own = [each for each in effects if each.stage == name]
        worst = [each for each in own if each.breaks] or own
        why = "; ".join(dict.fromkeys(f"{each.change}: {each.why}" for each in worst))
        if name in change.tables:
            public = ", also to people outside of the organization" if change.public else ""
            lost = "; ".join(map(str, change.breaking or ()))
            why = ": ".join(filter(None, [f"it delivers these rows{public}", lost]))
        yield (
            name,
            "yes" if name in broken else "maybe" if own else "no",
            why or "it reads nothing that changes",
            owner,
            places.get(name, ""),
        )
