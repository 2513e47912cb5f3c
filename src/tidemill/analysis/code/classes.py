"""Identify a class of the project by its bases, methods and attributes in their current state."""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Iterator
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from tidemill.analysis.code.annotations import annotation_part, field_types_part
from tidemill.analysis.code.callables import attributes_part
from tidemill.analysis.code.module_origin import origin_of_class
from tidemill.analysis.code.walker_protocol import Visitor
from tidemill.core.fingerprint import Part

# Attributes that don't affect what the class does, or that other parts cover.
_IGNORED = frozenset(
    {"__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__firstlineno__"}
    | {"__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"}
    | {"__static_attributes__", "__type_params__", "__parameters__", "__orig_bases__"}
    | {"__classcell__", "__classdictcell__", "__dataclass_fields__", "__dataclass_params__"}
    | {"_abc_impl", "__protocol_attrs__", "__non_callable_proto_members__"}
    | {"__tidemill_contract__"}
)
# Written by Enum; the members cover them.
_OF_ENUM = frozenset(
    {"_member_names_", "_member_map_", "_value2member_map_", "_unhashable_values_", "_use_args_"}
    | {"_unhashable_values_map_", "_hashable_values_", "_member_type_", "_value_repr_"}
    | {"_new_member_", "__new__", "_all_bits_", "_flag_mask_", "_singles_mask_", "_boundary_"}
    | {"_inverted_", "_order_", "_ignore_", "__order__"}
)
_OF_MEMBER = frozenset({"_value_", "_name_", "_sort_order_", "_inverted_"})
_OF_NAMED_TUPLE = frozenset(
    {"__new__", "_make", "_replace", "__replace__", "_asdict", "__repr__", "__getnewargs__"}
)


def class_part(cls: type, visitor: Visitor) -> Part:
    """Identify a class by its contents; its source text doesn't count."""
    parts: list[Part] = ["class", cls.__name__, [visitor.value(base) for base in cls.__bases__]]
    parts.append(_metaclass(cls, visitor))
    if "__dataclass_fields__" in vars(cls):
        parts.append(repr(getattr(cls, "__dataclass_params__", None)))
        parts.append([_field(cls, item, visitor) for item in _fields(cls).values()])
    elif typing.is_typeddict(cls) or (issubclass(cls, tuple) and hasattr(cls, "__annotations__")):
        parts.append(field_types_part(cls, visitor))
    if issubclass(cls, enum.Enum):
        for name, item in cls.__members__.items():
            set_on = attributes_part(item, _OF_MEMBER, visitor)
            parts.append([name, _attribute(cls, name, item.value, visitor), set_on])
        made = vars(cls).get("__new_member__")  # the user's __new__
        parts.append(None if made is None else _attribute(cls, "__new__", made, visitor))
    # Not by getattr: a metaclass may answer for any name.
    contracts = (vars(base).get("__tidemill_contract__") for base in cls.__mro__)
    if (contract := next(filter(None, contracts), None)) is not None:
        parts.append(_contract(contract))
    parts.append([[name, _attribute(cls, name, item, visitor)] for name, item in _members(cls)])
    return parts


def _contract(spec: Any) -> Part:
    """The arguments and the docstring of a contract; its columns and rules are members of the class."""
    return [spec.version, list(spec.key), spec.unknown_columns, spec.description]


def _attribute(cls: type, name: str, value: Any, visitor: Visitor) -> Part:
    return visitor.value(value, f"{cls.__qualname__}.{name}")


def _metaclass(cls: type, visitor: Visitor) -> Part:
    meta = type(cls)
    if origin_of_class(meta) == "package":
        return visitor.refuse(
            f"the metaclass {meta.__module__}.{meta.__qualname__} may keep anything anywhere; give "
            "the class a __tidemill_digest__"
        )
    return visitor.value(meta)


def _field(cls: type, field: Any, visitor: Visitor) -> Part:
    """A field of a dataclass; its type is resolved in the class that declares it."""
    flags = (field.init, field.repr, field.hash, field.compare, field.kw_only)
    made = [
        None if value is dataclasses.MISSING else _attribute(cls, field.name, value, visitor)
        for value in (field.default, field.default_factory)
    ]
    owner = [base for base in cls.__mro__ if _fields(base).get(field.name) is field][-1]
    types = [annotation_part(field.type, owner, visitor), visitor.value(field.metadata)]
    return [field.name, *made, repr(flags), str(getattr(field, "_field_type", "")), *types]


def _fields(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = vars(cls).get("__dataclass_fields__", {})
    return found


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    generated = "__dataclass_fields__" in vars(cls)
    ignored = _IGNORED
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        ignored |= _OF_NAMED_TUPLE | {*cls._fields}
    if issubclass(cls, enum.Enum):
        ignored |= _OF_ENUM | {"__new_member__", *cls.__members__}
    for name, value in vars(cls).items():
        slot = isinstance(value, (GetSetDescriptorType, MemberDescriptorType))
        if name not in ignored and not slot and not (generated and _is_generated(value)):
            yield name, value


def _is_generated(value: Any) -> bool:
    """Whether the dataclass decorator generated the method."""
    value = getattr(value, "__wrapped__", value)  # __repr__ is guarded against recursion
    return isinstance(value, FunctionType) and value.__code__.co_filename == "<string>"
