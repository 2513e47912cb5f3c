"""Over HTTP: a proxy with a secret, or on a Unix socket, says who asks; nobody else can."""

from __future__ import annotations

import http.client
import json
import logging
import secrets
import signal
import socket
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import (
    ROW,
    Reply,
    Served,
    sales_project,
    served,
    server_process,
    shared_project,
)
from tests.support.waiting import until
from tidemill.core.errors import UsageError
from tidemill.governance.roles import Grant, Grants, Role
from tidemill.ledger.io.lease_holder import this_user
from tidemill.project.project import Project
from tidemill.serving.proxy_settings import ProxySettings

VARIABLE = "PROXY_SECRET"
SECRET = secrets.token_hex(32)
PROXY = ProxySettings(groups_header="X-Forwarded-Groups", secret_env=VARIABLE)
PROOF = {"Tidemill-Proxy-Secret": SECRET}
ROLES = Grants(
    grants=(
        Grant(who=this_user(), role=Role.OPERATOR),
        Grant(who="ana@example.com", role=Role.ADMIN),
        Grant(who="@bakers", role=Role.VIEWER),
    ),
    groups={"bakers": frozenset()},
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return sales_project(tmp_path_factory.mktemp("bakeries"))


@pytest.fixture(scope="module")
def token(project: Project) -> str:
    return project.tokens.create("checkout").text


@pytest.fixture(scope="module")
def server(project: Project, token: str) -> Iterator[Served]:
    project.workspace.settings = replace(project.workspace.settings, grants=ROLES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, SECRET)
        with served(project, proxy=PROXY, access_log="log/access.jsonl") as found:
            yield found


def asked(server: Served, path: str = "/predict/demand", **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask(path, [ROW] if path.startswith("/predict") else None, headers=sent)


def raw(server: Served, *lines: bytes, body: bytes = b"", path: bytes = b"/v2") -> Reply:
    """Send a request with exactly these lines after the first ones."""
    method = b"POST" if body else b"GET"
    head = [method + b" " + path + b" HTTP/1.1", b"Host: localhost", b"Connection: close", *lines]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
        found = http.client.HTTPResponse(connection)
        found.begin()
        return Reply(found.status, dict(found.getheaders()), found.read())


ANA = b"X-Forwarded-User: ana@example.com"
PROVED = b"Tidemill-Proxy-Secret: " + SECRET.encode()


def test_the_user_of_the_proxy_may_ask(server: Served, project: Project) -> None:
    request = {"X_Request_Id": "from-ana", "X_Forwarded_User": "ana@example.com"}
    assert asked(server, **PROOF, **request).status == 200
    log = project.root / "log" / "access.jsonl"

    def lines() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in log.read_text().splitlines()]
        return [line for line in found if line["request"] == "from-ana"]

    until(lines)
    [line] = lines()
    assert (line["user"], line["auth"], line["token"]) == ("ana@example.com", "proxy", "")
    assert line["endpoint"] == "demand"


def test_who_is_refused_is_logged(server: Served, project: Project, token: str) -> None:
    claim = {"X-Forwarded-User": "mallory"}
    bearer = {"Authorization": f"Bearer {token}"}
    for number, headers in enumerate(({**PROOF, **claim}, claim, {**PROOF, **claim, **bearer})):
        reply = asked(server, "/v2", **headers, X_Request_Id=f"refused-{number}")
        assert reply.status == (403, 401, 400)[number]
    log = project.root / "log" / "access.jsonl"
    until(lambda: "refused-2" in log.read_text())
    lines = [json.loads(line) for line in log.read_text().splitlines() if "refused-" in line]
    # Who only claims to be somebody isn't named.
    assert [line["user"] for line in lines] == ["mallory", "", "mallory"]
    assert [line["auth"] for line in lines] == ["proxy", "", "proxy"]


def test_groups_of_the_proxy_give_roles(server: Served) -> None:
    eve = {**PROOF, "X-Forwarded-User": "eve@example.com"}
    assert asked(server, "/v2", **eve).status == 403
    assert asked(server, "/v2", **eve, X_Forwarded_Groups="staff,bakers").status == 200
    # Of somebody else, and of nobody.
    assert asked(server, "/v2", **eve, X_Forwarded_Groups="@bakers").status == 403
    assert asked(server, "/v2", **PROOF, X_Forwarded_Groups="bakers").status == 401


def test_tokens_and_health_need_no_proxy(server: Served, token: str) -> None:
    bearer = {"Authorization": f"Bearer {token}"}
    assert asked(server, **bearer).status == 200
    # A program that comes through the proxy as well, which names no user.
    assert asked(server, **bearer, **PROOF).status == 200
    assert asked(server, **bearer, **PROOF, X_Forwarded_User="").status == 200
    assert asked(server, **bearer, **PROOF, X_Forwarded_User="ana@example.com").status == 400
    assert asked(server, **bearer, X_Forwarded_User="ana@example.com").status == 401
    assert asked(server, "/v2/health/ready").status == 200
    assert asked(server).status == 401


def test_a_page_for_users_of_the_proxy_shows_no_token(server: Served, token: str) -> None:
    ana = {**PROOF, "X-Forwarded-User": "ana@example.com"}
    assert b"ENDPOINT_TOKEN" not in asked(server, "/docs", **ana).body
    assert "security" not in asked(server, "/openapi.json", **ana).json
    bearer = {"Authorization": f"Bearer {token}"}
    assert b"ENDPOINT_TOKEN" in asked(server, "/docs", **bearer).body


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([ANA, PROVED], 200),
        ([b"x-forwarded-USER:\t ana@example.com \t", PROVED], 200),
        # Without the secret, or with what resembles it.
        ([ANA], 401),
        ([ANA, b"Tidemill-Proxy-Secret: " + SECRET.swapcase().encode()], 401),
        ([ANA, b"Tidemill_Proxy_Secret: " + SECRET.encode()], 401),
        ([ANA, PROVED + b"0"], 401),
        ([ANA, b"Tidemill-Proxy-Secret:"], 401),
        # Sent by the client, and appended by the proxy.
        ([b"X-Forwarded-User: mallory", ANA, PROVED], 400),
        ([ANA, b"x-forwarded-user: mallory", PROVED], 400),
        ([ANA, PROVED, PROVED], 400),
        ([b"X-Forwarded-User: mallory, ana@example.com", PROVED], 400),
        # Names that aren't that of the header: nobody is named, or the request is no HTTP.
        ([b"X_Forwarded_User: ana@example.com", PROVED], 401),
        ([b"X-Forwarded-User : ana@example.com", PROVED], 400),
        ([b" X-Forwarded-User: ana@example.com", PROVED], 400),
        ([b"X-Forwarded-User\x00: ana@example.com", PROVED], 400),
        ([PROVED, b"X-Other: a\nX-Forwarded-User: ana@example.com"], 400),
        ([PROVED, b"X-Other: a\rX-Forwarded-User: ana@example.com"], 400),
        # Names that nobody has.
        ([b"X-Forwarded-User: ", PROVED], 401),
        ([b"X-Forwarded-User: jos\xe9", PROVED], 400),
        ([b"X-Forwarded-User: " + "ana@example.com\u200b".encode(), PROVED], 400),
        ([b"X-Forwarded-User: @bakers", PROVED], 400),
        ([b"X-Forwarded-User: *", PROVED], 400),
        ([b"X-Forwarded-User: " + b"a" * 257, PROVED], 400),
        ([b"X-Forwarded-User: " + b"a" * 70_000, PROVED], 431),
        ([b"X-Forwarded-User: " + "ana@example.c\u03bfm".encode(), PROVED], 403),
        ([b"X-Forwarded-User: ANA@example.com", PROVED], 403),
    ],
)  # fmt: skip
def test_what_a_client_could_try(server: Served, lines: list[bytes], status: int) -> None:
    reply = raw(server, *lines)
    assert reply.status == status
    if status != 200:
        assert set(reply.json) == {"error"}
        shown = reply.body.decode() + str(reply.headers)
        assert not [word for word in (SECRET, "ana@", "mallory", VARIABLE) if word in shown]


