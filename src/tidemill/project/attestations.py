"""Attest how versions of models and tables were made, and verify attestations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from tidemill.core.errors import StorageError, TidemillError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.attestation import AttestationReport
from tidemill.governance.dsse import signed_envelope
from tidemill.governance.in_toto import PAYLOAD_TYPE, AttestedFile, Json
from tidemill.governance.io.attestation_files import (
    AttestationFolder,
    object_digest,
    write_file,
)
from tidemill.governance.io.build_records import BuildReader, files_of
from tidemill.governance.io.signing_keys import SigningKey, load_signing_key
from tidemill.governance.json_text import canonical_json
from tidemill.governance.permissions import Permission
from tidemill.governance.provenance import artifact_file_name, model_statement, table_statement
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Published
from tidemill.ledger.model_version import ModelVersion
from tidemill.project.attestation_check import AttestationCheck, trusted_keys
from tidemill.project.models import Models
from tidemill.project.workspace import Workspace
from tidemill.workflow.stage import Kind

FOLDER = "attestations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What is said of a version of a model or a table: the statement, and the text that was written.

    `version` is that of a model, or the run that published a table last, with a digest unless it is about
    all partitions of that run. `signed_by` is the id of the key,
    `path` where it was written; both are empty if it wasn't.
    """

    name: str
    version: str
    statement: Json
    text: str
    signed_by: str = ""
    path: Path | None = None


