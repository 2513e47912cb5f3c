"""A page about a change as plain text, and as Markdown. All text of others is made harmless."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from tidemill.core.fitted_table import fitted_table
from tidemill.core.markdown import markdown_block, markdown_code, markdown_text
from tidemill.core.printable import printable, printable_lines
from tidemill.core.text_table import markdown_table, text_table
from tidemill.governance.page_values import PageSection, PageTable, ReviewPage


def text_page(page: ReviewPage, width: int = 0) -> str:
    """The page for a terminal of a width; without one, lines and tables are as wide as they are."""
    lines = [*_wrapped(page.title, width), *_wrapped(page.state, width)]
    for part in page.sections:
        lines += ["", printable(part.title.upper()), *_text_section(part, width)]
    return "\n".join(lines)


def _text_section(part: PageSection, width: int) -> Iterator[str]:
    for line in part.lines:
        yield from _wrapped(line, width, "  ")
    if part.table is not None and part.table.rows:
        if part.table.caption:
            yield from _wrapped(f"{part.table.caption}:", width, "  ")
        headers, rows = part.table.headers, part.table.rows
        yield (
            fitted_table(headers, rows, width, indent="  ")
            if width
            else text_table(headers, rows, indent="  ")
        )
    yield from (f"    {printable_lines(line)}" for line in part.diff)
    # A command that is wrapped can't be copied.
    yield from (f"    {printable(command)}" for command in part.commands)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """A line of text in lines of a width; further ones are indented."""
    line = indent + printable(text)
    if not width or len(line) <= width:
        return [line]
    return wrap(printable(text), width, initial_indent=indent, subsequent_indent=f"{indent}  ")


def markdown_page(page: ReviewPage) -> str:
    """The page for a pull request, an issue, or a chat."""
    blocks = [f"# {markdown_text(page.title)}", markdown_text(page.state)]
    for part in page.sections:
        blocks.append(f"## {markdown_text(part.title)}")
        if part.lines:
            blocks.append("\n".join(f"- {markdown_text(line)}" for line in part.lines))
        if part.table is not None and part.table.rows:
            blocks.append(_markdown_table(part.table))
        if part.diff:
            blocks.append(markdown_block("\n".join(part.diff), "diff"))
        blocks += [markdown_code(command) for command in part.commands]
    return "\n\n".join(blocks) + "\n"


def _markdown_table(table: PageTable) -> str:
    rows = [[markdown_text(cell) for cell in row] for row in table.rows]
    headers = [
        (">" if header.startswith(">") else "") + markdown_text(header.removeprefix(">"))
        for header in table.headers
    ]
    caption = f"{markdown_text(table.caption)}:\n\n" if table.caption else ""
    return caption + markdown_table(headers, rows)
