"""The messages of the Open Inference Protocol over gRPC, version 2, declared by their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

PACKAGE = "inference"
# The fields of each message, numbered from 1 as they stand: `*` marks a list, `{}` a map by text.
_TENSOR = "name:string datatype:string shape:int64*"
_MODEL = "name:string version:string"
_FIELDS: Mapping[str, str] = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "live:bool",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "ready:bool",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": f"{_MODEL} extensions:string*",
    "ModelReadyRequest": _MODEL,
    "ModelReadyResponse": "ready:bool",
    "ModelMetadataRequest": _MODEL,
    "ModelMetadataResponse": "name:string versions:string* platform:string inputs:TensorMetadata* "
    "outputs:TensorMetadata*",
    "TensorMetadata": _TENSOR,
    "ModelInferRequest": "model_name:string model_version:string id:string parameters:InferParameter{} "
    "inputs:InferTensor* outputs:InferRequestedOutputTensor* raw_input_contents:bytes*",
    "ModelInferResponse": "model_name:string model_version:string id:string "
    "parameters:InferParameter{} outputs:InferTensor* raw_output_contents:bytes*",
    "InferTensor": f"{_TENSOR} parameters:InferParameter{{}} contents:InferTensorContents",
    "InferRequestedOutputTensor": "name:string parameters:InferParameter{}",
    "InferTensorContents": "bool_contents:bool* int_contents:int32* int64_contents:int64* "
    "uint_contents:uint32* uint64_contents:uint64* fp32_contents:float* fp64_contents:double* "
    "bytes_contents:bytes*",
    "InferParameter": "bool_param:bool int64_param:int64 string_param:string double_param:double "
    "uint64_param:uint64",
}
# The messages of which one field is set, under the name of that choice.
CHOICE = "parameter_choice"
_CHOICES = ("InferParameter",)
_Field = descriptor_pb2.FieldDescriptorProto


def _declare() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="tidemill/inference.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        if name in _CHOICES:
            message.oneof_decl.add(name=CHOICE)
        for number, declared in enumerate(fields.split(), 1):
            field, kind = declared.split(":")
            if kind.endswith("{}"):
                entry = message.nested_type.add(name=f"{field.title()}Entry")
                entry.options.map_entry = True
                _add(entry, 1, "key", "string")
                _add(entry, 2, "value", kind[:-2])
                kind = f"{name}.{entry.name}*"
            added = _add(message, number, field, kind)
            if name in _CHOICES:
                added.oneof_index = 0
    return file


def _add(message: Any, number: int, name: str, kind: str) -> Any:
    scalar = kind.removesuffix("*")
    is_list = scalar != kind
    field = message.field.add(
        name=name,
        number=number,
        label=_Field.LABEL_REPEATED if is_list else _Field.LABEL_OPTIONAL,
    )
    if scalar[0].isupper():
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{scalar}"
    else:
        field.type = _Field.Type.Value(f"TYPE_{scalar.upper()}")
    return field


# A pool of its own: a client in the same process may have declared messages of the same names.
_pool = descriptor_pool.DescriptorPool()
_pool.Add(_declare())


def message_class(name: str) -> Any:
    """The class of a message, by its name in the protocol."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
