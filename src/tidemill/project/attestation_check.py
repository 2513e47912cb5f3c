"""Verify attestations: who signed them, and whether the files are what they say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from tidemill.core.errors import AttestationError, StorageError, UsageError
from tidemill.governance.attestation import AttestationReport, VerifiedFile, open_attestation
from tidemill.governance.in_toto import AttestedFile, Json, subjects_of
from tidemill.governance.io.attestation_files import (
    SUFFIX,
    AttestationFolder,
    file_digests,
    object_digest,
    read_file,
)
from tidemill.governance.io.compared_files import ComparedFiles
from tidemill.governance.io.signing_keys import PublicKey, load_public_key, public_path
from tidemill.governance.provenance import MODEL_BUILD
from tidemill.ports.artifacts import Artifacts
from tidemill.project.workspace import Workspace


def check_attestation(
    path: str | Path, keys: Sequence[str | Path], against: str | Path, *, partial: bool = False
) -> AttestationReport:
    """Verify an attestation with public keys and files alone, without a project.

    `against` is a file or a folder; with `partial` it may have files of a table that the attestation doesn't
    name. UsageError if a file can't be read, or isn't a key.
    """
    check = AttestationCheck(_load_keys(map(Path, keys)), Path(against))
    return check.file(Path(path), partial=partial)


def trusted_keys(workspace: Workspace, named: Sequence[str]) -> list[PublicKey]:
    """The public keys in the `named` files, by default those of the settings; UsageError if there is none."""
    settings, root = workspace.settings.attest, workspace.root
    if named:
        return _load_keys(map(Path, named))
    if settings.trusted:
        return _load_keys(root / Path(path).expanduser() for path in settings.trusted)
    if settings.key:
        return _load_keys([public_path(root / Path(settings.key).expanduser())])
    raise UsageError(
        'name the public key to verify with: --key PATH, or trusted = ["PATH"] in '
        "[tool.tidemill.attest]"
    )


def _load_keys(paths: Iterable[Path]) -> list[PublicKey]:
    return [load_public_key(path.expanduser()) for path in paths]


class AttestationCheck:
    """Verifies attestations with public keys, against the files in a place, or those that are stored."""

    def __init__(
        self, keys: Sequence[PublicKey], place: Path | None, stored: Artifacts | None = None
    ) -> None:
        self._keys = keys
        self._place = None if place is None else _compared(place)
        self._stored = stored

    def file(self, path: Path, *, partial: bool = False) -> AttestationReport:
        """Verify the attestation in a file; with `partial` there may be files that it doesn't name."""
        return self._report(path, None, allows_more=partial)

    def model(
        self, folder: AttestationFolder, name: str, version: str, wanted: Mapping[str, str]
    ) -> AttestationReport:
        """Verify the attestation of a model version, which must be about the `wanted` files."""
        report = self._report(self._existing(folder, name, version), wanted)
        named = {file.name for file in report.files}
        # One file isn't all that the statement is about.
        left = (
            {}
            if report.fault or self._is_file
            else {n: wanted[n] for n in wanted if n not in named}
        )
        return _with_missing(report, left, "the statement isn't about it")

    def table(
        self,
        folder: AttestationFolder,
        name: str,
        wanted: Mapping[str, str],
        known: Collection[str] | None,
    ) -> Iterator[AttestationReport]:
        """Verify the attestations of a table, newest first, until all `wanted` files are covered.

        A folder may have the files `known` of the table, and no others; with None it may have any.
        """
        left = self._present(wanted)
        others = self._others(left if self._is_file else known)
        for path in folder.all_of(name) or [self._existing(folder, name, "")]:
            if not left:
                break
            report = self._report(path, left, partly=True)
            for file in report.files:
                del left[file.name]
            if report.fault or report.files:
                yield report
        if left or others:
            none = AttestationReport(name=name, stage=name, files=others)
            yield _with_missing(
                none, left, f"no attestation is about it: `tidemill attest write {name} --sign`"
            )

    @property
    def _is_file(self) -> bool:
        return self._place is not None and self._place.is_file

    def _present(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """Those of the files that are to be compared: all, unless it is with one file."""
        place = self._place
        if place is None or not place.is_file:
            return dict(wanted)
        return {name: digest for name, digest in wanted.items() if place.path_of(name)}

    def _others(self, known: Collection[str] | None) -> tuple[VerifiedFile, ...]:
        """The files of the place that aren't `known` ones; with None there may be any."""
        if self._place is None or known is None:
            return ()
        return self._place.files_besides(known)

    def _existing(self, folder: AttestationFolder, name: str, version: str) -> Path:
        path = folder.file(name, version)
        if not path.is_file():
            shown = f"{name} {version}".strip()
            raise UsageError(
                f"{shown} isn't attested in {folder.path.name}: `tidemill attest write {shown} --sign`"
            )
        return path

    def _report(
        self,
        path: Path,
        wanted: Mapping[str, str] | None,
        *,
        partly: bool = False,
        allows_more: bool = True,
    ) -> AttestationReport:
        """Verify one attestation, whose files must be those `wanted`; `partly` leaves others out.

        Unless it `allows_more`, the place has only files that the statement names.
        """
        try:
            document, signers = open_attestation(read_file(path), self._keys)
        except AttestationError as error:
            return AttestationReport(name=str(path), fault=str(error))
        subjects = subjects_of(document)
        if partly and wanted is not None:
            subjects = tuple(each for each in subjects if each.name in wanted)
        allowed: Collection[str] | None = None
        if not partly:
            present = self._present({each.name: each.sha256 for each in subjects})
            subjects = tuple(each for each in subjects if each.name in present)
            if self._is_file or not (allows_more or _is_model(document)):
                allowed = present
        return AttestationReport(
            name=str(path),
            stage=_stage_of(document),
            run=_run_of(document),
            keys=signers,
            files=(*(self._verified(each, wanted) for each in subjects), *self._others(allowed)),
        )

    def _verified(self, file: AttestedFile, wanted: Mapping[str, str] | None) -> VerifiedFile:
        recorded = file.sha256 if wanted is None else wanted.get(file.name)
        if recorded is None:
            fault = "the ledger doesn't know it"
        elif recorded != file.sha256:
            fault = f"the ledger has the SHA-256 {recorded}"
        elif self._place is None:
            fault = self._stored_fault(file)
        else:
            fault = self._place.fault_of(file)
        return VerifiedFile(name=file.name, sha256=file.sha256, fault=fault)

    def _stored_fault(self, file: AttestedFile) -> str:
        """How the stored bytes of a file differ from what is attested."""
        name = self._objects.get(file.sha256)
        if name is None:
            return "the store doesn't have these bytes"
        assert self._stored is not None
        try:
            found = object_digest(self._stored, name)
        except StorageError as error:
            return str(error)
        return "" if found == file.sha256 else f"the store has bytes with the SHA-256 {found}"

    @cached_property
    def _objects(self) -> Mapping[str, str]:
        """The stored objects by the SHA-256 in their name."""
        assert self._stored is not None
        return {name[:64]: name for name in self._stored.names()}


def _compared(place: Path) -> ComparedFiles:
    digests = file_digests(place)
    is_file = not place.is_dir()
    # What is attested isn't an attestation.
    kept = digests if is_file else {n: d for n, d in digests.items() if not n.endswith(SUFFIX)}
    folder = place.parent if is_file else place
    return ComparedFiles(folder=str(folder), digests=kept, is_file=is_file)


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


def _is_model(document: Json) -> bool:
    return bool(document["predicate"]["buildDefinition"]["buildType"] == MODEL_BUILD)


def _stage_of(document: Json) -> str:
    return str(document["predicate"]["buildDefinition"]["externalParameters"].get("stage", ""))


def _run_of(document: Json) -> str:
    metadata = document["predicate"]["runDetails"].get("metadata", {})
    return str(metadata.get("invocationId", ""))
