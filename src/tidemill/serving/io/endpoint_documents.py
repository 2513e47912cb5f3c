"""The documents of a server about its endpoints: OpenAPI, and a page to read."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec
import numpy as np

from tidemill.serving.docs_page import SECURITY_POLICY, docs_page
from tidemill.serving.endpoint_description import EndpointDescription
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.json_schema import example_row
from tidemill.serving.oip import Reply
from tidemill.serving.openapi import openapi_document

_HTML = "text/html; charset=utf-8"


def openapi_reply(endpoints: Iterable[EndpointService], *, version: str, has_tokens: bool) -> Reply:
    """Describe the routes of the endpoints that can answer, as OpenAPI."""
    document = openapi_document(_described(endpoints), version=version, has_tokens=has_tokens)
    return Reply(msgspec.json.encode(document))


def docs_reply(endpoints: Iterable[EndpointService], *, base_url: str, has_tokens: bool) -> Reply:
    """Describe the endpoints as a page that loads nothing; only those that can answer have columns."""
    known = list(endpoints)
    page = docs_page(
        _described(known),
        base_url=base_url,
        has_tokens=has_tokens,
        silent=[endpoint.name for endpoint in known if endpoint.live is None],
    )
    return Reply(page.encode(), _HTML, (("content-security-policy", SECURITY_POLICY),))


def _described(endpoints: Iterable[EndpointService]) -> list[EndpointDescription]:
    return [
        EndpointDescription(
            name=endpoint.name,
            contract=schema.spec,
            columns=schema.columns,
            form=live.form,
            versions=[version.id for version in endpoint.versions],
            example=_example(schema),
        )
        for endpoint in endpoints
        if (live := endpoint.live) is not None and (schema := live.logged.carrying or live.schema)
    ]


@lru_cache(maxsize=64)
def _example(schema: InputSchema) -> dict[str, object] | None:
    """Return a row that a request may send; drawing one takes some milliseconds."""
    return example_row(schema.spec, schema.names, np.random.default_rng(0))
