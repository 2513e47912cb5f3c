"""Convert column types to the logical and physical types of a document, and back."""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import ZoneInfo

from tidemill.contracts.dtype import DType
from tidemill.contracts.odcs.document import DocumentNode
from tidemill.contracts.odcs.physical_types import FAMILIES, physical_type

_BITS = re.compile(r"(U?)Int(\d+)")
# The standard's names of formats: i8 to i128, u8 to u128, f32, f64.
_FORMATS = {
    **{f"i{bits}": f"Int{bits}" for bits in (8, 16, 32, 64, 128)},
    **{f"u{bits}": f"UInt{bits}" for bits in (8, 16, 32, 64, 128)},
    **{"f32": "Float32", "f64": "Float64"},
}
_FORMAT_OF = {name: form for form, name in _FORMATS.items()}
# The column type of a logical type without a physical one: the widest of its kind.
_PLAIN = {
    "string": "String",
    "date": "Date",
    "time": "Time",
    "integer": "Int64",
    "number": "Float64",
    "boolean": "Boolean",
}
_LOGICAL = (*_PLAIN, "timestamp", "array", "object", "map", "vector")
_ELEMENTS = {
    "float16": "Float16",
    "float32": "Float32",
    "float64": "Float64",
    "int8": "Int8",
    "uint8": "UInt8",
}


def type_fields(dtype: DType) -> dict[str, Any]:
    """Return the fields of a property that declare a column type."""
    logical: dict[str, Any] = {"logicalType": FAMILIES[dtype.name]}
    match dtype.name:
        case "List":
            return {**logical, "physicalType": "List", "items": _inner(dtype.args[0])}
        case "Array":
            width = {"minItems": dtype.args[1], "maxItems": dtype.args[1]}
            inner = _inner(dtype.args[0])
            return {**logical, "physicalType": "Array", "logicalTypeOptions": width, "items": inner}
        case "Struct":
            pairs = zip(dtype.args[::2], dtype.args[1::2], strict=True)
            fields = [{"name": str(name), **_inner(field)} for name, field in pairs]
            return {**logical, "physicalType": "Struct", "properties": fields}
        case "Enum":
            return {**logical, "physicalType": "Enum"}
    options = _options(dtype)
    more = {"logicalTypeOptions": options} if options else {}
    return {**logical, "physicalType": str(dtype), **more}


def _inner(dtype: Any) -> dict[str, Any]:
    fields = type_fields(dtype)
    if dtype.name == "Enum":
        fields["quality"] = [categories_check(dtype)]
    return fields


def categories_check(dtype: DType) -> dict[str, Any]:
    """Return the check of a document that lists the categories of an Enum."""
    return {
        "name": "categories",
        "type": "library",
        "metric": "invalidValues",
        "arguments": {"validValues": list(dtype.args)},
        "mustBe": 0,
    }


def _options(dtype: DType) -> dict[str, Any]:
    if dtype.name in _FORMAT_OF:
        return {"format": _FORMAT_OF[dtype.name]}
    if dtype.name in ("Binary", "Duration"):
        return {"format": dtype.name.lower()}
    if dtype.name == "Datetime":
        zone = dtype.args[1]
        return {"timezone": True, "defaultTimezone": zone} if zone else {"timezone": False}
    return {}


def read_type(node: DocumentNode, options: DocumentNode) -> DType | None:
    """Read the type of a property; None, with the reason listed, if there is no such column type."""
    logical, physical = node.take("logicalType"), node.take("physicalType")
    if logical not in (None, *_LOGICAL):
        node.note("logicalType", f"{logical} is none of {', '.join(_LOGICAL)}")
        logical = None
    if logical is None and physical is None:
        # Infer objects and arrays from their parts.
        logical = "object" if "properties" in node else "array" if "items" in node else None
    found = physical_type(physical, logical) if physical else None
    if found is None and logical is None:
        untyped = "the property has no type"
        node.refuse(f"unknown physical type {physical}" if physical else untyped)
        return None
    if physical and physical != logical and (found is None or found.remark):
        node.note("physicalType", f"{physical}{f' ({found.remark})' if found else ''}")
    if found is not None and not found.outer:
        _format(options, found.dtype)
        return _with_zone(options, found.dtype)
    outer = found.outer if found is not None else ""
    return _logical(logical or FAMILIES[outer], node, options, outer)


