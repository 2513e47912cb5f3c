"""Write a workflow as the modules of a project, in the form and with the looks that it happens to have."""

from __future__ import annotations

from dataclasses import replace

from tests.soundness.model import LOOKS, OPAQUE, TAGS, Column, Flow, Source, Stage, Table

MODULE = "flow_main"
MODULES = (MODULE, "lib_near", "lib_far")

# Where memos write which rows they were asked for: of which stage, by which code, and the value.
ASKED = "asked.txt"

_HEAD = """
from pathlib import Path

import polars as pl
import polars.selectors as cs

import lib_far
import lib_near
import tidemill as tm

flow = tm.Workflow("random")


def adder(number):
    def add(value):
        return value + number

    return add
"""


def rendered(flow: Flow) -> dict[str, str]:
    """The text of every module, by its name."""
    parts = [f'"""Line 1."""{chr(10) * (flow.shift + 1)}', _HEAD]
    parts.append(f"\n\ndef unrelated(value):\n    return value * {flow.unrelated}\n")
    parts += [_source(source) for source in flow.sources]
    parts += [stage_text(flow, stage) for stage in flow.stages]
    return {
        MODULE: "".join(parts),
        "lib_near": "import lib_far\n" + "".join(_near(stage) for stage in flow.stages),
        "lib_far": f"SHARED = {flow.shared}\n\n\ndef shared(value):\n    return value + SHARED\n"
        + "".join(_far(stage) for stage in flow.stages),
    }


def plain_text(flow: Flow, stage: Stage) -> str:
    """All code of a stage in its form, but with no looks of its own: what an opaque stage is judged by."""
    bare = {**dict.fromkeys(LOOKS, 0), "form": stage.looks["form"]}
    plain = replace(stage, looks=bare)
    shared = str(flow.shared) if "shared" in stage.knobs else ""
    return _function(flow, plain) + _helpers(plain) + _near(plain) + _far(plain) + shared


def _near(stage: Stage) -> str:
    text = ""
    if "other" in stage.knobs:
        text += _def(f"other_{stage.name}", stage.knobs["other"], stage)
    if "transitive" in stage.knobs:
        text += f"\n\ndef via_{stage.name}(value):\n    return lib_far.deep_{stage.name}(value)\n"
    return text


def _far(stage: Stage) -> str:
    if "transitive" not in stage.knobs:
        return ""
    return _def(f"deep_{stage.name}", stage.knobs["transitive"], stage)


def _def(name: str, number: int, stage: Stage) -> str:
    looks = stage.looks
    value = "value: object" if looks["annotation"] % 2 else "value"
    note = f"    # Note {looks['comment']}.\n" if looks["comment"] else ""
    return f"\n\ndef {name}({value}):\n{note}    return value + {number}\n"


def _contract(name: str, table: Table, unknown: str) -> str:
    key = f", key={table.index!r}" if table.keyed else ""
    lines = [f'\n\nclass {name}(tm.Contract{key}, unknown_columns="{unknown}"):\n']
    if table.cut:
        lines.append('    day = tm.Date(partition="1d")\n')
    if "id" in table.index:
        lines.append("    id = tm.Int64()\n")
    lines += [f"    {column.name} = {_column(column)}\n" for column in table.columns]
    lines += [
        f'    {r.name} = tm.rule(pl.col("{r.column}") < {r.below}, on_fail="{r.on_fail}")\n'
        for r in table.rules
    ]
    lines.append("    any_bad = tm.Budget(max_bad=1)\n")
    return "".join(lines)


def _column(column: Column) -> str:
    given = f"{list(TAGS[:3])}, " if column.type == "Enum" else ""
    bound = f", max={column.top}" if column.top is not None else ""
    return f'tm.{column.type}({given}nullable=True{bound}, on_fail="{column.on_fail}")'


def _source(source: Source) -> str:
    name = source.name.upper()
    return (
        _contract(name, source.table, "drop")
        + f"\n\n@flow.ingest\ndef {source.name}() -> tm.Source[{name}]:\n"
        + f'    return tm.files("data/{source.name}/*.parquet", on_missing="remove")\n'
    )


