"""One contracted column: its type and what each of its values must satisfy."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal, TypeAlias

from tidemill.contracts.dtype import DType
from tidemill.contracts.text_format import AS_STORED, TextFormat
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import Grain

OnFail: TypeAlias = Literal["fail", "quarantine", "warn"]
Bound: TypeAlias = "int | float | Decimal | date | datetime | None"

ON_FAIL = ("fail", "quarantine", "warn")
ROLES = ("", "label", "id", "feature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One contracted column: its type and what each of its values must satisfy.

    `min` and `max` are inclusive bounds, `min_exclusive` and `max_exclusive` exclusive ones. Lengths
    count the characters of text, the bytes of Binary, the items of a List. An `optional` column that
    is missing from the data is filled with `default`. `pii` names the kind of personal data it holds.
    `source` is its name in files, if that differs; `text` says how text is read as its values.
    """

    dtype: DType
    name: str = ""
    nullable: bool = False
    min: Bound = None
    max: Bound = None
    min_exclusive: Bound = None
    max_exclusive: Bound = None
    min_length: int | None = None
    max_length: int | None = None
    regex: str | None = None
    isin: tuple[object, ...] | None = None
    unique: bool = False
    on_fail: OnFail = "quarantine"
    partition: Grain | Literal["value"] | None = None
    optional: bool = False
    default: object = None
    unit: str = ""
    description: str = ""
    role: str = ""
    pii: str = ""
    source: str = ""
    text: TextFormat = AS_STORED

    @property
    def source_name(self) -> str:
        """The name of the column in files."""
        return self.source or self.name
