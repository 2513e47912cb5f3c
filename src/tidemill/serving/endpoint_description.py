"""The description of an endpoint for callers, in OpenAPI and on the page of the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.answers import AnswerForm
from tidemill.serving.request_contract import request_contract


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDescription:
    """An endpoint: its name, the contract and the columns that it reads, its outputs, and an example row.

    `versions` are the versions of the model that can be asked for, the live one first.
    """

    name: str
    contract: ContractSpec
    columns: tuple[Column, ...]
    form: AnswerForm
    versions: Sequence[str] = ()
    description: str = ""
    example: dict[str, Any] | None = None

    @property
    def path_name(self) -> str:
        """The name as a part of a path."""
        return quote(self.name, safe="")

    @property
    def request_contract(self) -> ContractSpec:
        """The columns and rules that a request is judged by."""
        return request_contract(self.contract, [column.name for column in self.columns])