def stage_text(flow: Flow, stage: Stage) -> str:
    """The contract, the helpers and the function of a stage."""
    contract = _contract(stage.name.upper(), stage.table, "fail")
    return contract + _helpers(stage) + _function(flow, stage)


def _helpers(stage: Stage) -> str:
    name, knobs = stage.name, stage.knobs
    text = ""
    if "helper" in knobs:
        text += _def(f"help_{name}", knobs["helper"], stage)
    if "default" in knobs:
        text += f"\n\ndef base_{name}(value, step={knobs['default']}):\n    return value + step\n"
    if "closure" in knobs:
        text += f"\n\nplus_{name} = adder({knobs['closure']})\n"
    if "constant" in knobs:
        text += f"\n\nBIAS_{name} = {knobs['constant']}\n"
    if "attribute" in knobs:
        text += f"\n\nclass Scale_{name}:\n    step = {knobs['attribute']}\n"
    if stage.looks["form"] % 2:
        text += f"\n\ndef calc_{name}(value):\n    return {_knobs(stage, 'value')}\n"
    return text + _memo(stage)


def _memo(stage: Stage) -> str:
    """The memo that a stage asks: another one for each number, by its version or by its code."""
    if stage.op != "memo":
        return ""
    number, name = stage.args["number"], stage.name
    version = f', version="{number}"' if stage.args["flag"] else ""
    line = f"{name} {number}{version} {{item}}\\n"
    return (
        f"\n\n@tm.memo(gives=pl.Int64, batch=3{version})\n"
        f"def memo_{name}(value):\n"
        f"    with open(Path(__file__).with_name({ASKED!r}), 'a') as file:\n"
        f"        file.write(''.join([f'{line}' for item in value]))\n"
        f"    return [None if item is None else item * {number} + 1 for item in value]\n"
    )


def _knobs(stage: Stage, value: str) -> str:
    """An expression with everything that the knobs add to it."""
    name = stage.name
    texts = {
        "default": "base_{0}({1})",
        "helper": "help_{0}({1})",
        "closure": "plus_{0}({1})",
        "constant": "({1} + BIAS_{0})",
        "attribute": "({1} + Scale_{0}.step)",
        "other": "lib_near.other_{0}({1})",
        "transitive": "lib_near.via_{0}({1})",
        "shared": "lib_far.shared({1})",
        "body": f"({{1}} + {stage.knobs.get('body')})",
    }
    for knob in stage.knobs:
        value = texts[knob].format(name, value)
    return value


def _value(stage: Stage, value: str) -> str:
    if stage.looks["form"] % 2:
        return f"calc_{stage.name}({value})"
    return _knobs(stage, value)


def _function(flow: Flow, stage: Stage) -> str:
    looks, name = stage.looks, stage.name
    local = ("out", "found", "answer")[looks["local"] % 3]
    given = ", ".join(f"{item}: tm.Frame[{item.upper()}]" for item in stage.inputs)
    before, query = _query(flow, stage)
    if looks["format"] % 2:
        query = "(\n        " + query.replace(".select(", "\n        .select(") + "\n    )"
    annotation = ": pl.LazyFrame" if looks["annotation"] % 2 else ""
    docstring = f'    """Text {looks["docstring"]}."""\n' if looks["docstring"] else ""
    comment = f"    # Note {looks['comment']}.\n" if looks["comment"] else ""
    return (
        f"\n\n@flow.transform{_options(stage)}\ndef {name}({given}) -> tm.Frame[{name.upper()}]:\n"
        f"{docstring}{comment}{before}    {local}{annotation} = {query}\n    return {local}\n"
    )


def _options(stage: Stage) -> str:
    if stage.op in ("window", "model"):
        return f"(window=tm.last({stage.args['number']}))"
    if stage.op in ("fold", "folds"):
        return _folds(stage)
    if stage.op == "join" and stage.args["number"] > 3:
        return f'(optional=["{stage.inputs[1]}"])'
    return ""


