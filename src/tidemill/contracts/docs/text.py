"""Render a contract as text tables, and as HTML in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidemill.contracts.docs.html import contract_html
from tidemill.contracts.docs.phrases import (
    Condition,
    head_terms,
    row_rules,
    table_rules,
    terms,
    type_name,
)
from tidemill.contracts.spec import ContractSpec
from tidemill.core.text_table import table, without_empty


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Description:
    """A description of a contract: text when printed, HTML in a notebook."""

    spec: ContractSpec

    def __str__(self) -> str:
        return contract_text(self.spec)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return contract_html(self.spec)


def contract_text(spec: ContractSpec) -> str:
    """Render head, columns and rules of a contract as blocks of text."""
    return "\n\n".join([head(spec), _columns(spec), *_rules(spec)])


def head(spec: ContractSpec) -> str:
    """Render name, version, description and table terms, one per line."""
    about = [f"  {' '.join(line.split())}" for line in spec.description.split("\n") if line.strip()]
    terms = [f"  {name}: {words}" for name, words in head_terms(spec)]
    return "\n".join((f"{spec.name} {spec.version} ({spec.place})", *about, *terms))


def _columns(spec: ContractSpec) -> str:
    headers = ("column", "type", "contract", "on_fail", "description")
    rows = [
        (c.name, type_name(c), terms(c) or "-", c.on_fail, c.description or "-")
        for c in spec.columns
    ]
    return table(*without_empty(headers, rows, "contract", "description"))


def _rules(spec: ContractSpec) -> Iterator[str]:
    yield from _rules_table("rule over rows", row_rules(spec))
    yield from _rules_table("rule over the table", table_rules(spec))


def _rules_table(title: str, rules: Sequence[Condition]) -> Iterator[str]:
    if rules:
        rows = [(rule.name, rule.says, rule.on_fail, rule.description or "-") for rule in rules]
        headers = (title, "must hold", "on_fail", "description")
        yield table(*without_empty(headers, rows, "description"))
