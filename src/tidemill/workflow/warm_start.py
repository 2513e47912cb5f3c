"""Check the declaration of a model whose trainings continue the version before."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.core.errors import Fault


def warm_start_faults(
    model: str, place: str, warm_start: object, *, takes_parent: bool, searches: bool
) -> Iterator[Fault]:
    """Yield what is wrong with the `warm_start` of a model, and with its parameter `parent`."""
    who = f"model {model!r}"
    if warm_start is None:
        if takes_parent:
            message = f"{who} takes a parent, but doesn't declare how often one is continued"
            hint = "write warm_start=5 to train from scratch after five continued versions"
            yield Fault(message=message, where=place, hint=hint)
        return
    if not isinstance(warm_start, int) or isinstance(warm_start, bool) or warm_start < 0:
        message = f"{who}: warm_start={warm_start!r} is not a whole number of at least 0"
        hint = "it is how many versions are continued before a training from scratch: warm_start=5"
        yield Fault(message=message, where=place, hint=hint)
    if not takes_parent:
        message = f"{who} declares warm_start={warm_start!r}, but its function takes no parent"
        hint = "add a parameter `parent: tm.Parent | None`, and continue parent.model"
        yield Fault(message=message, where=place, hint=hint)
    if searches:
        message = f"{who} has both a search and warm_start={warm_start!r}"
        hint = "a model that was trained with other parameters can't be continued: leave out one"
        yield Fault(message=message, where=place, hint=hint)
