"""Queries that mean the same: what is called, split or arranged otherwise changes no digest."""

from __future__ import annotations

import pytest

from tests.behaviour.query.test_mutations import digests

# Each line: ways to compute one column, `v`, all alike.
ALIKE: dict[str, list[str]] = {
    "filters, split and joined": [
        "x.filter('f', 'h').select(v='a')",
        "x.filter('f').filter('h').select(v='a')",
        "x.filter('h').filter('f').select(v='a')",
        "x.filter(pl.col('f') & pl.col('h')).select(v='a')",
        "x.filter(pl.col('h') & pl.col('f')).select(v='a')",
        "x.filter('f', 'h', 'f').select(v='a')",
        "x.filter(pl.all_horizontal('f', 'h')).select(v='a')",
        "x.filter(pl.all_horizontal(cs.boolean())).select(v='a')",
    ],
    "filters around other columns": [
        "x.filter('f').with_columns(v=pl.col('a') + 1).filter('h').select('v')",
        "x.with_columns(v=pl.col('a') + 1).filter('f', 'h').select('v')",
        "x.filter('f', 'h').select(v=pl.col('a') + 1)",
    ],
    "filters of totals": [
        "x.filter(pl.col('a') > pl.col('a').mean(), pl.col('f')).select(v='b')",
        "x.filter(pl.col('f') & (pl.col('a') > pl.col('a').mean())).select(v='b')",
    ],
    "redundant selects": [
        "x.select(v='a')",
        "x.select('a', 'b').select(v='a')",
        "x.select(pl.all()).select(v='a')",
        "x.with_columns('b').select(v='a')",
        "x.with_columns(v='a').select('v')",
        "x.drop('b').select(v='a')",
    ],
    "functions and inspections": [
        "x.with_columns(v=pl.col('a') * 2).filter('f').select('v')",
        "(lambda frame: frame.with_columns(v=pl.col('a') * 2))(x).filter('f').select('v')",
        "x.pipe(lambda frame: frame.collect_schema() and frame).select(v=pl.col('a') * 2, f='f')"
        ".filter('f').select('v')",
        "x.cache().filter('f').select(v=pl.col('a') * 2)",
    ],
    "alias chains": [
        "x.select(v=pl.col('a') + 1)",
        "x.select(pl.col('a').alias('p').alias('q').add(1).alias('v'))",
        "x.rename({'a': 'p'}).select(v=pl.col('p') + 1)",
        "x.select(p='a').select(q='p').select(v=pl.col('q') + 1)",
        "x.rename({'a': 'b', 'b': 'a'}).select(v=pl.col('b') + 1)",
        "x.select(pl.col('a').name.suffix('_1')).select(v=pl.col('a_1') + 1)",
    ],
    "dead columns": [
        "x.select(v=pl.col('a').sum())",
        "x.with_columns(w=pl.col('b').cum_sum()).select(v=pl.col('a').sum())",
        "x.select('a', w=pl.col('b') / 2).select(v=pl.col('a').sum())",
        "x.select(w=pl.len(), v=pl.col('a').sum())",
    ],
    "one with_columns and two": [
        "x.with_columns(p=pl.col('a') + 1).with_columns(v=pl.col('p') * 2).select('v')",
        "x.select(v=(pl.col('a') + 1) * 2)",
    ],
    "elementwise before and after a filter, a sort, a slice": [
        "x.with_columns(v=pl.col('a') % 3).filter('f').sort('b').head(3).select('v')",
        "x.filter('f').with_columns(v=pl.col('a') % 3).sort('b').head(3).select('v')",
        "x.filter('f').sort('b').with_columns(v=pl.col('a') % 3).head(3).select('v')",
        "x.filter('f').sort('b').head(3).select(v=pl.col('a') % 3)",
    ],
    "equality": [
        "x.select(v=pl.col('s') == pl.col('r'))",
        "x.select(v=pl.col('r') == pl.col('s'))",
    ],
    "inequality": ["x.select(v=pl.col('a') != 1)", "x.select(v=pl.lit(1) != pl.col('a'))"],
    "logic": ["x.select(v=pl.col('f') & pl.col('h'))", "x.select(v=pl.col('h') & pl.col('f'))"],
    "numbers that are added": [
        "x.select(v=pl.col('a') + pl.col('b'))",
        "x.select(v=pl.col('b') + pl.col('a'))",
    ],
    "numbers that are multiplied": ["x.select(v=pl.col('b') * 2)", "x.select(v=2 * pl.col('b'))"],
    "sums of computed numbers": [
        "x.select(v=pl.col('a').sum() + pl.col('b').fill_null(0).abs())",
        "x.select(v=pl.col('b').fill_null(0).abs() + pl.col('a').sum())",
    ],
    "nulls": [
        "x.drop_nulls('a').select(v='b')",
        "x.filter(pl.col('a').is_not_null()).select(v='b')",
    ],
    "heads": ["x.head(2).select(v='a')", "x.limit(2).select(v='a')", "x.slice(0, 2).select(v='a')"],
    "selectors": [
        "x.select(v=pl.sum_horizontal('a', 'n'))",
        "x.select(v=pl.sum_horizontal(cs.signed_integer()))",
        "x.select(v=pl.sum_horizontal(pl.nth(0), pl.nth(3)))",
        "x.select(v=pl.sum_horizontal(pl.col('^(a|n)$')))",
    ],
    "selectors inside of groups, which leave out the keys": [
        "x.group_by('a').agg(v=pl.sum_horizontal(cs.integer())).select('v')",
        "x.group_by('a').agg(v=pl.sum_horizontal('n', 'u')).select('v')",
        "x.group_by('a').agg(v=pl.sum_horizontal(cs.by_dtype(pl.Int8, pl.UInt32))).select('v')",
    ],
    "names of groups": [
        "x.group_by('s').agg(v=pl.col('a').sum()).select('v')",
        "x.rename({'s': 'key', 'a': 'p'}).group_by('key').agg(v=pl.col('p').sum()).select('v')",
        "x.group_by(pl.col('s').alias('key')).agg(v=pl.col('a').sum(), b=pl.col('b').max()).select('v')",
    ],
    "names of joins": [
        "x.join(y, on='a', how='left').select(v='k')",
        "x.rename({'a': 'p'}).join(y.rename({'a': 'q'}), left_on='p', right_on='q', how='left')"
        ".select(v='k')",
        "x.select('a').join(y.select('a', 'k'), on='a', how='left').select(v='k')",
    ],
    "dead columns of unions": [
        "pl.concat([x, x.head(2)]).select(v='a')",
        "pl.concat([x.select('a', 'b'), x.head(2).select('a', 'b')]).select(v='a')",
    ],
}
# Equal, but not seen to be: only a needless run.
UNSEEN = [
    ("x.select(v=pl.lit(2) + 3 + pl.col('a'))", "x.select(v=5 + pl.col('a'))"),
    (
        "x.select(v=(pl.col('a') + pl.col('n')) + pl.col('u'))",
        "x.select(v=pl.col('a') + (pl.col('n') + pl.col('u')))",
    ),
    ("x.select(v=pl.col('a') > 1)", "x.select(v=pl.lit(1) < pl.col('a'))"),
    ("x.remove('f').select(v='a')", "x.filter(~pl.col('f').fill_null(False)).select(v='a')"),
    (
        "x.with_columns(v=pl.col('a') + 1).join(y, on='d').select('v')",
        "x.join(y, on='d').select(v=pl.col('a') + 1)",
    ),
]
# Never to be taken for equal.
ONE_WAY = [
    ("x.select(v=pl.col('s') + pl.col('r'))", "x.select(v=pl.col('r') + pl.col('s'))"),
    ("x.select(v=pl.col('l') + pl.col('m'))", "x.select(v=pl.col('m') + pl.col('l'))"),
    ("x.select(v=pl.col('a') - pl.col('b'))", "x.select(v=pl.col('b') - pl.col('a'))"),
    (
        "x.select(v=pl.col('d') + pl.duration(days=1))",
        "x.select(v=pl.duration(days=1) + pl.col('d'))",
    ),
]


@pytest.mark.parametrize("group", ALIKE)
def test_queries_that_mean_the_same_have_one_digest(group: str) -> None:
    found = {source: digests(source)["v"] for source in ALIKE[group]}
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize(("one", "two"), [*UNSEEN, *ONE_WAY])
def test_queries_that_do_not_or_that_are_not_seen_to(one: str, two: str) -> None:
    assert digests(one)["v"] != digests(two)["v"]


def test_there_are_many_of_them() -> None:
    assert sum(len(group) - 1 for group in ALIKE.values()) > 40
