"""Answer HTTP requests: an ASGI application without a framework, because it costs a tenth of one."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from tidemill.core.errors import ConflictError
from tidemill.serving.access import Access, Requester
from tidemill.serving.admission import Admission
from tidemill.serving.answers import ModelAnswer
from tidemill.serving.errors import MethodNotAllowed, NotFound, RequestError, Unavailable
from tidemill.serving.io.access_log import AccessLine
from tidemill.serving.io.body import Disconnected, PendingBodies, read_body
from tidemill.serving.io.cpu_watch import CpuWatch
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.loaded_version import LoadedVersion
from tidemill.serving.io.meter import Meter
from tidemill.serving.io.request_bodies import RequestBody, decode_request
from tidemill.serving.io.runner import USER_ERRORS
from tidemill.serving.oip import JSON, Reply
from tidemill.serving.request_ids import RequestIds
from tidemill.serving.routes import Route, RouteAction, find_route
from tidemill.serving.rows import InferRequest
from tidemill.serving.serve_settings import ServeSettings

# Documents that describe the server: what they contain is made when they are asked for.
Documents: TypeAlias = Mapping[RouteAction, Callable[[str], Reply]]

_log = logging.getLogger("tidemill.serving")
# Paths whose routes, and hosts whose admission, are remembered.
_REMEMBERED = 1024
# Health, which load balancers ask for, needs no token.
_OPEN = (RouteAction.LIVE, RouteAction.READY)
_ANYBODY = Requester()
_CONTENT_TYPES = {JSON: (b"content-type", JSON.encode())}
_CLOSE = (b"connection", b"close")


class Answered(NamedTuple):
    """A request that a version answered, and how long it took; None for an answer from a cache."""

    version: LoadedVersion
    request: InferRequest
    answer: ModelAnswer
    computed_ns: int | None


class _Sent(NamedTuple):
    """A reply, and what is logged of its request."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Sequence[tuple[bytes, bytes]] = ()
    version: str = ""
    rows: int = 0
    cpu_ns: int = 0
    answered: Answered | None = None


