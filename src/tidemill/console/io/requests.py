"""Read what requests carry: who asks, which environment, arguments, forms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from tidemill.console.resource import LONGEST_QUOTED
from tidemill.core.errors import UsageError
from tidemill.core.printable import shorten
from tidemill.workflow.environment import PRODUCTION, check_environment_name

# Of the body of a request, in bytes.
LARGEST = 1 << 20
ENVIRONMENT = "env"
# Of a page: how it is looked at, which no view needs to know.
_OF_PAGES = frozenset({ENVIRONMENT, "view"})


class TooLarge(Exception):
    """The body of a request is larger than any form."""


def environment_of(request: Request) -> str:
    """The environment that a request is about; UsageError for a name that none can have."""
    return check_environment_name(request.query_params.get(ENVIRONMENT) or PRODUCTION)


def arguments_of(
    request: Request, fields: Mapping[str, object] = MappingProxyType({})
) -> dict[str, object]:
    """The arguments in the path, the `fields` and the query; UsageError for one that is there twice."""
    found: dict[str, object] = dict(request.path_params)
    query = [each for each in request.query_params.multi_items() if each[0] not in _OF_PAGES]
    for name, value in [*fields.items(), *query]:
        if name in found:
            raise _repeated(name)
        found[name] = value
    return found


def own_path(path: str) -> str:
    """A path of this console with its query; "" for anything else."""
    own = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if own and path.isprintable() else ""


def page_of_form(request: Request) -> str:
    """The path and query of the page, of this console, that sent a form; "" if a browser doesn't say."""
    try:
        found = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return ""
    return own_path(found.path + (f"?{found.query}" if found.query else ""))


def bearer_of(request: Request) -> str:
    """The token of the header `Authorization`; "" without one."""
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if kind.lower() == "bearer" else ""


async def read_body(request: Request) -> bytes:
    """The body of a request; TooLarge beyond what any form has."""
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > LARGEST:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of a form; UsageError for one that is there twice."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
        if name in found:
            raise _repeated(name)
        found[name] = value
    return found


def gather_members(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields of a form, in which those named NAME.MEMBER are together NAME, a JSON object."""
    found: dict[str, str] = {}
    members: dict[str, dict[str, str]] = {}
    for field, value in fields.items():
        name, dot, member = field.partition(".")
        if dot:
            members.setdefault(name, {})[member] = value
        else:
            found[name] = value
    return found | {name: json.dumps(inside) for name, inside in members.items()}


def parse_document(body: bytes) -> Mapping[str, Any]:
    """The members of a JSON object; UsageError for anything else."""
    try:
        found = json.loads(body, object_pairs_hook=_members) if body else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError("the body is not a JSON object")
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _repeated(name)
        found[name] = value
    return found


def _repeated(name: str) -> UsageError:
    return UsageError(f"there is more than one {shorten(name, LONGEST_QUOTED)!r}")
