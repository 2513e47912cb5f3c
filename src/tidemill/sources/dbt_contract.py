"""Make a contract of what a dbt project declares about a model: types, nulls, keys and descriptions."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.contracts.column import Column
from tidemill.contracts.odcs.physical_types import physical_type
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import SourceError
from tidemill.sources.dbt_manifest import DbtModel, Json

_NEVER_NULL = ("not_null", "primary_key")


def contract_of_model(manifest: Json, model: DbtModel, name: str) -> ContractSpec:
    """The contract of a model's columns; SourceError for one without a type that is known."""
    node = manifest["nodes"][model.unique_id]
    declared: Json = node.get("columns") or {}
    key = tuple(column for column in node.get("primary_key") or () if column in declared)
    full = {*key, *_columns_without_nulls(manifest, model)}
    columns, unknown = [], []
    for column, about in declared.items():
        found = physical_type(about.get("data_type") or "", None)
        if found is None or found.outer:
            unknown.append(f"{column} ({about.get('data_type') or 'no data_type'})")
            continue
        columns.append(
            Column(
                name=column,
                dtype=found.dtype,
                nullable=column not in full,
                description=about.get("description") or "",
            )
        )
    if unknown or not columns:
        which = ", ".join(unknown) or "no column"
        raise SourceError(
            f"{model.label} doesn't declare the types of its columns: {which}; write a data_type for each "
            "into its YAML, such as decimal(12, 2), or infer the contract from a file"
        )
    description = node.get("description") or ""
    return ContractSpec(
        name=name, version="1.0.0", columns=tuple(columns), key=key, description=description
    )


def _columns_without_nulls(manifest: Json, model: DbtModel) -> Iterator[str]:
    """The columns that have a constraint, or a test of all rows that fails, against nulls."""
    node = manifest["nodes"][model.unique_id]
    for constraint in node.get("constraints") or ():
        if constraint.get("type") in _NEVER_NULL:
            yield from constraint.get("columns") or ()
    for name, column in (node.get("columns") or {}).items():
        if any(item.get("type") in _NEVER_NULL for item in column.get("constraints") or ()):
            yield name
    for test in manifest["nodes"].values():
        about = test.get("test_metadata") or {}
        config = test.get("config") or {}
        fails = str(config.get("severity", "error")).lower() == "error" and not config.get("where")
        if (
            test.get("attached_node") == model.unique_id
            and about.get("name") == "not_null"
            and fails
        ):
            yield test["column_name"]
