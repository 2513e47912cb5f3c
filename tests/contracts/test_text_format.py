"""What may be declared about the text of a column."""

from __future__ import annotations

import pytest

from tidemill.contracts.dtype import DType
from tidemill.contracts.text_format import (
    AS_STORED,
    TextFormat,
    format_problems,
    has_clock,
    has_offset,
    words,
)

FLOAT, DAY, BOOL = DType("Float64"), DType("Date"), DType("Boolean")
LOCAL, UTC = DType("Datetime", ("us", None)), DType("Datetime", ("us", "UTC"))


@pytest.mark.parametrize(
    ("text", "dtype", "says"),
    [
        (TextFormat(formats=("%d.%m.%Y",)), DAY, None),
        (TextFormat(formats=("%Y-%m-%d %H:%M%z",)), UTC, None),
        (TextFormat(decimal_comma=True, thousands="."), FLOAT, None),
        (TextFormat(true_values=("1",), false_values=("0",)), BOOL, None),
        (TextFormat(formats=("%Y",)), FLOAT, "format='%Y' on a Float64: only tm.Date"),
        (TextFormat(formats=("dd.mm.yyyy",)), DAY, "'dd.mm.yyyy' is not a format of times"),
        (
            TextFormat(formats=("%Y %z",)),
            LOCAL,
            "reads an offset from UTC: declare time_zone='UTC'",
        ),
        (TextFormat(thousands="x"), FLOAT, "thousands='x' is none of ',', '.'"),
        (
            TextFormat(thousands="."),
            FLOAT,
            "thousands='.' is also the decimal separator: add decimal_comma=True",
        ),
        (
            TextFormat(thousands=",", decimal_comma=True),
            FLOAT,
            "is also the decimal separator: choose another separator",
        ),
        (
            TextFormat(decimal_comma=True),
            DAY,
            "decimal_comma and thousands on a Date: only numbers",
        ),
        (TextFormat(true_values=("x",)), FLOAT, "on a Float64: only tm.Bool has them"),
        (TextFormat(true_values=("X", "y"), false_values=("x",)), BOOL, "'x' can't mean both"),
    ],
)
def test_contradictions_are_named(text: TextFormat, dtype: DType, says: str | None) -> None:
    problems = list(format_problems(text, dtype))
    assert len(problems) == (0 if says is None else 1)
    assert says is None or says in problems[0]


def test_what_a_format_does_not_declare_comes_from_another() -> None:
    files = TextFormat(decimal_comma=True, null_values=("-",), cells="csv")
    own = TextFormat(decimal_comma=False, formats=("%Y",))
    assert own.over(files) == TextFormat(
        decimal_comma=False, formats=("%Y",), null_values=("-",), cells="csv"
    )
    assert AS_STORED.over(AS_STORED) == AS_STORED


def test_parts_of_formats() -> None:
    assert [has_offset(form) for form in ("%Y%z", "%Y-%m-%dT%H%#z", "%s", "%H:%M")] == [
        True,
        True,
        True,
        False,
    ]
    assert [has_clock(form) for form in ("%H", "%T", "%.f", "%d.%m.%Y", "%A %e")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_words_are_text_or_texts() -> None:
    assert (words(None, "a"), words("x", "a"), words(["x", "y"], "a")) == (None, ("x",), ("x", "y"))
    for wrong in (1, [1], b"x", {"a": "b"}):
        with pytest.raises(TypeError, match=r"a=.* is not text or a list of texts"):
            words(wrong, "a")
