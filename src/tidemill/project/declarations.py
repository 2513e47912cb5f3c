"""What a project declares about its spending, for rules to see."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from tidemill.core.errors import UsageError, did_you_mean


def check_declarations(place: str, table: Mapping[str, object]) -> None:
    """Raise UsageError for a budget in the settings that says nothing, or something else."""
    budget = _table(place, table, "budget", "monthly")
    if budget is not None:
        monthly = budget.get("monthly")
        is_number = isinstance(monthly, int | float) and not isinstance(monthly, bool)
        if not is_number or not isfinite(monthly) or monthly <= 0:  # type: ignore[arg-type, operator]
            raise UsageError(f"{place}.budget] monthly = {monthly!r} is not an amount, such as 500")


def _table(
    place: str, table: Mapping[str, object], name: str, key: str
) -> Mapping[str, object] | None:
    """A table of the settings that has one key; None without the table."""
    found = table.get(name)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise UsageError(
            f"{place}] {name} = {found!r} is not a table: write [tool.tidemill.{name}]"
        )
    for other in found:
        if other != key:
            raise UsageError(f"{place}.{name}] {other}: {did_you_mean(other, [key])}")
    if key not in found:
        raise UsageError(f"{place}.{name}] has no {key}")
    return found
