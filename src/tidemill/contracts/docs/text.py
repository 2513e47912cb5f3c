"""Render a contract as text tables, and as HTML in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidemill.contracts.docs.html import contract_html
from tidemill.contracts.docs.phrases import (
    Condition,
    column_terms,
    head_terms,
    row_conditions,
    table_conditions,
    type_name,
)
from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.printable import printable
from tidemill.core.text_table import drop_empty_columns, text_table


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
    return "\n\n".join([contract_heading(spec), _columns(spec), *_rules(spec)])


def contract_heading(spec: ContractSpec) -> str:
    """Render name, version, description and table terms, one per line."""
    about = [f"  {' '.join(line.split())}" for line in spec.description.split("\n") if line.strip()]
    terms = [f"  {name}: {words}" for name, words in head_terms(spec)]
    return "\n".join(map(printable, (f"{spec.title} ({spec.place})", *about, *terms)))


def _columns(spec: ContractSpec) -> str:
    headers = ("column", "type", "contract", "on_fail", "description")
    rows = [
        (c.name, type_name(c), column_terms(c) or "-", c.on_fail, c.description or "-")
        for c in spec.columns
    ]
    return text_table(*drop_empty_columns(headers, rows, "contract", "description"))


def _rules(spec: ContractSpec) -> Iterator[str]:
    yield from _rules_table("rule over rows", row_conditions(spec))
    yield from _rules_table("rule over the table", table_conditions(spec))


def _rules_table(title: str, rules: Sequence[Condition]) -> Iterator[str]:
    if rules:
        rows = [(rule.name, rule.phrase, rule.on_fail, rule.description or "-") for rule in rules]
        headers = (title, "must hold", "on_fail", "description")
        yield text_table(*drop_empty_columns(headers, rows, "description"))
