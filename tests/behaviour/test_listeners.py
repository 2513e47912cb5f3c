"""Nothing listens beyond loopback without authentication: every place in the source that listens is known."""

from __future__ import annotations

import ast
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.project.logins import _Callback
from tidemill.serving.io.http_server import listening_socket

ROOT = Path(__file__).parents[2]
# Where the package listens, and why nobody else can ask there.
KNOWN = {
    "src/tidemill/adapters/slurm/listener.py": "workers of a run: both sides prove a token of it",
    "src/tidemill/console/server.py": "the console: people who log in, and roles beyond loopback",
    "src/tidemill/operations/io/metrics_server.py": "metrics: a token beyond loopback",
    "src/tidemill/project/listen_worker.py": "nothing: it has a database tell it what changed",
    "src/tidemill/project/logins.py": "a login's callback, on 127.0.0.1",
    "src/tidemill/serving/io/http_server.py": "the server: authentication beyond loopback",
    "src/tidemill/serving/io/status_socket.py": "a Unix socket in the private home",
    "src/tidemill/serving/io/unix_listener.py": "a Unix socket for its owner or one group",
}
# Functions and classes that listen, also those of libraries that nothing uses today.
LISTENING = {
    *("bind", "bind_socket", "listen", "create_server", "create_unix_server", "start_server"),
    *(
        "start_unix_server",
        "create_datagram_endpoint",
        "make_server",
        "run_simple",
        "serve_forever",
    ),
    *("TCPServer", "UDPServer", "HTTPServer", "ThreadingHTTPServer", "ThreadingTCPServer"),
    *(
        "UnixStreamServer",
        "SimpleXMLRPCServer",
        "Listener",
        "BaseManager",
        "SyncManager",
        "TCPSite",
    ),
    *("create_dual_stack", "add_insecure_port", "start_http_server", "run_app"),
}
# Modules without which a `bind` is another one, such as that of a signature.
NETWORK = {"socket", "socketserver", "asyncio", "http", "uvicorn", "uvloop", "xmlrpc", "aiohttp", "grpc",
           "multiprocessing", "prometheus_client", "wsgiref"}  # fmt: skip


def network_imports(tree: ast.AST) -> set[str]:
    """The modules of the network that code imports, by their first name."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found & NETWORK


def last_name(node: ast.expr) -> str:
    """The last part of a dotted name, "" if it is none."""
    return getattr(node, "attr", "") or getattr(node, "id", "")


def listening_places(tree: ast.AST) -> Iterator[ast.expr]:
    """What is called, or derived from, that listens."""
    if not network_imports(tree):
        return
    for node in ast.walk(tree):
        named: list[ast.expr] = []
        if isinstance(node, ast.Call):
            named = [node.func]
        elif isinstance(node, ast.ClassDef):
            named = node.bases
        yield from (each for each in named if last_name(each) in LISTENING)


def listeners(folder: str) -> set[str]:
    """The files below a folder that listen."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*.py")
        if any(listening_places(ast.parse(path.read_text(encoding="utf-8"))))
    }


def test_every_place_that_listens_is_known() -> None:
    assert listeners("src") == set(KNOWN)


@pytest.mark.parametrize(
    ("code", "listens"),
    [
        ("import socket\nsocket.create_server(('', 80))", True),
        ("import socket\ns = socket.socket()\ns.bind(('0.0.0.0', 1))", True),
        ("import asyncio\nasync def f():\n await asyncio.start_server(g, port=1)", True),
        ("from http.server import HTTPServer as H, HTTPServer\nclass S(HTTPServer): pass", True),
        ("import http.server\nhttp.server.ThreadingHTTPServer(('', 1), h)", True),
        ("from multiprocessing.connection import Listener\nListener(('', 1))", True),
        ("import inspect\ninspect.signature(f).bind(1)", False),
        ("import socket\nsocket.create_connection(('127.0.0.1', 1))", False),
        ("import socket\nsocket.socketpair()", False),
    ],
)
def test_what_listens_is_found(code: str, listens: bool) -> None:
    assert any(listening_places(ast.parse(code))) is listens


def test_only_serving_opens_the_server_and_asks_first_whether_it_is_safe() -> None:
    """Whoever else called `listening_socket` could leave out the question."""
    callers: dict[str, ast.Module] = {}
    for path in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        if any(last_name(call.func) == "listening_socket" for call in calls):
            callers[path.name] = tree
    assert set(callers) == {"serving.py"}
    [serve] = [
        node
        for node in ast.walk(callers["serving.py"])
        if isinstance(node, ast.FunctionDef) and node.name == "_serve"
    ]
    order = [
        last_name(node.func)
        for node in sorted(
            (node for node in ast.walk(serve) if isinstance(node, ast.Call)),
            key=lambda node: node.lineno,
        )
    ]
    assert order.index("require_safe_place") < order.index("_listen")


@pytest.mark.parametrize("folder", ["tools", "bench", "examples"])
def test_what_is_beside_the_package_listens_on_loopback(folder: str) -> None:
    for path in listeners(folder):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert "127.0.0.1" in text, path
        assert not [each for each in ("0.0.0.0", '("", ', '"::"') if each in text], path


def test_a_login_listens_on_loopback() -> None:
    with _Callback() as server:
        assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("address", ["192.0.2.7", "0.0.0.0", "::"])
def test_a_name_of_this_machine_that_others_reach_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(PermissionError, match=r"localhost is .* here, which others can reach"):
        listening_socket("localhost", 0)
