"""Check the rules about a whole table that the few tables of a case can decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from tidemill.contracts.checks.schema import dtype_of
from tidemill.contracts.checks.table_findings import reference_findings, unique_findings
from tidemill.contracts.checks.value_index import ValueIndex, comparison_type
from tidemill.contracts.finding import Finding
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import ReferenceRule, UniqueRule


def table_rule_findings(
    spec: ContractSpec,
    parts: Mapping[str, pl.DataFrame],
    others: Mapping[str, pl.DataFrame],
    refers: Mapping[str, str],
) -> tuple[Finding, ...]:
    """What breaks the uniqueness and the references of a table with these partitions.

    `others` have the rows of tables that are known, `refers` the stages of all, by the names of rules.
    Freshness and drift depend on more than a case has.
    """
    return tuple(_findings(spec, parts, others, refers)) if parts else ()


def _findings(
    spec: ContractSpec,
    parts: Mapping[str, pl.DataFrame],
    others: Mapping[str, pl.DataFrame],
    refers: Mapping[str, str],
) -> Iterator[Finding]:
    for rule in spec.table_rules:
        if isinstance(rule, UniqueRule):
            yield from _repeats(spec, rule, parts)
        elif isinstance(rule, ReferenceRule) and rule.name in others:
            table = others[rule.name]
            types = {
                name: comparison_type(spec.column(name).dtype, dtype_of(table.schema[to]))
                for name, to in zip(rule.columns, rule.to, strict=True)
            }
            index = ValueIndex(types)
            index.add(table.select(rule.to), 0)
            rows = pl.concat([part.select(rule.columns) for part in parts.values()])
            keys = index.complete_rows(rows)
            yield from reference_findings(spec, rule, keys, index, refers[rule.name])


def _repeats(
    spec: ContractSpec, rule: UniqueRule, parts: Mapping[str, pl.DataFrame]
) -> Iterator[Finding]:
    tagged = [
        part.select(rule.columns).with_columns(pl.lit(key).alias("\0partition"))
        for key, part in sorted(parts.items())
    ]
    rows = pl.concat(tagged).drop_nulls(rule.columns)
    first = rows.select(pl.col("\0partition").first().over(rule.columns)).to_series()
    repeated = ~rows.select(pl.struct(rule.columns).is_first_distinct()).to_series()
    others = {int(number): str(first[number]) for number in repeated.arg_true()}
    yield from unique_findings(spec, rule, rows.select(rule.columns), others)