def test_trailers_name_nobody(server: Served) -> None:
    sent = json.dumps([ROW]).encode()
    chunked = b"%x\r\n%b\r\n0\r\n%b\r\n%b\r\n\r\n" % (len(sent), sent, ANA, PROVED)
    kind = b"Content-Type: application/json"
    path = b"/predict/demand"
    lines = [kind, b"Transfer-Encoding: chunked", b"Trailer: X-Forwarded-User"]
    assert raw(server, *lines, body=chunked, path=path).status == 401
    assert raw(server, *lines, ANA, PROVED, body=chunked, path=path).status == 200


def test_a_request_smuggled_behind_another_one_has_no_user(server: Served) -> None:
    first = [b"GET /v2 HTTP/1.1", b"Host: localhost", ANA, PROVED]
    second = [b"GET /v2 HTTP/1.1", b"Host: localhost", b"Connection: close"]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        for lines in (first, second):
            connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        replies = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert replies.count(b"HTTP/1.1 200 ") == 1
    assert replies.index(b"HTTP/1.1 200 ") < replies.index(b"HTTP/1.1 401 ")


def test_who_needed_no_token_before_is_not_remembered(server: Served) -> None:
    ana = {**PROOF, "X-Forwarded-User": "ana@example.com"}
    for headers, status in ((ana, 200), ({}, 401), (ana, 200), (PROOF, 401)):
        assert asked(server, "/v2", **headers).status == status


