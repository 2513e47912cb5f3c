"""Read from the settings who is notified of reviews, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.notices.channel_settings import (
    HOOKS,
    Channel,
    ChannelKind,
    EmailSettings,
    entry_text,
    is_allowed_address,
    parse_email,
    parse_hook,
    parse_variable,
    require_known,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """Who is notified of reviews: addresses of hooks, or names of environment variables that hold one.

    `webhook_key` names the variable with the key that signs what `webhook` gets. `link` is the address of a
    review's page, with `{id}`.
    """

    webhook: str = ""
    webhook_key: str = ""
    slack: str = ""
    teams: str = ""
    email: EmailSettings | None = None
    link: str = ""

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The channels that are configured, each by the name of its kind."""
        addresses = (self.webhook, self.slack, self.teams)
        keys = (self.webhook_key, "", "")
        found = [
            Channel(name=kind, kind=kind, address=address, key=key)
            for kind, address, key in zip(HOOKS, addresses, keys, strict=True)
            if address
        ]
        if self.email is not None:
            kind = ChannelKind.EMAIL
            found.append(Channel(name=kind, kind=kind, email=self.email))
        return {channel.name: channel for channel in found}


def parse_notify_settings(table: Mapping[str, Any], place: str) -> NotifySettings:
    """Read the table `notify`; `place` names it in messages. UsageError names the entry and what fits."""
    keys = ("webhook", "webhook_key", "slack", "teams", "email", "link")
    require_known(table, keys, place)
    hooks = {str(kind): parse_hook(table, kind, place) for kind in HOOKS}
    key = parse_variable(table, "webhook_key", place)
    link = entry_text(table, "link", place)
    if link and (not is_allowed_address(link) or "{id}" not in link):
        raise UsageError(
            f"{place} link = {link!r} isn't an address with {{id}}, such as "
            '"https://tidemill.example.com/reviews/{id}"'
        )
    email, email_place = table.get("email"), f"{place[:-1]}.email]"
    if email is not None and not isinstance(email, dict):
        raise UsageError(f"{email_place} = {email!r} is not a table")
    return NotifySettings(
        **hooks,
        webhook_key=key,
        link=link,
        email=None if email is None else parse_email(email, email_place),
    )
