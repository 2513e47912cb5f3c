"""A private key with a password opens with it, and a server never asks a terminal for it."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from tests.support.serving import sales_project, served
from tidemill.core.errors import UsageError
from tidemill.project.project import Project

PASSWORD = "correct horse"
VARIABLE = "KEY_PASSWORD"
TLS = {"certificate": "cert.pem", "key": "key.pem", "key_password_env": VARIABLE}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("bakeries")
    write_certificate(folder)
    return sales_project(folder)


def write_certificate(folder: Path) -> None:
    """A certificate of localhost in `cert.pem`, and its key in `key.pem`, encrypted with the password."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode())
        )
    )


def test_its_password_is_in_the_environment(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)
    context = ssl.create_default_context(cafile=str(project.root / "cert.pem"))
    with (
        served(project, **TLS) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(
            b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert PASSWORD not in project.workspace.redactor.redact(f"-pass {PASSWORD}")


def test_a_server_asks_nobody_for_it(project: Project) -> None:
    settings = {**TLS, "key_password_env": ""}
    with (
        pytest.raises(
            UsageError, match="the key is encrypted, and key_password_env names no variable"
        ),
        served(project, **settings),
    ):
        pass


@pytest.mark.parametrize(
    ("password", "says"),
    [
        (None, "the environment variable KEY_PASSWORD with the password of key = 'key.pem' isn't set"),
        ("", "isn't set"),
        ("wrong", "the password of the key is wrong"),
    ],
)  # fmt: skip
def test_a_missing_or_wrong_one_is_said(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    password: str | None,
    says: str,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if password is not None:
        monkeypatch.setenv(VARIABLE, password)
    with pytest.raises(UsageError, match=says), served(project, **TLS):
        pass