class ServingApp:
    """The application of one process; all of it runs in the thread of one event loop.

    `documents` makes the replies of routes that don't predict, for callers that came by a URL. `log` gets a
    line per request.
    """

    def __init__(
        self,
        endpoints: Mapping[str, EndpointService],
        *,
        access: Access,
        meter: Meter,
        documents: Documents,
        settings: ServeSettings,
        request_ids: str,
        log: Callable[[AccessLine], None] | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._access = access
        self._meter = meter
        self._documents = documents
        self._max_body = settings.max_body
        self._uses_tls = settings.uses_tls
        self._pending = PendingBodies(settings.max_in_flight * settings.max_body)
        self._log = log
        self._routes: dict[bytes, Route] = {}
        self._welcome: set[bytes | None] = set()
        self._ids = RequestIds(request_ids)
        self.admission = Admission(settings.max_in_flight)
        self.is_draining = False
        # How many of the next replies close their connection.
        self._closing = 0.0

    def drain(self) -> None:
        """From now on every reply closes its connection, and the server isn't ready."""
        self.is_draining = True
        self._closing = math.inf

    def close_connections(self, count: int) -> None:
        """Close the connections of so many of the next replies, so that their callers connect again."""
        self._closing = max(self._closing, count)

    @property
    def is_ready(self) -> bool:
        """Whether all endpoints can answer, and the server isn't stopping."""
        return not self.is_draining and all(
            endpoint.is_ready for endpoint in self._endpoints.values()
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        began = time.monotonic_ns()
        headers = dict(scope["headers"])
        caller, route = _ANYBODY, self._routes.get(scope["raw_path"])
        try:
            route = route or self._find_route(scope)
            caller = self._admit(route, scope, headers)
            if scope["method"] not in route.methods:
                reply = self._preflight(route, scope)
            elif route.action is RouteAction.INFER or route.action is RouteAction.PREDICT:
                reply = await self._predict(route, scope, headers, receive, began)
            else:
                reply = self._describe(route, headers)
        except RequestError as error:
            self._meter.refuse(error.status)
            reply = _refusal(error)
        except Disconnected:
            return
        request_id = self._ids.choose(headers.get(b"x-request-id"))
        kind = _CONTENT_TYPES.get(reply.content_type)
        sent = [
            kind or (b"content-type", reply.content_type.encode()),
            *(() if reply.status == 204 else ((b"content-length", b"%d" % len(reply.body)),)),
            (b"x-request-id", request_id),
            *reply.headers,
            *caller.reply_headers,
        ]
        if self._closing:
            self._closing -= 1
            sent.append(_CLOSE)
        body = b"" if scope["method"] == "HEAD" else reply.body
        await send({"type": "http.response.start", "status": reply.status, "headers": sent})
        await send({"type": "http.response.body", "body": body})
        if reply.answered is not None and route is not None:
            self._endpoints[route.endpoint].note_answer(*reply.answered, request_id, headers)
        if self._log is not None:
            self._log(_line(reply, route, caller, request_id, began, headers))

    def _find_route(self, scope: Any) -> Route:
        path = scope["raw_path"].decode("latin-1")
        route = find_route(path)
        if route is None or (route.endpoint and route.endpoint not in self._endpoints):
            # Only who may ask is told what there is.
            self._access.admit(scope["headers"], None, time.time())
        if route is None:
            raise NotFound(f"there is no route {path!r}; / lists them")
        if route.endpoint and route.endpoint not in self._endpoints:
            there = ", ".join(map(repr, self._endpoints)) or "none"
            raise NotFound(f"there is no endpoint {route.endpoint!r}; there is {there}")
        if len(self._routes) < _REMEMBERED:
            self._routes[scope["raw_path"]] = route
        return route

    def _admit(self, route: Route, scope: Any, headers: Mapping[bytes, bytes]) -> Requester:
        """The caller, if it may ask; requests that differ in nothing that matters are remembered."""
        host = headers.get(b"host")
        is_plain = b"authorization" not in headers and b"origin" not in headers
        if is_plain and host in self._welcome and len(headers) == len(scope["headers"]):
            return _ANYBODY
        if route.action in _OPEN or scope["method"] == "OPTIONS":
            return self._access.identify(scope["headers"])[0]
        caller = self._access.admit(scope["headers"], route.endpoint or None, time.time())
        if is_plain and len(self._welcome) < _REMEMBERED:
            # Without a token and an origin, only the settings decide, and they don't change.
            self._welcome.add(host)
        return caller

    def _preflight(self, route: Route, scope: Any) -> _Sent:
        if scope["method"] != "OPTIONS":
            raise MethodNotAllowed(scope["method"], route.methods)
        return _Sent(204, b"", headers=self._access.preflight(scope["headers"]))

    def _describe(self, route: Route, headers: Mapping[bytes, bytes]) -> _Sent:
        status = 200
        if not route.endpoint:
            found = self._documents[route.action](self._url(headers))
            if route.action is RouteAction.READY and not self.is_ready:
                status = 503
        elif route.action is RouteAction.MODEL_READY:
            found, status = self._endpoints[route.endpoint].ready_reply(route.version)
        else:
            found = self._endpoints[route.endpoint].metadata(route.version)
        return _Sent(status, found.body, found.content_type, _raw(found.headers))

    def _url(self, headers: Mapping[bytes, bytes]) -> str:
        """The URL by which a caller came, whose host was checked; a proxy says if it speaks TLS."""
        is_secure = self._uses_tls or headers.get(b"x-forwarded-proto") == b"https"
        return f"{'https' if is_secure else 'http'}://{headers.get(b'host', b'').decode('latin-1')}"

    async def _predict(
        self, route: Route, scope: Any, headers: Mapping[bytes, bytes], receive: Any, began: int
    ) -> _Sent:
        endpoint = self._endpoints[route.endpoint]
        version: LoadedVersion | None = None
        watch: CpuWatch | None = None
        # Clients that send slowly aren't in flight: they would keep others from answers.
        payload = await read_body(receive, headers, self._max_body, self._pending)
        self.admission.enter(route.endpoint)
        try:
            version = endpoint.choose(route.version, headers)
            watch = CpuWatch()
            body = RequestBody(
                payload, headers, scope["query_string"], route.action is RouteAction.INFER
            )
            request, answer = await _answer(version, body, began, watch)
            reply, rows = body.reply(version, answer, request), answer.count
            cpu_ns, wall_ns = watch.read_ns(), time.monotonic_ns() - began
            version.series.record(wall_ns, cpu_ns, rows)
            # A new version's cache is empty, so only computed answers are compared.
            computed_ns = None if watch.from_cache else wall_ns
            extra = _raw(reply.headers) if reply.headers else ()
            answered = Answered(version, request, answer, computed_ns)
            sent = reply.body, reply.content_type, extra
            return _Sent(200, *sent, version.id, rows, cpu_ns, answered)
        except Disconnected:
            raise
        except RequestError as error:
            if version is None:
                raise
            failure = error
        # A fault of ours may raise anything, too.
        except USER_ERRORS:
            _log.exception("%s failed to answer a request", endpoint.name)
            if version is not None:
                endpoint.note_failure(version)
            failure = ModelFailed(f"the model of {endpoint.name} failed")
        finally:
            self.admission.leave(route.endpoint)
        if version is not None:
            cpu_ns = 0 if watch is None else watch.read_ns()
            version.series.record(time.monotonic_ns() - began, cpu_ns, 0, failure.status)
        return _refusal(failure)


class ModelFailed(RequestError):
    """The model raised an error for rows that its contract accepts."""

    status = 500


class ReadingFailed(RequestError):
    """The server raised an error while it read a request, which says nothing about the model."""

    status = 500


async def _answer(
    version: LoadedVersion, body: RequestBody, began: int, watch: CpuWatch
) -> tuple[InferRequest, ModelAnswer]:
    """Decode and answer a request."""
    try:
        request = await decode_request(body.schema(version), body, watch)
    except RequestError:
        raise
    except Exception:  # noqa: BLE001 - a fault of ours, which is none of the model
        _log.exception("a request for %s can't be read", version.served.model)
        raise ReadingFailed("the server failed to read the request") from None
    deadline, partial = body.deadline(request.parameters, began), body.is_partial(request)
    try:
        answer, request = await version.answer(
            request, watch, deadline=deadline, partial=partial, explain=body.asks_explanations
        )
    except TimeoutError:
        raise Unavailable("the deadline of the request passed while it waited") from None
    except ConflictError:
        raise Unavailable("the version was replaced while the request waited") from None
    return request, answer


def _raw(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers]


def _refusal(error: RequestError) -> _Sent:
    body = msgspec.json.encode(error.document())
    return _Sent(error.status, body, headers=_raw(error.headers))


def _line(
    reply: _Sent,
    route: Route | None,
    caller: Requester,
    request_id: bytes,
    began: int,
    headers: Mapping[bytes, bytes],
) -> AccessLine:
    size = headers.get(b"content-length", b"0")
    return AccessLine(
        at=time.time(),
        request=request_id,
        token=caller.token,
        endpoint=route.endpoint if route is not None else "",
        version=reply.version,
        status=reply.status,
        rows=reply.rows,
        wall_ns=time.monotonic_ns() - began,
        cpu_ns=reply.cpu_ns,
        bytes_in=int(size) if size.isdigit() else 0,
        bytes_out=len(reply.body),
        traceparent=headers.get(b"traceparent", b""),
    )
