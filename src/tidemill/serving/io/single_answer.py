"""Answer one request without a server, in the same way as a server does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tidemill.serving.io.cpu_watch import CpuWatch
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.request_bodies import RequestBody
from tidemill.serving.io.version_source import VersionSource
from tidemill.serving.oip import Reply
from tidemill.workflow.model import Artifact


async def single_answer(
    source: VersionSource,
    endpoint: EndpointService,
    artifact: Artifact,
    payload: bytes,
    *,
    headers: Mapping[bytes, bytes],
    partial: bool,
) -> Reply:
    """Answer named rows with a version of an endpoint; raises RequestError for what isn't accepted."""
    query = b"partial=true" if partial else b""
    body = RequestBody(payload, headers, query, is_infer=False)
    prepared = await asyncio.to_thread(source.prepare, endpoint, artifact)
    version = source.open(endpoint, prepared)
    try:
        request = body.decode(body.schema(version))
        answer, request = await version.answer(request, CpuWatch(), partial=partial)
        return body.reply(version, answer, request)
    finally:
        await version.close()
        await source.close()
