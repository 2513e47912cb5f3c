"""The routes of a server: what a path asks for, of which endpoint and which version."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote


class RouteAction(StrEnum):
    """The kinds of routes."""

    SERVER = "server metadata"
    LIVE = "server live"
    READY = "server ready"
    MODEL = "model metadata"
    MODEL_READY = "model ready"
    INFER = "infer"
    PREDICT = "predict"
    METRICS = "metrics"
    STATUS = "status"
    OPENAPI = "openapi"
    DOCS = "docs"


class Route(NamedTuple):
    """The meaning of a path; `version` is "" for the one that is live."""

    action: RouteAction
    endpoint: str = ""
    version: str = ""

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of the route."""
        return (
            ("POST",)
            if self.action in (RouteAction.INFER, RouteAction.PREDICT)
            else ("GET", "HEAD")
        )


FIXED_ROUTES = {
    "/": Route(RouteAction.DOCS),
    "/docs": Route(RouteAction.DOCS),
    "/openapi.json": Route(RouteAction.OPENAPI),
    "/metrics": Route(RouteAction.METRICS),
    "/status": Route(RouteAction.STATUS),
    "/v2": Route(RouteAction.SERVER),
    "/v2/": Route(RouteAction.SERVER),
    "/v2/health/live": Route(RouteAction.LIVE),
    "/v2/health/ready": Route(RouteAction.READY),
}
_OF_MODEL = {"": RouteAction.MODEL, "ready": RouteAction.MODEL_READY, "infer": RouteAction.INFER}


def find_route(raw_path: str) -> Route | None:
    """The route of a path that is still percent-encoded; None if there is no such route."""
    fixed = FIXED_ROUTES.get(raw_path)
    if fixed is not None:
        return fixed
    match [unquote(part) for part in raw_path.split("/")[1:]]:
        case ["predict", name] if name:
            return Route(RouteAction.PREDICT, name)
        case ["v2", "models", name, "versions", version, *rest] if name and version:
            return _of_model(name, version, rest)
        case ["v2", "models", name, *rest] if name:
            return _of_model(name, "", rest)
    return None


def _of_model(name: str, version: str, rest: list[str]) -> Route | None:
    if len(rest) > 1:
        return None
    action = _OF_MODEL.get(rest[0] if rest else "")
    return None if action is None else Route(action, name, version)
