"""`tidemill contract export` and `import`: contracts as files of the Open Data Contract Standard."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import click

from tidemill.cli.document import document, json_option
from tidemill.cli.group import where, where_options
from tidemill.cli.opening import opened, users_trace
from tidemill.decide.odcs.read import Imported
from tidemill.decide.source import source
from tidemill.domain.contract import ContractSpec
from tidemill.domain.errors import TidemillError, UsageError, did_you_mean
from tidemill.odcs import read_odcs, write_odcs

_SPEC = "__tidemill_contract__"


@click.command(name="export")
@click.argument("name", metavar="STAGE|MODULE:CLASS")
@click.option("--format", "form", type=click.Choice(["odcs"]), default="odcs", show_default=True,
              help="The standard to write.")  # fmt: skip
@click.option(
    "--to", type=click.Path(path_type=Path), metavar="FILE", help="Write FILE.  [default: stdout]"
)
@where_options
def export(name: str, form: str, to: Path | None) -> None:
    """Write the contract of a stage, or of a class, as a document of another standard.

    Needs the extra: pip install 'tidemill[odcs]'.
    """
    text = write_odcs(contract_named(name), to)
    click.echo(f"{to}" if to else text.rstrip())


def contract_named(name: str) -> ContractSpec:
    """The contract of a stage, or of `module:Class`; UsageError when there is none."""
    module, colon, attribute = name.partition(":")
    if colon:
        return _of_class(module, attribute)
    with opened() as project:
        spec = project.stage(name).output
    if spec is None:
        raise UsageError(f"{name} has no contract: it makes no table")
    return spec


def _of_class(module: str, attribute: str) -> ContractSpec:
    found = _module(module)
    spec = getattr(getattr(found, attribute, None), _SPEC, None)
    if not isinstance(spec, ContractSpec):
        known = [name for name, value in vars(found).items() if hasattr(value, _SPEC)]
        advice = did_you_mean(attribute, known)
        raise UsageError(f"{module} has no contract {attribute!r} ({advice})")
    return spec


def _module(name: str) -> ModuleType:
    """A module of the project's folder, or an installed one; exits 1 when it can't be imported."""
    folder = str(Path(where().project).resolve())
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(f"there is no module {name!r} in {folder}") from None
        failed: Exception = error
    except Exception as error:  # noqa: BLE001 - the user's module may raise anything
        failed = error
    finally:
        sys.path.remove(folder)
    click.echo(users_trace(failed), err=True)
    raise TidemillError(f"{name} can't be imported: it raised {type(failed).__name__}")


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--schema", metavar="NAME", help="Only the table NAME.  [default: all]")
@json_option
def import_(file: Path, schema: str | None, as_json: bool) -> None:
    """Print FILE's contracts as Python, to be read and owned by a person.

    FILE is YAML of the Open Data Contract Standard 3. What contracts can't say is listed on stderr, and
    in a comment. Needs the extra: pip install 'tidemill[odcs]'.
    """
    found = read_odcs(file)
    written = source(_chosen(found.contracts, schema, file))
    listed = (*found.unrepresented, *written.left_out)
    if as_json:
        body = {"file": str(file), "unrepresented": listed, "source": written.text}
        click.echo(document("tidemill.contract.import/1", body))
    else:
        click.echo((written.text + _remark(file, found, listed)).strip())
    if listed:
        parts = "1 part" if len(listed) == 1 else f"{len(listed)} parts"
        click.echo(f"{parts} of {file} can't be said by contracts: see the list", err=True)


def _chosen(
    contracts: Sequence[ContractSpec], schema: str | None, file: Path
) -> Sequence[ContractSpec]:
    chosen = [spec for spec in contracts if schema in (None, spec.name)]
    if schema is not None and not chosen:
        advice = did_you_mean(schema, [spec.name for spec in contracts])
        raise UsageError(f"{file} has no schema {schema!r} ({advice})")
    return chosen


def _remark(file: Path, found: Imported, listed: tuple[str, ...]) -> str:
    """What stands below the classes: where they come from, and what they don't say."""
    if not listed:
        return ""
    head = (
        f"Of {file} the contracts don't say:" if found.contracts else f"{file} describes no table:"
    )
    lines = [head, *(f"- {line}" for line in listed)]
    return "\n\n" + "\n".join(
        textwrap.fill(
            line, 100, initial_indent="# ", subsequent_indent="#   ", break_long_words=False
        )
        for line in lines
    )
