"""A page about a change as plain text, and as Markdown. All text of others is made harmless."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.core.markdown import markdown_code, markdown_text
from tidemill.core.printable import printable
from tidemill.core.text_table import markdown_table, text_table
from tidemill.governance.page_values import PageSection, PageTable, ReviewPage


def text_page(page: ReviewPage) -> str:
    """The page for a terminal."""
    lines = [printable(page.title), printable(page.state)]
    for part in page.sections:
        lines += ["", printable(part.title.upper()), *_text_section(part)]
    return "\n".join(lines)


def _text_section(part: PageSection) -> Iterator[str]:
    yield from (f"  {printable(line)}" for line in part.lines)
    if part.table is not None and part.table.rows:
        if part.table.caption:
            yield f"  {printable(part.table.caption)}:"
        yield text_table(part.table.headers, part.table.rows, indent="  ")
    yield from (f"    {printable(command)}" for command in part.commands)


def markdown_page(page: ReviewPage) -> str:
    """The page for a pull request, an issue, or a chat."""
    blocks = [f"# {markdown_text(page.title)}", markdown_text(page.state)]
    for part in page.sections:
        blocks.append(f"## {markdown_text(part.title)}")
        if part.lines:
            blocks.append("\n".join(f"- {markdown_text(line)}" for line in part.lines))
        if part.table is not None and part.table.rows:
            blocks.append(_markdown_table(part.table))
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
