"""Who gets in, what every page has, and how pages and the API answer."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.commands import in_labels, process, tidemill
from tests.support.console import Visitor
from tests.support.console_guests import recorded
from tests.support.users import USER
from tidemill.console.io import ledger_watch
from tidemill.console.resource import Resource
from tidemill.console.resources import ACTIONS, NAVIGATION, RESOURCES, SHELL
from tidemill.console.response_headers import POLICY
from tidemill.console.view_calls import ViewAnswer, refused_answer
from tidemill.console.views import runs
from tidemill.governance.permissions import Actor, ActorKind
from tidemill.ledger.governance_events import TokenCreated
from tidemill.ledger.incident_events import IncidentOpened
from tidemill.project.project import open_project
from tidemill.project.workspace import Workspace


def test_the_page_of_now_says_how_it_is(onlooker: Visitor) -> None:
    page = onlooker.page("/now")
    assert "bakery in prod" in page.words
    assert "Nothing is wrong." in page.words
    assert "Time to deliver changes" in page.words


def test_the_api_has_what_the_page_shows(onlooker: Visitor) -> None:
    found = onlooker.api("/now")
    assert found["status"]["wrong"] == []
    assert [each["name"] for each in found["numbers"]] == ["deliver", "cost", "recover"]
    [run] = onlooker.api("/runs")["runs"]
    assert run["id"] in onlooker.page("/runs").words
    assert onlooker.api("/runs/last")["run"] == run


def test_nobody_sees_a_page_without_logging_in(built: Path) -> None:
    with Visitor(built, is_logged_in=False) as stranger:
        for path in (resource.path for resource in RESOURCES if resource.template):
            answer = stranger.client.get(path.replace("{", "").replace("}", ""))
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/login?then=")


def test_nobody_reads_the_api_or_acts_without_a_token(built: Path) -> None:
    with Visitor(built, is_logged_in=False) as stranger:
        for resource in RESOURCES:
            assert stranger.client.get(f"/api/v1{resource.path}").status_code == 401
        for action in ACTIONS:
            assert stranger.client.post(f"/api/v1{action.path}").status_code == 401
            assert stranger.client.post(action.path).status_code == 303
        assert stranger.client.get("/events").status_code == 204


def test_a_link_logs_in_once(built: Path) -> None:
    with Visitor(built, is_logged_in=False) as visitor:
        code = visitor.links.make("nonce", 4e9)
        # A program that previews the link doesn't use it.
        preview = visitor.client.head(f"/?link={code}")
        assert "set-cookie" not in preview.headers
        first = visitor.client.get(f"/?link={code}")
        assert first.headers["location"] == "/now"
        cookie = first.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        visitor.client.cookies.clear()
        second = visitor.client.get(f"/?link={code}")
        assert second.status_code == 403
        assert "this link was used or is too old" in second.text


def test_a_token_logs_in_and_leads_to_where_one_was_going(built: Path) -> None:
    with open_project(built) as project:
        token = project.tokens.create("ben", scopes=["read"]).text
    with Visitor(built, is_logged_in=False) as visitor:
        sent = urlencode({"token": token, "then": "/runs?limit=3"})
        answer = visitor.client.post("/login", content=sent)
        assert answer.headers["location"] == "/runs?limit=3"
        assert "ben" in visitor.page("/now").words


@pytest.mark.parametrize(
    "then", ["https://evil.example", "//evil.example", "/\\evil.example", "//[", "now", ""]
)
def test_logging_in_leads_to_no_other_site(built: Path, then: str) -> None:
    with open_project(built) as project:
        token = project.tokens.create("ben", scopes=["read"]).text
    with Visitor(built, is_logged_in=False) as visitor:
        answer = visitor.client.post("/login", content=urlencode({"token": token, "then": then}))
        assert answer.headers["location"] == "/now"


def test_attempts_to_log_in_are_limited(built: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Visitor(built, is_logged_in=False) as visitor:
        sent = urlencode({"token": "tm_0000000000_" + "a" * 32})
        found = [visitor.client.post("/login", content=sent) for _ in range(6)]
        assert [each.status_code for each in found] == [403] * 5 + [429]
        assert int(found[-1].headers["retry-after"]) > 0
        assert "holds no token of this home" in found[0].text
        # Behind a proxy the holder of another token has the same address.
        sent = urlencode({"token": "tm_1111111111_" + "a" * 32})
        assert visitor.client.post("/login", content=sent).status_code == 403
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("refused a login from testclient with the token 0000000000: ")
    assert said[5] == (
        "refused a login from testclient with the token 0000000000: too many attempts"
    )
    assert "aaaa" not in "".join(said)


def test_a_revoked_token_ends_its_session(built: Path) -> None:
    with open_project(built) as project:
        made = project.tokens.create("ben", scopes=["read"])
        with Visitor(built, token=made.text) as visitor:
            visitor.page("/now")
            project.tokens.revoke(made.issued.token.id, reason="left")
            assert "revoked" in visitor.page("/now", 403).words
            for query in ("", "?env=nope", "?env=..%2Fx"):
                assert visitor.client.get(f"/counts{query}").status_code == 204


def test_the_token_of_the_console_ends_what_its_link_opened(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_project(built) as project:
        made = project.tokens.create("ben", scopes=["read", "review"])
        monkeypatch.setenv("TIDEMILL_TOKEN", made.text)
        with Visitor(built) as visitor:
            assert visitor.api("/shell")["actor"] == "ben"
            stage = visitor.api("/stages/sales/quarantine")
            assert stage
            project.tokens.revoke(made.issued.token.id, reason="left")
            for path in ("/shell", "/stages/sales/quarantine"):
                assert "revoked" in visitor.api(path, 403)["detail"]


def test_who_logs_in_as_somebody_else_acts_as_that_one(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Visitor(built) as visitor:
        before = visitor.api("/shell")["actor"]
        visitor.api("/stages")
        other = Actor(name="ana", kind=ActorKind.LOGIN, origin="login")
        monkeypatch.setattr(Workspace, "find_actor", lambda _: other)
        assert (before, visitor.api("/shell")["actor"]) == (USER, "ana")
        sent = {"title": "no flour", "reason": "seen"}
        assert visitor.post("/incidents", sent)[0] == 200
    [opened] = recorded(built, IncidentOpened)
    assert opened.incident.actor == "ana"


def test_a_token_opens_the_api(built: Path) -> None:
    with open_project(built) as project:
        made = project.tokens.create("ben", scopes=["read"])
    with Visitor(built, is_logged_in=False) as visitor:
        sent = {"Authorization": f"Bearer {made.text}"}
        assert visitor.client.get("/api/v1/runs", headers=sent).json()["runs"]
        sent = {"Authorization": "Bearer tm_0000000000_nothing"}
        assert visitor.client.get("/api/v1/runs", headers=sent).status_code == 401


def test_logging_out_needs_the_key_of_the_form(visitor: Visitor) -> None:
    id = visitor.client.cookies["tidemill"]
    page = visitor.page("/now")
    for key, is_there in (("another", True), ("größe", True), (page.field("form_key"), False)):
        visitor.client.cookies["tidemill"] = id
        visitor.client.post("/logout", content=urlencode({"form_key": key}))
        assert (visitor.console.sessions.find(id, 0.0) is not None) == is_there


@pytest.mark.parametrize(
    ("page", "then"),
    [
        ("http://127.0.0.1:8484/runs?status=failed", "/runs?status=failed"),
        ("https://evil.example.org//evil.example.org/", "/"),
        ("http://[", "/"),
    ],
)
def test_whoever_logs_in_next_goes_on_where_somebody_logged_out(
    visitor: Visitor, page: str, then: str
) -> None:
    key = visitor.page("/now").field("form_key")
    sent = {"Referer": page}
    out = visitor.client.post("/logout", content=urlencode({"form_key": key}), headers=sent)
    form = visitor.client.get(out.headers["location"])
    action = re.findall(r'action="(/login[^"]*)"', form.text)[0]
    # A token that isn't one doesn't forget it.
    again = visitor.client.post(action, content=urlencode({"token": "nonsense"}))
    assert again.status_code == 403
    found = re.findall(r'name="then" value="([^"]*)"', again.text)[0]
    with open_project(visitor.root) as project:
        token = project.tokens.create("somebody", scopes=["run"]).text
    answer = visitor.client.post(action, content=urlencode({"token": token, "then": found}))
    assert answer.headers["location"] == then


def test_cookies_are_sent_by_tls_only_where_a_proxy_answers_by_it(built: Path) -> None:
    with Visitor(built, is_logged_in=False, url="https://console.example.org") as visitor:
        client = visitor.client
        code = visitor.links.make("one", 4e9)
        answer = client.get(f"/?link={code}")
        kept = answer.headers["set-cookie"].lower()
        assert kept.startswith("__host-tidemill=session-0;")
        assert {"secure", "httponly", "path=/"} < {each.strip() for each in kept.split(";")}
        assert "domain" not in kept
        key = visitor.page("/now").field("form_key")
        fields, public = urlencode({"form_key": key}), {"Origin": "https://console.example.org"}
        # The proxy may name the host as it reaches the console.
        inside = {"Host": "127.0.0.1:8484", "Cookie": "__Host-tidemill=session-0"}
        assert client.get("/now", headers=inside).status_code == 200
        evil = {**inside, "Origin": "https://example.org"}
        assert client.post("/logout", content=fields, headers=evil).status_code == 403
        assert client.get("/now", headers={"Host": "example.org"}).status_code == 421
        ended = client.post("/logout", content=fields, headers={**inside, **public})
        assert ended.status_code == 303
        assert "secure" in ended.headers["set-cookie"].lower()
        assert client.get("/now").headers["location"].startswith("/login")


def test_every_answer_has_the_headers_that_protect_it(onlooker: Visitor) -> None:
    for path in ("/now", "/login", "/static/x/none", "/api/v1/runs", "/nothing", "/api/v1/nothing"):
        headers = onlooker.client.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"


def test_another_host_or_site_gets_nothing(onlooker: Visitor) -> None:
    assert onlooker.client.get("/now", headers={"Host": "evil.example"}).status_code == 421
    sent = {"Origin": "https://evil.example"}
    assert onlooker.client.post("/logout", headers=sent).status_code == 403
    assert (
        onlooker.client.post("/logout", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    )
    assert onlooker.client.request("DELETE", "/now").status_code == 405


def test_large_requests_are_refused(onlooker: Visitor) -> None:
    answer = onlooker.client.post("/login", content=b"x" * (1 << 21))
    assert answer.status_code == 413


def test_odd_requests_are_refused(visitor: Visitor) -> None:
    assert visitor.client.post("/login", content="token=a&token=b").status_code == 400
    # Without a header that says how long it is.
    chunks = (b"x" * (1 << 16) for _ in range(20))
    assert visitor.client.post("/login", content=chunks).status_code == 413
    assert visitor.client.get("/static/x/%00").status_code == 404
    status, told = visitor.post("/incidents", {"title": "\ud800", "reason": "seen"})
    assert (status, told["detail"]) == (400, "title = '\\ud800' is not text")
    assert visitor.client.post("/logout", content="a=1&a=2").status_code == 303


def test_what_was_seen_isnt_sent_again(onlooker: Visitor) -> None:
    first = onlooker.client.get("/api/v1/runs")
    tag = first.headers["etag"]
    again = onlooker.client.get("/api/v1/runs", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_unknown_pages_arguments_and_environments_are_told(onlooker: Visitor) -> None:
    assert "This doesn't exist" in onlooker.page("/nothing", 404).words
    assert onlooker.api("/nothing", 404)["status"] == 404
    assert "there is no parameter 'before_'" in onlooker.api("/runs?before_=3", 400)["detail"]
    assert onlooker.api("/runs?before=x", 400)["detail"] == "before = 'x' is not a whole number"
    assert "more than one 'limit'" in onlooker.api("/runs?limit=1&limit=2", 400)["detail"]
    assert "there is no run 'x'" in onlooker.page("/runs/x", 404).words
    assert "environment" in onlooker.api("/now?env=../x", 400)["detail"]


def test_nothing_is_shown_or_done_in_an_environment_that_is_not_there(visitor: Visitor) -> None:
    for resource in (SHELL, *RESOURCES):
        path = resource.api_path
        for name in resource.placeholders:
            path = path.replace(f"{{{name}}}", "last" if name == "run" else "sales")
        answer = visitor.client.get(f"{path}?env=nosuch")
        assert answer.status_code == 400, path
    for path, body in (
        ("/incidents", {"title": "no flour", "reason": "seen"}),
        ("/silences", {"ttl": "4h", "reason": "oven"}),
        ("/settings/tokens", {"holder": "ana", "scopes": "read"}),
        ("/settings/retention/pins", {"target": "sales", "reason": "kept"}),
    ):
        status, told = visitor.post(f"{path}?env=nosuch", body)
        assert status == 400
        assert "there is no environment 'nosuch'" in told["detail"]
    assert recorded(visitor.root, IncidentOpened, TokenCreated) == []


@pytest.mark.parametrize("last", [False, True])
def test_changes_are_streamed_to_who_may_see_them_and_not_too_often(
    built: Path, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    monkeypatch.setattr(ledger_watch, "_BEAT_S", 0.01)
    with open_project(built) as project:
        made = project.tokens.create("ben", scopes=["read"])
        blind = project.tokens.create("pia", scopes=["predict"])

    async def play() -> None:
        app = Visitor(built, is_logged_in=False).client.app
        gone, statuses = asyncio.Event(), list[int]()

        async def follow(token: str) -> int:
            async def receive() -> dict[str, Any]:
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message: dict[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])

            headers = [(b"host", b"127.0.0.1"), (b"authorization", b"Bearer " + token.encode())]
            scope = {
                "type": "http", "method": "GET", "path": "/events", "raw_path": b"/events",
                "query_string": b"", "headers": headers, "client": None, "scheme": "http",
            }  # fmt: skip
            await app(scope, receive, send)  # type: ignore[arg-type]
            return statuses[-1]

        assert await follow("nonsense") == 204
        assert await follow(blind.text) == 204
        streams = [asyncio.create_task(follow(made.text)) for _ in range(20)]
        while statuses.count(200) < 20:
            await asyncio.sleep(0.01)
        assert await follow(made.text) == 429
        if last:
            gone.set()
        else:
            with open_project(built) as project:
                project.tokens.revoke(made.issued.token.id, reason="left")
        await asyncio.gather(*streams)

    asyncio.run(play())


def test_static_files_are_those_of_the_console_only(onlooker: Visitor) -> None:
    found = onlooker.client.get("/static/any/console.css")
    assert found.headers["cache-control"].endswith("immutable")
    for name in ("../io/app.py", "%2e%2e/io/app.py", "/etc/passwd", "nothing.js", "a" * 300):
        assert onlooker.client.get(f"/static/any/{name}").status_code == 404


def test_runs_are_paged(visitor: Visitor, built: Path) -> None:
    for _ in range(2):
        assert tidemill("run").code == 0
    first = visitor.api("/runs?limit=2")
    assert len(first["runs"]) == 2
    second = visitor.api(f"/runs?limit=2&before={first['next']}")
    assert (len(second["runs"]), second["next"]) == (1, 0)
    assert len({each["id"] for each in [*first["runs"], *second["runs"]]}) == 3


def test_the_pages_that_are_listed_are_there() -> None:
    paths = {resource.path for resource in RESOURCES if resource.template}
    assert {f"/{'/'.join(parts)}" for _, parts, _ in NAVIGATION} - paths == set()


def test_the_workflow_may_be_broken(built: Path) -> None:
    (built / "bakery.py").write_text("1 / 0")
    with Visitor(built) as visitor:
        assert "bakery in prod" in visitor.page("/now").words
        assert visitor.api("/runs/last/log")["lines"] == []


def test_hostile_text_of_a_run_is_shown_as_text(built: Path) -> None:
    in_labels(
        built,
        """
