"""The console as a web application."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from math import ceil
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tidemill.console.io.assets import read_asset
from tidemill.console.io.guard import RequestGuard
from tidemill.console.io.pages import JSON, Console, Pages, problem_response
from tidemill.console.io.requests import TooLarge, own_path, page_of_form, parse_form, read_body
from tidemill.console.openapi import openapi_document
from tidemill.console.problems import NOT_ALLOWED
from tidemill.console.request_origin import AllowedHosts
from tidemill.console.resource import API
from tidemill.console.resources import ACTIONS, CALLER, RESOURCES, SHELL
from tidemill.console.response_headers import FOR_EVER
from tidemill.core.errors import UsageError
from tidemill.core.printable import printable
from tidemill.serving.token_text import token_id
from tidemill.workflow.environment import PRODUCTION

_LOG = logging.getLogger("tidemill.console")

# How often processes without work are looked for.
_TEND_S = 5.0
_COMPRESSED = 500
# Tabs of a browser share one stream.
_MOST_STREAMS = 20


def open_app(console: Console, hosts: AllowedHosts) -> ASGIApp:
    """The application of a console."""
    pages = Pages(console)
    others = _OtherPages(console, pages)
    routes = [
        Route("/", others.home),
        Route("/login", others.login, methods=["GET"]),
        Route("/login", others.log_in, methods=["POST"]),
        Route("/logout", others.log_out, methods=["POST"]),
        Route("/events", others.events),
        Route("/counts", pages.counts),
        Route("/static/{digest}/{name:path}", others.static),
        Route(f"{API}/openapi.json", others.openapi),
        Route(f"{API}{SHELL.path}", pages.document(SHELL)),
    ]
    for resource in RESOURCES:
        routes.append(Route(f"{API}{resource.path}", pages.document(resource), methods=["GET"]))
        if resource.template:
            routes.append(Route(resource.path, pages.page(resource), methods=["GET"]))
    for action in ACTIONS:
        routes.append(Route(f"{API}{action.path}", pages.decision(action), methods=["POST"]))
        routes.append(Route(action.path, pages.form(action), methods=["POST"]))
    app = Starlette(
        routes=routes,
        middleware=[Middleware(GZipMiddleware, minimum_size=_COMPRESSED)],
        exception_handlers={
            404: others.not_found,
            405: others.not_found,
            Exception: others.broken,
        },
        lifespan=others.lifespan,
    )
    # Around all, so that also what breaks is answered with the headers.
    return RequestGuard(app, hosts)


class _OtherPages:
    """What isn't a resource: logging in, the stream of changes, files."""

    def __init__(self, console: Console, pages: Pages) -> None:
        self._console, self._pages = console, pages
        self._openapi = b""
        self._streams: Counter[str] = Counter()

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Follow the ledger while requests are answered."""
        self._console.watch.start()
        tending = asyncio.create_task(self._tend())
        try:
            yield
        finally:
            tending.cancel()
            with suppress(asyncio.CancelledError):
                await tending
            self._console.watch.close()
            self._console.projects.close()

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(_TEND_S)
            self._console.projects.end_idle()

    async def home(self, request: Request) -> Response:
        """Log in who has a link, and show what there is to see now."""
        code = request.query_params.get("link", "")
        # Programs that preview links only ask for the head.
        if not code or request.method == "HEAD":
            return RedirectResponse("/now", 303)
        if not self._console.links.use(code, time.time()):
            fault = "this link was used or is too old: `tidemill console --link` makes a new one"
            _LOG.warning("refused a login from %s by a link", _address(request))
            return self._pages.login(request, 403, fault)
        _LOG.info("a login from %s by a link", _address(request))
        return self._logged_in("", "/now")

    async def login(self, request: Request) -> Response:
        """The page at which people log in."""
        return self._pages.login(request)

    async def log_in(self, request: Request) -> Response:
        """Log in the holder of a token."""
        try:
            given = parse_form(await read_body(request))
        except TooLarge:
            return self._pages.login(request, 413, "what was sent is too large")
        except UsageError as error:
            return self._pages.login(request, 400, str(error))
        token = given.get("token", "").strip()
        # Behind a proxy all have one address: who fails there keeps out no holders of other tokens.
        tried = printable(f"{_address(request)} with the token {token_id(token.encode())}")
        wait = self._console.limit.wait(tried, time.monotonic())
        if wait:
            _LOG.warning("refused a login from %s: too many attempts", tried)
            found = self._pages.login(request, 429, f"too many attempts: wait {ceil(wait)} s")
            found.headers["Retry-After"] = f"{ceil(wait)}"
            return found
        answer = await self._console.projects.call(SHELL, {}, PRODUCTION, token) if token else None
        if answer is None or answer.status != 200:
            detail = (
                json.loads(answer.body)["detail"] if answer is not None else "there is no token"
            )
            _LOG.warning("refused a login from %s: %s", tried, detail)
            return self._pages.login(request, 403, detail)
        self._console.limit.give_back(tried)
        _LOG.info("a login from %s", tried)
        return self._logged_in(token, own_path(given.get("then", "")) or "/now")

    async def log_out(self, request: Request) -> Response:
        """End a session."""
        session = self._console.session_of(request)
        try:
            given = parse_form(await read_body(request))
        except (TooLarge, UsageError):
            given = {}
        if session is not None and given.get("form_key") == session.form_key:
            self._console.sessions.end(session.id)
        # Whoever logs in next goes on where this was.
        then = page_of_form(request)
        found = RedirectResponse(f"/login?{urlencode({'then': then})}" if then else "/login", 303)
        found.delete_cookie(self._console.cookie, secure=self._console.secure)
        return found

    def _logged_in(self, token: str, then: str) -> Response:
        session = self._console.sessions.begin(time.time(), token)
        found = RedirectResponse(then, 303)
        found.set_cookie(
            self._console.cookie,
            session.id,
            httponly=True,
            samesite="lax",
            secure=self._console.secure,
        )
        return found

    async def events(self, request: Request) -> Response:
        """The stream of what changes, for as long as whoever asks may see it."""
        caller = self._console.caller_of(request)
        if caller is None:
            return Response(status_code=204)
        known = await self._console.projects.call(CALLER, {}, PRODUCTION, caller.token)
        if known.status != 200:
            return Response(status_code=204 if known.status in NOT_ALLOWED else known.status)
        who = caller.session.id if caller.session is not None else caller.token
        if self._streams[who] >= _MOST_STREAMS:
            return problem_response(429, f"{_MOST_STREAMS} streams are open already")
        sent = request.headers.get("last-event-id") or request.query_params.get("after", "")
        after = int(sent) if sent.isdecimal() and len(sent) < 19 else self._console.watch.seq
        return StreamingResponse(
            self._messages(request, who, after, request.query_params.get("ledger", "")),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _messages(
        self, request: Request, who: str, after: int, ledger: str
    ) -> AsyncGenerator[bytes]:
        async def is_wanted() -> bool:
            caller = self._console.caller_of(request)
            if caller is None:
                return False
            # The stream goes on while the ledger can't be read.
            answer = await self._console.projects.call(CALLER, {}, PRODUCTION, caller.token)
            return answer.status not in NOT_ALLOWED

        self._streams[who] += 1
        watch = self._console.watch
        try:
            # Whoever comes back says of which ledger the number of its last message is.
            yield f"event: ledger\ndata: {watch.ledger_id}\n\n".encode()
            async with aclosing(watch.messages(after, is_wanted, ledger)) as messages:
                async for message in messages:
                    yield message
        finally:
            self._streams[who] -= 1
            self._streams += Counter()

    async def static(self, request: Request) -> Response:
        """A file of the console."""
        found = read_asset(request.path_params["name"])
        if found is None:
            return Response("there is no such file\n", 404)
        body, media = found
        return Response(body, 200, {"Cache-Control": FOR_EVER}, media)

    async def openapi(self, request: Request) -> Response:
        """The description of the API."""
        if not self._openapi:
            self._openapi = json.dumps(openapi_document()).encode()
        return Response(self._openapi, 200, {"Cache-Control": "no-cache"}, JSON)

    async def not_found(self, request: Request, error: Exception) -> Response:
        """What isn't there."""
        status = getattr(error, "status_code", 404)
        if request.url.path.startswith(API):
            return problem_response(status, f"{request.method} {request.url.path}")
        session = self._console.session_of(request)
        return await self._pages.refusal(request, session, status, request.url.path)

    async def broken(self, request: Request, error: Exception) -> Response:
        """A bug, which the log of the console tells of."""
        detail = f"{type(error).__name__}; the log of the console says where"
        if request.url.path.startswith(API):
            return problem_response(500, detail)
        return await self._pages.refusal(request, None, 500, detail)


def _address(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client is not None else "an unknown place"
