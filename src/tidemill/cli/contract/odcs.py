"""`tidemill contract export` and `import`: exchange contracts in the Open Data Contract Standard."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click

from tidemill.cli.contract.reference import find_contract
from tidemill.cli.lazy_group import project_options
from tidemill.cli.render.json_document import json_option, print_document
from tidemill.cli.terminal.output import print_text
from tidemill.contracts.inference.python_source import generate_source
from tidemill.core.counts import plural
from tidemill.project.contract_files import (
    ImportedContracts,
    contract_of_table,
    read_odcs,
    write_odcs,
)


@click.command(name="export")
@click.argument("name", metavar="STAGE|MODULE:CLASS")
@click.option("--format", "form", type=click.Choice(["odcs"]), default="odcs", show_default=True,
              help="The standard to write.")  # fmt: skip
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE.  [default: stdout]",
)
@project_options
def export(name: str, form: str, to: Path | None) -> None:
    """Write the contract of a stage or a class as a document of the Open Data Contract Standard.

    Needs the extra: pip install 'tidemill[odcs]'.
    """
    text = write_odcs(find_contract(name).spec, to)
    print_text(f"{to}" if to else text.rstrip(), data=True)


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--schema", metavar="NAME", help="Import only the table NAME.  [default: all]")
@json_option
def import_(file: Path, schema: str | None, as_json: bool) -> None:
    """Print the contracts in FILE as Python, to review and keep.

    FILE is YAML in the Open Data Contract Standard 3. What a contract can't express is counted on
    stderr and listed in a comment. Needs the extra: pip install 'tidemill[odcs]'.
    """
    found = read_odcs(file)
    contracts = found.contracts
    if schema is not None:
        contracts = (contract_of_table(contracts, schema, file),)
    written = generate_source(contracts)
    listed = (*found.unrepresented, *written.left_out)
    if as_json:
        body = {"file": str(file), "unrepresented": listed, "source": written.text}
        print_document("tidemill.contract.import/1", body, data=True)
    else:
        print_text((written.text + _remark(file, found, listed)).strip(), data=True)
    if listed:
        parts = plural(len(listed), "part")
        print_text(f"{parts} of {file} can't be expressed in a contract: see the list", err=True)


def _remark(file: Path, found: ImportedContracts, listed: tuple[str, ...]) -> str:
    """The comment below the classes: the source file, and what the contracts don't express."""
    if not listed:
        return ""
    head = f"Not expressed, of {file}:" if found.contracts else f"{file} describes no table:"
    lines = [head, *(f"- {line}" for line in listed)]
    return "\n\n" + "\n".join(
        textwrap.fill(
            line, 100, initial_indent="# ", subsequent_indent="#   ", break_long_words=False
        )
        for line in lines
    )