def _folds(stage: Stage) -> str:
    args = stage.args
    of, real = args["of"], args["real"]
    made = [f'v=tm.fold.{stage.verb}("{of}")']
    if stage.op == "folds":
        made.append('day=tm.fold.max("day")')
    elif len(stage.table.columns) > 1:
        made.append(f'f=tm.fold.sum("{real}")')
    window = f", window=tm.last({args['number']})" if stage.op == "folds" else ""
    told = ", ".join(made)
    return f'(fold={{"{stage.inputs[0]}": tm.fold("id", {told})}}{window})'


def _names(*names: str) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _query(flow: Flow, stage: Stage) -> tuple[str, str]:
    """The statements before the query, and the query."""
    table, of = flow.table(stage.inputs[0]), stage.args["of"]
    frame = stage.inputs[0]
    if stage.op in ("fold", "folds"):
        return "", _folded(stage, frame)
    if stage.looks["form"] % 2 and stage.op not in OPAQUE:
        frame += f".select({_names(*table.names)})"
    match stage.op:
        case "group" | "first" | "window" | "total":
            return "", _grouped(stage, frame, table)
        case "join":
            return "", _joined(flow, stage, frame, table)
        case "union":
            return "", _union(stage, frame, table)
        case "loose":
            made = _value(stage, f'pl.col("{of}")')
            return "", f'{frame}.select("day", {stage.made}={made}).unique()'
        case "tally":
            made = _value(stage, f'pl.col("{of}").sum()')
            tail = f'.select("day", pl.lit(0, pl.Int64).alias("id"), "{stage.made}")'
            return "", f'{frame}.group_by("day").agg({stage.made}={made}){tail}'
        case "rows" | "model" | "collect":
            return _python(stage, frame, table)
    return "", _rowwise(stage, frame, table)


def _rowwise(stage: Stage, frame: str, table: Table) -> str:
    args, number, of = stage.args, stage.args["number"], stage.args["of"]
    match stage.op:
        case "filter":
            frame += _filtered(stage, f'pl.col("{of}")', number)
        case "ties":
            how = f"descending={args['flag']}, nulls_last={args['flag']}, maintain_order=True"
            frame += f'.sort("{of}", {how}).head({number})'
        case "unique":
            subset = _names(*[c for c in table.index if c == "day"], of)
            keep = "last" if args["flag"] else "first"
            frame += f'.unique(subset=[{subset}], keep="{keep}", maintain_order=True)'
    made = f"{stage.made}={_value(stage, _computed(stage))}"
    return f"{frame}.select({_names(*table.index, *args['kept'])}, {made})"


def _computed(stage: Stage) -> str:
    """The expression that the knobs are added to."""
    args, number = stage.args, stage.args["number"]
    of = args["of"]
    value = f'pl.col("{of}")'
    match stage.op:
        case "over":
            sums = "cum_sum" if args["flag"] else "sum"
            value += f'.{sums}().over(pl.col("id") % {number})'
        case "shift":
            value += f".shift({number - 3})"
        case "rank":
            method, falling = ("dense", "min")[number % 2], args["flag"]
            value += f'.rank("{method}", descending={falling}).cast(pl.Int64)'
        case "nth":
            value = f"pl.nth({args['place']})"
        case "wild":
            value = 'pl.sum_horizontal(cs.integer() - cs.by_name("id"))'
        case "memo":
            # Whether a column is of 32 bits or 64, its values are the same rows.
            value = f"memo_{stage.name}({value}.cast(pl.Int64))"
        case "elements":
            value += f".map_elements(lambda v: len(repr(v)) + v * {number}, return_dtype=pl.Int64)"
    return value


def _filtered(stage: Stage, value: str, number: int) -> str:
    low, hole = f"{value} > {number * 3}", f'pl.col("id") != {number}'
    if stage.looks["form"] % 2:
        return f".filter({hole}).filter({low})"
    return f".filter(({low}) & ({hole}))"


