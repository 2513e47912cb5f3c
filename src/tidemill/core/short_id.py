"""Ids by what a person writes: all of one, or how it begins."""

from __future__ import annotations

from collections.abc import Collection


def ids_meant(text: str, known: Collection[str]) -> list[str]:
    """The known ids that `text` may mean, sorted: the one that it is, else those that begin with it."""
    if text in known:
        return [text]
    return sorted(id for id in known if text and id.startswith(text))
