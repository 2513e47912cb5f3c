"""Read the roles and groups of a project from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.governance.roles import EVERYBODY, Grant, Grants, Role, parse_role
from tidemill.ledger.people import is_person
from tidemill.workflow.environment import check_environment_name

_KEYS = ("role", "workflows")


def parse_grants(
    roles: object,
    groups: object,
    place: str,
    *,
    has_logins: bool = False,
    may_be_empty: bool = False,
) -> Grants:
    """Read the tables `roles` and `groups`; None where there is no table.

    With `has_logins` an identity provider states members of groups, so that a list may be empty; it
    `may_be_empty` as well where only a server knows of others. `place` names the settings in messages.
    UsageError names the entry, its value and what fits.
    """
    if groups is not None and roles is None:
        raise UsageError(
            f'{place}.groups] needs roles as well: [tool.tidemill.roles] with entries such as ana = "admin"'
        )
    if roles is None:
        return Grants()
    declared = _table(groups or {}, f"{place}.groups]")
    members = _all_members(declared, f"{place}.groups]", has_logins or may_be_empty)
    parts = {name: _parts(name, members, f"{place}.groups]") for name in members}
    known = {name: people for name, (people, _) in parts.items()}
    table = _table(roles, f"{place}.roles]")
    if not table:
        raise UsageError(
            f"{place}.roles] is empty, so nobody could do anything: give people roles, such as "
            'ana = "admin", or remove the table'
        )
    grants = tuple(_grant(who, value, known, f"{place}.roles]") for who, value in table.items())
    if not any(grant.role is Role.ADMIN for grant in grants):
        raise UsageError(
            f'{place}.roles] names no admin, so nobody could create tokens: add one, such as ana = "admin"'
        )
    within = {name: inner for name, (_, inner) in parts.items()}
    return Grants(grants=grants, groups=known, within=within, has_logins=has_logins)


def parse_trusted(
    value: object, groups: Mapping[str, object], place: str
) -> Mapping[str, tuple[str, ...]]:
    """Read the table `trusted`: by environment, the people and groups whose results count there.

    UsageError names the entry, its value and what fits.
    """
    place, found = f"{place}.trusted]", {}
    for name, people in _table(value, place).items():
        try:
            check_environment_name(name)
        except UsageError as error:
            raise UsageError(f"{place} {error}") from None
        if not isinstance(people, list) or not people:
            raise UsageError(
                f'{place} {name} = {people!r} is not a list of people and groups, such as ["ci", "@release"]'
            )
        for who in people:
            _require_name(who, f"{place} {name}:")
            if who == EVERYBODY:
                raise UsageError(f"{place} {name}: without an entry the results of everybody count")
            _require_group(who, groups, f"{place} {name}:")
        found[name] = tuple(people)
    return found


def _table(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{place} = {value!r} is not a table")
    return value


def _all_members(
    table: Mapping[str, Any], place: str, may_be_empty: bool
) -> dict[str, tuple[str, ...]]:
    found = {}
    for name, value in table.items():
        _require_name(name, place)
        if name.startswith("@"):
            raise UsageError(
                f"{place} {name!r}: define a group without @; entries that mean it have the @"
            )
        if not isinstance(value, list) or not (value or may_be_empty):
            raise UsageError(
                f'{place} {name} = {value!r} is not a list of people and groups, such as ["ana", "@leads"]'
            )
        found[name] = _members(value, table, f"{place} {name}:")
    return found


def _members(value: list[Any], table: Mapping[str, Any], place: str) -> tuple[str, ...]:
    for member in value:
        _require_name(member, place)
        if member == EVERYBODY:
            raise UsageError(f"{place} {EVERYBODY!r} is no member: give everybody a role")
        _require_group(member, table, place)
    return tuple(value)


def _parts(
    name: str, members: Mapping[str, tuple[str, ...]], place: str
) -> tuple[frozenset[str], frozenset[str]]:
    """The people of a group and of the groups in it, and these; UsageError if it contains itself."""
    found: set[str] = set()
    above = {name: ""}
    left = [name]
    while left:
        group = left.pop()
        for member in members[group]:
            inner = member.removeprefix("@")
            if member == inner:
                found.add(member)
            elif inner == name:
                raise UsageError(f"{place} {name} contains itself: {_circle(group, above)}")
            elif inner not in above:
                above[inner] = group
                left.append(inner)
    return frozenset(found), frozenset({*above} - {name})


def _circle(group: str, above: Mapping[str, str]) -> str:
    """The way from a group to one that has it as a member, and back."""
    way = [group]
    while above[way[-1]]:
        way.append(above[way[-1]])
    return " -> ".join((*reversed(way), way[-1]))


def _grant(who: str, value: object, groups: Mapping[str, object], place: str) -> Grant:
    _require_name(who, place)
    _require_group(who, groups, place)
    entry = {"role": value} if isinstance(value, str) else value
    if not isinstance(entry, dict):
        raise UsageError(
            f'{place} {who} = {value!r} is not a role: write "reviewer", or {{ role = "reviewer", '
            'workflows = ["flights*"] }'
        )
    for key in entry:
        if key not in _KEYS:
            raise UsageError(f"{place} {who}.{key}: {did_you_mean(key, _KEYS)}")
    try:
        role = parse_role(entry.get("role"))
    except ValueError as error:
        raise UsageError(f"{place} {who}: {error}") from None
    return Grant(
        who=who, role=role, workflows=_workflows(entry.get("workflows", ["*"]), place, who)
    )


def _workflows(value: object, place: str, who: str) -> tuple[str, ...]:
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(pattern, str) and pattern.strip() for pattern in value)
    ):
        raise UsageError(
            f'{place} {who}: workflows = {value!r} is not a list of patterns, such as ["flights*"]'
        )
    return tuple(value)


def _require_name(name: object, place: str) -> None:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise UsageError(f"{place} {name!r} is not the name of a person or a group")
    if name != name.strip():
        raise UsageError(f"{place} {name!r} has spaces around it")
    # Users without a name have the id of the system in its place.
    if not name.startswith(("@", "uid:")) and name != EVERYBODY and not is_person(name):
        raise UsageError(
            f"{place} {name!r} stands for something else than a person or a group in records: use another "
            "name"
        )


def _require_group(name: str, groups: Mapping[str, object], place: str) -> None:
    """Raise for `@NAME` without such a group, and for a group that is named without `@`."""
    if name.startswith("@") and name[1:] not in groups:
        raise UsageError(
            f"{place} there is no group {name[1:]!r} ({did_you_mean(name[1:], groups)})"
        )
    if name in groups:
        raise UsageError(f"{place} {name} is a group: write @{name}")