def _grouped(stage: Stage, frame: str, table: Table) -> str:
    args, made = stage.args, stage.made
    number, real = args["number"], args["real"]
    by = f'(pl.col("id") % {number}).alias("id")'
    verb = ("last" if args["flag"] else "first") if stage.op == "first" else "sum"
    of = args["of"]
    value = _value(stage, f'pl.col("{of}").{verb}()')
    sums = [f"{made}={value}"]
    columns = [column.name for column in stage.table.columns]
    if f"f{stage.name[1:]}" in columns:
        # Polars' engines don't agree on the sum of a single -0.0.
        total = f'pl.col("{real}").sum()'
        sums.append(f"f{stage.name[1:]}=pl.when({total} == 0).then(0.0).otherwise({total})")
    if stage.op == "window":
        sums.append('day=pl.col("day").max()')
    elif stage.op != "total" and table.cut:
        by = f'"day", {by}'
    selected = _names(*stage.table.index, *columns)
    return f"{frame}.group_by({by}).agg({', '.join(sums)}).select({selected})"


def _folded(stage: Stage, frame: str) -> str:
    value = _value(stage, 'pl.col("v")')
    made = [f"{stage.made}={value}"]
    if stage.op == "fold" and len(stage.table.columns) > 1:
        # As with groups, no zero has a sign.
        zero = 'pl.when(pl.col("f") == 0).then(0.0).otherwise(pl.col("f"))'
        made.append(f"f{stage.name[1:]}={zero}")
    return f"{frame}.select({_names(*stage.table.index)}, {', '.join(made)})"


def _joined(flow: Flow, stage: Stage, frame: str, table: Table) -> str:
    args, other, mate = stage.args, stage.inputs[1], stage.args["other"]
    on = [name for name in table.index if name in flow.table(other).index]
    right = f'{other}.select({_names(*on)}, joined=pl.col("{mate}"))'
    how = "left" if args["flag"] else "inner"
    made = _value(stage, 'pl.col("joined")')
    return (
        f'{frame}.join({right}, on=[{_names(*on)}], how="{how}", maintain_order="left")'
        f".select({_names(*table.index, *args['kept'])}, {stage.made}={made})"
    )


def _union(stage: Stage, frame: str, table: Table) -> str:
    args, made = stage.args, stage.made
    of, other = args["of"], args["other"]
    value = _value(stage, f'pl.col("{of}")')
    upper, lower = f"{made}={value}", f'{made}=pl.col("{other}")'
    index = _names(*(name for name in table.index if name != "id"))
    index += ", " if index else ""
    second = f'{stage.inputs[1]}.select({index}pl.col("id") + 100, {lower})'
    first = f"{frame}.select({_names(*table.index)}, {upper})"
    return f'pl.concat([{first}, {second}], how="vertical_relaxed")'


def _python(stage: Stage, frame: str, table: Table) -> tuple[str, str]:
    args, made = stage.args, stage.made
    of, number = args["of"], args["number"]
    names = (*table.index, *args["kept"])
    schema = ", ".join(f'"{n}": {_dtype(stage.table.type(n))}' for n in stage.table.names)
    match stage.op:
        case "collect":
            before = f'    top = {frame}.collect()["{of}"].max() or 0\n'
            value = _value(stage, f'(pl.col("{of}") - top)')
            return before, f"{frame}.select({_names(*names)}, {made}={value})"
        case "rows":
            value = _value(stage, f'row["{of}"] * {number}')
            row = f'None if row["{of}"] is None else {value}'
            before = f"    names = [{_names(*names)}]\n"
            each = f"{{**{{name: row[name] for name in names}}, '{made}': {row}}}"
            loop = f"[{each} for row in {frame}.collect().to_dicts()]"
            return before, f"pl.LazyFrame({loop}, schema={{{schema}}})"
    before = (
        "    sums = {}\n"
        f"    for row in {frame}.collect().to_dicts():\n"
        f'        place = row["id"] % {number}\n'
        f'        sums[place] = sums.get(place, 0) + (row["{of}"] or 0)\n'
    )
    made_rows = f"[{{'id': k, '{made}': {_value(stage, 'v')}}} for k, v in sums.items()]"
    return before, f"pl.LazyFrame({made_rows}, schema={{{schema}}})"


def _dtype(name: str) -> str:
    return f"pl.Enum({list(TAGS[:3])})" if name == "Enum" else f"pl.{name}"
