"""`tidemill runs logs`: show what the steps of a run printed and logged, and how they ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time, plain_text
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.terminal.output import print_text
from tidemill.core.partition import WHOLE, place_name, shown_key
from tidemill.core.printable import printable
from tidemill.ledger.log_line import END, LogLine
from tidemill.project.shown_runs import LAST

# A step with a longer name doesn't indent the texts of other steps further.
_WIDEST = 60


@click.command()
@click.argument("run", default=LAST, metavar="[RUN]")
@click.argument("stage", default="", metavar="[STAGE]")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.option("--follow", is_flag=True, help="Keep printing new lines until the run ends.")
@json_option
@project_options
def logs(run: str, stage: str, partition: str, follow: bool, as_json: bool) -> None:
    """Show what the steps of RUN printed and logged, and the end of those that did or that failed.

    RUN is an id, a prefix of one, or `last` (the default).
    """
    if follow and as_json:
        raise click.UsageError(
            "--json and --follow can't be combined: the document ends with the run"
        )
    with project_session() as project:
        info = project.history.run(run)
        if follow:
            for lines in project.history.follow(info.id, stage, partition):
                if lines:
                    print_text(_log_text(lines), data=True)
            return
        found = project.history.log(info.id, stage, partition)
    place = f" of {place_name(stage, partition)}" if stage else ""
    nothing = f"no log lines{place} are stored for run {info.id}; sweeps remove logs after a time"
    body = {"run": info.id, "lines": found}
    print_result(
        _log_text(found) if found else nothing, as_json, "tidemill.logs/1", lambda: body, data=True
    )


def _log_text(lines: Sequence[LogLine]) -> str:
    """One line per text: time, step, log level unless it was printed, and the text."""
    places = [_place(line) for line in lines]
    width = min(max(map(len, places)), _WIDEST)
    return "\n".join(
        f"{local_time(line.at)}  {place:{width}}  {text}"
        for line, place in zip(lines, places, strict=True)
        for text in _texts(line)
    )


def _place(line: LogLine) -> str:
    partition = "" if line.partition == WHOLE else f" {shown_key(line.partition)}"
    again = f" (try {line.attempt})" if line.attempt > 1 else ""
    return printable(f"{line.stage or '(a step)'}{partition}{again}".rstrip())


def _texts(line: LogLine) -> Iterator[str]:
    first, *more = plain_text(line.text).split("\n")
    yield f"{_kind(line)}{first}".rstrip()
    yield from (f"  {text}".rstrip() for text in more)


def _kind(line: LogLine) -> str:
    if line.stream == END:
        return f"{line.level}: " if line.text else line.level
    return f"{line.level} {line.logger}: " if line.level else ""
