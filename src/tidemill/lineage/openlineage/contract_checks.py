"""The results of the checks of a contract, as a facet of OpenLineage.

It has the number of rows that break a rule, and none of their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from tidemill.contracts.column import Column
from tidemill.contracts.finding import Finding
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import FreshnessRule
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.printable import shorten
from tidemill.lineage.openlineage.facets import FacetBuilder, Json

_SEVERITIES = {"fail": "error"}
# How OpenLineage calls some checks of a column.
_KINDS = {"null": "not_null", "nan": "not_nan", "isin": "accepted_values"}
_VALUE_TERMS = (
    *("min", "max", "min_exclusive", "max_exclusive", "min_length", "max_length", "regex", "isin"),
)
MOST_CHECKS = 2000
_LONGEST = 200


@dataclass(slots=True)
class BrokenRules:
    """The rules that rows of some partitions broke: the worst severity, and the number of rows.

    With `refused` a partition wasn't published for it, because too many of its rows were bad.
    """

    found: dict[str, tuple[str, int]] = field(default_factory=dict)
    refused: bool = False

    def add(self, findings: Iterable[Finding]) -> None:
        """Count more findings; those that only inform don't count."""
        for finding in findings:
            if finding.severity != "info":
                severity, rows = self.found.get(finding.rule, (finding.severity, 0))
                worst = severity if severity == "fail" else finding.severity
                self.found[finding.rule] = (worst, rows + finding.rows)

    @property
    def failed(self) -> bool:
        """Whether a partition broke its contract, and not only rows of it."""
        return self.refused or any(severity == "fail" for severity, _ in self.found.values())


def assertions(
    builder: FacetBuilder, spec: ContractSpec | None, broken: BrokenRules
) -> tuple[Json, int]:
    """The facet, and the number of checks that were left out; without a contract only broken rules."""
    declared = dict(_declared(spec)) if spec is not None else {}
    known = {column.name: column for column in spec.columns} if spec is not None else {}
    found = [
        _assertion(rule, known, expected, broken.found.get(rule))
        for rule, expected in declared.items()
    ]
    found += [
        _assertion(rule, known, "", result)
        for rule, result in broken.found.items()
        if rule not in declared
    ]
    # What is broken is kept.
    found.sort(key=lambda check: check["success"])
    facet = builder.facet("dataQualityAssertions", assertions=found[:MOST_CHECKS])
    return facet, len(found[MOST_CHECKS:])


def _declared(spec: ContractSpec) -> Iterator[tuple[str, str]]:
    """The rules that every published partition was checked against, each with what it demands.

    The age and the drift of a table are judged at the end of a run, and recorded only when that changes.
    """
    for column in spec.columns:
        yield from _of_column(column)
    if spec.key:
        yield "key", ", ".join(spec.key)
    for rule in spec.rules:
        yield rule.name, str(rule.expr)
    if spec.rows is not None:
        yield "rows", ""
    for table_rule in spec.partition_rules:
        if not isinstance(table_rule, FreshnessRule):
            yield table_rule.name, str(table_rule)


def _of_column(column: Column) -> Iterator[tuple[str, str]]:
    if not column.nullable:
        yield f"{column.name}.null", ""
    if column.unique:
        yield f"{column.name}.unique", ""
    for term in _VALUE_TERMS:
        value = getattr(column, term)
        if value is not None:
            yield f"{column.name}.{term}", str(value)


def _assertion(
    rule: str, known: Mapping[str, Column], expected: str, result: tuple[str, int] | None
) -> Json:
    column, _, kind = rule.rpartition(".")
    found: Json = {"assertion": _KINDS.get(kind, kind), "success": result is None, "name": rule}
    if column in known:
        found["column"] = column
    else:
        found["assertion"] = rule
    if expected:
        found["expected"] = shorten(expected, _LONGEST)
    if result is not None:
        severity, rows = result
        found["severity"] = _SEVERITIES.get(severity, severity)
        found["actual"] = f"{rows} rows break it"
    return found
