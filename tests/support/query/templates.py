"""The expressions that random stages are made of, as text with gaps.

`$N`, `$B` and `$S` are gaps for expressions (numbers, truths, text), `$C`, `$D`, `$L` and `$A` for columns
(of numbers, dates, lists, anything), `$K` for the name of one without parts, `$I` for a small number and
`$F` for a flag. In operators also: `$X`, `$J`, `$Y`, `$M`, `$T` for the name of a column (any, a number, an
integer, a list, a date), `$P`, `$Q`, `$R` for lists of names (any, without parts, numbers), `$V` for any
expression, `$G` for one value of a group, `$H` for a selector and `$U` for what is done to all that it gives,
`$O` for another frame, `$W` for a new name, `$Z` for closed ends.
"""

NUMBERS = [
    "($N + $N)", "($N - $N)", "($N * $N)", "($N + $I)", "($I + $N)", "($N * 2)", "(2 * $N)",
    "($N / 2)", "($N // 2)", "($N % 2)", "(-$N)", "$N.abs()", "$N.floor()", "$N.round(1)",
    "$N.clip(0, $I)", "$N.fill_null($I)", "$N.fill_nan(0)", "$N.fill_null($N)",
    "$N.cast(pl.Float64)", "$N.cast(pl.Int64, strict=False)", "$N.sign()", "$S.str.len_chars()",
    "$S.str.to_integer(strict=False)", "$D.dt.day()", "$D.dt.weekday()", "$L.list.len()",
    "$L.list.sum()", "$L.list.get($I, null_on_oob=True)",
    "$L.list.eval(pl.element() + $I).list.max()", "pl.when($B).then($N).otherwise($N)",
    "pl.when($B).then($N)", "pl.when($B).then($I).when($B).then($N)", "pl.coalesce($N, $N)",
    "pl.max_horizontal($N, $N)", "pl.sum_horizontal($N, $N)", "pl.min_horizontal($C, $I)",
    "pl.sum_horizontal(cs.numeric())", "pl.max_horizontal(cs.integer() + $I)",
    "pl.struct($A, $C).hash($I)", "pl.struct($C, q=$C).struct.field('q')",
    "pl.concat_list($C, $C).list.last()", "$N.cum_sum()", "$N.cum_sum(reverse=True)",
    "$N.cum_max()", "$A.cum_count()", "$N.shift($I)", "$N.shift(-1)", "$N.shift(1, fill_value=$I)",
    "$N.diff()", "$N.rank('dense')", "$N.rank('min', descending=$F)", "$N.forward_fill()",
    "$N.backward_fill(limit=1)", "$N.reverse()", "$N.rolling_sum(2, min_samples=1)",
    "$N.rolling_max(2, center=$F)", "$A.rle_id()", "$C.interpolate()", "$N.sort()",
    "$N.sort_by($C)", "pl.int_range(pl.len())", "pl.len()", "$N.sum()", "$N.mean()", "$N.min()",
    "$N.max()", "$A.count()", "$A.n_unique()", "$N.median()", "$N.quantile(0.5, 'lower')",
    "$N.first()", "$N.last()", "$A.null_count()", "$C.arg_max()", "$N.filter($B).sum()",
    "$C.get(0)", "$C.std(ddof=$I)", "$C.sum().over($K)", "$N.max().over($K)",
    "$C.sum().over($K, $K)", "$C.cum_sum().over($K)", "$C.first().over($K, order_by=$K)",
    "$C.rank().over($K)", "$C.shift(1).over($K)", "$C.last().over($K, order_by=$K, descending=$F)",
    "pl.len().over($K)", "($N - $C.mean().over($K))", "$N.replace({1: 2})",
    "$N.replace_strict({1: 2}, default=$I)", "$C.cut([0, 1]).to_physical()",
]  # fmt: skip
TRUTHS = [
    "($N > $I)", "($N >= $I)", "($N < $N)", "($N == $I)", "($C == $C)", "($N != $N)",
    "$A.is_null()", "$A.is_not_null()", "($S == 'a')", "$S.str.contains('a')",
    "$S.str.starts_with('b')", "$N.is_between(0, $I)", "$N.is_in([0, 1])", "$N.is_nan()",
    "$S.is_in(['a', 'b'])", "($B & $B)", "($B | $B)", "(~$B)", "pl.all_horizontal($B, $B)",
    "pl.any_horizontal($B, $B)", "$C.eq_missing($C)", "$A.is_duplicated()",
    "$A.is_first_distinct()", "$C.is_in($C.max().implode())", "($C > $C.mean())",
    "($N > $C.mean().over($K))", "$C.is_unique().over($K)", "($D > dt.date(2024, 2, 29))",
    "$A.has_nulls()", "($N > 0).any()", "pl.lit(True)", "($N ^ $N).cast(pl.Boolean)", "($B ^ $B)",
    "$S.is_last_distinct()",
]  # fmt: skip
TEXTS = [
    "($S + $S)", "($S + '!')", "('!' + $S)", "$S.str.to_uppercase()", "$S.str.slice(0, $I)",
    "$S.str.replace('a', 'b')", "$N.cast(pl.String)", "pl.concat_str($S, $S, separator='-')",
    "pl.concat_str($S, $S, ignore_nulls=$F)", "$S.fill_null('z')", "$S.str.reverse()",
    "pl.when($B).then($S).otherwise(pl.lit('no'))", "$S.shift(1)", "$S.max()",
    "$S.first().over($K)", "pl.format('{}:{}', $S, $C)", "$D.dt.to_string('%Y-%m')",
    "$S.str.join('-')", "$S.mode().first()",
]  # fmt: skip
GATHERED = [
    "$N.sum()", "$N.mean()", "$N.min()", "$N.max()", "$N.first()", "$N.last()", "pl.len()",
    "$A.count()", "$A.n_unique()", "$N.filter($B).sum()", "$N.sort_by($C).first()",
    "$N.sum() + $N.max()", "$C.median()", "$S.first()", "($N > 0).any()", "$N.cum_sum().last()",
    "$N.sort_by($K, descending=$F).last()", "$C.arg_min()", "$C.head(1).sum()", "$S.max()",
    "$C.var(ddof=$I)", "$C.sum() / pl.len()", "$C.null_count()", "$C.unique().len()",
    "$C.product()", "$C.quantile(0.25, 'higher')", "$C", "$N.top_k(2).sum()", "$S.str.join('-')",
    "$N.drop_nulls().first()", "$C.filter($C == $C.max()).len()", "cs.numeric().sum()",
    "pl.all().first()", "cs.by_dtype(pl.Float64).max()", "pl.col('^[kxn]$').min()",
    "pl.max_horizontal(cs.numeric().sum())",
]  # fmt: skip
SELECTORS = [
    "pl.all()", "cs.numeric()", "cs.string()", "cs.by_index(0, 1)", "cs.first()", "cs.last()",
    "pl.nth(0)", "~cs.first()", "pl.all().exclude('k')", "pl.col('^[gkx]$')",
    "cs.by_dtype(pl.Int64, pl.Float64)", "cs.integer() | cs.boolean()", "cs.numeric() - cs.first()",
    "cs.float() & cs.contains('x')", "cs.starts_with('x')", "cs.exclude(cs.date())",
    "pl.col(pl.Int64)", "pl.exclude(pl.String)", "cs.temporal() | cs.first()", "cs.matches('^n')",
    "cs.by_index(-1)",
]  # fmt: skip
OVER_ALL = [
    "", ".name.suffix('_2')", ".name.prefix('p_')", ".name.to_uppercase()", ".first()", ".shift(1)",
    ".is_null()", ".reverse()",
]  # fmt: skip