def _logical(logical: str, node: DocumentNode, options: DocumentNode, outer: str) -> DType | None:
    match logical:
        case "array":
            return _array(node, options, outer)
        case "object":
            return _struct(node)
        case "map":
            return _map(node)
        case "vector":
            return _vector(node, options)
        case "timestamp":
            return _with_zone(options, DType("Datetime", ("us", None)))
        case "string" if outer == "Enum":
            return _enum(node)
        case "string" if options.peek("format") == "binary":
            options.take("format")
            return DType("Binary")
    form = options.peek("format")
    dtype = DType(_FORMATS.get(str(form), "") if logical in ("integer", "number") else "")
    dtype = dtype if dtype.name else DType(_PLAIN[logical])
    _format(options, dtype)
    return dtype


def _format(options: DocumentNode, dtype: DType) -> None:
    options.take_if("format", *_options(dtype).values())


def _with_zone(options: DocumentNode, dtype: DType) -> DType:
    """Add the time zone of the options to a Datetime without one."""
    if dtype.name != "Datetime":
        return dtype
    zone = dtype.args[1]
    if zone is None and options.peek("timezone"):
        zone = options.peek("defaultTimezone") or "UTC"
    if zone is not None and not _is_zone(str(zone)):
        options.note("defaultTimezone", f"{zone} is not a time zone; UTC is used")
        zone = "UTC"
    if options.peek("timezone") is (zone is not None):
        options.take("timezone")
    options.take_if("defaultTimezone", zone)
    return DType("Datetime", (dtype.args[0], zone))


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _array(node: DocumentNode, options: DocumentNode, outer: str) -> DType | None:
    if "items" not in node:
        node.refuse("an array without items has no item type")
        return None
    inner = _part(node.part("items"))
    if inner is None:
        node.refuse("the type of its items can't be read")
        return None
    width = options.peek("maxItems")
    if outer == "Array" and _is_width(width) and width == options.peek("minItems"):
        options.take("minItems")
        return DType("Array", (inner, options.take("maxItems")))
    return DType("List", (inner,))


def _is_width(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 32


def _struct(node: DocumentNode) -> DType | None:
    args: list[str | DType] = []
    for field in node.parts("properties"):
        name, dtype = field.take("name"), _part(field)
        if not name:
            field.refuse("a property without a name")
        elif dtype is not None:
            args += [str(name), dtype]
    if not args:
        node.refuse("an object without typed properties")
        return None
    return DType("Struct", tuple(args))


def _map(node: DocumentNode) -> DType | None:
    both = node.part("map")
    key, value = _part(both.part("key")), _part(both.part("value"))
    if key is None or value is None:
        node.refuse("a map without types for its keys and values")
        return None
    node.note("logicalType", "map is read as a list of structs with key and value")
    return DType("List", (DType("Struct", ("key", key, "value", value)),))


def _vector(node: DocumentNode, options: DocumentNode) -> DType | None:
    element, width = str(options.peek("elementType") or "float32"), options.peek("dimensions")
    if element not in _ELEMENTS or not _is_width(width):
        node.refuse(f"a vector of {element} with {width or 'unknown'} dimensions")
        return None
    options.take("elementType")
    options.take("dimensions")
    return DType("Array", (DType(_ELEMENTS[element]), width))


def _enum(node: DocumentNode) -> DType:
    """Return an Enum with the categories of its first such check; String without one."""
    for check in node.peek("quality") or ():
        values = (check.get("arguments") or {}).get("validValues")
        if check.get("name") == "categories" and isinstance(values, list):
            return DType("Enum", tuple(map(str, values)))
    return DType("String")


def _part(node: DocumentNode) -> DType | None:
    """Read the type of items or of a field; its other fields stay untaken."""
    dtype = read_type(node, node.part("logicalTypeOptions"))
    if dtype is not None and dtype.name == "Enum":
        take_categories(node.parts("quality"))
    return dtype


def take_categories(checks: list[DocumentNode]) -> None:
    """Take the check that lists the categories of an Enum."""
    check = next(check for check in checks if check.peek("name") == "categories")
    for key in ("name", "type", "metric", "arguments", "mustBe"):
        check.take(key)
