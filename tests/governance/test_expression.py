"""Expressions do nothing but compare facts; everything else is refused when they are compiled."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.governance.test_policy import CONDITIONS, FACTS, SPECS
from tidemill.governance.expression import (
    LONGEST,
    Expression,
    compile_expression,
    describe_fault,
    namespace_of,
    show_values,
)
from tidemill.governance.expression_types import FUNCTIONS, ExpressionFault

TOKENS = (
    *("owner", "cost", "stale", "worse_slices", "exec", "__class__", "x", "any", "len", "sum"),
    *("(", ")", "[", "]", ",", ".", ":=", "=", "==", "<", "in", "and", "not", "for", "if", "else"),
    *("lambda", ":", "1", "'a'", "+", "-", "*", "\n", "#", ";"),
)
DECLARED = {name: spec.type for name, spec in SPECS.items()}


def compiled(text: str) -> Expression:
    return compile_expression(text, DECLARED)


def refusal(text: str) -> str:
    with pytest.raises(ExpressionFault) as caught:
        compiled(text)
    return str(describe_fault(caught.value, text, "rule 'r'"))


def holds(text: str, **facts: Any) -> bool:
    return compiled(text).evaluate(namespace_of(facts))


@given(CONDITIONS, st.data())
def test_an_unknown_name_is_refused(text: str, data: st.DataObject) -> None:
    used = compiled(text).uses
    if not used:
        return
    name = data.draw(st.sampled_from(used))
    other = data.draw(
        st.sampled_from([f"{name}s_", name[:-1], name.upper(), f"_{name}", "__import__"])
    )
    assert f"there is no fact {other!r}" in refusal(text.replace(name, other))


@given(st.text(max_size=60))
def test_any_text_is_refused_or_uses_declared_facts(text: str) -> None:
    try:
        uses = compiled(text).uses
    except ExpressionFault:
        assert refusal(text)
        return
    assert set(uses) <= set(DECLARED)


@given(st.lists(st.sampled_from(TOKENS), max_size=8))
def test_any_tokens_are_refused_or_use_declared_facts(tokens: list[str]) -> None:
    text = " ".join(tokens)
    try:
        found = compiled(text)
    except ExpressionFault:
        assert refusal(text)
        return
    assert not {"exec", "x", "__class__"} & set(found.code.co_names)
    assert set(found.code.co_names) <= {*DECLARED, *FUNCTIONS}


@given(FACTS, CONDITIONS)
def test_values_are_shown_in_the_place_of_facts(facts: dict[str, Any], text: str) -> None:
    shown = show_values(text, facts)
    assert not any(name in shown for name in compiled(text).uses)


@pytest.mark.parametrize(
    "text",
    [
        "().__class__.__bases__[0].__subclasses__()",
        "owner.__class__ == ''",
        "__import__('os').system('true') == 0",
        "__builtins__ == ''",
        "open('/etc/passwd') == ''",
        "eval('1') == 1",
        "(lambda: True)()",
        "(x := True)",
        "f'{owner}' == ''",
        "owner % 3 == ''",
        "owner * 1000000000 == ''",
        "2 ** 1000000000 > 1",
        "cost * cost > 1",
        "cost // 2 > 1",
        "cost << 3 > 1",
        "~training_rows > 1",
        "1e999 > cost",
        f"{1 << 60} > cost",
        f"{'9' * 900} > cost",
        f"-{'9' * 900} < cost",
        "1j == cost",
        "b'x' == owner",
        "... == owner",
        "None == owner",
        "owner is None",
        "owner is not ''",
        "owner[0] == 'a'",
        "personal_columns[0] == 'a'",
        "True if stale else False",
        "{1: 2} == cost",
        "{owner} == cost",
        "any(*personal_columns)",
        "len(obj=personal_columns) > 1",
        "max(personal_columns, key=len) == ''",
        "any((yield))",
        "await owner",
        "[x for x in personal_columns for y in personal_columns] == 1",
        "any(len([y for y in personal_columns]) > 0 for x in personal_columns)",
        "any(x == '' async for x in personal_columns)",
        "any(owner == '' for owner in personal_columns)",
        "any(len == '' for len in personal_columns)",
        "any(_ == '' for _ in personal_columns)",
        "any(a == b for a, b in personal_columns)",
        "import os",
        "owner == ''; stale",
        "stale = True",
        "not " * 150 + "stale",
        "-" * 900 + "1 > 0",
        "(" * 400 + "stale" + ")" * 400,
        "owner == '" + "a" * LONGEST + "'",
        "stale and \0",
        "owner == '\ud800'",
        "stale) or (stale",
        "",
        "  \n ",
    ],
)  # fmt: skip
def test_hostile_expressions_are_refused(text: str) -> None:
    assert refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prediction_shift > '0.1'",
         "column 1: prediction_shift is a number and '0.1' is a text: they can't be compared"),
        ("stale and cost", "column 11: cost is a number, not a condition (compare it, such as cost > 0)"),
        ("not owner", """column 5: owner is a text, not a condition (compare it, such as owner != "")"""),
        ("worse_slices", "(count them, such as len(worse_slices) > 0)"),
        ("[1, 2]", "(count them, such as len([1, 2]) > 0)"),
        ("(stale, sampled)", "(use any((stale, sampled)) or all((stale, sampled)))"),
        ("owner < 'b'", "owner is a text, which has no order"),
        ("stale < sampled", "stale is a condition, which has no order"),
        ("worse_slices == ('a',)", "texts can't be compared (use in, any(), all() or len())"),
        ("owner + 'a' == ''", "owner is a text, not a number"),
        ("-owner == ''", "owner is a text, not a number"),
        ("owner in 'ana'", "(write ('ana',))"),
        ("cost in owner", "cost is a number and owner is a text: `in` can't compare them"),
        ("worse_slices in worse_slices", "worse_slices is texts and worse_slices is texts: `in` can't"),
        ("owner in (1, 'a')", "(1, 'a') mixes a number and a text"),
        ("owner in (('a',),)", "texts can't be nested"),
        ("any(worse_slices)", "any() takes conditions, not texts"),
        ("any(stale, sampled)", "any() takes conditions, not a condition, a condition"),
        ("len() > 1", "len() takes texts or a text or numbers, not nothing"),
        ("len(x for x in worse_slices) > 1", "len() takes no generator (write len([...]))"),
        ("any(x for x in worse_slices)", "any() takes conditions, not texts"),
        ("any(x == '' for x in owner)", "owner is a text, not texts"),
        ("len > 1", "len is a function (call it: len(...))"),
        ("owner.strip() == ''", "owner.strip can't be called (use any, all, len, min, max, sum, abs)"),
        ("owner.x == ''", "column 1: attributes can't be used (use facts, literals, comparisons"),
        ("true", "there is no fact 'true' (write True)"),
        ("prediction_shft > 1", "column 1: there is no fact 'prediction_shft' (did you mean"),
        ("owner == None", "None can't be used (a missing fact refuses the change by itself)"),
        ("owner is ''", "column 1: `is` can't be used (use ==)"),
        ("owner = ''", "not an expression: invalid syntax"),
        ("'é' == owner and shft", "column 18: there is no fact 'shft'"),
        ("owner == ''\n and shft > 1", "line 2, column 6: there is no fact 'shft'"),
        ("shft > 1\n and stale", "line 1, column 1: there is no fact 'shft'"),
        ("", "the expression is empty"),
        ("owner == '" + "a" * LONGEST + "'", "the expression has 1,011 characters, and 1,000 are allowed"),
        ("not " * 150 + "stale", "the expression is nested too deeply (split the rule, or use"),
        ("stale or " * 105 + "cost in (" + "1," * 40 + ")", "characters, and 1,000 are allowed"),
        ("cost in (" + "1," * 310 + ")", "the expression is too long"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_where_and_what_to_do(text: str, message: str) -> None:
    found = refusal(text)
    assert found.startswith("rule 'r': ")
    assert message in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prediction_shift > 0.1", True),
        ("0 < prediction_shift <= 0.1", False),
        ("cost / training_rows > 0.01 and not stale", True),
        ("cost - 1 + 1 == +10", True),
        ("-cost < 0", True),
        ("owner in ('ana', 'ben')", True),
        ("owner not in []", True),
        ("'an' in owner", True),
        ("'id' in personal_columns", True),
        ("training_rows in (1, 100)", True),
        ("any(c == 'id' for c in personal_columns)", True),
        ("all(c in ('id',) for c in personal_columns)", False),
        ("len([c for c in personal_columns if c != 'id']) == 1", True),
        ("sum(1 for c in personal_columns if 'a' in c) == 1", True),
        ("max(len(c) for c in personal_columns) == 5", True),
        ("min(cost, training_rows, 3) == 3", True),
        ("max([1, 2]) == 2", True),
        ("abs(cost - 20) == 10", True),
        ("len(owner) == 3", True),
        ("any([stale, sampled])", False),
        ("stale == sampled", True),
        ("""cost > 5  # dear
            and not stale""", True),
    ],
)  # fmt: skip
def test_conditions_over_facts(text: str, expected: bool) -> None:
    facts = {
        "prediction_shift": 0.2, "cost": 10.0, "training_rows": 100, "stale": False, "sampled": False,
        "owner": "ana", "personal_columns": ("id", "email"),
    }  # fmt: skip
    assert holds(text, **facts) == expected


@pytest.mark.parametrize(
    "text",
    [
        # Infinite minus infinite is NaN, with which every comparison is false.
        "cost + cost - (cost + cost) > 1",
        "not (cost + cost - cost < 1)",
        "cost / 1e-10 > 1",
        "sum([cost, cost]) > 1",
        "min(cost + cost, 1) > 1",
    ],
)
def test_results_that_are_too_large_are_errors(text: str) -> None:
    with pytest.raises(OverflowError, match="the result of a calculation is too large"):
        holds(text, cost=1e308)
    holds(text, cost=1e-300)


def test_an_expression_has_no_builtins() -> None:
    names = namespace_of({"owner": "ana"})
    assert compiled("owner == 'ana'").evaluate(names)
    assert names["__builtins__"] == {}


def test_values_are_shown() -> None:
    facts = {"owner": None, "cost": 1.5, "worse_slices": tuple("abcdefghijk")}
    assert show_values("owner == '' or cost > 1", facts) == "(not known) == '' or 1.5 > 1"
    shown = show_values("len([s for s in worse_slices]) > 2", facts)
    assert shown.startswith("len([s for s in ('a', 'b',")
    assert "... 3 more)" in shown