class Attestations:
    """Writes and verifies attestations of what an environment published.

    Everything in them is recorded in the ledger; the files are hashed when they are attested.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def folder(self) -> AttestationFolder:
        """Where signed attestations are kept."""
        space = self._workspace
        return AttestationFolder(space.home / FOLDER / space.environment)

    def attest(
        self, name: str, version: str = "", *, sign: bool = False, to: str | Path | None = None
    ) -> Attestation:
        """Attest a version of a model, or partitions of a table, and write it to the file `to`.

        `version` is that of a model (default: the live one, else the newest); of a table a partition, or a
        run that published partitions (default: all). With `sign` it is signed with the key of the settings,
        and kept in the home, for who may run. UsageError for unknown names, or without a key.
        """
        self._workspace.require(Permission.RUN if sign else Permission.READ)
        return self._attest(name, version, sign=sign, to=to)

    def _attest(
        self, name: str, version: str = "", *, sign: bool = False, to: str | Path | None = None
    ) -> Attestation:
        if name in Models(self._workspace):
            found = Models(self._workspace)[name].version(version)
            return self._finish(name, found.id, self._model(found), sign=sign, to=to)
        bindings = self.partitions(name, version)
        document = self._table(name, bindings)
        known = max(bindings.values(), key=lambda held: held.at).run
        if version != known:
            # What a run attested of all its partitions stays.
            known = f"{known}-{sha256(canonical_json(document['subject'])).hexdigest()[:8]}"
        return self._finish(name, known, document, sign=sign, to=to)

    def attest_run(self, run: str, after: int) -> list[str]:
        """Attest live models that aren't yet, and what a run delivered after an event; say what failed.

        An attestation never stops a run.
        """
        failed: list[str] = []
        for name in sorted(self._workspace.state().live):
            failed += self.attest_live(name)
        for name, bindings in self._tables_of(run, after).items():
            failed += self._try(name, run, (bindings, after))
        return failed

    def attest_live(self, model: str) -> list[str]:
        """Attest the live version of a model unless it is attested; return why it couldn't be."""
        live = self._workspace.state().live.get(model)
        if live is None or self.folder.file(model, live.artifact.id).exists():
            return []
        return self._try(model, live.artifact.id)

    def verify(
        self,
        target: str,
        version: str = "",
        *,
        keys: Sequence[str] = (),
        against: str | Path | None = None,
        partial: bool = False,
    ) -> tuple[AttestationReport, ...]:
        """Verify an attestation: its signature, its statement, and the bytes of each file that it names.

        `target` is a file, or the name of a model or a table whose attestations are kept in the home: those
        must be about exactly what is recorded. `keys` are public keys, by default those of the settings.
        Files are looked for in the store, or by name in the place `against`: one file, or a folder, which may
        have no other files of a table; with `partial` it may. UsageError if there is nothing to verify, or
        no key to verify it with.
        """
        space = self._workspace
        place = None if against is None else Path(against)
        check = AttestationCheck(trusted_keys(space, keys), place, space.tools.artifacts)
        if not version and Path(target).is_file():
            return (check.file(Path(target), partial=partial),)
        if target in Models(self._workspace):
            found = Models(self._workspace)[target].version(version)
            digests = {artifact_file_name(found.artifact): found.artifact.object[:64]}
            return (check.model(self.folder, target, found.id, digests),)
        wanted = _digests(target, self.partitions(target, version))
        known = wanted if not version else _digests(target, self.partitions(target))
        return tuple(check.table(self.folder, target, wanted, None if partial else known))

    def partitions(self, name: str, version: str = "") -> Mapping[str, Binding]:
        """The published partitions of a table: all, one, or those of a run; UsageError if there is none."""
        stage = self._workspace.known_stage(name)
        if stage.kind is Kind.EVALUATE:
            raise UsageError(f"{name} is an evaluation: attest its model, which has the scores")
        found = self._workspace.published(name)
        chosen = {key: held for key, held in found.items() if version in ("", key, held.run)}
        if not chosen:
            raise UsageError(
                f"{name} has no partition {version!r}, and none that such a run published"
            )
        return chosen

    def _model(self, version: ModelVersion) -> Json:
        record = self._reader().of_model(version)
        self._require_objects([version.artifact.object])
        name, digest = artifact_file_name(version.artifact), version.artifact.object[:64]
        return model_statement(version, record, AttestedFile(name=name, sha256=digest))

    def _table(self, name: str, bindings: Mapping[str, Binding], after: int = 0) -> Json:
        reader = self._reader()
        record, partitions = reader.of_table(name, bindings)
        objects = [found for held in bindings.values() for found in held.product.objects]
        self._require_objects(objects)
        return table_statement(partitions, record, reader.last_effect(name, {*objects}, after))

    def _reader(self) -> BuildReader:
        space = self._workspace
        return BuildReader(
            ledger=space.tools.ledger,
            workflow=space.declared.name,
            state=space.state(),
            redact=space.redactor.redact,
        )

    def _require_objects(self, names: Sequence[str]) -> None:
        """Hash what is attested; StorageError for bytes that aren't what the ledger says."""
        for name in names:
            if (found := object_digest(self._workspace.tools.artifacts, name)) != name[:64]:
                raise StorageError(
                    f"the stored object {name} has the SHA-256 {found}: `tidemill verify --deep "
                    "--repair` restores it"
                )

    def _finish(
        self, name: str, version: str, document: Json, *, sign: bool, to: str | Path | None
    ) -> Attestation:
        payload = canonical_json(document)
        text, signer, path = f"{payload.decode()}\n", "", None
        if sign:
            key = self._signing_key()
            signer = key.public.id
            text = signed_envelope(PAYLOAD_TYPE, payload, key, signer).text
            path = self.folder.write(name, version, text)
        if to is not None:
            path = Path(to)
            write_file(path, text)
        return Attestation(
            name=name,
            version=version,
            statement=document,
            text=text,
            signed_by=signer,
            path=path,
        )

    def _signing_key(self) -> SigningKey:
        space = self._workspace
        if not space.settings.attest.key:
            raise UsageError(
                'there is no key to sign with: `tidemill keys create PATH`, then set key = "PATH" in '
                "[tool.tidemill.attest]"
            )
        path = space.root / Path(space.settings.attest.key).expanduser()
        return load_signing_key(path, space.home)

    def _try(
        self, name: str, version: str, table: tuple[Mapping[str, Binding], int] | None = None
    ) -> list[str]:
        """Attest a model, or partitions of a table that were published after an event; say what failed."""
        try:
            if table is None:
                self._attest(name, version, sign=True)
            else:
                self._finish(name, version, self._table(name, *table), sign=True, to=None)
        except (TidemillError, OSError) as error:
            return [f"{name} {version} wasn't attested: {error}"]
        return []

    def _tables_of(self, run: str, after: int) -> dict[str, dict[str, Binding]]:
        """The partitions of delivered tables that a run published after an event, by table."""
        space = self._workspace
        tables = {stage.name for stage in space.flow.stages if stage.kind is Kind.DELIVER}
        found: dict[str, dict[str, Binding]] = {}
        for fact in space.tools.ledger.events(kinds=("Published",), after=after, run=run):
            event = fact.event
            if isinstance(event, Published) and event.stage in tables:
                found.setdefault(event.stage, {})[event.partition] = event.binding
        return found


def _digests(table: str, bindings: Mapping[str, Binding]) -> dict[str, str]:
    """The SHA-256 of the files of some partitions, by the name that statements have for them."""
    return {
        f"{table}/{file.name}": file.sha256
        for key, held in sorted(bindings.items())
        for file in files_of(key, held)
    }
