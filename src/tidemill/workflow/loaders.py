"""Sources that other tools load: resources of dlt, and models of dbt."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar

from tidemill.core.errors import DeclarationError, Fault
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.source import (
    MAX_MISSING,
    C,
    Engine,
    Losable,
    OnMissing,
    Query,
    Source,
    share_faults,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlt(Source[C]):
    """Rows of a dlt resource, or of the one of this `name` in a dlt source."""

    is_pulled: ClassVar[bool] = True

    resource: Any
    name: str = ""
    max_missing: float = MAX_MISSING

    def __post_init__(self) -> None:
        if faults := [*share_faults(self.max_missing)]:
            raise DeclarationError("tm.dlt", faults)

    def reader_parts(self) -> tuple[str, ...]:
        return ("dlt", self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dbt(Losable[C]):
    """The table or view of a model of a dbt project, in the database at `url`."""

    project: str
    model: str
    # Not in the repr: it may contain a password.
    url: str = field(repr=False)
    cursor: str = ""
    engine: Engine | None = None
    target: str = "target"
    built: bool = True

    def __post_init__(self) -> None:
        faults = [
            Fault(message=f"{name} is empty", hint='write tm.dbt("dbt", "orders", "env:DBT_URL")')
            for name in ("project", "model")
            if not getattr(self, name).strip()
        ]
        try:
            self.query("")
        except DeclarationError as error:
            faults += error.faults
        if faults:
            raise DeclarationError("tm.dbt", faults)

    def reader_parts(self) -> tuple[str, ...]:
        return ("dbt", self.model, self.cursor, *filter(None, [self.engine]))

    def query(self, relation: str) -> Query[Any]:
        """The query of all rows of a relation."""
        return Query(
            query=f"SELECT * FROM {relation}",
            url=self.url,
            cursor=self.cursor,
            engine=self.engine,
            on_missing=self.on_missing,
            max_missing=self.max_missing,
        )


def dlt(resource: Any, *, name: str = "", max_missing: float = MAX_MISSING) -> Dlt[Any]:
    """Load the rows of a dlt resource incrementally; needs the extra `dlt`.

    `resource` is a resource or a source of dlt, or a function that returns one, so that dlt is imported
    only when it is read. `name` selects the resource of a source that has several.

    dlt extracts and normalizes what is new, into a folder that is removed afterwards. The rows are stored,
    and recorded together with dlt's state when the run begins to publish: after a failure or crash before
    that, the next run loads again from the same state. Write dispositions mean what they mean in dlt:
    "append" adds rows, "merge" replaces those with the same primary or merge key, in whatever partition
    they are, and "replace" replaces all rows. Making a plan loads, too, and records nothing.

    A load that would remove more than the share `max_missing` of the rows fails, and changes nothing.
    Raises DeclarationError for what is no resource, source or function.
    """
    if not (callable(resource) or type(resource).__module__.partition(".")[0] == "dlt"):
        fault = Fault(
            message=f"{resource!r:.80} is not a resource of dlt",
            hint="pass a dlt resource or source, or a function that returns one",
        )
        raise DeclarationError("tm.dlt", [fault])
    return Dlt(resource=resource, name=name, max_missing=max_missing)


def dbt(  # noqa: PLR0913 - what may be declared about a query, each by its name
    project: str,
    model: str,
    url: str,
    *,
    cursor: str = "",
    engine: Engine | None = None,
    target: str = "target",
    built: bool = True,
    on_missing: OnMissing = "fail",
    max_missing: float = MAX_MISSING,
) -> Dbt[Any]:
    """Read the rows of a model, seed or snapshot of dbt, partition by partition.

    `project` is the folder of the dbt project, relative to the project's, and `target` the folder in it in
    which dbt writes manifest.json and run_results.json; dbt itself needn't be installed. `model` is its
    name, with `.v2` for a version, or its unique id. `url`, `cursor` and `engine` are those of `tm.sql`:
    which partitions changed is decided by their rows.

    A model is refused whose last run failed, was of other code, or isn't the last thing that dbt did; and
    one of which a test of dbt failed. With `built=False` whatever is in the database is read.

    When more than the share `max_missing` of the rows or of the partitions is gone, nothing is removed until
    it is allowed; see `on_missing` of `tm.files`. Raises DeclarationError for an unknown URL.
    """
    return Dbt(
        project=project,
        model=model,
        url=url,
        cursor=cursor,
        engine=engine,
        target=target,
        built=built,
        on_missing=on_missing,
        max_missing=max_missing,
    )
