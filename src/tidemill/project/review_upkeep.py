"""Announce the reviews that a run opened, once it is over and recorded."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from tidemill.core.errors import TidemillError
from tidemill.ledger.run import Receipt
from tidemill.project.enforcement import is_governed
from tidemill.project.workspace import Workspace


def finish_reviews(space: Workspace, receipt: Receipt) -> Receipt:
    """Announce what a run left to people; return its receipt with what failed, which changes no outcome."""
    messages = announce_reviews(space)
    return replace(receipt, messages=(*receipt.messages, *messages)) if messages else receipt


def announce_reviews(space: Workspace) -> tuple[str, ...]:
    """Store the pages of open reviews and send notices; return what failed.

    A project without rules and reviews loads nothing of them.
    """
    if not is_governed(space):
        return ()
    try:
        found: tuple[str, ...] = import_module("tidemill.project.reviews").Reviews(space).notify()
    except TidemillError as error:
        return (f"reviews: {error}",)
    return found
