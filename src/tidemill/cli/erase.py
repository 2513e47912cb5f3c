"""`tidemill erase`: erase a person, and list where else their rows are."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.request_options import parse_duration
from tidemill.core.counts import plural
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.governance.erasure import Erasure, ErasurePlace, parse_subject


@click.command()
@click.argument("name", default="", metavar="[NAME]")
@click.option("--column", default="", metavar="COLUMN=VALUE",
              help="Erase the rows with this key, such as customer_id=123.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do it; without, it is only shown.")
@click.option("--reason", default="", metavar="TEXT", help="Record why.")
@click.option("--wait", default="0", callback=parse_duration, metavar="DURATION",
              help="Wait up to DURATION for a run to end, such as 30s or 5m.")  # fmt: skip
@json_option
@project_options
def erase(name: str, column: str, yes: bool, reason: str, wait: float, as_json: bool) -> None:
    """Erase a person who acted by NAME, or the rows of a person by a key.

    A name is removed from the table of people, pages of reviews and logs: events then show an erased person.
    Rows are removed from prediction logs and quarantines. What else has the name or the rows is listed, with
    what to do. The ledger records that it was done, with a salted digest in place of the value.
    """
    subject = parse_subject(name, column)
    with project_session() as project:
        if yes:
            found = project.erasures.erase(subject, reason=reason, wait_s=wait)
        else:
            found = project.erasures.find(subject)
    print_result(
        _text(found),
        as_json,
        "tidemill.erasure/1",
        lambda: {"erasure": found, "removed": found.removed, "left": found.left},
        data=True,
    )


def _text(found: Erasure) -> str:
    unit = "row" if found.subject.column else "mention"
    if not found.places:
        lines = ["nothing is stored of this person"]
    else:
        rows = [
            (place.kind.value, place.name, f"{place.rows:,}", _fate(place, done=found.done),
             place.left or "-")
            for place in found.places
        ]  # fmt: skip
        headers = ("kind", "place", f">{unit}s", "", "why")
        lines = [text_table(*drop_empty_columns(headers, rows, "why"))]
    total = sum(found.removed.values())
    if found.done:
        lines.append(
            f"erased {plural(total, unit)}; recorded as {found.digest}, of which {found.salt} is the salt"
        )
    elif total:
        lines.append("nothing was changed: with --yes it is done")
    return "\n".join(lines)


def _fate(place: ErasurePlace, *, done: bool) -> str:
    if place.left:
        return "stays" if place.rows else "unknown"
    return "removed" if done else "to remove"
