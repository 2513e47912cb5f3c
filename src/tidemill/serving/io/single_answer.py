"""Answer one request without a server, in the same way as a server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tidemill.serving.io.cpu_watch import CpuWatch
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.loaded_version import LoadedVersion
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
    async with _open_version(source, endpoint, artifact) as version:
        request = body.decode(body.schema(version))
        answer, request = await version.answer(request, CpuWatch(), partial=partial)
        return body.reply(version, answer, request)


async def explained_answer(
    source: VersionSource, endpoint: EndpointService, artifact: Artifact, payload: bytes
) -> tuple[Reply, list[dict[str, Any]]]:
    """Answer named rows as JSON, and return the features that were computed for them, if any are.

    Raises as `single_answer` does.
    """
    body = RequestBody(payload, {}, b"", is_infer=False)
    async with _open_version(source, endpoint, artifact) as version:
        request = body.decode(body.schema(version))
        features = await version.compute_features(request)
        answer, request = await version.answer(request, CpuWatch(), partial=False)
        return body.reply(version, answer, request), features


@asynccontextmanager
async def _open_version(
    source: VersionSource, endpoint: EndpointService, artifact: Artifact
) -> AsyncIterator[LoadedVersion]:
    prepared = await asyncio.to_thread(source.prepare, endpoint, artifact)
    version = source.open(endpoint, prepared)
    try:
        yield version
    finally:
        await version.close()
        await source.close()
