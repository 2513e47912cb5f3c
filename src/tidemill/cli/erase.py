"""`tidemill erase`: erase a person, and list where else their rows are."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.request_options import parse_duration
from tidemill.core.counts import plural
from tidemill.core.partition import WHOLE, place_name, summarize_keys
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
    lines = []
    if found.is_unknown:
        lines.append(f"nobody who acted is known as {found.subject.value!r}")
    if not found.places:
        lines.append("nothing is stored of this person")
    else:
        headers = ("kind", "place", f">{unit}s", "", "why")
        lines.append(text_table(*drop_empty_columns(headers, _rows(found), "why")))
    total = sum(found.removed.values())
    if found.done:
        lines.append(
            f"erased {plural(total, unit)}; recorded as {found.digest}, of which {found.salt} is the salt"
        )
    elif total:
        lines.append("nothing was changed: with --yes it is done")
    return "\n".join(lines)


def _rows(found: Erasure) -> list[tuple[str, ...]]:
    """A row for each place; the partitions of a table to which the same happens share one."""
    groups: dict[tuple[str, ...], list[ErasurePlace]] = {}
    for place in found.places:
        own = place_name(place.stage, place.partition)
        name, rest = (place.stage, place.name.removeprefix(own)) if own else (place.name, "")
        fate = _fate(place, done=found.done)
        groups.setdefault((place.kind.value, name, rest, fate, place.left or "-"), []).append(place)
    rows: list[tuple[str, ...]] = []
    for (kind, name, rest, fate, why), places in groups.items():
        keys = summarize_keys({place.partition for place in places} - {"", WHOLE})
        total = sum(place.rows for place in places)
        rows.append((kind, f"{name} {keys}".strip() + rest, f"{total:,}", fate, why))
    return rows


def _fate(place: ErasurePlace, *, done: bool) -> str:
    if place.left:
        return "stays" if place.rows else "unknown"
    return "removed" if done else "to remove"
