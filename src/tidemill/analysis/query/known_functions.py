"""The known expression functions of Polars; an unlisted one may depend on everything around it.

The value of a listed function is named after its first operand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

# Families of functions: the name of the family and of the member say what is computed.
_FAMILIES = {
    "ArrayExpr", "BinaryExpr", "Bitwise", "Boolean", "Business", "Categorical", "ListExpr", "MapExpr",
    "Pow", "Range", "StringExpr", "StructExpr", "TemporalExpr", "Trigonometry",
}  # fmt: skip


class RowDependence(Enum):
    """How the values of a function depend on the rows that it is computed over."""

    EACH = "each value from the values of its own row"
    ALONG = "a value per row, which depends on other rows"
    TOTAL = "one value"
    PART = "some of the rows, or others"
    OTHER = "not known"


def function_name(function: Any) -> str:
    """The name of a function, with that of its family: `Boolean.IsNull`, `CumSum`."""
    if isinstance(function, str):
        return function
    name, content = next(iter(function.items()))
    if name not in _FAMILIES:
        return str(name)
    return f"{name}.{content if isinstance(content, str) else next(iter(content))}"


def python_name(name: str) -> str:
    """The name in the Python API of Polars: `cum_sum`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rpartition(".")[2]).lower()


def row_dependence(name: str, function: Any) -> RowDependence:
    """How the function `name` (a `function_name`) depends on rows, given its parameters."""
    if name == "StringExpr.Strptime" and function["StringExpr"]["Strptime"][1]["format"] is None:
        return RowDependence.ALONG  # the format is guessed from the first values
    return _KINDS.get(name, RowDependence.OTHER)


def _names(text: str, family: str = "") -> list[str]:
    return [family + name for name in text.split()]


_EACH = [
    *_names("""IsNull IsNotNull IsFinite IsInfinite IsNan IsNotNan IsBetween IsIn IsClose Not AllHorizontal
               AnyHorizontal""", "Boolean."),
    *_names("""Contains CountMatches EndsWith Extract ExtractAll Find Format ToInteger LenBytes LenChars
               Lowercase Replace Normalize Reverse PadStart PadEnd Slice Head Tail HexEncode HexDecode
               Base64Encode Base64Decode StartsWith StripChars StripCharsStart StripCharsEnd StripPrefix
               StripSuffix Split Strptime Titlecase Uppercase ZFill ContainsAny ReplaceMany EscapeRegex
               ConcatHorizontal ExtractGroups SplitExact SplitN""", "StringExpr."),
    *_names("""Millennium Century Year IsLeapYear IsoYear Quarter Month DaysInMonth Week WeekDay Day
               OrdinalDay Time Date Duration Hour Minute Second Millisecond Microsecond Nanosecond
               TotalDays TotalHours TotalMinutes TotalSeconds TotalMilliseconds TotalMicroseconds
               TotalNanoseconds ToString CastTimeUnit ConvertTimeZone TimeStamp Truncate OffsetBy
               MonthStart MonthEnd BaseUtcOffset DSTOffset Round Replace ReplaceTimeZone Combine
               DatetimeFunction""", "TemporalExpr."),
    *_names("""Concat Contains DropNulls Slice Shift Get Gather GatherEvery CountMatches Sum Length Max
               Min Mean Median Std Var ArgMin ArgMax Diff Sort Join""", "ListExpr."),
    *_names("FieldByName RenameFields PrefixFields SuffixFields JsonEncode", "StructExpr."),
    *_names("""Length Slice Min Max Sum Dot ToList Std Var Mean Median Sort ArgMin ArgMax Get Join
               Contains CountMatches Shift""", "ArrayExpr."),
    *_names("""Contains StartsWith EndsWith HexDecode HexEncode Base64Decode Base64Encode Size
               Reinterpret Slice Head Tail Get""", "BinaryExpr."),
    *_names("LenBytes LenChars StartsWith EndsWith Slice", "Categorical."),
    *_names("BusinessDayCount AddBusinessDay IsBusinessDay", "Business."),
    *_names("CountOnes CountZeros LeadingOnes LeadingZeros TrailingOnes TrailingZeros", "Bitwise."),
    *_names("Generic Sqrt Cbrt", "Pow."),
    *_names("""Cos Cot Sin Tan ArcCos ArcSin ArcTan Cosh Sinh Tanh ArcCosh ArcSinh ArcTanh Degrees
               Radians""", "Trigonometry."),
    *_names("""Abs Negate Hash Atan2 Sign FillNull Clip AsStruct Coalesce Log Log1p Exp Round RoundSF
               Truncate Floor Ceil MaxHorizontal MinHorizontal SumHorizontal MeanHorizontal Replace
               ReplaceStrict Reinterpret RepeatBy Erf Erfc"""),
]  # fmt: skip
_ALONG = [
    *_names("IsFirstDistinct IsLastDistinct IsUnique IsDuplicated", "Boolean."),
    *_names("""FillNullWithStrategy RollingExpr RollingExprBy ShiftAndFill Shift Rank CumCount CumSum
               CumProd CumMin CumMax Reverse Diff PctChange Interpolate InterpolateBy RLEID EwmMean
               EwmMeanBy EwmSum EwmSumBy EwmStd EwmVar PeakMin PeakMax SetSortedFlag ArgSort"""),
]  # fmt: skip
_TOTAL = [
    *_names("Any All IsEmpty HasNulls IsSorted", "Boolean."),
    *_names("And Or Xor", "Bitwise."),
    *_names("""NullCount Quantile Skew Kurtosis ArgMin ArgMax MinBy MaxBy Product ApproxNUnique Entropy
               Correlation UpperBound LowerBound"""),
]  # fmt: skip
_PART = _names("DropNans DropNulls Mode TopK TopKBy Unique GatherEvery ArgUnique ArgWhere")
_KINDS: Mapping[str, RowDependence] = {
    **dict.fromkeys(_EACH, RowDependence.EACH),
    **dict.fromkeys(_ALONG, RowDependence.ALONG),
    **dict.fromkeys(_TOTAL, RowDependence.TOTAL),
    **dict.fromkeys(_PART, RowDependence.PART),
}

