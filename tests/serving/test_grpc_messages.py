"""The messages are those of the public protocol: a client that others wrote declares the same."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pool  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

from tidemill.serving.grpc_messages import _FIELDS, message_class
from tidemill.serving.grpc_requests import RPCS

ROOTS = [f"{rpc}{kind}" for rpc in RPCS for kind in ("Request", "Response")]


def form(message: Any, depth: int = 0) -> Any:
    """The fields of a message by number, with those of the messages within it; no names of messages."""
    assert depth < 8
    return {
        field.number: (
            field.name,
            field.type,
            field.is_repeated,
            field.containing_oneof is not None,
            None if field.message_type is None else form(field.message_type, depth + 1),
        )
        for field in message.fields
    }


@pytest.mark.parametrize("name", ROOTS)
def test_a_message_has_the_fields_of_the_protocol(name: str) -> None:
    theirs = service_pb2.DESCRIPTOR.message_types_by_name[name]
    assert form(message_class(name).DESCRIPTOR) == form(theirs)


def test_all_messages_are_part_of_a_call() -> None:
    found: set[str] = set()

    def walk(message: Any) -> None:
        found.add(message.name)
        for field in message.fields:
            if field.message_type is not None:
                walk(field.message_type)

    for name in ROOTS:
        walk(message_class(name).DESCRIPTOR)
    assert set(_FIELDS) <= found


def test_a_client_in_the_same_process_may_declare_them_too() -> None:
    """It would be refused if they were declared where all messages of a process are."""
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindFileByName("tidemill/inference.proto")
    theirs = service_pb2.ModelInferRequest(model_name="größe")
    sent = message_class("ModelInferRequest").FromString(theirs.SerializeToString())
    assert sent.model_name == "größe"


def test_what_the_protocol_may_get_later_is_left_out() -> None:
    later = service_pb2.ModelInferRequest(model_name="m").SerializeToString() + b"\xfa\x3e\x01x"
    assert message_class("ModelInferRequest").FromString(later).model_name == "m"
