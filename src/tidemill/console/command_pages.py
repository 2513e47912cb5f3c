"""Find the page that shows what a command shows, so that advice in words is also a link."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TypeAlias

Page: TypeAlias = tuple[tuple[str, ...], dict[str, str]]
_ONE = {
    "runs": "Open the run",
    "reviews": "Open the review",
    "incidents": "Open the incident",
    "models": "Open the model",
    "stages": "Open the stage",
}
_ALL = {"plan": "What would run", "stages": "Data", "now": "What is going on now"}
_OPTIONS_WITH_VALUE = ("--env", "-C", "-w", "--project", "--workflow")


def page_of_command(command: str) -> Page | None:
    """The parts of the path and the query of the page for a `tidemill` command; None if there is none."""
    try:
        program, *words = shlex.split(command) or [""]
    except ValueError:
        return None
    if program != "tidemill":
        return None
    name, *rest = [*_arguments(words)] or [""]
    find = _PAGES.get(name)
    return None if find is None else find(rest)


def words_of_page(page: Page) -> str:
    """What a link to the page of a command says."""
    (name, *rest), _ = page
    if rest[-1:] == ["log"]:
        return "Log"
    if rest[-1:] == ["quarantine"]:
        return "Rows in quarantine"
    return (_ONE if rest else _ALL).get(name, name.capitalize())


def _arguments(words: Sequence[str]) -> Sequence[str]:
    """The words that are neither options nor their values."""
    found, skipped = [], False
    for word in words:
        if skipped:
            skipped = False
        elif word.startswith("-"):
            skipped = word in _OPTIONS_WITH_VALUE
        else:
            found.append(word)
    return found


def _run(words: Sequence[str]) -> Page:
    if words[:1] == ["logs"]:
        stage = {"stage": words[2]} if len(words) > 2 else {}
        return ("runs", words[1] if len(words) > 1 else "last", "log"), stage
    named = [word for word in words if word != "show"]
    return ("runs", *named[:1]), {}


def _shown(page: str) -> Callable[[Sequence[str]], Page]:
    """A page of its own for `COMMAND show ID`, else the list."""

    def find(words: Sequence[str]) -> Page:
        return ((page, *words[1:2]) if words[:1] == ["show"] else (page,)), {}

    return find


def _first(page: str) -> Callable[[Sequence[str]], Page]:
    def find(words: Sequence[str]) -> Page:
        return (page, *words[:1]), {}

    return find


def _only(page: str) -> Callable[[Sequence[str]], Page]:
    return lambda _: ((page,), {})


_PAGES: dict[str, Callable[[Sequence[str]], Page]] = {
    "runs": _run,
    "review": _shown("reviews"),
    "incidents": _shown("incidents"),
    "models": _shown("models"),
    "explain": _first("stages"),
    "show": _first("stages"),
    "quarantine": lambda words: (
        (*("stages", *words[1:2]), "quarantine") if words[1:] else ("stages",),
        {},
    ),
    "plan": _only("plan"),
    "run": _only("plan"),
    "graph": _only("workflow"),
    "costs": _only("costs"),
    "scorecard": _only("scorecard"),
    "audit": _only("audit"),
    "endpoints": _only("endpoints"),
    "policy": _only("settings"),
    "tokens": _only("settings"),
    "schedules": _only("settings"),
    "status": _only("now"),
}
