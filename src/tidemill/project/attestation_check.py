"""Verify attestations: who signed them, and whether the files are what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from tidemill.core.errors import AttestationError, StorageError, UsageError
from tidemill.governance.attestation import AttestationReport, VerifiedFile, open_attestation
from tidemill.governance.in_toto import AttestedFile, Json, subjects_of
from tidemill.governance.io.attestation_files import (
    AttestationFolder,
    file_digests,
    object_digest,
    read_file,
)
from tidemill.governance.io.signing_keys import PublicKey, load_public_key, public_path
from tidemill.project.workspace import Workspace


class AttestationCheck:
    """Verifies attestations with public keys, against the store or the files in a place.

    `keys` are paths of PEM files, by default those of the settings; UsageError if there is none.
    """

    def __init__(self, workspace: Workspace, keys: Sequence[str], place: Path | None) -> None:
        self._workspace = workspace
        self._keys = self._public_keys(keys)
        self._digests = None if place is None else file_digests(place)
        self._is_one_file = place is not None and not place.is_dir()

    def file(self, path: Path) -> AttestationReport:
        """Verify the attestation in a file."""
        return self._report(path, None)

    def model(
        self, folder: AttestationFolder, name: str, version: str, wanted: Mapping[str, str]
    ) -> AttestationReport:
        """Verify the attestation of a model version, which must be about the `wanted` files."""
        report = self._report(self._existing(folder, name, version), wanted)
        named = {file.name for file in report.files}
        left = {} if report.fault else {n: d for n, d in wanted.items() if n not in named}
        return _with_missing(report, left, "the statement isn't about it")

    def table(
        self, folder: AttestationFolder, name: str, wanted: Mapping[str, str]
    ) -> Iterator[AttestationReport]:
        """Verify the attestations of a table, newest first, until all `wanted` files are covered."""
        left = dict(wanted)
        paths = folder.all_of(name) or [self._existing(folder, name, "")]
        for path in paths:
            if not left:
                return
            report = self._report(path, left, partly=True)
            for file in report.files:
                del left[file.name]
            if report.fault or report.files:
                yield report
        if left:
            none = AttestationReport(name=name, stage=name)
            yield _with_missing(none, left, "no attestation is about it")

    def _existing(self, folder: AttestationFolder, name: str, version: str) -> Path:
        path = folder.file(name, version)
        if not path.is_file():
            shown = f"{name} {version}".strip()
            raise UsageError(
                f"{shown} isn't attested in {self._workspace.environment}: "
                f"`tidemill attest {shown} --sign`"
            )
        return path

    def _public_keys(self, named: Sequence[str]) -> list[PublicKey]:
        settings, root = self._workspace.settings.attest, self._workspace.root
        if named:
            return [load_public_key(Path(path).expanduser()) for path in named]
        if settings.trusted:
            return [load_public_key(root / Path(path).expanduser()) for path in settings.trusted]
        if settings.key:
            return [load_public_key(public_path(root / Path(settings.key).expanduser()))]
        raise UsageError(
            'name the public key to verify with: --key PATH, or trusted = ["PATH"] in '
            "[tool.tidemill.attest]"
        )

    def _report(
        self, path: Path, wanted: Mapping[str, str] | None, *, partly: bool = False
    ) -> AttestationReport:
        """Verify one attestation, whose files must be those `wanted`; `partly` leaves others out."""
        try:
            document, signers = open_attestation(read_file(path), self._keys)
        except AttestationError as error:
            return AttestationReport(name=str(path), fault=str(error))
        subjects = subjects_of(document)
        if partly and wanted is not None:
            subjects = tuple(each for each in subjects if each.name in wanted)
        if self._is_one_file and self._digests is not None:
            # The file is one of those that the statement is about, or none of them.
            same = tuple(each for each in subjects if each.sha256 in self._digests.values())
            subjects = same or subjects
        return AttestationReport(
            name=str(path),
            stage=_stage_of(document),
            run=_run_of(document),
            keys=signers,
            files=tuple(self._verified(each, wanted) for each in subjects),
        )

    def _verified(self, file: AttestedFile, wanted: Mapping[str, str] | None) -> VerifiedFile:
        recorded = file.sha256 if wanted is None else wanted.get(file.name)
        if recorded is None:
            fault = "the ledger doesn't know it"
        elif recorded != file.sha256:
            fault = f"the ledger has the SHA-256 {recorded}"
        elif self._digests is None:
            fault = self._stored_fault(file)
        else:
            fault = _found_fault(file, self._digests)
        return VerifiedFile(name=file.name, sha256=file.sha256, fault=fault)

    def _stored_fault(self, file: AttestedFile) -> str:
        """How the stored bytes of a file differ from what is attested."""
        name = self._objects.get(file.sha256)
        if name is None:
            return "the store doesn't have these bytes"
        try:
            found = object_digest(self._workspace.tools.artifacts, name)
        except StorageError as error:
            return str(error)
        return "" if found == file.sha256 else f"the store has bytes with the SHA-256 {found}"

    @cached_property
    def _objects(self) -> Mapping[str, str]:
        """The stored objects by the SHA-256 in their name."""
        return {name[:64]: name for name in self._workspace.tools.artifacts.names()}


def _found_fault(file: AttestedFile, digests: Mapping[str, str]) -> str:
    """How the files in a place differ from what is attested."""
    if file.sha256 in digests.values():
        return ""
    name = file.name.rpartition("/")[2]
    for path, digest in digests.items():
        if Path(path).name == name or len(digests) == 1:
            return f"{path} has the SHA-256 {digest}"
    return "no file there has these bytes"


def _with_missing(
    report: AttestationReport, missing: Mapping[str, str], fault: str
) -> AttestationReport:
    files = (
        VerifiedFile(name=name, sha256=digest, fault=fault) for name, digest in missing.items()
    )
    return AttestationReport(
        name=report.name,
        stage=report.stage,
        run=report.run,
        keys=report.keys,
        files=(*report.files, *files),
        fault=report.fault,
    )


def _stage_of(document: Json) -> str:
    return str(document["predicate"]["buildDefinition"]["externalParameters"].get("stage", ""))


def _run_of(document: Json) -> str:
    metadata = document["predicate"]["runDetails"].get("metadata", {})
    return str(metadata.get("invocationId", ""))
