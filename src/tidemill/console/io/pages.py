"""Answer requests for pages and for the API: the same resources, drawn or as JSON."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tidemill.console.entity_tag import etag_of
from tidemill.console.io.drawn_pages import open_templates, page_url
from tidemill.console.io.guarded_actions import GuardedActions
from tidemill.console.io.ledger_watch import LedgerWatch
from tidemill.console.io.requests import (
    TooLarge,
    arguments_of,
    bearer_of,
    environment_of,
    gather_members,
    page_of_form,
    parse_document,
    parse_form,
    read_body,
)
from tidemill.console.io.shared_answers import ViewCalls
from tidemill.console.io.shared_parts import SharedParts
from tidemill.console.problems import PROBLEM, problem, title_of
from tidemill.console.refused_form import FORM_KEY, REFUSED, SEEN_TAG, RefusedForm, fill_form
from tidemill.console.resource import PageAction, Resource, checked_arguments
from tidemill.console.resources import NAVIGATION, SHELL
from tidemill.console.response_headers import PRIVATE
from tidemill.console.sessions import LoginLimit, LoginLinks, Session, Sessions
from tidemill.console.view_calls import ViewAnswer, refused_answer
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
JSON = "application/json"
# The statuses of what isn't there as it was: what was typed about it is only shown, to be copied.
_GONE = frozenset({412, 428})
_NOT_TYPED = frozenset({FORM_KEY, SEEN_TAG})


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCaller:
    """Who asks: the holder of a `token`, or who logged in; without a session it came with the request."""

    token: str = field(default="", repr=False)
    session: Session | None = None


@dataclass(frozen=True, kw_only=True)
class Console:
    """The parts of a running console; `cookie` is the name of the one that tells who asks.

    It is `secure` if browsers reach the console by https only.
    """

    projects: ViewCalls
    watch: LedgerWatch
    sessions: Sessions
    links: LoginLinks
    limit: LoginLimit = field(default_factory=LoginLimit)
    cookie: str = "tidemill"
    secure: bool = False

    def session_of(self, request: Request) -> Session | None:
        """The session of a request, if somebody is logged in."""
        return self.sessions.find(request.cookies.get(self.cookie, ""), time.time())

    def caller_of(self, request: Request) -> PageCaller | None:
        """Who asks; None if nobody says so."""
        token = bearer_of(request)
        if token:
            return PageCaller(token=token)
        session = self.session_of(request)
        return None if session is None else PageCaller(token=session.token, session=session)


class Pages:
    """Handlers of the requests for resources."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._templates = open_templates()
        self._actions = GuardedActions(console.projects)
        self._parts = SharedParts()

    def page(self, resource: Resource) -> Handler:
        """The handler of a page."""

        async def handle(request: Request) -> Response:
            caller = self._console.caller_of(request)
            if caller is None or caller.session is None:
                return self._to_login(request)
            if answered := self._answer_kept(request, caller.session):
                return answered
            # What is recorded meanwhile isn't on the page, which then asks again.
            seq = self._console.watch.seq
            answer = await self._read(resource, request, caller)
            return await self._draw_answer(request, caller.session, resource, answer, seq)

        return handle

    async def counts(self, request: Request) -> Response:
        """How many things are wrong, wait and run, alone, as every page shows it."""
        session = self._console.session_of(request)
        shell = await self._shell(request, session) if session is not None else None
        if shell is None or shell.status != 200:
            return Response(status_code=204)
        body = self._draw("counts.html", request, session, shell)
        return Response(body, 200, {"Cache-Control": "no-store"}, "text/html")

    def document(self, resource: Resource) -> Handler:
        """The handler of a path of the API."""

        async def handle(request: Request) -> Response:
            caller = self._console.caller_of(request)
            if caller is None:
                return _unknown_caller()
            return _as_document(request, await self._read(resource, request, caller))

        return handle

    def decision(self, action: PageAction) -> Handler:
        """The handler of an action of the API."""

        async def handle(request: Request) -> Response:
            caller = self._console.caller_of(request)
            if caller is None:
                return _unknown_caller()
            sent = request.headers.get("x-form-key", "")
            if caller.session is not None and not _is_own(caller.session, sent):
                return problem_response(
                    403, "a request of a session needs its key in the header X-Form-Key"
                )
            try:
                given = parse_document(await read_body(request))
                answer = await self._act(
                    action, request, caller, given, request.headers.get("if-match", "")
                )
            except TooLarge:
                return problem_response(413, "the body is too large")
            except UsageError as error:
                return problem_response(400, str(error))
            found = _as_document(request, answer)
            found.headers["Cache-Control"] = "no-store"
            return found

        return handle

    def form(self, action: PageAction) -> Handler:
        """The handler of a form: the page that follows tells what was done, or why it wasn't."""

        async def handle(request: Request) -> Response:
            session = self._console.session_of(request)
            if session is None:
                return self._to_login(request)
            try:
                sent = parse_form(await read_body(request))
                given = gather_members(sent)
            except TooLarge:
                return await self.refusal(request, session, 413, "what was sent is too large")
            except UsageError as error:
                return await self.refusal(request, session, 400, str(error))
            if not _is_own(session, given.pop(FORM_KEY, "")):
                return await self.refusal(
                    request, session, 403, "this form is of an earlier session: open the page again"
                )
            version, seq = given.pop(SEEN_TAG, ""), self._console.watch.seq
            answer = await self._act(
                action, request, PageCaller(token=session.token, session=session), given, version
            )
            if answer.status != 200:
                back = _next_page(action, {**given, **request.path_params}, request)
                return await self._refuse(request, session, answer, sent, back)
            if action.template:
                return await self._lead_to_answer(request, session, action, answer, seq)
            return self._after(action, request, session, given, answer)

        return handle

    async def _read(self, resource: Resource, request: Request, caller: PageCaller) -> ViewAnswer:
        try:
            arguments = checked_arguments(resource, arguments_of(request))
            environment = environment_of(request)
        except UsageError as error:
            return refused_answer(400, str(error))
        return await self._console.projects.call(resource, arguments, environment, caller.token)

    async def _act(
        self,
        action: PageAction,
        request: Request,
        caller: PageCaller,
        given: Mapping[str, object],
        version: str,
    ) -> ViewAnswer:
        try:
            arguments = checked_arguments(action, arguments_of(request, given))
            environment = environment_of(request)
        except UsageError as error:
            return refused_answer(400, str(error))
        return await self._actions.call(action, arguments, environment, caller.token, version)

    def _after(
        self,
        action: PageAction,
        request: Request,
        session: Session,
        given: Mapping[str, str],
        answer: ViewAnswer,
    ) -> Response:
        document = json.loads(answer.body)
        self._console.sessions.leave_notice(session.id, document.get("told") or action.done)
        found = {**document, **given, **request.path_params}
        return RedirectResponse(_next_page(action, found, request), 303)

    async def _refuse(
        self,
        request: Request,
        session: Session,
        answer: ViewAnswer,
        sent: Mapping[str, str],
        back: str,
    ) -> Response:
        """Lead to the page of the form, which then has what was sent; or say why, with all that was sent."""
        page = page_of_form(request)
        if not page or answer.status in _GONE:
            return await self.refusal(
                request, session, answer.status, _detail(answer), back=back, sent=sent
            )
        form = RefusedForm(
            page=page,
            action=_address_of(request),
            fields=sent,
            status=answer.status,
            headline=title_of(answer.status),
            detail=_detail(answer),
        )
        self._console.sessions.leave_refused(session.id, form)
        return RedirectResponse(f"{page}#{REFUSED}", 303)

    async def _draw_answer(
        self, request: Request, session: Session, resource: Resource, answer: ViewAnswer, seq: int
    ) -> Response:
        refused = self._refused_form(request, session)
        sent = refused.fields if refused is not None else {}
        if answer.status != 200:
            return await self.refusal(request, session, answer.status, _detail(answer), sent=sent)
        shell = await self._shell(request, session)
        if shell.status != 200:
            return await self.refusal(request, session, shell.status, _detail(shell), sent=sent)

        def draw(form_key: str) -> bytes:
            return self._draw(
                resource.template,
                request,
                session,
                shell,
                doc=json.loads(answer.body),
                version=etag_of(answer.body.encode()),
                seq=seq,
                form_key=form_key,
            )

        if _is_part(request):
            shown = _address_of(request), shell.body, answer.body
            body = self._parts.draw(shown, session.form_key, draw)
        else:
            body = draw(session.form_key)
        if refused is not None:
            filled = fill_form(body.decode(), refused)
            if filled:
                return Response(filled, 200, {"Cache-Control": "no-store"}, "text/html")
            return await self.refusal(
                request, session, refused.status, refused.detail, sent=refused.fields
            )
        return _with_etag(request, body, "text/html; charset=utf-8")

    async def _lead_to_answer(
        self, request: Request, session: Session, action: PageAction, answer: ViewAnswer, seq: int
    ) -> Response:
        """Lead to a page about what was just done: who loads that again does nothing a second time."""
        shell = await self._shell(request, session)
        body = self._draw(
            action.template, request, session, shell, doc=json.loads(answer.body), seq=seq
        )
        address = _address_of(request)
        self._console.sessions.leave_answer(session.id, address, body)
        return RedirectResponse(address, 303)

    def _answer_kept(self, request: Request, session: Session) -> Response | None:
        """The page about what was just done at this address, which no browser keeps."""
        if _is_part(request):
            return None
        body = self._console.sessions.take_answer(session.id, _address_of(request))
        return Response(body, 200, {"Cache-Control": "no-store"}, "text/html") if body else None

    async def refusal(
        self,
        request: Request,
        session: Session | None,
        status: int,
        detail: str,
        *,
        back: str = "",
        sent: Mapping[str, str] = MappingProxyType({}),
    ) -> Response:
        """Say why a request isn't answered, with a link `back`, and what was `sent`, to copy."""
        shell = await self._shell(request, session) if session is not None else None
        body = self._draw(
            "refusal.html", request, session, shell,
            status=status, headline=title_of(status), detail=detail, seq=self._console.watch.seq,
            back=back, again=_same_page(request) if status >= 500 else "",
            sent={name: text for name, text in sent.items() if text and name not in _NOT_TYPED},
        )  # fmt: skip
        return Response(body, status, {"Cache-Control": "no-store"}, "text/html")

    def login(self, request: Request, status: int = 200, fault: str = "") -> Response:
        """The page at which people log in."""
        then = request.query_params.get("then", "/")
        body = self._draw("login.html", request, None, None, fault=fault, then=then, seq=0)
        return Response(body, status, {"Cache-Control": "no-store"}, "text/html")

    async def _shell(self, request: Request, session: Session) -> ViewAnswer:
        try:
            environment = environment_of(request)
        except UsageError as error:
            return refused_answer(400, str(error))
        return await self._console.projects.call(SHELL, {}, environment, session.token)

    def _draw(
        self,
        template: str,
        request: Request,
        session: Session | None,
        surroundings: ViewAnswer | None,
        **values: object,
    ) -> bytes:
        shell = None
        if surroundings is not None and surroundings.status == 200:
            shell = json.loads(surroundings.body)
        environment = shell["environment"] if shell is not None else ""
        context = {
            "url": page_url(environment or "prod"),
            "navigation": NAVIGATION,
            "theme": _theme_of(request),
            "path": request.url.path,
            "query": request.query_params,
            "shell": shell,
            "form_key": session.form_key if session is not None else "",
            "notice": self._notice(request, session),
            "is_part": _is_part(request),
            **values,
        }
        return self._templates.get_template(template).render(context).encode()

    def _refused_form(self, request: Request, session: Session) -> RefusedForm | None:
        """The form of this page that was just refused."""
        if _is_part(request):
            return None
        return self._console.sessions.take_refused(
            session.id, request.scope["path"], request.url.query
        )

    def _notice(self, request: Request, session: Session | None) -> str:
        """What was done before this page; a part that is only fetched again has no place for it."""
        if session is None or _is_part(request):
            return ""
        return self._console.sessions.take_notice(session.id)

    def _to_login(self, request: Request) -> Response:
        then = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?{urlencode({'then': then})}", 303)


