"""The settings of logins through OpenID Connect, from `[tool.tidemill.oidc]`, and the person of a login."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tidemill.core.errors import AccessError, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.people import is_person

_LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """The provider at `issuer`, which knows this project as `client_id`.

    `client_secret` names the environment variable with the secret, "" for a public client. The claim
    `name_claim` is the name of a person, as roles and reviews use it, and `groups_claim` states groups of the
    settings to which the person belongs ("": none). Requests go through `proxy`, a URL, and trust the
    certificates of `ca_file`, if there are any; the environment doesn't count for that. With `required` only
    logged-in people and tokens may act, and no user of the operating system.
    """

    issuer: str
    client_id: str
    client_secret: str = ""
    name_claim: str = "email"
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    required: bool = False
    groups_claim: str = ""
    proxy: str = ""
    ca_file: str = ""


def parse_oidc_settings(table: Mapping[str, Any], place: str) -> OidcSettings:
    """Read the table; `place` names it in messages. UsageError names the setting, its value and what fits."""
    known = [field.name for field in fields(OidcSettings)]
    for name, value in table.items():
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")
        wanted = _fault(name, value)
        if wanted:
            raise UsageError(f"{place} {name} = {value!r} is not {wanted}")
    for name in ("issuer", "client_id"):
        if name not in table:
            raise UsageError(f"{place} needs {name}, which the identity provider tells you")
    given = {**table, "issuer": _checked_issuer(table["issuer"], place)}
    if "proxy" in table and not table["proxy"].startswith(("http://", "https://")):
        raise UsageError(
            f"{place} proxy = {table['proxy']!r} is not the URL of a proxy, such as http://proxy:3128"
        )
    if "scopes" in table:
        given["scopes"] = tuple(dict.fromkeys(("openid", *table["scopes"])))
    return OidcSettings(**given)


def _fault(name: str, value: object) -> str:
    if name == "required":
        return "" if isinstance(value, bool) else "true or false"
    if name == "scopes":
        fits = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
        return "" if fits else 'a list of scopes, such as ["openid", "email"]'
    return "" if isinstance(value, str) and value.strip() else "text"


def _checked_issuer(issuer: str, place: str) -> str:
    is_local = any(issuer == url or issuer.startswith((f"{url}:", f"{url}/")) for url in _LOOPBACK)
    if not issuer.startswith("https://") and not is_local:
        raise UsageError(
            f"{place} issuer = {issuer!r} is not an https:// URL: others could answer in its place"
        )
    return issuer


def person_of(claims: Mapping[str, Any], settings: OidcSettings) -> str:
    """The name of the person whom claims are about.

    AccessError without that claim, and for an e-mail address that the provider hasn't verified, which anybody
    could have entered.
    """
    name = claims.get(settings.name_claim)
    if not isinstance(name, str) or not name.strip():
        raise AccessError(
            f"the login at {settings.issuer} states no {settings.name_claim!r}; it states "
            f"{', '.join(sorted(claims))}: choose one as name_claim in [tool.tidemill.oidc], or ask for the "
            "scope that includes it"
        )
    if settings.name_claim == "email" and claims.get("email_verified") is not True:
        raise AccessError(
            f"{settings.issuer} hasn't verified the address {name}: verify it there, or use another "
            "name_claim in [tool.tidemill.oidc]"
        )
    name = name.strip()
    if not is_person(name):
        raise AccessError(
            f"{settings.issuer} states the name {name!r}, which stands for no person here"
        )
    return name


def groups_of(claims: Mapping[str, Any], settings: OidcSettings) -> frozenset[str]:
    """The groups that claims state, none without that claim; AccessError if it is no list of names."""
    if not settings.groups_claim:
        return frozenset()
    stated = claims.get(settings.groups_claim, [])
    names = [stated] if isinstance(stated, str) else stated
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise AccessError(
            f"the login at {settings.issuer} states {settings.groups_claim!r} as something else than a list "
            "of names: choose another groups_claim in [tool.tidemill.oidc]"
        )
    return frozenset(names)
