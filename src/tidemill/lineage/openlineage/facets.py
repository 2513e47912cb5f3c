"""Build facets of OpenLineage, each with the schema that it follows.

The versions are those of the specification of 2026-08-20; tests validate every facet against its schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.printable import shorten

Json: TypeAlias = dict[str, Any]

SPEC = "https://openlineage.io/spec"
CORE = f"{SPEC}/2-0-2/OpenLineage.json"
# The version and the definition of each facet.
_FACETS: Mapping[str, tuple[str, str]] = {
    "columnLineage": ("1-2-0", "ColumnLineageDatasetFacet"),
    "dataQualityAssertions": ("1-1-0", "DataQualityAssertionsDatasetFacet"),
    "dataQualityMetrics": ("1-0-3", "DataQualityMetricsInputDatasetFacet"),
    "datasetType": ("1-0-1", "DatasetTypeDatasetFacet"),
    "errorMessage": ("1-0-1", "ErrorMessageRunFacet"),
    "executionParameters": ("1-0-0", "ExecutionParametersRunFacet"),
    "inputStatistics": ("1-0-0", "InputStatisticsInputDatasetFacet"),
    "jobType": ("2-0-4", "JobTypeJobFacet"),
    "nominalTime": ("1-0-1", "NominalTimeRunFacet"),
    "outputStatistics": ("1-0-2", "OutputStatisticsOutputDatasetFacet"),
    "parent": ("1-2-0", "ParentRunFacet"),
    "processing_engine": ("1-1-1", "ProcessingEngineRunFacet"),
    "schema": ("1-2-0", "SchemaDatasetFacet"),
    "sourceCodeLocation": ("1-1-0", "SourceCodeLocationJobFacet"),
    "sql": ("1-1-0", "SQLJobFacet"),
    "storage": ("1-0-1", "StorageDatasetFacet"),
    "symlinks": ("1-0-1", "SymlinksDatasetFacet"),
    "version": ("1-0-1", "DatasetVersionDatasetFacet"),
}
# Facets whose name is used for datasets and for jobs.
_DATASET_FACETS: Mapping[str, tuple[str, str]] = {
    "documentation": ("1-1-0", "DocumentationDatasetFacet"),
    "ownership": ("1-0-1", "OwnershipDatasetFacet"),
    "tags": ("1-0-0", "TagsDatasetFacet"),
}
_JOB_FACETS: Mapping[str, tuple[str, str]] = {
    "documentation": ("1-1-0", "DocumentationJobFacet"),
    "ownership": ("1-0-1", "OwnershipJobFacet"),
}
_LONGEST_TEXT = 1000
_LONGEST_TYPE = 200
_LONGEST_TRACE = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeLocation:
    """A file in a repository: its page, the URL of the repository, the path there, and the commit."""

    url: str
    repository: str = ""
    path: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True)
class FacetBuilder:
    """Builds facets of one producer."""

    producer: str

    def facet(self, name: str, /, **values: Any) -> Json:
        """A facet of a run, or one whose name only one kind of object uses."""
        return self._facet(_FACETS[name], values)

    def _facet(self, schema: tuple[str, str], values: Json) -> Json:
        version, definition = schema
        url = f"{SPEC}/facets/{version}/{definition}.json#/$defs/{definition}"
        given = {key: value for key, value in values.items() if value not in (None, "")}
        return {"_producer": self.producer, "_schemaURL": url, **given}

    def trimmed(self, counts: Mapping[str, int]) -> Json:
        """A facet of Tidemill's own: how many entries of each facet were left out to keep an event small."""
        return self._own(counts)

    def unknown(self, reason: str) -> Json:
        """A facet of Tidemill's own: why the columns that those of a dataset come from aren't known."""
        return self._own({"reason": shorten(reason, _LONGEST_TEXT)})

    def _own(self, values: Mapping[str, Any]) -> Json:
        return {"_producer": self.producer, "_schemaURL": f"{CORE}#/$defs/BaseFacet", **values}

    def job(self, kind: str, *, about: str, owner: str, code: CodeLocation | None) -> Json:
        """The facets of a job."""
        own = "TIDEMILL"
        found = {
            "jobType": self.facet("jobType", processingType="BATCH", integration=own, jobType=kind)
        }
        if about:
            text = shorten(about, _LONGEST_TEXT)
            found["documentation"] = self._facet(
                _JOB_FACETS["documentation"], {"description": text}
            )
        if owner:
            found["ownership"] = self._facet(_JOB_FACETS["ownership"], _owners(owner))
        if code is not None:
            found["sourceCodeLocation"] = self.facet(
                "sourceCodeLocation",
                type="git",
                url=code.url,
                repoUrl=code.repository,
                path=code.path,
                version=code.commit,
            )
        return found

    def table(self, spec: ContractSpec, owner: str) -> Json:
        """The facets of a dataset with a contract: its columns, their meaning, and its owner."""
        fields = [
            {
                "name": column.name,
                "type": type_text(column.dtype),
                **(
                    {"description": shorten(column.description, _LONGEST_TEXT)}
                    if column.description
                    else {}
                ),
            }
            for column in spec.columns
        ]
        found = {"schema": self.facet("schema", fields=fields)}
        if spec.description:
            text = shorten(spec.description, _LONGEST_TEXT)
            found["documentation"] = self._facet(
                _DATASET_FACETS["documentation"], {"description": text}
            )
        if owner:
            found["ownership"] = self._facet(_DATASET_FACETS["ownership"], _owners(owner))
        tags = [
            {"key": "pii", "value": column.pii, "source": "TIDEMILL", "field": column.name}
            for column in spec.columns
            if column.pii
        ]
        if tags:
            found["tags"] = self._facet(_DATASET_FACETS["tags"], {"tags": tags})
        return found

    def error(self, message: str, trace: str = "") -> Json:
        """The message of a failure."""
        return self.facet(
            "errorMessage",
            message=shorten(message, _LONGEST_TRACE) or "no message",
            programmingLanguage="python",
            stackTrace=trace[-_LONGEST_TRACE:],
        )

    def parameters(self, values: Iterable[tuple[str, str]]) -> Json:
        """The parameters of a run, by key."""
        listed = [
            {"key": key, "value": shorten(value, _LONGEST_TEXT)} for key, value in values if value
        ]
        return self.facet("executionParameters", parameters=listed)


def _owners(owner: str) -> Json:
    return {"owners": [{"name": owner}]}


def type_text(dtype: DType) -> str:
    """The name of a type; the values of an Enum aren't part of it."""
    text = "Enum" if dtype.name == "Enum" else str(dtype)
    return shorten(text, _LONGEST_TYPE)


def timestamp(at: float) -> str:
    """A moment in Unix seconds as RFC 3339 writes it."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")
    return moment.replace("+00:00", "Z")


def instant(moment: datetime) -> str:
    """A moment without a zone, in UTC, as RFC 3339 writes it."""
    return f"{moment.isoformat(timespec='seconds')}Z"