# Functions of which a selector is several operands, not several expressions.
HORIZONTAL = {
    "AsStruct", "Coalesce", "MaxHorizontal", "MinHorizontal", "SumHorizontal", "MeanHorizontal",
    "Boolean.AllHorizontal", "Boolean.AnyHorizontal", "ListExpr.Concat", "StringExpr.ConcatHorizontal",
}  # fmt: skip
# Functions whose result contains the names of the operands.
NAMED = {"AsStruct"}
# Functions whose further operands count as a whole, not row by row.
CONSTANT_OPERANDS = {
    "Boolean.IsIn", "Replace", "ReplaceStrict", "StringExpr.ContainsAny", "StringExpr.ReplaceMany",
}  # fmt: skip

# Functions whose result is a number if the operands are, and functions whose result always is.
NUMERIC = {
    "Abs", "Negate", "FillNull", "Clip", "Coalesce", "Round", "Floor", "Ceil", "CumSum", "CumMax", "CumMin",
    "MaxHorizontal", "MinHorizontal", "SumHorizontal", "Sign", "Shift", "Diff", "Pow.Generic", "Pow.Sqrt",
}  # fmt: skip
COUNTS = {"NullCount", "CumCount", "StringExpr.LenChars", "StringExpr.LenBytes", "ListExpr.Length"}
NUMBERS = {
    *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128)),
    *(f"Float{bits}" for bits in (16, 32, 64)),
}

# Functions whose result doesn't depend on the order of rows (up to the last digit of sums of floats), or
# is in the order of the rows.
ORDER_FREE = {
    *_EACH,
    *_names("Any All IsEmpty HasNulls IsUnique IsDuplicated", "Boolean."),
    *_names("""NullCount Quantile Skew Kurtosis Product ApproxNUnique Entropy Correlation UpperBound
               LowerBound DropNans DropNulls Unique Mode TopK SetSortedFlag"""),
}  # fmt: skip
AGGREGATES_FREE = {"Min", "Max", "Median", "NUnique", "Mean", "Count", "Sum", "Std", "Var", "Item"}

# Functions that pick any of several equal values, depending on the number of threads; by the index of
# the operand with these values.
TIES = {"ArgMin": 0, "ArgMax": 0, "ArgSort": 0, "MinBy": 1, "MaxBy": 1}


def disorder_reason(name: str, function: Any) -> str:
    """Why the order of a function's values is undefined; empty if it is that of the rows."""
    match function:
        case {"Unique": False}:
            return "unique() without maintain_order"
        case {"Mode": {"maintain_order": False}}:
            return "mode() without maintain_order"
    return (
        f"{python_name(name)}() without an order"
        if name in {"TopK", "TopKBy", "ValueCounts"}
        else ""
    )