# What a join or a union takes as its other side.
OTHERS = [
    "one", "two", "three", "two", "@", "two.filter(pl.col('n') > 0)", "one.unique('k', keep='first')",
    "three.select('k', 'x')", "two.head(3)", "one.select('k', 'x', 'n')",
    "one.with_columns(pl.col('x') * 2)", "two.group_by('k').agg(pl.col('y').sum())",
    "one.rename({'x': 'y'})", "three.with_columns(pl.col('k').cast(pl.Int64))",
    "one.select(pl.col('k').max())", "two.sort('n', maintain_order=True)",
    "two.select('k', pl.col('y').alias('x'))", "one.select('g', 'x').unique('g', keep='first')",
]  # fmt: skip

_FILTERS = (
    "@.filter($B)", "@.filter($B, $B)", "@.filter($B)", "@.remove($B)", "@.filter($B & $B)",
)  # fmt: skip
_COLUMNS = (
    "@.with_columns($W_0=$V)", "@.with_columns($W_0=$V, z_1=$V)", "@.with_columns($V.alias($X), z_1=$V)",
    "@.with_columns($N.alias($X))",
)  # fmt: skip
_SELECTS = (
    "@.select(*$P)", "@.select(*$P, $W_0=$V)", "@.select(*$P, $W_0=$V, z_1=$V)", "@.select($W_0=$V)",
)  # fmt: skip
# Expressions alone: aggregates make one row, other lengths make their own.
_PARTS = [
    "$N", "$G", "$N.filter($B)", "$A.unique(maintain_order=True)", "$A.drop_nulls()", "$N.head($I)",
    "$L.explode()", "pl.lit(pl.Series([1, 2]))", "$C.gather([0, 0])", "$N.sort_by($C).head(2)",
    "$C.unique()", "$C.gather_every(2)", "pl.int_range(0, $I)", "$C.mode()", "$C.top_k(2)",
]  # fmt: skip
_VALUES = (
    *(f"@.select(v={part})" for part in _PARTS),
    *(f"@.select(v={part}, w={other})" for part in _PARTS[2:]
      for other in ("$G", "$C", "$N.filter($B)", part)),
    *(f"@.with_columns(v={part})" for part in _PARTS[2:]),
)  # fmt: skip
_SELECTED = (
    "@.select($H$U)", "@.select($H$U, z=$N)", "@.with_columns($H$U)", "@.with_columns($H$U, z=$N)",
    "@.select($H - $H)", "@.select(($H).fill_null($C))", "@.with_columns(z=pl.sum_horizontal($H))",
    "@.with_columns(pl.max_horizontal($H))", "@.with_columns(($H) * pl.sum_horizontal(cs.numeric()))",
    "@.filter(pl.all_horizontal(($H).is_not_null()))", "@.select(pl.struct($H).alias('st'), $H)",
    "@.select(pl.coalesce($H).alias('c'), *$P)", "@.with_columns(($H).sum().over($K))",
)  # fmt: skip
_ARRANGED = (
    "@.drop($P)", "@.rename({$X: 'x'})", "@.rename({$X: 'k'})", "@.rename({$X: 'r', 'x': 'n'}, strict=False)",
    "@.drop($H)", "@.drop($P, strict=False)", "@.select(pl.exclude($P))", "@.unnest('st')",
    "@.select(pl.struct($P).alias('st'), *$P)", "@.cast({cs.integer(): pl.Float64})",
    "@.cast({cs.integer(): pl.String})", "@.cast({$J: pl.Float64})", "@.cast({$J: pl.Int32})",
    "@.set_sorted($J)", "@.with_columns(st=pl.struct($P))", "@.rename({'x': 'n', 'n': 'x'})",
)  # fmt: skip
_SORTS = (
    "@.sort($Q, descending=$F, nulls_last=$F, maintain_order=$F)", "@.sort($N, maintain_order=$F)",
    "@.sort($K, $K, descending=[$F, $F], nulls_last=[$F, $F], maintain_order=True)",
    "@.sort($K, descending=$F, maintain_order=True)", "@.sort($H, maintain_order=$F)",
)  # fmt: skip
_CUTS = (
    "@.head($I)", "@.tail($I)", "@.slice(1, $I)", "@.slice(-3, $I)", "@.first()", "@.last()",
    "@.gather_every(2)", "@.gather_every(2, 1)", "@.reverse()", "@.shift($I)", "@.top_k($I, by=$K)",
    "@.bottom_k(2, by=$K, reverse=$F)", "@.limit(2)", "@.clear()", "@.slice($I)",
    "@.shift(1, fill_value=0)",
)  # fmt: skip
_UNIQUES = tuple(
    f"@.unique({subset}, keep='{keep}', maintain_order=$F)"
    for subset in ("$Q", "$K", "None", "$N")
    for keep in ("any", "first", "last", "none")
)
_GROUPS = (
    *(f"@.group_by({keys}, maintain_order={order}){having}.{agg}"
      for keys in ("$Q", "$K", "$N.alias('gk')")
      for order in ("True", "$F")
      for having in ("", "", ".having($N.sum() > $I)")
      for agg in ("agg(a=$G)", "agg(a=$G, b=$G)", "agg(a=$G)", "len()", "first()", "head(1)", "sum()",
                  "agg(pl.all().first())", "agg(cs.numeric().sum())", "agg(pl.col('^[kxn]$').min())",
                  "agg(pl.nth(0).last().alias('a'))", "agg((~cs.first()).max())", "agg($H$U)",
                  "agg(a=pl.max_horizontal(cs.numeric().sum()))", "agg(pl.all().exclude($K).sum())")),
)  # fmt: skip
_WINDOWS = (
    *(f"@.sort({index}, maintain_order=True).group_by_dynamic({index}, every='{unit}', closed='$Z').agg(a=$G)"
      for index, unit in (("$Y", "2i"), ("$T", "2d"), ("'k'", "1i"), ("'d'", "1d"))),
    "@.sort('k', maintain_order=True).group_by_dynamic('k', every='2i', group_by='g').agg(a=$G)",
    "@.sort('d', maintain_order=True).group_by_dynamic('d', every='2d', label='right').agg(a=$G)",
    "@.sort('k', maintain_order=True).rolling('k', period='2i', closed='$Z').agg(a=$G)",
    "@.sort('k', maintain_order=True).rolling('k', period='2i', group_by='g').agg(a=$G)",
    "@.sort('d', maintain_order=True).with_columns(r=$C.sum().rolling('d', period='2d', closed='$Z'))",
    "@.with_columns(r=$C.rolling_sum_by('d', '2d', closed='$Z'))",
    "@.with_columns(r=$C.rolling_mean(2, min_samples=1, center=$F))",
)  # fmt: skip
_HOWS = ("inner", "left", "right", "full", "semi", "anti")
_KEPT = ("", ", maintain_order='left'", ", maintain_order='left_right'", ", maintain_order='right'")
_JOINS = (
    *(f"@.join($O, {on}, how='{how}'{kept}{extra})"
      for on in ("on='k'", "on='g'", "on=['k', 'g']", "on='n'", "left_on=$Y, right_on='k'",
                 "left_on=$N, right_on=pl.col('k') + 1", "on=pl.col('k').name.keep()")
      for how in _HOWS
      for kept in _KEPT
      for extra in ("", ", coalesce=$F", ", suffix='_2'", ", nulls_equal=True")),
    *["@.join($O, how='cross')", "@.join($O, how='cross', maintain_order='left_right')"] * 12,
    *["@.join_where($O, pl.col($J) > pl.col('k'))", "@.join_where($O, pl.col($J) < pl.col('k_right'))"] * 8,
)  # fmt: skip
_ASOF = tuple(
    f"@.sort({key}, maintain_order=True).join_asof($O.sort({key}, maintain_order=True), on={key}{more})"
    for key in ("'k'", "'n'", "'d'")
    for more in ("", ", strategy='forward'", ", strategy='nearest'", ", by='g'", ", tolerance=1",
                 ", allow_exact_matches=False", ", coalesce=False")
)  # fmt: skip
_UNIONS = (
    *(f"pl.concat([{frames}], how='{how}')"
      for frames in ("@, $O", "$O, @", "@, @", "@, @.filter($B)", "@, $O.select('k')",
                     "@, @.with_columns($N.alias($J))", "@, @.head(1), @.tail(2)")
      for how in ("vertical", "vertical_relaxed", "diagonal", "diagonal_relaxed", "horizontal",
                  "align_full")),
    *["@.merge_sorted(@, 'k')", "@.update($O, on='k')", "@.update($O)", "pl.union([@, @])",
      "pl.concat([$O.select('x'), @.select(q=$N)], how='horizontal')"] * 2,
)  # fmt: skip
_RESHAPED = (
    "@.explode($M)", "@.explode($M)", "@.unpivot(cs.numeric(), index=$Q)", "@.unpivot(index=$Q)",
    "@.explode('l', empty_as_null=False)", "@.with_row_index('i')", "@.with_row_index('x', offset=1)",
    "@.unpivot($R, variable_name='w')", "@.with_columns(l=pl.concat_list(cs.integer()))",
    "@.pivot('g', on_columns=['a', 'b'], index=$Y, values=$J, aggregate_function='sum')",
    "@.with_columns(pl.int_range(pl.len()).alias('i'))", "@.sql('select * from self where k > $I')",
    "@.with_columns(l=$L.list.sort())", "@.group_by('k', maintain_order=True).agg(l=pl.col('n'))",
)  # fmt: skip
_NULLS = (
    "@.drop_nulls()", "@.drop_nulls($P)", "@.drop_nans()", "@.fill_null($I)", "@.fill_nan(0)",
    "@.fill_nan(None)", "@.fill_null(strategy='forward')", "@.fill_null(strategy='max')",
    "@.fill_null(strategy='zero')", "@.interpolate()", "@.drop_nulls(cs.numeric())",
    "@.drop_nulls(cs.string())", "@.fill_null(pl.col('k'))", "@.fill_null('z')",
)  # fmt: skip
_TOTALS = (
    "@.sum()", "@.max()", "@.count()", "@.null_count()", "@.min()", "@.mean()", "@.median()", "@.std()",
    "@.cache()", "@.select(pl.len())", "@.quantile(0.5)", "@.select(cs.numeric().sum())", "@.var(ddof=0)",
)  # fmt: skip
# Operators by their kind, and how often each kind is drawn.
OPERATORS = {
    _FILTERS: 3, _COLUMNS: 3, _SELECTS: 1, _VALUES: 2, _SELECTED: 2, _ARRANGED: 2, _SORTS: 2, _CUTS: 1,
    _UNIQUES: 1, _GROUPS: 2, _WINDOWS: 1, _JOINS: 3, _ASOF: 1, _UNIONS: 2, _RESHAPED: 2, _NULLS: 1,
    _TOTALS: 1,
}  # fmt: skip
