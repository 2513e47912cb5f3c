"""The setting `home`: a folder, or the URL of a PostgreSQL database that machines share."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import UsageError

if TYPE_CHECKING:
    from tidemill.adapters.postgres.address import HomeAddress

# What looks like a URL of any kind: a folder has no colon after such a word.
_URL = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.\-]+:")
_SCHEMES = ("postgresql:", "postgres:")
# Names a variable with the URL.
_VARIABLE = "env:"
# Before the name of the folder with what a machine keeps of a shared home; not in another home.
_FOLDER = ".tidemill-"


def parse_home(table: Mapping[str, Any], place: str) -> dict[str, str]:
    """The settings of a home that machines share, which also has a folder on each; none of another home.

    UsageError for a URL that can't be used, which shows no credentials, or without a place for objects.
    """
    url = table.get("home", "")
    if not is_shared(url):
        if _URL.match(url) or url != url.strip() or url.startswith("$"):
            raise UsageError(
                f"{place} home is neither a folder nor the URL of a database, such as "
                "postgresql://HOST/DATABASE or env:NAME (which may have credentials, and so isn't shown here)"
            )
        return {}
    address = resolve_home(url, place)
    if not table.get("artifacts"):
        raise UsageError(
            f"{place} home is shared by machines, and so must be the objects: set artifacts to "
            "s3://BUCKET/PATH, or to file:///PATH of a folder that all of them mount"
        )
    return {"home": f"{_FOLDER}{address.folder}", "home_url": url}


def is_shared(home: str) -> bool:
    """Whether a home is that of many machines, by its setting."""
    return home.startswith((*_SCHEMES, _VARIABLE))


def resolve_home(url: str, place: str) -> HomeAddress:
    """The address that a setting gives, by itself or by a variable that it names."""
    # Only projects with a shared home need it.
    parse = import_module("tidemill.adapters.postgres.address").parse_address
    if not url.startswith(_VARIABLE):
        address: HomeAddress = parse(url, place, with_password=False)
        return address
    name = url.removeprefix(_VARIABLE)
    if not name:
        raise UsageError(f"{place} home = {url!r} names no environment variable: use env:NAME")
    found = os.environ.get(name, "")
    if not found.startswith(_SCHEMES):
        state = "isn't set" if not found else "is no URL of a PostgreSQL database"
        raise UsageError(f"{place} home = {url!r}: the environment variable {name} {state}")
    address = parse(found, f"{place} {name} as", with_password=True)
    return address
