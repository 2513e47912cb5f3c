"""The commands of `tidemill home`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time, plain_text, size
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.counts import plural
from tidemill.operations.backup_manifest import BackupManifest
from tidemill.project.home_backup import BackupCheck, BackupReport, HomeBackups, RestoredHome
from tidemill.project.home_move import HomeMove, MovedHome

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("path", type=_FOLDER)
@click.option("--with-keys", is_flag=True,
              help="Also back up keys in the home, such as that of pickled models.")  # fmt: skip
@click.option("--quick", is_flag=True,
              help="Trust what the folder has already by its size, instead of reading it.")  # fmt: skip
@json_option
@project_options
def backup(path: Path, with_keys: bool, quick: bool, as_json: bool) -> None:
    """Back up the home to the folder PATH, while runs and servers go on.

    The backup has the ledger at one moment, every object that it needs, results of memos, logs and
    checkpoints. A later backup to the same folder copies only what is new, and writes anew what is damaged
    there; until it is complete, the one before stays. What an interrupted one copied is used by the next.
    Keys that sign attestations and checkpoints lie outside of the home: back them up elsewhere.
    """
    with project_session() as project:
        made = HomeBackups(project.workspace).back_up(path, with_keys=with_keys, is_quick=quick)
    print_result(
        _backup_text(path, made), as_json, "tidemill.backup/1", lambda: {"backup": _body(made)}
    )


@click.command()
@click.argument("path", type=_FOLDER)
@click.option("--into", type=_FOLDER, metavar="HOME",
              help="Restore to this folder; by default to the home of the project.")  # fmt: skip
@json_option
@project_options
def restore(path: Path, into: Path | None, as_json: bool) -> None:
    """Make a home of the backup in the folder PATH, which is verified first.

    The home must be empty or missing; it may be a mount point. If it is interrupted, call it again: until
    then other commands refuse the home. Nobody holds its leases, and runs that were going on when the backup
    was made are closed as lost. Stop the old home, if there is one: two homes would deliver to the same
    places.
    """
    with project_session() as project:
        made = HomeBackups(project.workspace).restore(path, into)
    print_result(_restored_text(made), as_json, "tidemill.restored_home/1", lambda: {"home": made})


@click.command()
@click.argument("target")
@click.option("--artifacts", metavar="URL", default="",
              help="Where objects go: a URL, or `home` for the folder TARGET; else they stay.")  # fmt: skip
@json_option
@project_options
def move(target: str, artifacts: str, as_json: bool) -> None:
    """Move the home to TARGET: a folder, or a database that machines share (postgresql://HOST/DATABASE).

    The ledger, objects and all else are copied and verified, and the old home refuses to be used from then
    on. Nothing is deleted. Change `home` and `artifacts` in pyproject.toml afterwards, on every machine.
    """
    with project_session() as project:
        made = HomeMove(project.workspace).move(target, artifacts)
    print_result(_moved_text(made), as_json, "tidemill.moved_home/1", lambda: {"home": made})


@click.command("verify-backup")
@click.argument("path", type=_FOLDER)
@json_option
@project_options
def verify_backup(path: Path, as_json: bool) -> None:
    """Verify every file of the backup in the folder PATH, and its ledger.

    Exits with 1 if something is damaged or missing.
    """
    with project_session() as project:
        found = HomeBackups(project.workspace).verify(path)
    print_result(
        _check_text(path, found), as_json, "tidemill.backup_check/1", lambda: {"check": found}
    )
    click.get_current_context().exit(1 if found.faults else 0)


def _body(made: BackupReport) -> dict[str, object]:
    return {
        "manifest": made.manifest,
        "new_objects": made.new_objects,
        "new_bytes": made.new_bytes,
        "notes": made.notes,
    }


def _summary(manifest: BackupManifest) -> str:
    objects = f"{plural(manifest.object_count, 'object')} ({size(manifest.object_bytes)})"
    return f"{plural(manifest.events, 'event')}, {objects}, {plural(len(manifest.files), 'other file')}"


def _backup_text(path: Path, made: BackupReport) -> str:
    new = f"{plural(made.new_objects, 'new object')} ({size(made.new_bytes)})"
    return _lines(f"backed up to {path}: {_summary(made.manifest)}; {new}", *made.notes)


def _restored_text(made: RestoredHome) -> str:
    lost = (
        [f"{plural(len(made.lost_runs), 'run')} of then closed as lost"] if made.lost_runs else []
    )
    when = local_time(made.manifest.at)
    head = f"restored {made.home} as it was {when}: {_summary(made.manifest)}"
    return _lines(head, *lost, *made.notes)


def _moved_text(made: MovedHome) -> str:
    objects = f"{plural(made.objects, 'object')} ({size(made.object_bytes)})"
    head = f"moved {plural(made.events, 'event')} and {objects}, and verified them"
    lost = [
        f"{plural(len(made.missing), 'object')} weren't intact before: the next run computes them"
    ]
    return _lines(
        head,
        *(lost if made.missing else ()),
        "now set in [tool.tidemill] of pyproject.toml:",
        f"home = {'the URL that you named' if '://' in made.home else json.dumps(made.home)}",
        *([f"artifacts = {json.dumps(made.artifacts)}"] if made.artifacts else ["no artifacts"]),
    )


def _check_text(path: Path, found: BackupCheck) -> str:
    when = local_time(found.manifest.at)
    head = f"verified the backup in {path} of {when}: {_summary(found.manifest)}"
    if not found.faults:
        return _lines(head, "nothing is damaged")
    damaged = [f"damaged: {fault}" for fault in found.faults]
    advice = f"`tidemill home backup {path}` writes anew what the home still has"
    return _lines(head, *damaged, advice)


def _lines(*lines: str) -> str:
    return "\n".join(map(plain_text, lines))
