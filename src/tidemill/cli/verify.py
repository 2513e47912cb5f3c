"""`tidemill verify`: verify the ledger, the stored objects and the delivered files."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.counts import plural
from tidemill.project.verification import Verification

_KINDS = {"events": "event", "objects": "object", "memos": "memo", "deliveries": "delivery"}


@click.command()
@click.option("--deep", is_flag=True, help="Verify every object by its SHA-256.")
@click.option("--repair", is_flag=True,
              help="Rebuild the ledger, compute damaged objects, deliver files again.")  # fmt: skip
@json_option
@project_options
def verify(deep: bool, repair: bool, as_json: bool) -> None:
    """Verify the ledger, every stored object, and every delivered file.

    Exits with 1 if something is wrong and wasn't repaired. Objects are verified by the checksums that were
    noted when they were written. A damaged object is remembered: the next run computes it. With --repair,
    that is done at once: a ledger with intact events is rebuilt from them (the old file is kept), a run
    computes damaged objects, and files that were deleted or changed are delivered again.
    """
    with project_session() as project:
        found = project.stored_state.verify(deep=deep, repair=repair)
    print_result(_text(found), as_json, "tidemill.verification/1", lambda: {"verification": found})
    click.get_current_context().exit(0 if found.is_sound else 1)


def _text(found: Verification) -> str:
    counts = ", ".join(plural(found.checked[kind], one) for kind, one in _KINDS.items())
    lines = [
        f"{'repaired' if problem.repaired else 'damaged'}: {problem.place}: {problem.message}"
        for problem in found.problems
    ]
    left = sum(not problem.repaired for problem in found.problems)
    if not found.problems:
        lines.append("nothing is damaged")
    elif left:
        advice = "`tidemill verify --repair` repairs what can be repaired"
        lines.append(f"{plural(left, 'problem')}; {advice}")
    is_whole = all(problem.repaired for problem in found.problems if problem.kind == "ledger")
    head = (
        f"verified {counts}" if is_whole else "verified the ledger, and nothing else: it is damaged"
    )
    return "\n".join([head, *lines, *found.notes])
