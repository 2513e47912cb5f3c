"""Refuse requests that weren't meant for this console, and put its headers on every answer."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidemill.console.io.requests import LARGEST
from tidemill.console.request_origin import AllowedHosts
from tidemill.console.response_headers import HEADERS

_METHODS = ("GET", "HEAD", "POST")


class RequestGuard:
    """Stands before the application."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        status, why = self._fault(scope)
        if why:
            await PlainTextResponse(f"{why}\n", status)(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _fault(self, scope: Scope) -> tuple[int, str]:
        headers, method = Headers(scope=scope), scope["method"]
        if method not in _METHODS:
            return 405, f"{method} isn't answered here"
        site = headers.get("sec-fetch-site", "")
        why = self._hosts.fault(method, headers.getlist("host"), headers.get("origin"), site)
        if why:
            return 421 if "Host" in why else 403, why
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST:
            return 413, f"a request has at most {LARGEST:,} bytes"
        return 200, ""
