"""Fingerprint how an ingest reads its source, including the content of each reader option."""

from __future__ import annotations

from typing import Any

from tidemill.analysis.code.code_fingerprint import code_of_value
from tidemill.analysis.code.value_identity import EXACT
from tidemill.contracts.text_format import AS_STORED
from tidemill.core.errors import DeclarationError, Fault
from tidemill.core.fingerprint import Part, fingerprint
from tidemill.sources.text_files import READING, may_read_text
from tidemill.workflow.source import Files, Source
from tidemill.workflow.stage import Stage

_TYPES = "polars.datatypes.classes"


def reader_digest(source: Source[Any], stage: Stage) -> str:
    """Return the digest of how a source is read; file names and database addresses aren't part of it.

    Raises DeclarationError for an option whose content can't be fingerprinted.
    """
    if not isinstance(source, Files):
        return fingerprint(*source.reader_parts())
    options = {
        name: _option_part(name, value, stage) for name, value in sorted(source.options.items())
    }
    return fingerprint("files", source.format, options, *_text_parts(source))


def text_reading(source: Source[Any]) -> str:
    """Return what identifies how the text files of a source are read; "" for one without text files."""
    return READING if isinstance(source, Files) and may_read_text(source) else ""


def _text_parts(source: Files[Any]) -> list[Part]:
    """What is declared about the text of files; nothing for a source that declares nothing."""
    usual = AS_STORED
    text: list[Part] = [
        [name, repr(value)]
        for name in source.text.__slots__
        if (value := getattr(source.text, name)) != getattr(usual, name)
    ]
    formats: list[Part] = [[name, list(found)] for name, found in sorted(source.formats.items())]
    words: list[Part] = [[name, list(found)] for name, found in sorted(source.null_words.items())]
    parts: list[Part] = [text, formats, words]
    return [["text", *parts]] if any(parts) else []


def _option_part(name: str, value: object, stage: Stage) -> Part:
    if _has_complete_repr(value):
        return repr(value)
    code = code_of_value(value, name, stage.place)
    reasons = [f"{item.name}: {item.reason}" for item in code.unresolved]
    reasons += [f"it depends on {item.name} ({item.where})" for item in code.hidden_inputs]
    if reasons:
        raise DeclarationError("the workflow", [_fault(name, value, stage, reasons[0])])
    return ["value", code.digest]


def _fault(name: str, value: object, stage: Stage, reason: str) -> Fault:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return Fault(
        message=f"ingest {stage.name!r}: its option {name} (of type {kind}) can't be fingerprinted: "
        f"{reason}",
        where=stage.place,
        hint="pass numbers, text, lists, dicts, Polars types, or functions that use only these",
    )


def _has_complete_repr(value: Any) -> bool:
    """Whether the repr of a value identifies it: it is complete and contains no memory address."""
    kind = type(value)
    if kind in (list, tuple):
        return all(map(_has_complete_repr, value))
    if kind is dict or (kind.__module__, kind.__name__) == ("polars.schema", "Schema"):
        return all(
            _has_complete_repr(key) and _has_complete_repr(item) for key, item in value.items()
        )
    return kind in EXACT or _is_type(value)


def _is_type(value: Any) -> bool:
    """Whether the value is a Polars data type, including its inner types."""
    if isinstance(value, type):
        return value.__module__ == _TYPES
    parts = [field.dtype for field in getattr(value, "fields", ())]
    parts += [value.inner] if hasattr(value, "inner") else []
    return type(value).__module__ == _TYPES and all(map(_is_type, parts))
