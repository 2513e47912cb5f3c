"""`tidemill keys create`: create a key that signs attestations and checkpoints."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup, project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result


@click.group(
    cls=LazyGroup,
    commands_at={"create": ("tidemill.cli.keys:create", "Create a private and a public key.")},
)
def keys() -> None:
    """Create the keys that sign attestations and checkpoints."""


@click.command("create")
@click.argument("path")
@json_option
@project_options
def create(path: str, as_json: bool) -> None:
    """Create an Ed25519 key: the private one in PATH, the public one in PATH.pub, both as PEM.

    Only you can read the private one. It must lie outside of the project's home, and belongs in no
    repository. Give the public one to those who verify what you sign.
    """
    with project_session() as project:
        public, beside = project.keys.create(path)
    print_result(
        f"wrote {path} (keep it secret) and {beside}\nkey {public.id}",
        as_json,
        "tidemill.signing_key/1",
        lambda: {"private": path, "public": str(beside), "id": public.id},
    )
