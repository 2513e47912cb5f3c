"""Ed25519 keys in PEM files."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidemill.core.errors import StorageError, UsageError
from tidemill.governance.io.signing_keys import (
    create_key,
    load_public_key,
    load_signing_key,
    public_path,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ".tidemill"


def test_what_a_key_signs_its_public_key_verifies(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "keys" / "signing.pem"
    made = create_key(path, home)
    signature = load_signing_key(path, home).sign(b"hello")
    read = load_public_key(public_path(path))
    assert read.id == made.id == load_signing_key(path, home).public.id
    assert read.verifies(signature, b"hello")
    assert not read.verifies(signature, b"hullo")
    assert not read.verifies(signature[:-1], b"hello")
    assert not read.verifies(b"", b"hello")


def test_the_id_is_the_digest_of_the_subject_public_key_info(tmp_path: Path, home: Path) -> None:
    made = create_key(tmp_path / "key", home)
    der = serialization.load_pem_public_key(made.pem).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert made.id == hashlib.sha256(der).hexdigest()


def test_a_new_key_is_private_and_replaces_nothing(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "key"
    create_key(path, home)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        create_key(path, home)
    path.unlink()
    with pytest.raises(UsageError, match=r"key\.pub exists already"):
        create_key(path, home)
    assert not path.exists()
    assert before


def test_a_key_in_the_home_is_refused(tmp_path: Path, home: Path) -> None:
    home.mkdir()
    with pytest.raises(UsageError, match="lies in the project's home"):
        create_key(home / "key", home)
    link = tmp_path / "link"
    link.symlink_to(home)
    with pytest.raises(UsageError, match="lies in the project's home"):
        load_signing_key(link / "key", home)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "key"
    create_key(path, home)
    path.chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        load_signing_key(path, home)


def test_a_folder_that_is_a_file_takes_no_key(tmp_path: Path, home: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="can't be written"):
        create_key(tmp_path / "file" / "key", home)


def test_a_public_key_that_cannot_be_written_leaves_no_private_one(
    tmp_path: Path, home: Path
) -> None:
    name = "k" * 253  # with .pub longer than file systems allow
    with pytest.raises(StorageError, match="can't be written"):
        create_key(tmp_path / name, home)
    assert not (tmp_path / name).exists()


def _pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    locked = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no whole private key: its end is missing"),
        (b"\xff" * 20_000, "isn't the PEM file of a private"),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "isn't the PEM file of a private"),
        (_pem(Ed25519PrivateKey.generate(), b"password"), "is encrypted"),
    ],
)
def test_another_file_is_no_private_key(
    tmp_path: Path, home: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        load_signing_key(path, home)


def test_another_file_is_no_public_key(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(UsageError, match="can't be read: No such file"):
        load_public_key(path)
    create_key(path, home)
    with pytest.raises(UsageError, match="isn't the PEM file of a public"):
        load_public_key(path)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    path.write_bytes(
        other.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    with pytest.raises(UsageError, match="isn't the PEM file of a public"):
        load_public_key(path)


def test_without_cryptography_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from tidemill.core.errors import UsageError\n"
        "try: import tidemill.governance.io.signing_keys\n"
        "except UsageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'tidemill[sign]'" in done.stdout
