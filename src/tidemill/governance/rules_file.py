"""Parse a file of rules: each fault says what is wrong, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any, cast

from tidemill.core.errors import DeclarationError, Fault, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.toml_text import TomlError, check_values, parse_toml
from tidemill.governance.policy import PolicyRule, RuleEffect
from tidemill.governance.roles import Role
from tidemill.ledger.policy import SubjectKind
from tidemill.workflow.review import MOST_NAMES, MOST_PEOPLE

_EXAMPLE = "write [[rule]] with id, on, when and message"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
# It is recorded with each decision.
_LONGEST_MESSAGE = 2_000
# Rules of one id that a message lists.
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRules:
    """The rules of a file, and its faults."""

    rules: tuple[PolicyRule, ...] = ()
    faults: tuple[Fault, ...] = ()


def parse_document(content: bytes, file: str) -> Mapping[str, Any]:
    """The TOML document in a file; DeclarationError for what isn't one."""
    try:
        document = parse_toml(content)
        check_values(document)
    except TomlError as error:
        raise DeclarationError(file, [Fault(message=str(error), where=file)]) from error
    return document


def text_of(content: bytes) -> str:
    """The text of a file in UTF-8, without the mark that some editors put at its start."""
    return content.decode("utf-8-sig")


def parse_rules(content: bytes, file: str) -> ParsedRules:
    """The rules of a file, with all of its faults. DeclarationError for what isn't TOML."""
    document = parse_document(content, file)
    faults = [*unknown_keys(document, ("rule", "case", "facts"), file)]
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.append(Fault(message="`rule` is not a list of tables", where=file, hint=_EXAMPLE))
        tables = []
    elif not tables:
        faults.append(
            Fault(message="it has no rules", where=file, hint=f"{_EXAMPLE}, or delete it")
        )
    rules: list[PolicyRule] = []
    for number, table in enumerate(tables, 1):
        where = f"{file}: {_place(table, number)}"
        wrong, rule = _parse_rule(table, where)
        faults += wrong
        if rule is not None:
            rules.append(rule)
    faults += _repeated(tables, file)
    return ParsedRules(rules=tuple(rules), faults=tuple(faults))


def approver_faults(
    rules: Iterable[PolicyRule], groups: Collection[str], file: str
) -> Iterator[Fault]:
    """A fault for each group (`@name`) among the approvers of rules that the project doesn't declare."""
    for rule in rules:
        yield from group_faults(rule.approvers, groups, f"{file}: rule {rule.id!r}: approvers")


def group_faults(
    names: Iterable[str], groups: Collection[str], where: str, about: str = ""
) -> Iterator[Fault]:
    """A fault for each group (`@name`) among the names of approvers that the project doesn't declare."""
    for name in names:
        if name.startswith("@") and name.removeprefix("@") not in groups:
            advice = did_you_mean(name, [f"@{group}" for group in groups])
            hint = f"{advice}; groups are in [tool.tidemill.groups]"
            yield Fault(message=f"{about}there is no group {name!r}", where=where, hint=hint)


def unknown_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> Iterator[Fault]:
    """A fault for each key that isn't known."""
    for key in table:
        if key not in known:
            hint = did_you_mean(key, known)
            yield Fault(message=f"there is no key {key!r}", where=where, hint=hint)


def _place(table: Mapping[str, Any], number: int) -> str:
    id = table.get("id")
    return f"rule {id!r}" if isinstance(id, str) and id else f"rule {number}"


def _repeated(tables: list[Mapping[str, Any]], file: str) -> Iterator[Fault]:
    places: dict[str, list[int]] = {}
    for number, table in enumerate(tables, 1):
        if isinstance(table.get("id"), str):
            places.setdefault(table["id"], []).append(number)
    for id, numbers in places.items():
        if len(numbers) > 1:
            shown = ", ".join(map(str, numbers[:_SHOWN])) + (", ..." if numbers[_SHOWN:] else "")
            message = f"rules {shown} have the same id {id!r}"
            yield Fault(message=message, where=file, hint="give each rule an id of its own")


def _parse_rule(table: Mapping[str, Any], where: str) -> tuple[list[Fault], PolicyRule | None]:
    faults = [*unknown_keys(table, tuple(_KEYS), where)]
    for key, value in table.items():
        if key in _KEYS and not _KEYS[key][0](value):
            message = f"{key} = {_shown(value)} is not {_KEYS[key][1]}"
            faults.append(Fault(message=message, where=where, hint=_hint(key, value)))
    for key in ("id", "on", "message"):
        if key not in table:
            faults.append(Fault(message=f"`{key}` is missing", where=where, hint=_KEYS[key][1]))
    if faults:
        return faults, None
    given = {key: value for key, value in table.items() if key != "on"}
    given["kinds"] = frozenset(map(SubjectKind, table["on"]))
    given["approvers"] = tuple(table.get("approvers", ()))
    try:
        return [], PolicyRule(**given)
    except DeclarationError as error:
        return [replace(each, where=f"{where}: {each.where}") for each in error.faults], None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _hint(key: str, value: object) -> str:
    """The nearest value, for a misspelt kind or effect."""
    if key == "effect" and isinstance(value, str):
        return did_you_mean(value, map(str, RuleEffect))
    if key == "on" and isinstance(value, list):
        wrong = [item for item in value if isinstance(item, str) and item not in {*SubjectKind}]
        return did_you_mean(wrong[0], map(str, SubjectKind)) if wrong else ""
    return ""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(
        _is_text(item) and item == item.strip() and item.isprintable() for item in value
    )


def _are_approvers(value: object) -> bool:
    roles = {f"role:{role}" for role in Role}
    return (
        _are_names(value)
        and len(cast("list[str]", value)) <= MOST_NAMES
        and all(name in roles or not name.startswith("role:") for name in cast("list[str]", value))
    )


def _are_kinds(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, str) and item in {*SubjectKind} for item in value)
    )


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= MOST_PEOPLE


_KEYS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "id": (
        lambda value: isinstance(value, str) and bool(_ID.fullmatch(value)),
        "a name of letters, digits, - _ and . such as owner-declared",
    ),
    "on": (_are_kinds, f"a list of {', '.join(SubjectKind)}"),
    "when": (_is_text, 'an expression, such as owner == ""'),
    "function": (
        lambda value: isinstance(value, str) and bool(_FUNCTION.fullmatch(value)),
        "module:name of a function, such as rules:unusual_cost",
    ),
    "message": (
        lambda value: _is_text(value) and len(value) <= _LONGEST_MESSAGE,
        f"a text that says what to do, of at most {_LONGEST_MESSAGE:,} characters",
    ),
    "effect": (
        lambda value: isinstance(value, str) and value in {*RuleEffect},
        f"one of {', '.join(RuleEffect)}",
    ),
    "approvers": (
        _are_approvers,
        f"a list of users, groups and roles (at most {MOST_NAMES}), such as "
        '["ana", "@ops-leads", "role:admin"]',
    ),
    "people": (_is_count, f"a whole number from 1 to {MOST_PEOPLE}"),
    "author_may_approve": (lambda value: isinstance(value, bool), "true or false"),
    "expires": (
        lambda value: isinstance(value, date) and not isinstance(value, datetime),
        "a date without quotes, such as 2027-01-31",
    ),
}
