"""Answer HTTP requests: an ASGI application without a framework, because it costs a tenth of one."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from tidemill.core.errors import ConflictError
from tidemill.serving.access import Access, DocumentReader, Requester
from tidemill.serving.admission import Admission
from tidemill.serving.answers import ModelAnswer
from tidemill.serving.errors import (
    MethodNotAllowed,
    ModelFailed,
    NotFound,
    ReadingFailed,
    Refusal,
    RequestError,
    Unavailable,
)
from tidemill.serving.io.access_log import AccessLine
from tidemill.serving.io.body import Disconnected, PendingBodies, read_body
from tidemill.serving.io.cpu_watch import CpuWatch
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.http_connection import ArrivedRequest
from tidemill.serving.io.loaded_version import LoadedVersion
from tidemill.serving.io.meter import Meter
from tidemill.serving.io.request_bodies import RequestBody, decode_request, is_past_deadline
from tidemill.serving.io.request_queue import AwaitedTurn, RequestQueue
from tidemill.serving.io.runner import USER_ERRORS, DeadlinePassed
from tidemill.serving.oip import JSON, Reply
from tidemill.serving.overload_reply import BODY, STATUS
from tidemill.serving.request_ids import RequestIds
from tidemill.serving.routes import Route, RouteAction, find_route
from tidemill.serving.rows import InferRequest
from tidemill.serving.serve_settings import ServeSettings

# Documents that describe the server: what they contain is made when they are asked for.
Documents: TypeAlias = Mapping[RouteAction, Callable[[DocumentReader], Reply]]

_log = logging.getLogger("tidemill.serving")
# Paths whose routes, and hosts whose admission, are remembered.
_REMEMBERED = 1024
# Health, which load balancers ask for, needs no token.
_OPEN = (RouteAction.LIVE, RouteAction.READY)
# What is about the server, and not only about its endpoints.
_OF_SERVER = (RouteAction.METRICS, RouteAction.STATUS)
_ANYBODY = Requester()
_CONTENT_TYPES = {JSON: (b"content-type", JSON.encode())}
_CLOSE = (b"connection", b"close")
# Where the scope of a request has what `accept` found out about it.
_ACCEPTED = "tidemill.accepted"
# Where the scope of a request without a path has why it has none.
FAULT = "tidemill.fault"
# In the scope of a request that began in the queue's turn.
_QUEUED = "tidemill.queued"


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

    `documents` makes the replies of routes that don't predict. `log` gets a line per request.
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
        self.pending = PendingBodies(settings.max_in_flight * settings.max_body)
        self._log = log
        self._routes: dict[bytes, Route] = {}
        self._welcome: set[bytes | None] = set()
        self._ids = RequestIds(request_ids)
        self.admission = Admission(settings.max_in_flight)
        self.queue = RequestQueue(settings.max_in_flight)
        self.is_draining = False
        # How many of the next replies close their connection.
        self._closing = 0.0

    def retire(self) -> None:
        """From now on the server isn't ready, so that nothing new is sent to it."""
        self.is_draining = True

    def drain(self) -> None:
        """From now on every reply closes its connection, and the server isn't ready."""
        self.retire()
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

    def note_connection(self) -> None:
        """Note that a connection was accepted."""
        self.queue.note_connection()

    def arrival(self) -> float:
        """When bytes that are read now arrived, in seconds of the monotonic clock."""
        return self.queue.arrival()

    def welcomes(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether the sender of these headers may ask something; its request isn't counted."""
        return self._access.welcomes(headers, time.time())

    def accept(self, request: ArrivedRequest) -> None:
        """Begin a request, queue it until the event loop has time for it, or refuse it.

        Only requests for predictions wait. Those that are refused because of what they are begin at once.
        """
        scope = request.scope
        accepted = scope[_ACCEPTED] = self._inspect(scope)
        route = accepted.route
        if (
            route is None
            or accepted.refusal is not None
            or not (route.action is RouteAction.INFER or route.action is RouteAction.PREDICT)
            or scope["method"] != "POST"
            or not request.is_read
        ):
            request.begin()
        elif not self._endpoints[route.endpoint].queues_requests:
            self.queue.add(_HeldRequest(self, route.endpoint, request, accepted))
        elif self.admission.is_full(route.endpoint):
            self.refuse(request, accepted)
        else:
            request.begin()

    def refuse(self, request: ArrivedRequest, accepted: _Accepted) -> None:
        """Reply that too many requests wait, without a task, and count and log it."""
        headers, caller = accepted.headers, accepted.caller
        request_id = self._ids.choose(headers.get(b"x-request-id"))
        closes = self._takes_close() or request.closes
        request.refuse(request_id, caller.reply_headers, closes=closes)
        began = int(request.arrived * 1e9)
        self._count_refusal(STATUS, accepted.route, began)
        if self._log is not None:
            sent = _Sent(STATUS, BODY)
            self._log(_line(sent, accepted.route, caller, request_id, began, headers))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        began = int(scope["tidemill.arrived"] * 1e9)
        accepted: _Accepted = scope.get(_ACCEPTED) or self._inspect(scope)
        route, caller, headers = accepted.route, accepted.caller, accepted.headers
        try:
            reply = await self._reply(accepted, scope, receive, began)
        except RequestError as error:
            self._count_refusal(error.status, route, began)
            reply = _refusal(error)
        except Disconnected:
            return
        finally:
            if _QUEUED in scope and route is not None:
                self.queue.end(route.endpoint)
        request_id = self._ids.choose(headers.get(b"x-request-id"))
        kind = _CONTENT_TYPES.get(reply.content_type)
        sent = [
            kind or (b"content-type", reply.content_type.encode()),
            *(() if reply.status == 204 else ((b"content-length", b"%d" % len(reply.body)),)),
            (b"x-request-id", request_id),
            *reply.headers,
            *caller.reply_headers,
        ]
        if self._takes_close():
            sent.append(_CLOSE)
        body = b"" if scope["method"] == "HEAD" else reply.body
        await send({"type": "http.response.start", "status": reply.status, "headers": sent})
        await send({"type": "http.response.body", "body": body})
        if reply.answered is not None and route is not None:
            self._endpoints[route.endpoint].note_answer(*reply.answered, request_id, headers)
        if self._log is not None:
            self._log(_line(reply, route, caller, request_id, began, headers))

    async def _reply(self, accepted: _Accepted, scope: Any, receive: Any, began: int) -> _Sent:
        route = accepted.route
        if accepted.refusal is not None:
            raise accepted.refusal
        assert route is not None
        if scope["method"] not in route.methods:
            return self._preflight(route, scope)
        if route.action is RouteAction.INFER or route.action is RouteAction.PREDICT:
            return await self._predict(route, scope, accepted.headers, receive, began)
        return self._describe(route, accepted)

    def _inspect(self, scope: Any) -> _Accepted:
        """What a request asks for and who asks, or why it is refused."""
        headers = dict(scope["headers"])
        route = self._routes.get(scope["raw_path"])
        try:
            route = route or self._find_route(scope)
            return _Accepted(route, self._admit(route, scope, headers), headers)
        except Refusal as error:
            return _Accepted(route, Requester(error.token, user=error.user), headers, error)
        except RequestError as error:
            return _Accepted(route, _ANYBODY, headers, error)

    def _takes_close(self) -> bool:
        """Whether this reply is one that closes its connection."""
        if not self._closing:
            return False
        self._closing -= 1
        return True

    def _count_refusal(self, status: int, route: Route | None, began: int) -> None:
        """Count a request that no version answered: one that came at a bad time, for the live version."""
        endpoint = None if route is None else self._endpoints.get(route.endpoint)
        if status == STATUS and endpoint is not None and endpoint.live is not None:
            endpoint.live.series.record(time.monotonic_ns() - began, 0, 0, status)
        else:
            self._meter.refuse(status)

    def _find_route(self, scope: Any) -> Route:
        path = scope["raw_path"].decode("latin-1")
        route = find_route(path)
        if route is None or (route.endpoint and route.endpoint not in self._endpoints):
            # Only who may ask learns what there is.
            caller = self._access.admit(scope["headers"], None, time.time())
            if route is None:
                raise scope.get(FAULT) or NotFound(f"there is no route {path!r}; / lists them")
            opened = [repr(name) for name in self._endpoints if self._access.opens(caller, name)]
            there = ", ".join(opened) or "none"
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
        caller = self._access.admit(
            scope["headers"], route.endpoint or None, time.time(), reads=route.action in _OF_SERVER
        )
        if is_plain and caller == _ANYBODY and len(self._welcome) < _REMEMBERED:
            # Of somebody who needn't say who it is, only the settings decide, and they don't change.
            self._welcome.add(host)
        return caller

    def _preflight(self, route: Route, scope: Any) -> _Sent:
        if scope["method"] != "OPTIONS":
            raise MethodNotAllowed(scope["method"], route.methods)
        return _Sent(204, b"", headers=self._access.preflight(scope["headers"]))

    def _describe(self, route: Route, accepted: _Accepted) -> _Sent:
        status = 200
        if not route.endpoint:
            found = self._documents[route.action](self._reader(accepted))
            if route.action is RouteAction.READY and not self.is_ready:
                status = 503
        elif route.action is RouteAction.MODEL_READY:
            found, status = self._endpoints[route.endpoint].ready_reply(route.version)
        else:
            found = self._endpoints[route.endpoint].metadata(route.version)
        return _Sent(status, found.body, found.content_type, _raw(found.headers))

    def _reader(self, accepted: _Accepted) -> DocumentReader:
        """The caller, whose host was checked; a proxy says if it speaks TLS."""
        headers = accepted.headers
        is_secure = self._uses_tls or headers.get(b"x-forwarded-proto") == b"https"
        host = headers.get(b"host", b"").decode("latin-1")
        url = f"{'https' if is_secure else 'http'}://{host}"
        caller = accepted.caller
        return DocumentReader(
            url,
            lambda name: self._access.opens(caller, name),
            reads_server=self._access.reads_server(caller),
            sends_token=bool(caller.token),
        )

    async def _predict(
        self, route: Route, scope: Any, headers: Mapping[bytes, bytes], receive: Any, began: int
    ) -> _Sent:
        endpoint = self._endpoints[route.endpoint]
        version: LoadedVersion | None = None
        watch: CpuWatch | None = None
        # Clients that send slowly aren't in flight: they would keep others from answers.
        payload = await read_body(receive, headers, self._max_body, self.pending)
        if _QUEUED not in scope and not endpoint.queues_requests:
            await self._wait_in_queue(route.endpoint, scope)
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

    async def _wait_in_queue(self, endpoint: str, scope: Any) -> None:
        """Wait with a request whose body took a while to arrive; Unavailable if that is too long."""
        turn = AwaitedTurn(endpoint, time.monotonic())
        self.queue.add(turn)
        await turn.begun
        scope[_QUEUED] = True


class _Accepted(NamedTuple):
    """What a request asks for and who asks, or why it is refused."""

    route: Route | None
    caller: Requester
    headers: Mapping[bytes, bytes]
    refusal: RequestError | None = None


class _HeldRequest:
    """A request in the queue that has no task yet."""

    __slots__ = ("_accepted", "_app", "_request", "arrived", "endpoint")

    def __init__(
        self, app: ServingApp, endpoint: str, request: ArrivedRequest, accepted: _Accepted
    ) -> None:
        self._app, self._request, self._accepted = app, request, accepted
        self.endpoint, self.arrived = endpoint, request.arrived

    def begin(self) -> bool:
        """Begin its task, unless its caller has given up."""
        if self._request.is_gone:
            return False
        if is_past_deadline(self._accepted.headers, self.arrived):
            self.refuse()
            return False
        self._request.scope[_QUEUED] = True
        self._request.begin()
        return True

    def refuse(self) -> None:
        """Refuse it."""
        if not self._request.is_gone:
            self._app.refuse(self._request, self._accepted)


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
    if deadline < math.inf and time.monotonic() >= deadline:
        raise Unavailable("the deadline of the request passed before it was answered")
    try:
        answer, request = await version.answer(
            request, watch, deadline=deadline, partial=partial, explain=body.asks_explanations
        )
    except DeadlinePassed:
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
        user=caller.user,
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
