"""What the events of OpenLineage are made from, beside those of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.redaction import Redact
from tidemill.lineage.openlineage.dataset_names import Places
from tidemill.lineage.openlineage.facets import CodeLocation
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.source import Source
from tidemill.workflow.stage import Flow, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageContext:
    """The declaration of a workflow, and where it and its data are.

    `source_of` returns the source of an ingest, `code_of` where the code of a stage is kept; None if that
    isn't known. `version` is Tidemill's; `redact` removes secrets from text.
    """

    flow: Flow
    recipes: Mapping[str, Recipe]
    places: Places
    version: str
    source_of: Callable[[Stage], Source[Any] | None]
    code_of: Callable[[Stage], CodeLocation | None]
    redact: Redact