def test_the_secret_is_nowhere(
    server: Served, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    ana = {**PROOF, "X-Forwarded-User": "ana@example.com"}
    bodies = [asked(server, path, **ana).body for path in ("/status", "/metrics", "/docs", "/v2")]
    with caplog.at_level(logging.DEBUG):
        bodies.append(asked(server, "/predict/demand", **PROOF, X_Forwarded_User="a,b").body)
        bodies.append(asked(server, "/nowhere", **ana).body)
    assert project.workspace.redactor.redact(f"curl -H 'X: {SECRET}'") == "curl -H 'X: ***'"
    with closing(sqlite3.connect(project.workspace.home / "ledger.db")) as ledger:
        bodies.append("\n".join(ledger.iterdump()).encode())
    bodies.append((project.root / "log" / "access.jsonl").read_bytes())
    bodies.append(caplog.text.encode())
    assert not [body for body in bodies if SECRET.encode() in body]


def test_without_the_setting_the_header_means_nothing(project: Project, tmp_path: Path) -> None:
    with served(project) as server:
        reply = raw(server, b"X-Forwarded-User: *", b"X-Forwarded-User: eve")
    assert reply.status == 200


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (None, f"the environment variable {VARIABLE} with the secret of the proxy isn't set"),
        ("", f"the secret of the proxy in the environment variable {VARIABLE} is empty"),
        ("short", "has fewer than 32 characters"),
        ("with space " * 5, "has characters that a header can't have"),
    ],
)
def test_a_server_does_not_start_without_its_secret(
    project: Project, monkeypatch: pytest.MonkeyPatch, secret: str | None, says: str
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if secret is not None:
        monkeypatch.setenv(VARIABLE, secret)
    with pytest.raises(UsageError, match=says) as caught, served(project, proxy=PROXY):
        pass
    assert not secret or secret.strip() not in str(caught.value)


def test_a_server_does_not_start_if_anybody_could_name_users(project: Project) -> None:
    with (
        pytest.raises(UsageError, match="a proxy that nothing tells from others"),
        served(project, proxy=ProxySettings()),
    ):
        pass


def test_a_secret_is_read_from_a_file(project: Project) -> None:
    place = project.root / "proxy-secret"
    proxy = ProxySettings(secret_file=place.name)
    with pytest.raises(UsageError, match=r"proxy-secret with .* can't be read: No such file"):  # noqa: SIM117
        with served(project, proxy=proxy):
            pass
    place.write_bytes(b"\xff" * 40)
    with pytest.raises(UsageError, match="isn't text in UTF-8"), served(project, proxy=proxy):
        pass
    place.write_text(f"{SECRET}\n")
    with served(project, proxy=proxy) as server:
        ana = {**PROOF, "X-Forwarded-User": "ana@example.com"}
        assert asked(server, "/v2", **ana).status == 200
        # It was read once.
        place.write_text("other" * 10)
        assert asked(server, "/v2", **ana).status == 200


def test_whoever_may_open_the_unix_socket_is_the_proxy(project: Project, token: str) -> None:
    project.workspace.settings = replace(project.workspace.settings, grants=ROLES)
    path = project.root / "serve.sock"
    bearer = {"Authorization": f"Bearer {token}"}
    with served(project, socket=path.name, proxy=ProxySettings()) as server:
        assert (server.url, stat.S_IMODE(path.stat().st_mode)) == (f"http://unix:{path}:", 0o600)
        assert asked(server, X_Forwarded_User="ana@example.com").status == 200
        assert asked(server, X_Forwarded_User="eve").status == 403
        assert asked(server, X_Forwarded_User="ana@example.com, eve").status == 400
        assert asked(server).status == 401
        assert asked(server, **bearer).status == 200
        with (
            pytest.raises(UsageError, match="another server listens on"),
            served(project, socket=path.name),
        ):
            pass
        assert asked(server, **bearer).status == 200
    assert not path.exists()


def test_a_unix_socket_is_as_good_as_loopback(project: Project) -> None:
    with served(project, socket="plain.sock") as server:
        assert asked(server).status == 200
        assert asked(server, Host="evil.example").status == 421
    with (
        pytest.raises(UsageError, match=r"others can reach ml\.example\.com, and no token"),
        served(
            sales_project(project.root / "other"), socket="s", allowed_hosts=("ml.example.com",)
        ),
    ):
        pass


def test_a_socket_that_cannot_be_made_says_why(project: Project) -> None:
    with (
        pytest.raises(UsageError, match=r"socket = 'absent/s' can't be used: No such file"),
        served(project, socket="absent/s"),
    ):
        pass


def test_the_command_serves_behind_a_proxy_with_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shared_project(tmp_path)
    settings = tmp_path / "pyproject.toml"
    settings.write_text(
        f"""{settings.read_text()}
[tool.tidemill.serve]
socket = "serve.sock"
release = "1h"
[tool.tidemill.serve.proxy]
secret_file = "secret"
[tool.tidemill.roles]
ana = "admin"
"*" = "operator"
"""
    )
    (tmp_path / "secret").write_text(SECRET)
    with server_process(project, "--workers", "2", place=()) as (server, process):
        assert server.path == str(tmp_path / "serve.sock")
        # What a process finds there that starts later isn't the secret of this server.
        (tmp_path / "secret").write_text("other" * 10)
        ana = {**PROOF, "X-Forwarded-User": "ana"}
        busy = json.dumps([ROW] * 5_000).encode()

        def answers_in_two() -> bool:
            for _ in range(20):
                reply = server.ask("/predict/demand", busy, headers=ana)
                assert reply.status in (200, 503)
            found = asked(server, "/status", **ana).json["processes"]
            return len(found) == 2 and all(each["requests"] for each in found)

        until(answers_in_two, process)
        assert asked(server, "/v2", X_Forwarded_User="ana").status == 401
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not (tmp_path / "serve.sock").exists()
