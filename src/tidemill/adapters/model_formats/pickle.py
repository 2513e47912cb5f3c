"""Store any object with pickle: refused by default, and loaded only if this project wrote it."""

from __future__ import annotations

import hashlib
import hmac
import os
import pickle
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tidemill.core.errors import TidemillError, UsageError
from tidemill.ledger.io.home_files import open_private
from tidemill.workflow.model import ClassLabel, Feed

_MARK = b"tidemill pickle 1\n"
_KEY_BYTES = 32


class OwnPickle:
    """Store a model of any class with pickle, signed with a key in the project's home.

    Loading a pickle executes code that is in it. So bytes are loaded only if their signature shows that a
    run of this home wrote them.
    """

    name = "pickle"
    modules: tuple[str, ...] = ()
    is_rowwise = False

    def __init__(self, home: Path) -> None:
        self._home = home

    def accepts(self, model: Any) -> bool:
        """Whether `model` predicts."""
        return callable(getattr(model, "predict", None))

    def feed(self, model: Any) -> Feed:
        """A frame if the model was fitted on named columns, as scikit-learn records it."""
        return "frame" if getattr(model, "feature_names_in_", None) is not None else "matrix"

    def classes(self, model: Any) -> Sequence[ClassLabel]:
        """The labels of a classifier that has `predict_proba`, as scikit-learn's do."""
        known = getattr(model, "classes_", None)
        return [] if known is None or not hasattr(model, "predict_proba") else list(known.tolist())

    def function(self, model: Any) -> Callable[[Any], Any]:
        """Its `predict_proba` if it is a classifier, else its `predict`."""
        function: Callable[[Any], Any] = (
            model.predict_proba if self.classes(model) else model.predict
        )
        return function

    def dump(self, model: Any) -> bytes:
        """The pickled model with its signature; UsageError for a class that no other process can import."""
        try:
            payload = pickle.dumps(model, protocol=5)
        except Exception as error:
            raise UsageError(f"it can't be pickled: {type(error).__name__}: {error}") from error
        if b"__main__" in payload:
            raise UsageError("its class is in __main__, which no other process can import")
        return _MARK + self._signature(payload) + payload

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """The model's prediction function; TidemillError for bytes that this home didn't write."""
        return self.function(self.restore(payload))

    def restore(self, payload: bytes) -> Any:
        """The model; TidemillError for bytes that this home didn't write."""
        size = len(_MARK) + hashlib.sha256().digest_size
        signature, body = payload[len(_MARK) : size], payload[size:]
        if not payload.startswith(_MARK) or not hmac.compare_digest(
            signature, self._signature(body)
        ):
            raise TidemillError(
                "the pickle wasn't written by a run of this project's home, and loading it could execute "
                "anything: train the model here"
            )
        return pickle.loads(body)

    def _signature(self, payload: bytes) -> bytes:
        return hmac.digest(self._key(), payload, hashlib.sha256)

    def _key(self) -> bytes:
        path = self._home / "pickle.key"
        if not path.exists():
            self._create_key(path)
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise TidemillError(
                f"{path} is damaged: restore it, or remove it and train its models again"
            )
        return key

    def _create_key(self, path: Path) -> None:
        """Write a key, unless another process does: whole, so that nobody reads a part of it."""
        own = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            with open(own, "xb", opener=open_private) as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(own, path)
        finally:
            own.unlink(missing_ok=True)
