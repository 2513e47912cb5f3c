"""`tidemill predict`: answer rows as an endpoint does, without a server."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.terminal.output import print_text
from tidemill.project.serving import rows_of_file
from tidemill.serving.oip import JSON
from tidemill.serving.predictions import CSV


@click.command()
@click.argument("endpoint")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--row", default=None, metavar="JSON",
              help="One row: '{\"hour\": 17, \"distance\": 300}'.")  # fmt: skip
@click.option("--version", default="", metavar="ID",
              help="A version that was delivered before.  [default: the live one]")  # fmt: skip
@click.option("--partial", is_flag=True, help="Leave out rows that break the contract.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of JSON.")
@project_options
def predict(
    endpoint: str, file: Path | None, row: str | None, version: str, partial: bool, as_csv: bool
) -> None:
    """Predict the rows of FILE (.json, .csv, .arrow, .parquet; - is JSON from stdin), or one --row.

    They are decoded, checked and predicted as a server does it, with the version that is live. Exit code 3
    if rows break the contract.
    """
    if (file is None) is (row is None):
        raise click.UsageError("give either a FILE with rows, or one --row")
    if row is not None:
        payload, media = row.encode(), JSON
    elif str(file) == "-":
        payload, media = sys.stdin.buffer.read(), JSON
    else:
        assert file is not None
        payload, media = rows_of_file(file)
    with project_session() as project:
        body = project.serving.predict(
            endpoint,
            payload,
            media=media,
            accept=CSV if as_csv else JSON,
            version=version,
            partial=partial,
        )
    text = body.decode()
    print_text(
        text.rstrip("\n") if as_csv else json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    )
