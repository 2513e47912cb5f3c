"""Ed25519 keys that sign checkpoints and attestations, as PEM files outside of the project's home.

Whoever can write the home could sign what they changed there, if the key lay in it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from tidemill.core.errors import StorageError, UsageError
from tidemill.core.extras import install_command
from tidemill.core.lazy_dataclass import dataclass

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
except ImportError as error:
    raise UsageError(f"signatures need cryptography: {install_command('cryptography')}") from error

_PEM = serialization.Encoding.PEM
_INFO = serialization.PublicFormat.SubjectPublicKeyInfo
# A key is some 100 bytes; a file that isn't one may be of any size.
_LARGEST = 10_000


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies signatures."""

    _key: Ed25519PublicKey = field(repr=False)

    @property
    def id(self) -> str:
        """The SHA-256 of the key (its DER SubjectPublicKeyInfo) in hex."""
        der = serialization.Encoding.DER
        return hashlib.sha256(self._key.public_bytes(der, _INFO)).hexdigest()

    @property
    def pem(self) -> bytes:
        """The key as a PEM file."""
        return self._key.public_bytes(_PEM, _INFO)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature of a message was made with the private key of this key."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that signs."""

    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this key signs."""
        return PublicKey(self._key.public_key())

    def sign(self, message: bytes) -> bytes:
        """The signature of a message: 64 bytes."""
        return self._key.sign(message)


def public_path(path: Path) -> Path:
    """The path of the public key that `create_key` writes beside a private key."""
    return path.with_name(f"{path.name}.pub")


def create_key(path: Path, home: Path) -> PublicKey:
    """Create a key: the private one in `path`, which only its owner may read, the public one beside it.

    UsageError if a file exists there already, or if the path is in the home; StorageError if it can't be
    written.
    """
    _require_outside(path, home)
    made = Ed25519PrivateKey.generate()
    private = made.private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = SigningKey(made).public
    for target in (path, public_path(path)):
        if os.path.lexists(target):
            raise UsageError(f"{target} exists already: choose another name for the new key")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, private, 0o600)
        try:
            _write_new(public_path(path), public.pem, 0o644)
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error.strerror or error}") from error
    return public


def load_signing_key(path: Path, home: Path) -> SigningKey:
    """Load a private key; UsageError if it is in the home, if others may read it, or if it is no such key."""
    _require_outside(path, home)
    content = _read(path)
    if path.stat().st_mode & 0o077:
        raise UsageError(
            f"{path} can be read by other users, who could sign with it: `chmod 600 {path}`"
        )
    try:
        found: Any = serialization.load_pem_private_key(content, password=None)
    except TypeError as error:  # it is encrypted
        raise UsageError(f"{path} is encrypted: use a key without a password") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(_no_key(path, "private", content)) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise UsageError(_no_key(path, "private", content))
    return SigningKey(found)


def load_public_key(path: Path) -> PublicKey:
    """Load a public key; UsageError if the file isn't one."""
    content = _read(path)
    try:
        found = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(_no_key(path, "public", content)) from error
    if not isinstance(found, Ed25519PublicKey):
        raise UsageError(_no_key(path, "public", content))
    return PublicKey(found)


def _no_key(path: Path, kind: str, content: bytes) -> str:
    if not content.strip() or (b"-----BEGIN" in content and b"-----END" not in content):
        return (
            f"{path} is no whole {kind} key: its end is missing; if it is just being replaced, try again, "
            "else restore it"
        )
    return (
        f"{path} isn't the PEM file of a {kind} Ed25519 key; `tidemill keys create PATH` writes one"
    )


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        raise UsageError(f"the key {path} can't be read: {error.strerror or error}") from error


def _require_outside(path: Path, home: Path) -> None:
    if path.resolve().is_relative_to(home.resolve()):
        raise UsageError(
            f"the key {path} lies in the project's home {home}: keep it elsewhere, since whoever writes "
            "the home could sign what they changed"
        )


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
