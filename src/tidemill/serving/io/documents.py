"""The documents of a server about itself: metadata, health, status, metrics."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidemill.ledger.price import Price
from tidemill.serving import oip
from tidemill.serving.access import DocumentReader
from tidemill.serving.counters import Snapshot
from tidemill.serving.io.endpoint_documents import docs_reply, openapi_reply
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.metric_families import (
    Family,
    LiveVersion,
    metric_families,
    staleness,
)
from tidemill.serving.metrics_text import CONTENT_TYPE, metrics_text
from tidemill.serving.oip import Reply
from tidemill.serving.opened_documents import opened_families
from tidemill.serving.routes import RouteAction


class ServerDocuments:
    """Writes the documents of one server; `faults` returns what is wrong with it, "" for what isn't."""

    def __init__(
        self,
        endpoints: Mapping[str, EndpointService],
        snapshot: Callable[[], Snapshot],
        faults: Callable[[], Sequence[str]],
        price: Price,
        stale_since: Callable[[], float | None],
    ) -> None:
        self._endpoints = endpoints
        self._stale_since = stale_since
        self._price = price
        self._snapshot = snapshot
        self._faults = faults

    def by_action(
        self, is_ready: Callable[[], bool]
    ) -> dict[RouteAction, Callable[[DocumentReader], Reply]]:
        """The documents by the action of their route, but for the status of all processes.

        They leave out endpoints that the reader may not ask.
        """
        version = importlib.metadata.version("tidemill")
        return {
            RouteAction.SERVER: lambda _: oip.server_metadata(version),
            RouteAction.LIVE: lambda _: oip.live(),
            RouteAction.READY: lambda _: oip.ready(is_ready()),
            RouteAction.METRICS: self._metrics,
            RouteAction.OPENAPI: lambda reader: openapi_reply(
                self._open_to(reader), version=version, has_tokens=reader.sends_token
            ),
            RouteAction.DOCS: lambda reader: docs_reply(
                self._open_to(reader), base_url=reader.url, has_tokens=reader.sends_token
            ),
        }

    def _open_to(self, reader: DocumentReader) -> list[EndpointService]:
        return [each for name, each in self._endpoints.items() if reader.opens(name)]

    def _metrics(self, reader: DocumentReader) -> Reply:
        families = self.families()
        if not reader.reads_server:
            families = opened_families(families, reader.opens)
        return Reply(metrics_text(families).encode(), CONTENT_TYPE)

    def status(self) -> dict[str, Any]:
        """The endpoints and the faults of this process, as plain data."""
        return {
            "schema": "tidemill.server/1",
            "faults": [fault for fault in self._faults() if fault],
            "stale_since": self._stale_since(),
            "endpoints": [endpoint.status() for endpoint in self._endpoints.values()],
        }

    def families(self) -> list[Family]:
        """The counters of this server."""
        live = [
            LiveVersion(
                endpoint=endpoint.name,
                version=version.id,
                model=endpoint.model,
                contract=version.served.contract,
                watermark=version.served.watermark,
                role=role,
            )
            for endpoint in self._endpoints.values()
            for role, version in endpoint.roles.items()
        ]
        since = self._stale_since()
        stale_s = 0.0 if since is None else max(0.0, time.time() - since)
        return [*metric_families(self._snapshot(), live, self._price), staleness(stale_s)]
