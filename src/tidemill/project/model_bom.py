"""Bills of materials of model versions."""

from __future__ import annotations

import json
from importlib.metadata import version as installed_version
from pathlib import Path

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.in_toto import Json
from tidemill.governance.io.attestation_files import write_file
from tidemill.governance.io.build_records import BuildReader
from tidemill.governance.io.package_facts import installed_packages
from tidemill.governance.ml_bom import model_bom
from tidemill.ledger.model_version import ModelVersion
from tidemill.project.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ModelBom:
    """The bill of materials of a model version: a CycloneDX 1.6 document."""

    document: Json

    def __repr__(self) -> str:
        return f"<ModelBom {self.document['serialNumber']}>"

    @property
    def text(self) -> str:
        """The document as JSON."""
        return f"{json.dumps(self.document, indent=2, ensure_ascii=False)}\n"

    def save(self, path: str | Path) -> Path:
        """Write the document to a file, in place of an earlier one; StorageError if that fails."""
        write_file(Path(path), self.text)
        return Path(path)


def bom_of(version: ModelVersion, workspace: Workspace) -> ModelBom:
    """The bill of materials of a version, now.

    Licenses and dependencies of packages are those of this installation, where it has the same versions.
    """
    reader = BuildReader(
        ledger=workspace.tools.ledger,
        workflow=workspace.declared.name,
        state=workspace.state(),
        redact=workspace.redactor.redact,
    )
    document = model_bom(
        version,
        reader.of_model(version),
        installed_packages(version.artifact.packages),
        owner=workspace.declared.owner,
        tidemill=installed_version("tidemill"),
        at=workspace.tools.clock(),
    )
    return ModelBom(document)
