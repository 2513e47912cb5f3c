"""Render a recipe as one line: what a stage is judged by, and the digests of its parts."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.cli.render.figures import plural

_DIGITS, _SHORT = 12, 8
_COLUMN = "column "
_JUDGED = {
    "source": "its source and how it reads it",
    "declaration": "its declaration",
}


def recipe_line(digest: str, parts: Mapping[str, str], judged_by: str, opaque: str) -> str:
    """`recipe 0f3a..., judged by its query: 7 columns, contract 3232b6ec, engine 7e0376da`."""
    columns = sum(name.startswith(_COLUMN) for name in parts)
    shown = [plural(columns, "column")] * bool(columns) + [
        f"{name} {parts[name][:_SHORT]}" for name in sorted(parts) if not name.startswith(_COLUMN)
    ]
    judged = _JUDGED.get(judged_by, f"its {judged_by}")
    because = f" (opaque: {opaque})" if opaque else ""
    return f"recipe {digest[:_DIGITS]}, judged by {judged}{because}: {', '.join(shown)}"