print("<script>alert(1)</script>\\u202e" + "x" * 10_000)
raise ValueError("<img src=x onerror=alert(2)>")
""",
    )
    assert process("run", cwd=built).returncode != 0
    with Visitor(built) as visitor:
        for path in ("/runs/last", "/runs/last/log", "/now"):
            text = visitor.page(path).text
            assert "<img src=x" not in text
            assert "<script>alert" not in text
            assert "\u202e" not in text
        assert "<img src=x onerror=alert(2)>" in visitor.page("/runs/last").words
        assert "<script>alert(1)</script>" in visitor.page("/runs/last/log").words
        assert "labels failed" in visitor.page("/now").words


def test_what_breaks_is_told_without_what_it_was(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    with Visitor(built) as visitor:
        monkeypatch.setattr(visitor.client._transport, "raise_server_exceptions", False)
        monkeypatch.setattr("tidemill.console.io.pages.etag_of", fail)
        for path in ("/now", "/api/v1/now"):
            answer = visitor.client.get(path)
            assert answer.status_code == 500
            assert "ZeroDivisionError" in answer.text
            assert "a secret" not in answer.text
            assert answer.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize(
    ("referer", "shown"),
    [
        (
            "http://127.0.0.1:8484/reviews?which=all",
            "This request can't be answered",
        ),  # no such form
        ("http://127.0.0.1:8484/reviews/r0", "there is no review"),
        ("http://127.0.0.1:8484//example.org/x", ""),
        ("javascript:alert(1)", ""),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_a_refused_form_leads_to_no_other_place(visitor: Visitor, referer: str, shown: str) -> None:
    page = visitor.page("/silences")
    fields = {"form_key": page.field("form_key"), "ttl": "soon", "reason": "why <not>"}
    answer = visitor.client.post(
        "/silences", content=urlencode(fields), headers={"Referer": referer}
    )
    if shown:
        assert answer.status_code == 303
        place = answer.headers["location"]
        assert place == f"{referer.removeprefix('http://127.0.0.1:8484')}#refused"
        answer = visitor.client.get(place)
    assert answer.status_code >= 400
    assert "why &lt;not&gt;" in answer.text
    assert shown in answer.text.replace("&#39;", "'")


def test_the_log_says_where_a_view_broke(
    built: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def list_badly(project: object, before: int = 0, limit: int = 50) -> None:
        raise KeyError("tm_0123456789_abcdefghijklmnopqrstuvwxyz")

    with Visitor(built) as visitor:
        monkeypatch.setattr(runs, "list_runs", list_badly)
        assert visitor.api("/runs", 500)["detail"].startswith("KeyError")
    assert "in list_badly" in caplog.text
    assert "abcdefghijklmnop" not in caplog.text


def test_a_page_without_its_surroundings_is_refused(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Visitor(built) as visitor:
        plain = visitor.console.projects.call

        async def call(resource: Resource, *others: Any) -> ViewAnswer:
            if resource is SHELL:
                return refused_answer(503, "the ledger is busy")
            return await plain(resource, *others)

        monkeypatch.setattr(visitor.console.projects, "call", call)
        for path in ("/now", "/stages?env=prod", "/models/demand", "/reviews"):
            page = visitor.page(path, 503)
            assert "the ledger is busy" in page.words
            for link in (path, "/now", "/runs"):
                assert f'href="{link}"' in page.text
        page = visitor.page("/nothing", 404)
        assert "Try again" not in page.words
        # What was done is shown all the same: a secret isn't shown again.
        key = visitor.console.sessions.find(visitor.client.cookies["tidemill"], 0.0)
        assert key is not None
        sent = {"form_key": key.form_key, "holder": "ana", "scopes": "read"}
        answer = visitor.client.post(
            "/settings/tokens", content=urlencode(sent), follow_redirects=True
        )
        assert (answer.status_code, "tm_" in answer.text) == (200, True)


def test_a_form_of_another_session_does_nothing(visitor: Visitor) -> None:
    for key in ("", "another", "größe"):
        answer = visitor.client.post("/plan/run", content=urlencode({"form_key": key}))
        assert answer.status_code == 403
        assert "this form is of an earlier session" in answer.text
    assert len(visitor.api("/runs")["runs"]) == 1