def _filled(part: str, arguments: Mapping[str, str]) -> str:
    """A part of a page's address, or the argument for which it stands."""
    return arguments.get(part[1:-1], "") if part.startswith("{") else part


def _next_page(action: PageAction, given: Mapping[str, str], request: Request) -> str:
    """The page that follows an action, in the environment of its request; "" for one that none can have."""
    try:
        environment = environment_of(request)
    except UsageError:
        return ""
    path, _, query = action.then.partition("?")
    parts = [_filled(part, given) for part in path.split("/")]
    wanted = {name: _filled(value, given) for name, value in parse_qsl(query)}
    return page_url(environment)(*filter(None, parts), **wanted)


def _same_page(request: Request) -> str:
    """The address of a page, to ask for it again; "" if that would do something again."""
    return _address_of(request) if request.method == "GET" else ""


def _address_of(request: Request) -> str:
    return f"{quote(request.scope['path'])}?{request.url.query}".rstrip("?")


def _theme_of(request: Request) -> str:
    """The theme that somebody chose; "" for that of the system."""
    chosen = request.cookies.get("tidemill-theme", "")
    return chosen if chosen in ("light", "dark") else ""


def _is_part(request: Request) -> bool:
    """Whether only what changes is asked for, by a page that is shown."""
    return "hx-request" in request.headers


def _is_own(session: Session, sent: str) -> bool:
    return secrets.compare_digest(session.form_key.encode(), sent.encode("utf-8", "replace"))


def problem_response(status: int, detail: str) -> Response:
    """A document of the API that says why a request isn't answered."""
    body = json.dumps(problem(status, detail))
    return Response(body, status, {"Cache-Control": "no-store"}, PROBLEM)


def _unknown_caller() -> Response:
    found = problem_response(
        401, "send a token: Authorization: Bearer ..., of `tidemill tokens create`"
    )
    found.headers["WWW-Authenticate"] = "Bearer"
    return found


def _detail(answer: ViewAnswer) -> str:
    return str(json.loads(answer.body).get("detail", ""))


def _as_document(request: Request, answer: ViewAnswer) -> Response:
    if answer.status != 200:
        return Response(answer.body, answer.status, {"Cache-Control": "no-store"}, PROBLEM)
    return _with_etag(request, answer.body.encode(), JSON)


def _with_etag(request: Request, body: bytes, media: str) -> Response:
    """The body, or that whoever asks has it already."""
    headers = {"ETag": etag_of(body), "Cache-Control": PRIVATE, "Vary": "Cookie"}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, media)
