"""`tidemill audit prove` and `check-proof`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.terminal.output import print_text
from tidemill.core.errors import UsageError
from tidemill.project.audit import check_proof

if TYPE_CHECKING:
    from tidemill.governance.audit_proof import EventProof


@click.command()
@click.argument("subject", metavar="EVENT|DECISION")
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), required=True,
              metavar="FILE", help="Write the proof to FILE.")  # fmt: skip
@project_options
def prove(subject: str, target: Path) -> None:
    """Prove that an event was recorded, to somebody who doesn't have the ledger.

    EVENT is its number, as `tidemill audit show` has it; DECISION the id of a policy decision, a review, a
    waiver or a run. The proof has the event, a path of hashes, and the signed checkpoint to which it leads.
    """
    if target.exists():
        raise click.UsageError(f"{target} exists: choose another name")
    with project_session() as project:
        proof = project.audit.prove(subject)
    try:
        target.write_text(proof.document, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{target} can't be written: {error.strerror}") from error
    print_text(
        f"wrote the proof of event {proof.place.seq} to {target}; with the public key, `tidemill audit "
        f"check-proof {target} --key PUB` verifies it"
    )


@click.command("check-proof")
@click.argument("proof", type=click.Path(path_type=Path))
@click.option("--key", "keys", multiple=True, required=True, type=click.Path(path_type=Path),
              metavar="PUB", help="The public key that signed; can be repeated.")  # fmt: skip
@json_option
def check(proof: Path, keys: tuple[Path, ...], as_json: bool) -> None:
    """Verify a PROOF that `tidemill audit prove` wrote, without a ledger or a project.

    Exits with 1 if it proves nothing.
    """
    fault, found = check_proof(proof, keys)
    body = {
        "proves": not fault,
        "fault": fault,
        "event": json.loads(found.document)["event"],
        "body": _json_or_text(found.body),
        "checkpoint": json.loads(found.checkpoint.line),
        "people": {ref: name for ref, (name, _) in found.people.items()},
    }
    text = f"it proves nothing: {fault}" if fault else _text(found)
    print_result(text, as_json, "tidemill.checked_proof/1", lambda: body)
    click.get_current_context().exit(1 if fault else 0)


def _text(proof: EventProof) -> str:
    place, point = proof.place, proof.checkpoint
    people = "".join(f"\n{ref} is {name}" for ref, (name, _) in proof.people.items())
    return (
        f"event {place.seq} ({place.kind}, {local_time(place.at)}) is one of the first {point.size:,} events "
        f"of the ledger, as the key {point.key[:16]} signed {local_time(point.at)}\n{proof.body}{people}"
    )


def _json_or_text(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body
