"""`tidemill attest write` and `verify`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.counts import plural
from tidemill.governance.attestation import AttestationReport

# The characters of a digest that are enough to compare two by eye.
_SHOWN = 12


@click.command("write")
@click.argument("name")
@click.argument("version", default="", metavar="[VERSION]")
@click.option("-o", "--to", metavar="FILE", default=None, help="Write it to a file.")
@click.option("--sign", is_flag=True,
              help="Sign it with the key of the settings, and keep it in the home.")  # fmt: skip
@json_option
@project_options
def write(name: str, version: str, to: str | None, sign: bool, as_json: bool) -> None:
    """Attest how a version of a model, or the partitions of a table, were made.

    It is an in-toto statement with SLSA provenance, from recorded facts only: the SHA-256 of the files, the
    code, the data and the packages that they were made from, scores, decisions and reviews. With --sign it
    is in a DSSE envelope. VERSION is that of a model [default: the live one, else the newest], or a partition
    or a run of a table [default: all partitions].
    """
    with project_session() as project:
        made = project.attestations.attest(name, version, sign=sign, to=to)
    signed = f", signed by {made.signed_by[:_SHOWN]}" if made.signed_by else ""
    print_result(
        made.text.rstrip("\n") if made.path is None else f"wrote {made.path}{signed}",
        as_json,
        "tidemill.attestation/1",
        lambda: {
            "name": made.name,
            "version": made.version,
            "signed_by": made.signed_by,
            "path": "" if made.path is None else str(made.path),
            "statement": made.statement,
        },
    )


@click.command("verify")
@click.argument("target", metavar="FILE | NAME")
@click.argument("version", default="", metavar="[VERSION]")
@click.option("--key", "keys", multiple=True, metavar="PATH",
              help="A public key to trust; may be repeated.  [default: those of the settings]")  # fmt: skip
@click.option("--against", metavar="PATH", default=None,
              help="Compare with this file or folder instead of the store.")  # fmt: skip
@click.option("--partial", is_flag=True,
              help="Allow other files in the folder of a table.")  # fmt: skip
@json_option
@project_options
def verify(
    target: str,
    version: str,
    keys: tuple[str, ...],
    against: str | None,
    partial: bool,
    as_json: bool,
) -> None:
    """Verify an attestation: who signed it, its statement, and the bytes of each file that it names.

    The attestation is in FILE, or is one of those of a model or table NAME that are kept in the home; those
    must be about what the ledger says. A file has to have the attested name and bytes, and a folder may have
    no other files of a table. With FILE, --key and --against it needs no project. Exits with 1 if anything
    differs.
    """
    # Names of models and tables are words.
    is_file = Path(target).is_file() or not target.isidentifier()
    if is_file and keys and against is not None and not version:
        found: Sequence[AttestationReport] = [_check(target, keys, against, partial=partial)]
    else:
        with project_session() as project:
            found = project.attestations.verify(
                target, version, keys=keys, against=against, partial=partial
            )
    print_result(
        "\n".join(line for report in found for line in _lines(report)),
        as_json,
        "tidemill.attestation_reports/1",
        lambda: {"reports": found, "valid": all(report.is_valid for report in found)},
    )
    click.get_current_context().exit(0 if all(report.is_valid for report in found) else 1)


def _check(target: str, keys: Sequence[str], against: str, *, partial: bool) -> AttestationReport:
    # Imported late, as is what opens a project: it needs the library of signatures.
    module = import_module("tidemill.project.attestation_check")
    found: AttestationReport = module.check_attestation(target, keys, against, partial=partial)
    return found


def _lines(report: AttestationReport) -> Iterator[str]:
    if report.fault:
        yield f"INVALID: {report.name}: {report.fault}"
        return
    bad = [file for file in report.files if file.fault]
    if report.keys:
        yield (
            f"{'INVALID' if bad else 'valid'}: {report.name}: {report.stage} by run {report.run}, "
            f"signed by {', '.join(key[:_SHOWN] for key in report.keys)}"
        )
    else:
        yield f"INVALID: {report.name}"
    yield from _files(report, len(bad))


def _files(report: AttestationReport, bad: int) -> Iterator[str]:
    faulty = (file for file in report.files if file.fault)
    for fault, some in groupby(faulty, key=lambda file: file.fault):
        first, *others = some
        place = (
            f"{first.name} .. {others[-1].name} ({len(others) + 1} files)"
            if others
            else f"{first.name} (SHA-256 {first.sha256[:_SHOWN]})"
        )
        yield f"  {place}: {fault}"
    if good := len(report.files) - bad:
        yield f"  {plural(good, 'file')} as attested"
