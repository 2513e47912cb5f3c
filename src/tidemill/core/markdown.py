"""Write text from outside as Markdown: its characters mean nothing else."""

from __future__ import annotations

import re

from tidemill.core.printable import printable, printable_lines

# Characters that are Markdown syntax where they stand; `markdown_table` escapes pipes.
_SPECIAL = re.compile(r"([\\`*\[\]<~]|\b_|_\b|&(?=#?\w+;)|^[>#+=-])")
_NUMBERED = re.compile(r"^(\d+)([.)])")


def markdown_text(text: str) -> str:
    """The text on one line, with Markdown syntax escaped except pipes."""
    return _NUMBERED.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", _flat(text)))


def markdown_code(text: str) -> str:
    """The text as inline code, fenced by more backticks than it has."""
    flat = _flat(text)
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if "`" in flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def markdown_block(text: str, language: str = "") -> str:
    """Lines of text as a block of code, fenced by more backticks than any line has."""
    shown = printable_lines(text)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def _flat(text: str) -> str:
    return printable(" ".join(text.split()))
