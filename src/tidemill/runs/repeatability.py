"""Choose partitions to run twice, and compare the results of the two runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.lineage.upstream import Upstream
from tidemill.reuse.recipe import Recipe
from tidemill.reuse.step_key import key_for
from tidemill.workflow.partition_mapping import output_partitions, partitionings_of
from tidemill.workflow.stage import Flow, Kind, Stage

# Partitions of stages.
Sample: TypeAlias = Mapping[str, tuple[str, ...]]

_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunOutput:
    """The output of a step: its number of rows and the hash of every column; or its error."""

    rows: int = 0
    columns: Mapping[str, str]
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The comparison of two runs of sampled partitions of a stage.

    `differ` are columns that differed between the runs, `otherwise` columns that were the same in both but
    not as published under the same key; `where` are the partitions with such columns. `failed` are the
    errors of steps that failed.
    """

    stage: str
    partitions: tuple[str, ...]
    differ: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def choose_sample(upstream: Upstream, count: int) -> Sample:
    """Choose up to `count` partitions, first to last, of each transform whose inputs are published.

    Impure stages are left out: their output is declared to differ.
    """
    flow = upstream.flow
    keys = {name: upstream.readable_partitions(name) for name in flow.names}
    found: dict[str, tuple[str, ...]] = {}
    for stage in flow.stages:
        if stage.kind is not Kind.TRANSFORM or stage.impure is not None:
            continue
        needed = {item.name for item in stage.frames if not item.optional}
        ready = [
            partition
            for partition in output_partitions(stage, partitionings_of(flow), keys)
            if needed <= set(upstream.partitions_read(stage, partition))
        ]
        if ready:
            found[stage.name] = _spread(ready, count)
    return found


def _spread(keys: Sequence[str], count: int) -> tuple[str, ...]:
    """Choose keys at equal distances, the first and the last among them; if only one, the last."""
    if len(keys) <= count:
        return tuple(keys)
    last = len(keys) - 1
    return tuple(keys[n * last // (count - 1)] for n in range(count)) if count > 1 else (keys[-1],)


def compare_runs(
    upstream: Upstream,
    recipes: Mapping[str, Recipe],
    stage: Stage,
    first: Mapping[str, RerunOutput],
    second: Mapping[str, RerunOutput],
) -> Comparison:
    """Compare two runs of some partitions with each other and with what is published."""
    differ: dict[str, None] = {}
    otherwise: dict[str, None] = {}
    where: dict[str, None] = {}
    failed: dict[str, None] = {}
    for partition, one in first.items():
        other = second[partition]
        errors = [gave.error for gave in (one, other) if gave.error]
        if errors:
            failed.update(dict.fromkeys(errors))
            continue
        unequal = _unequal(one.columns, other.columns)
        held = _published(upstream, recipes[stage.name], stage, partition)
        changed = [
            name for name in _unequal(one.columns, held or one.columns) if name not in unequal
        ]
        differ.update(dict.fromkeys(unequal))
        otherwise.update(dict.fromkeys(changed))
        where.update(dict.fromkeys([partition] if unequal or changed else []))
    return Comparison(
        stage=stage.name,
        partitions=tuple(first),
        differ=tuple(differ),
        otherwise=tuple(name for name in otherwise if name not in differ),
        where=tuple(where),
        failed=tuple(failed),
    )


def _unequal(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def _published(
    upstream: Upstream, recipe: Recipe, stage: Stage, partition: str
) -> Mapping[str, str] | None:
    """The published columns of a partition if its key is the one that the step has now, else None."""
    held = upstream.bindings(stage.name).get(partition)
    inputs = {
        item.name: upstream.products(
            item.name, upstream.partitions_read(stage, partition).get(item.name, ())
        )
        for item in stage.frames
    }
    if held is None or key_for(recipe, partition, inputs).key != held.key:
        return None
    return held.product.columns


def describe_difference(found: Comparison, *, keyed: bool) -> str:
    """Describe how a stage's runs differed; empty if they didn't."""
    places = f"{', '.join(found.where[:_NAMED])}{', ...' if len(found.where) > _NAMED else ''}"
    differences = []
    if found.differ:
        differences.append(f"{', '.join(found.differ)} differed in the second run")
    if found.otherwise:
        differences.append(
            f"{', '.join(found.otherwise)} came out the same in both runs, but not as published"
        )
    if not differences:
        return ""
    order = "" if keyed else "; without a key in its contract the order of its rows counts too"
    return f"{found.stage}: {'; '.join(differences)} ({places}); what is published stays{order}"


def describe_differences(flow: Flow, found: Sequence[Comparison]) -> Iterator[str]:
    """Describe the stages whose runs differed or failed."""
    if not found:
        yield "nothing was run twice: no transform has all of its inputs published"
    for item in found:
        output = flow[item.stage].output
        note = describe_difference(item, keyed=output is not None and bool(output.key))
        yield from filter(None, (note, *item.failed))
