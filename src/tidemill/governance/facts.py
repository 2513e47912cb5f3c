"""The facts that rules may use, by kind of subject, with their types."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import isfinite

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.policy import FactValue, SubjectKind

# What a ledger can hold as a whole number.
_LARGEST = 1 << 63


class FactType(StrEnum):
    """The type of a fact; `texts` is a tuple of texts."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    STR = "str"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSpec:
    """A fact that rules on subjects of some kinds may use. It is missing where it is None or absent."""

    name: str
    type: FactType
    description: str
    kinds: frozenset[SubjectKind]


_DELIVERY, _TABLE, _CONTRACT = SubjectKind.DELIVERY, SubjectKind.TABLE, SubjectKind.CONTRACT
_PROMOTION, _RELEASE = SubjectKind.PROMOTION, SubjectKind.RELEASE


def _fact(name: str, type: FactType, description: str, *kinds: SubjectKind) -> FactSpec:
    return FactSpec(
        name=name,
        type=type,
        description=description,
        kinds=frozenset(kinds) or frozenset(SubjectKind),
    )


FACTS: tuple[FactSpec, ...] = (
    _fact("name", FactType.STR, "the stage, model or environment that changes"),
    _fact("workflow", FactType.STR, "the workflow"),
    _fact("environment", FactType.STR, "the environment that changes, such as prod"),
    _fact("profile", FactType.STR, 'the run profile of the environment; "" for none'),
    _fact("author", FactType.STR, "who asked for the change"),
    _fact("owner", FactType.STR, 'the declared owner; "" for none'),
    _fact("sampled", FactType.BOOL, "whether it was computed from a sample of the source rows"),
    _fact("first_delivery", FactType.BOOL, "whether nothing was delivered under this name before",
          _DELIVERY, _TABLE),
    _fact("gates_passed", FactType.BOOL, "whether the model passed all of its gates", _DELIVERY),
    _fact("prediction_shift", FactType.FLOAT,
          "share (0 to 1) of rows whose prediction changed against the live model; 0 where none is live",
          _DELIVERY),
    _fact("worse_slices", FactType.TEXTS, "slices where the model is worse than the live one", _DELIVERY),
    _fact("unpinned_packages", FactType.TEXTS, "packages of the model whose versions aren't pinned",
          _DELIVERY),
    _fact("stale", FactType.BOOL, "whether data that it was made from is older than its target",
          _DELIVERY, _TABLE),
    _fact("budget_declared", FactType.BOOL, "whether a budget is declared", _DELIVERY),
    _fact("training_rows", FactType.INT, "rows that the model was trained on", _DELIVERY),
    _fact("evaluation_rows", FactType.INT, "rows that the model was evaluated on", _DELIVERY),
    _fact("cost", FactType.FLOAT, "cost of the training, in the currency of the settings", _DELIVERY),
    _fact("personal_columns", FactType.TEXTS,
          "columns with personal data that a model reads or a table has", _DELIVERY, _TABLE),
    _fact("automatic", FactType.BOOL, "whether a trigger retrained the model, not a change of code",
          _DELIVERY),
    _fact("code_changed", FactType.BOOL, "whether the code of the model changed against the live one",
          _DELIVERY),
    _fact("retention_declared", FactType.BOOL, "whether it is declared how long data is kept",
          _DELIVERY, _TABLE),
    _fact("sink", FactType.STR, "the kind of the sink, such as files or postgres", _TABLE),
    _fact("public_sink", FactType.BOOL, "whether people outside of the organization read the sink",
          _TABLE),
    _fact("partitions", FactType.INT, "partitions that change", _TABLE, _PROMOTION),
    _fact("rows", FactType.INT, "rows of what is delivered or released", _TABLE, _RELEASE),
    _fact("moved_rows", FactType.FLOAT, "share (0 to 1) of published rows that a backfill changes",
          _TABLE),
    _fact("backfill", FactType.BOOL, "whether it replaces partitions that were published before", _TABLE),
    _fact("broken_consumers", FactType.TEXTS, "stages that the change breaks", _CONTRACT, _PROMOTION),
    _fact("breaking_changes", FactType.TEXTS, "changes that break the compatibility of the contract",
          _CONTRACT),
    _fact("public", FactType.BOOL, "whether the contract is public", _CONTRACT),
    _fact("source", FactType.STR, "the environment that is promoted", _PROMOTION),
    _fact("stages", FactType.TEXTS, "stages that change", _PROMOTION),
    _fact("rows_changed", FactType.FLOAT, "share (0 to 1) of published rows that change", _PROMOTION),
    _fact("new_models", FactType.TEXTS, "models that go live", _PROMOTION),
    _fact("share", FactType.FLOAT, "share (0 to 1) of the quarantined rows that is released", _RELEASE),
    _fact("broken_rules", FactType.TEXTS, "rules of the contract that the rows break", _RELEASE),
)  # fmt: skip

_BY_KIND = {kind: {spec.name: spec for spec in FACTS if kind in spec.kinds} for kind in SubjectKind}


def specs_of(kind: SubjectKind) -> Mapping[str, FactSpec]:
    """The declared facts of a kind of subject, by name."""
    return _BY_KIND[kind]


def known_facts(kind: SubjectKind, facts: Mapping[str, FactValue]) -> dict[str, FactValue]:
    """The value of each declared fact; None where it is absent, of another type, or not finite.

    Values that a ledger can't hold, such as whole numbers of more than 64 bits, are None as well. Facts that
    aren't declared are left out.
    """
    return {name: _checked(spec.type, facts.get(name)) for name, spec in _BY_KIND[kind].items()}


def _checked(type: FactType, value: object) -> FactValue:
    if value is None:
        return None
    return _CHECKS[type](value)


def _bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _int(value: object) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value < _LARGEST
    return int(value) if fits else None  # type: ignore[call-overload]


def _float(value: object) -> float | None:
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    whole = _int(value)
    return None if whole is None else float(whole)


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str) and _is_encodable(value) else None


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, tuple):
        return None
    texts = tuple(text for item in value if (text := _text(item)) is not None)
    return texts if len(texts) == len(value) else None


def _is_encodable(text: str) -> bool:
    """Whether UTF-8 can hold it: there are no lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_CHECKS = {
    FactType.BOOL: _bool,
    FactType.INT: _int,
    FactType.FLOAT: _float,
    FactType.STR: _text,
    FactType.TEXTS: _texts,
}
