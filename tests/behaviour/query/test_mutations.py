"""Queries that differ in one parameter: every digest of what they compute differs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest

from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.placeholders import placeholder_frame

SCHEMA = {
    "a": pl.Int64(), "b": pl.Float64(), "c": pl.Float64(), "n": pl.Int8(), "u": pl.UInt32(),
    "s": pl.String(), "r": pl.String(), "f": pl.Boolean(), "h": pl.Boolean(), "d": pl.Date(),
    "t": pl.Datetime("us"), "z": pl.Datetime("us", "UTC"), "l": pl.List(pl.Int64), "m": pl.List(pl.Int64),
    "e": pl.Enum(["x", "y"]), "o": pl.Struct({"p": pl.Int64, "q": pl.Int64}),
    "w": pl.Array(pl.Int64, 2), "i": pl.Binary(), "g": pl.Categorical(),
}  # fmt: skip
OTHER = {"a": pl.Int64(), "b": pl.Float64(), "k": pl.Int64(), "d": pl.Date(), "s": pl.String()}
FRAMES = {"x": placeholder_frame("x", SCHEMA), "y": placeholder_frame("y", OTHER)}

# Within a group all differ. Expressions are the only column of a select with the rows of `x`.
EXPRESSIONS: dict[str, list[str]] = {
    "column": ["a", "b", "u"],
    "constant": [
        "a + 1", "a + 2", "a + 1.0", "a + pl.lit(1, pl.Int8)", "a + pl.lit(1, pl.Int16)", "a",
    ],
    "zero": ["b + 0.0", "b + -0.0", "b + 0", "b - 0.0"],
    "not finite": [
        "b.fill_null(float('nan'))", "b.fill_null(float('inf'))", "b.fill_null(-float('inf'))",
        "b.fill_null(pl.lit(float('nan'), pl.Float32))",
        "b.fill_null(pl.lit(float('inf'), pl.Float32))",
        "b.fill_null(pl.lit(-float('inf'), pl.Float32))",
    ],
    "not finite, inside": [
        "b.cut([0.0, float('inf')])", "b.cut([0.0, float('nan')])", "b.cut([0.0])",
    ],
    "not finite, in lists": ["b.is_in([float('nan')])", "b.is_in([float('inf')])", "b.is_in([])"],
    "arithmetic": [
        "a + n", "a - n", "n - a", "a * n", "a / n", "n / a", "a // n", "a % n", "a ** n", "n ** a",
    ],
    "bracketing": ["a + (b + c)", "(a + b) + c", "(a + c) + b"],
    "text": ["s + r", "r + s", "s + '!'", "'!' + s", "pl.concat_str(s, r)", "pl.concat_str(r, s)"],
    "concat_str": [
        "pl.concat_str(s, r, separator='-')", "pl.concat_str(s, r, separator='+')",
        "pl.concat_str(s, r, separator='-', ignore_nulls=True)",
    ],
    "format": ["pl.format('{}-{}', s, r)", "pl.format('{}+{}', s, r)", "pl.format('{}-{}', r, s)"],
    "comparison": [
        "a > n", "a >= n", "a < n", "a <= n", "a == n", "a != n", "a.eq_missing(n)",
        "a.ne_missing(n)",
    ],
    "logic": ["f & h", "f | h", "f ^ h", "~f", "f & ~h", "~(f & h)"],
    "between": [
        "a.is_between(1, 2)", "a.is_between(1, 2, closed='left')",
        "a.is_between(1, 2, closed='none')", "a.is_between(2, 1)",
    ],
    "membership": [
        "a.is_in([1, 2])", "a.is_in([1, 3])", "a.is_in([1, 2], nulls_equal=True)", "a.is_in(l)",
    ],
    "cast": [
        "a.cast(pl.Int32)", "a.cast(pl.Int32, strict=False)",
        "a.cast(pl.Int32, wrap_numerical=True)", "a.cast(pl.Int16)", "a.cast(pl.Float32)",
        "a.cast(pl.String)",
    ],
    "enum": [
        "s.cast(pl.Enum(['x', 'y']))", "s.cast(pl.Enum(['y', 'x']))",
        "s.cast(pl.Enum(['x', 'y', 'w']))", "s.cast(pl.Categorical())",
    ],
    "rounding": [
        "b.round(1)", "b.round(2)", "b.round_sig_figs(2)", "b.floor()", "b.ceil()", "b.truncate()",
        "b.round(1, mode='half_away_from_zero')",
    ],
    "clip": ["b.clip(0, 1)", "b.clip(0, 2)", "b.clip(0)", "b.clip(upper_bound=0)"],
    "replace": [
        "a.replace({1: 2})", "a.replace({1: 3})", "a.replace({2: 2})",
        "a.replace_strict({1: 2}, default=0)", "a.replace_strict({1: 2}, default=1)",
        "a.replace_strict({1: 2}, default=None, return_dtype=pl.Int8)",
    ],
    "conditions": [
        "pl.when(f).then(a).otherwise(n)", "pl.when(f).then(n).otherwise(a)",
        "pl.when(h).then(a).otherwise(n)", "pl.when(f).then(a)",
        "pl.when(f).then(a).when(h).then(n)", "pl.when(h).then(n).when(f).then(a)",
        "pl.when(f & h).then(a)", "pl.when(f, h).then(n)",
    ],
    "horizontal": [
        "pl.sum_horizontal(a, n)", "pl.max_horizontal(a, n)", "pl.min_horizontal(a, n)",
        "pl.mean_horizontal(a, n)", "pl.sum_horizontal(a, n, u)",
        "pl.sum_horizontal(a, n, ignore_nulls=False)", "pl.sum_horizontal(cs.unsigned_integer())",
    ],
    "coalesce": ["pl.coalesce(a, n)", "pl.coalesce(n, a)", "pl.coalesce(a, n, u)"],
    "structs": [
        "pl.struct(a, n)", "pl.struct(n, a)", "pl.struct(a, q=n)", "pl.struct(p=a, q=n)",
        "pl.struct(a)",
    ],
    "fields": [
        "o.struct.field('p')", "o.struct.field('q')", "o.struct.rename_fields(['p', 'r'])",
        "o.struct.rename_fields(['q', 'p'])", "o.struct.with_fields(pl.field('p') + 1)",
        "o.struct.with_fields(pl.field('p') + 2)", "o.struct.json_encode()",
    ],
    "lists": [
        "l.list.get(0)", "l.list.get(1)", "l.list.get(0, null_on_oob=True)", "l.list.sum()",
        "l.list.len()", "l.list.last()", "m.list.get(0)", "l.list.sort()",
        "l.list.sort(descending=True)", "l.list.reverse()",
    ],
    "list expressions": [
        "l.list.eval(pl.element() + 1)", "l.list.eval(pl.element() + 2)",
        "l.list.eval(pl.element())", "l.list.eval(pl.element().cum_sum())",
        "l.list.eval(pl.element().rank())", "l.list.diff()",
    ],
    "arrays": [
        "w.arr.sum()", "w.arr.max()", "w.arr.get(0)", "w.arr.get(1)", "w.arr.to_list()",
        "w.arr.sort()",
    ],
    "binary": [
        "i.bin.size()", "i.bin.size('kb')", "i.bin.contains(b'a')", "i.bin.contains(b'b')",
        "i.bin.encode('hex')", "i.bin.encode('base64')", "i.bin.starts_with(b'a')",
    ],
    "categories": [
        "g.cat.len_chars()", "g.cat.len_bytes()", "g.cat.starts_with('a')", "g.cat.slice(1)",
        "g.to_physical()",
    ],
    "business days": [
        "d.dt.add_business_days(1)", "d.dt.add_business_days(2)",
        "d.dt.add_business_days(1, roll='forward')", "d.dt.is_business_day()",
        "pl.business_day_count(d, d.dt.offset_by('9d'))",
        "pl.business_day_count(d, d.dt.offset_by('9d'), week_mask=[True] * 7)",
    ],
    "pieces of text": [
        "s.str.extract_groups('(?<p>a)(?<q>b)')", "s.str.extract_groups('(?<p>a)(?<r>b)')",
        "s.str.split('a')", "s.str.split_exact('a', 1)", "s.str.split_exact('a', 2)",
        "s.str.splitn('a', 2)", "s.repeat_by(u)", "s.repeat_by(2)", "s.str.json_decode(pl.Int64)",
        "s.str.json_decode(pl.Float64)", "o.name.prefix_fields('p')", "o.name.suffix_fields('p')",
    ],
    "list sets": [
        "l.list.set_union(m)", "l.list.set_intersection(m)", "l.list.set_difference(m)",
        "m.list.set_difference(l)",
    ],
    "strings": [
        "s.str.slice(0, 1)", "s.str.slice(1, 1)", "s.str.slice(0, 2)", "s.str.head(2)",
        "s.str.to_uppercase()", "s.str.contains('a')", "s.str.contains('b')",
        "s.str.contains('a', literal=True)", "s.str.starts_with('a')", "s.str.replace('a', 'b')",
        "s.str.replace_all('a', 'b')", "s.str.replace('a', 'c')", "s.str.strip_chars('a')",
        "s.str.zfill(3)", "s.str.pad_start(3)",
    ],
    "parsing": [
        "s.str.to_date('%Y')", "s.str.to_date('%y')", "s.str.to_date('%Y', strict=False)",
        "s.str.to_date()", "s.str.to_date('%Y', exact=False)", "s.str.to_datetime('%Y')",
        "s.str.to_datetime('%Y', time_unit='ms')", "s.str.to_integer(base=10)",
        "s.str.to_integer(base=16)", "s.str.to_datetime('%Y', time_zone='UTC')",
    ],
    "dates": [
        "d.dt.year()", "d.dt.month()", "d.dt.day()", "d.dt.weekday()", "d.dt.truncate('1mo')",
        "d.dt.truncate('1w')", "d.dt.offset_by('1d')", "d.dt.offset_by('1mo')",
        "d.dt.to_string('%Y')", "d.dt.to_string('%m')", "d.dt.round('1w')",
    ],
    "time zones": [
        "t.dt.replace_time_zone('UTC')", "t.dt.replace_time_zone('Europe/Paris')",
        "t.dt.replace_time_zone('Europe/Paris', ambiguous='earliest')",
        "t.dt.replace_time_zone('Europe/Paris', ambiguous='latest')",
        "t.dt.replace_time_zone('Europe/Paris', non_existent='null')",
        "z.dt.convert_time_zone('Europe/Paris')", "z.dt.convert_time_zone('Europe/Rome')",
        "t.dt.cast_time_unit('ms')", "t.dt.cast_time_unit('ns')", "t.cast(pl.Datetime('ns'))",
    ],
    "hash": ["a.hash(0)", "a.hash(1)", "pl.struct(a, n).hash(0)"],
    "cumulative": [
        "a.cum_sum()", "a.cum_sum(reverse=True)", "a.cum_max()", "a.cum_min()", "a.cum_prod()",
        "a.cum_count()", "a.diff()", "a.diff(2)", "a.pct_change()", "n.cum_sum()",
    ],
    "shifts": [
        "a.shift()", "a.shift(2)", "a.shift(-1)", "a.shift(1, fill_value=0)",
        "a.shift(1, fill_value=1)", "a.reverse()", "a.forward_fill()", "a.backward_fill()",
        "a.forward_fill(limit=1)", "a.fill_null(strategy='mean')", "a.fill_null(strategy='zero')",
        "a.fill_null(0)",
    ],
    "ranks": [
        "a.rank()", "a.rank('dense')", "a.rank('min')", "a.rank('ordinal')",
        "a.rank(descending=True)", "a.rank('random', seed=1)", "a.rank('random', seed=2)",
        "a.rank('random')",
    ],
    "rolling": [
        "b.rolling_sum(2)", "b.rolling_sum(3)", "b.rolling_sum(2, min_samples=1)",
        "b.rolling_sum(2, center=True)", "b.rolling_mean(2)", "b.rolling_std(2)",
        "b.rolling_std(2, ddof=0)", "b.rolling_quantile(0.5, window_size=2)",
        "b.rolling_quantile(0.25, window_size=2)", "b.rolling_sum(2, weights=[1.0, 2.0])",
    ],
    "rolling by": [
        "b.rolling_sum_by(t, '1d')", "b.rolling_sum_by(t, '2d')",
        "b.rolling_sum_by(t, '1d', closed='left')", "b.rolling_sum_by(d, '1d')",
        "b.sum().rolling(t, period='1d')", "b.sum().rolling(t, period='2d')",
        "b.sum().rolling(t, period='1d', offset='0d')",
        "b.sum().rolling(t, period='1d', closed='both')",
    ],
    "weighted": [
        "b.ewm_mean(alpha=0.5)", "b.ewm_mean(alpha=0.25)", "b.ewm_mean(alpha=0.5, adjust=False)",
        "b.ewm_mean(alpha=0.5, ignore_nulls=True)", "b.ewm_std(alpha=0.5)",
        "b.ewm_std(alpha=0.5, bias=True)", "b.ewm_mean_by(t, half_life='1d')",
        "b.ewm_mean_by(t, half_life='2d')",
    ],
    "interpolation": [
        "b.interpolate()", "b.interpolate('nearest')", "b.interpolate_by('a')",
        "b.interpolate_by('u')",
    ],
    "totals": [
        "b + a.sum()", "b + a.mean()", "b + a.min()", "b + a.max()", "b + a.first()",
        "b + a.last()", "b + a.count()", "b + a.len()", "b + a.n_unique()", "b + a.null_count()",
        "b + a.median()", "b + a.product()", "b + a.std()", "b + a.std(ddof=0)", "b + a.var()",
        "b + a.quantile(0.5)", "b + a.quantile(0.25)", "b + a.quantile(0.5, 'linear')",
        "b + a.get(0)", "b + a.get(1)", "b + a.arg_max()", "b + a.skew()", "b + a.skew(bias=False)",
        "b + a.kurtosis()", "b + a.mode().first()", "b + a.first(ignore_nulls=True)",
    ],
    "totals of some": [
        "b + a.filter(f).sum()", "b + a.filter(h).sum()", "b + a.filter(~f).sum()", "b + a.sum()",
        "b + a.head(1).sum()", "b + a.head(2).sum()", "b + a.slice(1, 1).sum()",
        "b + a.drop_nulls().sum()", "b + a.unique().sum()", "b + a.top_k(1).sum()",
        "b + a.sort_by(b).first()", "b + a.sort_by(c).first()",
        "b + a.sort_by(b, descending=True).first()", "b + a.sort().first()",
        "b + a.sort(descending=True).first()", "b + a.sort(nulls_last=True).first()",
    ],
    "over": [
        "a.sum().over(s)", "a.sum().over(r)", "a.sum().over(s, r)", "a.max().over(s)", "a.sum()",
        "a.first().over(s, order_by=b)", "a.first().over(s, order_by=c)", "a.first().over(s)",
        "a.first().over(s, order_by=b, descending=True)", "a.cum_sum().over(s)", "a.cum_sum()",
        "a.first().over(s, order_by=b, nulls_last=True)", "a.over(s, mapping_strategy='join')",
    ],
    "alike": [
        "s.is_unique()", "s.is_duplicated()", "s.is_first_distinct()", "s.is_last_distinct()",
        "s.rle_id()", "s.is_null()", "s.is_not_null()",
    ],
    "counting": [
        "pl.int_range(pl.len())", "pl.int_range(1, pl.len() + 1)",
        "pl.int_range(pl.len(), dtype=pl.Int32)", "pl.int_range(0, 2 * pl.len(), 2)",
    ],
    "hints": ["a.max()", "a.set_sorted().max()", "a.set_sorted(descending=True).max()"],
    "together": [
        "pl.corr(a, b)", "pl.corr(a, c)", "pl.corr(a, b, method='spearman')", "pl.cov(a, b)",
        "pl.cov(a, b, ddof=0)",
    ],
    "durations": [
        "pl.duration(days=a)", "pl.duration(hours=a)", "pl.datetime(a, n, 1)",
        "pl.datetime(n, a, 1)", "pl.date(a, n, 1)",
    ],
    "trigonometry": [
        "b.sin()", "b.cos()", "b.log()", "b.log(2)", "b.exp()", "b.sqrt()", "b.cbrt()", "b.log1p()",
        "b.sign()",
    ],
    "cutting": [
        "b.cut([0])", "b.cut([1])", "b.cut([0], left_closed=True)", "b.cut([0], labels=['x', 'y'])",
        "b.qcut(2)", "b.qcut(3)", "b.cut([0], include_breaks=True)",
    ],
}  # fmt: skip

# Within a group no column with the same name has the same digest twice.
QUERIES: dict[str, list[str]] = {
    "filter": [
        "x.filter(f)", "x.filter(h)", "x.filter(f, h)", "x.remove(f)", "x", "x.filter(~f)",
        "x.filter(f | h)", "x.filter(pl.col('a') > 1)", "x.filter(pl.col('a') > 2)",
        "x.filter(pl.col('a').cum_sum() > 1)",
    ],
    "sort": [
        "x.sort('a')", "x.sort('b')", "x.sort('a', 'b')", "x.sort('b', 'a')",
        "x.sort('a', descending=True)", "x.sort('a', nulls_last=True)",
        "x.sort('a', maintain_order=True)", "x.sort(pl.col('a') % 2)",
        "x.sort('a', 'b', descending=[True, False])", "x.sort('a', 'b', descending=[False, True])",
    ],
    "slices": [
        "x.head(1)", "x.head(2)", "x.tail(1)", "x.tail(2)", "x.slice(1)", "x.slice(1, 1)",
        "x.slice(-2, 1)", "x.gather_every(2)", "x.gather_every(3)", "x.gather_every(2, 1)",
        "x.reverse()", "x",
    ],
    "unique": [
        "x.unique('s')", "x.unique('r')", "x.unique(['s', 'r'])", "x.unique('s', keep='first')",
        "x.unique('s', keep='last')", "x.unique('s', keep='none')",
        "x.unique('s', maintain_order=True)",
    ],
    "nulls": [
        "x.drop_nulls('a')", "x.drop_nulls('b')", "x.drop_nulls(['a', 'b'])", "x.drop_nulls()",
        "x.drop_nans('b')",
    ],
    "group_by": [
        "x.group_by('s').agg('a').select('a')", "x.group_by('r').agg('a').select('a')",
        "x.group_by('s', 'r').agg('a').select('a')",
        "x.group_by('s', maintain_order=True).agg('a').select('a')",
        "x.group_by('s').having(pl.col('a').sum() > 1).agg('a').select('a')",
        "x.group_by('s').having(pl.col('a').sum() > 2).agg('a').select('a')",
        "x.group_by(pl.col('s').str.head(1)).agg('a').select('a')",
        "x.filter('f').group_by('s').agg('a').select('a')",
        "x.group_by('s').agg(pl.col('a').first()).select('a')",
        "x.group_by('s').agg(pl.col('a').filter('f').first()).select('a')",
        "x.group_by('s').agg(pl.col('a').sum()).select('a')",
        "x.group_by('s').agg(pl.col('a').sort_by('b').first()).select('a')",
        "x.group_by('s').agg(pl.col('a').head(1)).select('a')",
    ],
    "group_by over selectors": [
        "x.group_by('a').agg(b=pl.sum_horizontal(cs.integer())).select('b')",
        "x.group_by('n').agg(b=pl.sum_horizontal(cs.integer())).select('b')",
        "x.group_by('a').agg(b=pl.sum_horizontal('a', 'n', 'u')).select('b')",
    ],
    "dynamic windows": [
        "x.group_by_dynamic('t', every='1d').agg('a')",
        "x.group_by_dynamic('t', every='2d').agg('a')",
        "x.group_by_dynamic('t', every='1d', period='2d').agg('a')",
        "x.group_by_dynamic('t', every='1d', offset='1h').agg('a')",
        "x.group_by_dynamic('t', every='1d', closed='right').agg('a')",
        "x.group_by_dynamic('t', every='1d', label='right').agg('a')",
        "x.group_by_dynamic('t', every='1d', start_by='monday').agg('a')",
        "x.group_by_dynamic('t', every='1d', group_by='s').agg('a')",
        "x.group_by_dynamic('z', every='1d').agg('a')",
        "x.group_by_dynamic('t', every='1d', include_boundaries=True).agg('a')",
    ],
    "rolling windows": [
        "x.rolling('t', period='1d').agg('a')", "x.rolling('t', period='2d').agg('a')",
        "x.rolling('t', period='1d', offset='0d').agg('a')",
        "x.rolling('t', period='1d', closed='both').agg('a')",
        "x.rolling('t', period='1d', group_by='s').agg('a')",
        "x.rolling('z', period='1d').agg('a')",
    ],
    "join": [
        *(f"x.join(y, on='a', how='{how}')" for how in ("inner", "left", "right", "full", "semi", "anti")),
        "x.join(y, on=['a', 'd'], how='left')", "x.join(y, left_on='a', right_on='k', how='left')",
        "x.join(y, on='a', how='left', nulls_equal=True)",
        "x.join(y, on='a', how='left', validate='m:1')",
        "x.join(y, on='a', how='left', maintain_order='left')",
        "x.join(y, on='a', how='full', coalesce=True)",
        "x.join(y, left_on=pl.col('a') + 1, right_on='a', how='left')", "x.join(y, how='cross')",
        "x.join(y, left_on='a', right_on=pl.col('a') + 1, how='left')",
        "x.join(y.filter(pl.col('k') > 0), on='a', how='left')",
        "x.join(y.unique('a'), on='a', how='left')", "x.join_where(y, pl.col('a') > pl.col('k'))",
        "x.join_where(y, pl.col('a') >= pl.col('k'))",
    ],
    "join by what isn't a plain column": [
        "x.join(y, on='a', how='right').select('a')",
        "x.join(y, on=pl.col('a').name.keep(), how='right').select('a')",
    ],
    "self-join": [
        "x.join(x, on='a').select('b')", "x.join(x, on='a').select(b='b_right')",
        "x.join(x.filter('f'), on='a').select('b')", "x.filter('f').join(x, on='a').select('b')",
    ],
    "asof": [
        *(
            f"x.join_asof(y, on='d', strategy='{how}').select('k')"
            for how in ("backward", "forward", "nearest")
        ),
        "x.join_asof(y, on='d', by='s').select('k')",
        "x.join_asof(y, on='d', by='s', tolerance='1d').select('k')",
        "x.join_asof(y, on='d', by_left='r', by_right='s').select('k')",
        "x.join_asof(y, on='d', allow_exact_matches=False).select('k')",
        "x.join_asof(y, on='d', tolerance='1d').select('k')",
        "x.join_asof(y, on='d', tolerance='2d').select('k')",
        "x.join_asof(y, on='d', check_sortedness=False).select('k')",
    ],
    "unions": [
        "pl.concat([x, x]).select('b')", "pl.concat([x, x, x]).select('b')", "x.select('b')",
        "pl.concat([x.select('b'), y.select('b')])", "pl.concat([y.select('b'), x.select('b')])",
        "pl.concat([x, y], how='diagonal').select('b')",
        "pl.concat([y, x], how='diagonal').select('b')",
        "pl.concat([x.select('b'), y.select(pl.col('a').alias('b'))], how='vertical_relaxed')",
        "pl.concat([x.select('b'), y.select('k')], how='horizontal').select('b')",
        "pl.concat([x.select('b'), y.select('k')], how='horizontal_extend').select('b')",
        "pl.union([x, x]).select('b')",
        "x.select('a', 'b').merge_sorted(y.select('a', 'b'), 'a').select('b')",
        "x.select('a', 'b').merge_sorted(y.select('a', 'b'), 'b').select('b')",
    ],
    "explode": [
        "x.explode('l')", "x.explode('m')", "x.explode('l', 'm')",
        "x.explode('l', empty_as_null=True)", "x.explode('l', keep_nulls=False)", "x",
    ],
    "unpivot": [
        "x.unpivot(['a', 'b']).select('value')", "x.unpivot(['b', 'a']).select('value')",
        "x.unpivot(['a', 'c']).select('value')",
        "x.unpivot(['a', 'b'], index='s').select(value='s')",
        "x.unpivot(['a', 'b', 'c'], index='s').select(value='s')",
        "x.filter('f').unpivot(['a', 'b'], index='s').select(value='s')",
        "x.unpivot(['a', 'b']).select(value='variable')",
        "x.unpivot(['a', 'c']).select(value='variable')",
    ],
    "pivot": [
        f"x.pivot('s', {how}).select(v=cs.last())"
        for how in (
            "on_columns=['p'], index='a', values='b', aggregate_function='sum'",
            "on_columns=['p'], index='a', values='b', aggregate_function='max'",
            "on_columns=['p'], index='a', values='c', aggregate_function='sum'",
            "on_columns=['p'], index='n', values='b', aggregate_function='sum'",
            "on_columns=['q'], index='a', values='b', aggregate_function='sum'",
            "on_columns=['p', 'q'], index='a', values='b', aggregate_function='sum'",
        )
    ],
    "totals": [
        "x.sum()", "x.max()", "x.min()", "x.median()", "x.std()", "x.std(ddof=0)",
        "x.quantile(0.5)", "x.count()", "x.quantile(0.25)", "x.quantile(0.5, 'linear')",
        "x.null_count()", "x.filter('f').sum()", "x.mean()",
    ],
    "filling": [
        "x.fill_null(0).select('b')", "x.fill_null(1).select('b')", "x.fill_nan(0).select('b')",
        "x.fill_nan(1).select('b')", "x.fill_nan(None).select('b')",
        "x.fill_null(strategy='forward').select('b')",
        "x.fill_null(strategy='backward').select('b')", "x.interpolate().select('b')",
        "x.select('b')", "x.shift(1).select('b')", "x.shift(2).select('b')",
        "x.shift(1, fill_value=0).select('b')",
    ],
    "row numbers": [
        "x.with_row_index().select('index')", "x.with_row_index(offset=1).select('index')",
        "x.filter('f').with_row_index().select('index')",
        "x.with_row_index().filter('f').select('index')",
        "x.select(index=pl.int_range(pl.len(), dtype=pl.UInt32))",
    ],
    "shadowed columns": [
        "x.select('b')", "x.with_columns(b=pl.col('a')).select('b')",
        "x.with_columns(b=pl.col('c')).select('b')",
        "x.with_columns(c=pl.col('b')).with_columns(b=pl.col('a') + pl.col('c')).select('b')",
        "x.with_columns(b=pl.col('a') + pl.col('b'))"
        ".with_columns(b=pl.col('a') + pl.col('b')).select('b')",
    ],
    "swapped names": ["x.rename({'b': 'c', 'c': 'b'}).select('b')", "x.select('b')"],
    "order of operators": [
        "x.filter('f').with_columns(v=pl.col('a').cum_sum()).select('v')",
        "x.with_columns(v=pl.col('a').cum_sum()).filter('f').select('v')",
        "x.sort('b').with_columns(v=pl.col('a').cum_sum()).select('v')",
        "x.with_columns(v=pl.col('a').cum_sum()).sort('b').select('v')",
        "x.with_columns(v=pl.col('a').cum_sum()).select('v')",
        "x.head(2).with_columns(v=pl.col('a').cum_sum()).select('v')",
        "x.head(3).with_columns(v=pl.col('a').cum_sum()).head(2).select('v')",
        "x.unique('s', maintain_order=True).with_columns(v=pl.col('a').cum_sum()).select('v')",
        "x.with_columns(v=pl.col('a').cum_sum()).unique('s', maintain_order=True).select('v')",
    ],
    "filter and slice": [
        "x.filter('f').head(2).select('a')", "x.head(2).filter('f').select('a')",
        "x.filter('f').head(2).filter('h').select('a')", "x.filter('f', 'h').head(2).select('a')",
    ],
    "rows of expressions": [
        "x.select(v=pl.col('a').filter('f'))", "x.select(v=pl.col('a').filter('h'))",
        "x.select(v=pl.col('a').drop_nulls())", "x.select(v=pl.col('a').head(2))",
        "x.select(v=pl.col('a').unique(maintain_order=True))", "x.select(v=pl.col('a').unique())",
        "x.select(v=pl.col('a').sum())", "x.select(v='a')",
        "x.select(v=pl.col('a').gather_every(2))", "x.select(v=pl.col('l').explode())",
        "x.select(v=pl.col('a').gather([0, 1]))", "x.select(v=pl.col('a').gather([1, 0]))",
        "x.select(v=pl.col('a').sort())", "x.select(v=pl.col('a').sort_by('b'))",
        "x.select(v=pl.col('a').append('n'))", "x.select(v=pl.lit(pl.Series([1, 2])))",
        "x.select(v=pl.lit(pl.Series([1, 3])))", "x.select(v=pl.lit(pl.Series([1])))",
        "x.select(v=pl.col('a').mode())", "x.select(v=pl.col('a').top_k(2))",
        "x.select(v=pl.col('a').bottom_k(2))", "x.select(v=pl.lit(1).filter('f'))",
        "x.head(2).select(v=pl.lit(1).filter('f'))", "x.select(v=pl.lit(1))",
        "x.select(v=pl.col('a').sample(2, seed=1))", "x.select(v=pl.col('a').sample(2, seed=2))",
    ],
    "length of others": [
        "x.select('a', v=pl.lit(pl.Series([1, 2])))",
        "x.select('a', v=pl.lit(pl.Series([1, 2, 3])))",
        "x.select('a', v=pl.lit(1))",
        "x.with_columns(v=pl.lit(pl.Series([1, 2]))).select('a', 'v')",
        "x.with_columns(v=pl.lit(pl.Series([1, 2, 3]))).select('a', 'v')",
        "x.select('a', v=pl.col('b').filter('f'))",
    ],
    "constants beside some rows": [
        "x.select('a', v=1).select('v')",
        "x.select(pl.col('a').filter('f'), v=1).select('v')",
        "x.select(pl.col('a').filter('h'), v=1).select('v')",
        "x.select(pl.col('a').head(1), v=1).select('v')",
        "x.select(pl.col('a').head(2), v=1).select('v')",
        "x.select(pl.col('a').drop_nulls(), v=1).select('v')",
        "x.select(pl.col('b').drop_nulls(), v=1).select('v')",
        "x.select(pl.col('l').explode(), v=1).select('v')",
        "x.select(pl.col('m').explode(), v=1).select('v')",
        "x.select(pl.col('a').sum(), v=1).select('v')",
        "x.head(2).select(pl.col('a').filter('f'), v=1).select('v')",
    ],
    "selectors": [
        "x.select(pl.nth(0).alias('v'))", "x.select(pl.nth(1).alias('v'))",
        "x.select(cs.last().alias('v'))", "x.select(cs.date().alias('v'))",
        "x.select(cs.by_dtype(pl.Int8).alias('v'))", "x.select(pl.col('^s$').alias('v'))",
    ],
    "positions": [
        "x.select(v=pl.nth(0))", "x.drop('a').select(v=pl.nth(0))",
        "x.select('c', 'a').select(v=pl.nth(0))", "x.with_row_index().select(v=pl.nth(0))",
    ],
    "data": [
        "pl.LazyFrame({'v': [1]})", "pl.LazyFrame({'v': [2]})", "pl.LazyFrame({'v': [1, 1]})",
        "pl.LazyFrame({'v': [1.0]})",
    ],
    "sql": [
        "x.sql('select a from self where a > 1')", "x.sql('select a from self where a > 2')",
        "x.filter('f').sql('select a from self where a > 1')",
    ],
    "hints": [
        "x.select('a').max()", "x.set_sorted('a').select('a').max()",
        "x.set_sorted('a', descending=True).select('a').max()",
    ],
    "types asked for": [
        "x.match_to_schema({'a': pl.Int64}, extra_columns='ignore')",
        "x.select('a').cast(pl.Int32)",
    ],
}  # fmt: skip


def query(source: str) -> pl.LazyFrame:
    """The query that a text describes, over marked inputs; a bare name is a column."""
    names: dict[str, Any] = {"pl": pl, "cs": cs, **FRAMES}
    names.update({name: pl.col(name) for name in SCHEMA if name not in FRAMES})
    with quiet():
        found: pl.LazyFrame = eval(source, names)
    return found


def digests(source: str) -> dict[str, str]:
    with quiet():
        return {name: c.digest for name, c in query_digests(query(source)).columns.items()}


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of Polars: of joins that don't coalesce, of functions that will go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("group", EXPRESSIONS)
def test_expressions_that_differ_have_other_digests(group: str) -> None:
    found = {text: digests(f"x.select(v=({text}))")["v"] for text in EXPRESSIONS[group]}
    assert_apart(found)


@pytest.mark.parametrize("group", QUERIES)
def test_queries_that_differ_have_other_digests(group: str) -> None:
    found = {text: digests(text) for text in QUERIES[group]}
    for one, two in combinations(found, 2):
        for name in found[one].keys() & found[two].keys():
            assert found[one][name] != found[two][name], (name, one, two)


def assert_apart(found: dict[str, str]) -> None:
    for one, two in combinations(found, 2):
        assert found[one] != found[two], (one, two)


def test_there_are_many_of_them() -> None:
    groups = [*EXPRESSIONS.values(), *QUERIES.values()]
    assert sum(len(group) - 1 for group in groups) > 500
    assert all(len(group) == len(set(group)) for group in groups)
