"""What changed on the data side: which partitions of ingests, transforms and deliveries aren't current."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tidemill.decide.contents import Content, Expected
from tidemill.decide.draft import (
    Draft,
    Scan,
    asked_again,
    reads_of,
    reasons_for,
    selected,
)
from tidemill.decide.mapping import outputs, seen_whole, visible
from tidemill.decide.reuse import Inputs, expected, key_for, reuse_of
from tidemill.domain.binding import Binding
from tidemill.domain.partition import UNPLACED, WHOLE, fits, placed
from tidemill.domain.plan import Action, Step, Waiting
from tidemill.domain.stage import Stage

FILES = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    partition: str
    inputs: Inputs
    key: str | None
    reasons: tuple[str, ...]
    forced: bool
    held: Binding | None = None
    unlikely: bool = False
    expected: Expected | None = None
    rows: int = 0
    bytes: int = 0


def plan_ingest(draft: Draft, stage: Stage, scan: Scan) -> None:
    """Every partition that a file feeds, from `start` on; what no file feeds any more is removed."""
    wanted: dict[str, dict[str, Content]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    skipped = 0
    for path in sorted(scan.files):
        file = scan.files[path]
        for key, rows in file.rows.items():
            if stage.start and key not in (UNPLACED, WHOLE) and key < stage.start:
                skipped += rows
                continue
            wanted.setdefault(key, {})[path] = file.digest
            known = sizes.get(key, (0, 0))
            sizes[key] = (
                known[0] + rows,
                known[1] + file.size * rows // max(1, sum(file.rows.values())),
            )
    if skipped:
        draft.notes.append(
            f"{stage.name}: rows before its start {stage.start} are left out: {skipped}"
        )
    draft.notes.extend(f"{stage.name}: {note}" for note in scan.notes)
    kept = _fed_by_broken(draft, stage, scan, wanted)
    for key in sorted(scan.held - kept):
        reason = "a file that feeds it can't be read"
        draft.waiting.append(Waiting(stage=stage.name, partition=key, reason=reason))
    held = kept | scan.held
    inputs = {key: {FILES: files} for key, files in sorted(wanted.items()) if key not in held}
    plan_data(draft, stage, inputs, kept=kept, sizes=sizes)


def _fed_by_broken(
    draft: Draft, stage: Stage, scan: Scan, wanted: Mapping[str, object]
) -> frozenset[str]:
    """While a file can't be read it isn't known what it feeds, so nothing that was published goes."""
    if not scan.broken:
        return frozenset()
    return frozenset(
        key
        for key in draft.bound(stage.name)
        if (key not in wanted or key in scan.held) and fits(key, draft.cuts[stage.name])
    )


def plan_transform(draft: Draft, stage: Stage) -> None:
    """Every partition that its inputs allow; those with a missing input wait."""
    available = {item.name: placed(draft.contents[item.name]) for item in stage.frames}
    if stage.partitioning.is_whole:
        wanted = _whole(draft, stage, available)
    else:
        wanted = {}
        for partition in outputs(stage, draft.cuts, available):
            inputs = _inputs(draft, stage, partition, available)
            if inputs is not None:
                wanted[partition] = inputs
    plan_data(draft, stage, wanted)


def _whole(draft: Draft, stage: Stage, available: Mapping[str, list[str]]) -> dict[str, Inputs]:
    seen = seen_whole(stage, draft.cuts, available)
    missing = [i.name for i in stage.frames if i.name not in seen and not i.optional]
    if missing:
        _wait(draft, stage, WHOLE, missing[0])
        return {}
    return {
        WHOLE: {name: {k: draft.contents[name][k] for k in keys} for name, keys in seen.items()}
    }


def _inputs(
    draft: Draft, stage: Stage, partition: str, available: Mapping[str, list[str]]
) -> Inputs | None:
    cut = stage.partitioning
    found: dict[str, dict[str, Content]] = {}
    for item in stage.frames:
        seen = visible(item, partition, cut, draft.cuts[item.name], available[item.name])
        if seen is None and not item.optional:
            _wait(draft, stage, partition, item.name)
            return None
        contents = draft.contents[item.name]
        found[item.name] = {key: contents[key] for key in seen or ()}
    return found


def _wait(draft: Draft, stage: Stage, partition: str, missing: str) -> None:
    own = "" if partition == WHOLE else f" {partition}"
    reason = f"{missing} has no partition{own} yet"
    draft.waiting.append(Waiting(stage=stage.name, partition=partition, reason=reason))


def plan_delivery(draft: Draft, stage: Stage, gated: str | None) -> None:
    """Every partition of the features, once; scored by the model that is live when the step runs.

    `gated` is the rank of the gate that this plan holds for the model, if it does.
    """
    source = stage.inputs[0].name
    wanted = {
        key: {source: {key: draft.contents[source][key]}} for key in placed(draft.contents[source])
    }
    if stage.model not in draft.now.live and gated is None:
        if wanted:
            reason = f"{stage.model} has no approved model yet"
            draft.waiting.append(Waiting(stage=stage.name, partition="", reason=reason))
        draft.contents[stage.name] = {}
        return
    plan_data(draft, stage, wanted, action=Action.DELIVER, after=gated or "")


def plan_data(
    draft: Draft,
    stage: Stage,
    wanted: Mapping[str, Inputs],
    *,
    kept: frozenset[str] = frozenset(),
    sizes: Mapping[str, tuple[int, int]] | None = None,
    action: Action = Action.RUN,
    after: str = "",
) -> None:
    """Compare what a stage should hold with what it holds, and draft the steps between."""
    bound = draft.bound(stage.name)
    contents: dict[str, Content] = {key: bound[key].product for key in kept}
    pending: list[_Pending] = []
    for partition, inputs in wanted.items():
        binding = bound.get(partition)
        found = _judge(draft, stage, partition, inputs, binding)
        if found is None and binding is not None:
            contents[partition] = binding.product
        elif found is not None and _asked(draft, stage, partition, len(pending)):
            pending.append(_sized(draft, found, (sizes or {}).get(partition)))
        elif binding is not None:
            contents[partition] = binding.product
    for partition in sorted(set(bound) - set(wanted) - kept):
        if selected(draft.request, partition, draft.cuts[stage.name]):
            step = Step(
                stage=stage.name,
                partition=partition,
                action=Action.REMOVE,
                reasons=("its input is gone",),
            )
            draft.add(step)
        else:
            contents[partition] = bound[partition].product
    draft.current[stage.name] = len(contents)
    _draft_steps(draft, stage, pending, contents, action, after)
    draft.contents[stage.name] = contents


def _judge(
    draft: Draft, stage: Stage, partition: str, inputs: Inputs, binding: Binding | None
) -> _Pending | None:
    """None when the partition is current, else why it isn't."""
    recipe = draft.recipes[stage.name]
    handed = key_for(recipe, partition, inputs)
    same = binding is not None and handed.key == binding.key
    forced = asked_again(draft, stage) or bool(recipe.unproven) or not _fresh(draft, stage, binding)
    recheck = unlikely = False
    if binding is not None and same and not forced:
        taken = reuse_of(binding, recipe)
        if taken is Action.BIND and not draft.lost(binding):
            return None
        recheck = taken is Action.RECHECK and not draft.lost(binding)
        forced = not recheck
    elif binding is not None and handed.key is None and not forced:
        hoped = key_for(recipe, partition, inputs, hopeful=True)
        unlikely = hoped.key == binding.key and reuse_of(binding, recipe) is Action.BIND
    return _Pending(
        partition=partition,
        inputs=inputs,
        key=None if forced else handed.key,
        reasons=reasons_for(draft, stage, binding, inputs, handed),
        forced=forced,
        held=binding if recheck else None,
        unlikely=unlikely,
        expected=None if forced or recheck else _expected(draft, stage, inputs, binding, unlikely),
    )


def _expected(
    draft: Draft, stage: Stage, inputs: Inputs, binding: Binding | None, unlikely: bool
) -> Expected | None:
    if unlikely and binding is not None:
        product = binding.product
        return Expected(product=product, columns=frozenset(product.columns))
    old = draft.now.recipes.get(stage.name, {})
    return expected(draft.recipes[stage.name], old, binding, inputs)


def _fresh(draft: Draft, stage: Stage, binding: Binding | None) -> bool:
    """Whether a result of an impure stage is young enough to stand; that of any other always is."""
    if stage.impure is None:
        return True
    return binding is not None and stage.impure.stands(binding.at, draft.now.at)


def _asked(draft: Draft, stage: Stage, partition: str, taken: int) -> bool:
    request = draft.request
    if request.limit is not None and taken >= request.limit:
        return False
    return selected(request, partition, draft.cuts[stage.name])


def _sized(draft: Draft, found: _Pending, size: tuple[int, int] | None) -> _Pending:
    if size is None:
        products = [
            binding.product
            for name, contents in found.inputs.items()
            for key in contents
            if (binding := draft.bound(name).get(key)) is not None
        ]
        size = (sum(p.rows for p in products), sum(p.bytes for p in products))
    return replace(found, rows=size[0], bytes=size[1])


def _draft_steps(
    draft: Draft,
    stage: Stage,
    pending: list[_Pending],
    contents: dict[str, Content],
    action: Action,
    after: str,
) -> None:
    keys = [item.key for item in pending if item.key is not None and item.held is None]
    traces = draft.known(keys) if keys and action is Action.RUN else {}
    for item in pending:
        found = item.held or (traces.get(item.key) if item.key is not None else None)
        taken = _taken(draft, stage, found)
        known = found is not None and taken is not Action.RUN
        contents[item.partition] = found.product if found is not None and known else item.expected
        step = Step(
            stage=stage.name,
            partition=item.partition,
            action=taken if known else action,
            reasons=item.reasons,
            reads=reads_of(item.inputs),
            forced=item.forced,
            unlikely=item.unlikely,
            rows=item.rows,
            bytes=item.bytes,
        )
        draft.add(step, after=(after,))


def _taken(draft: Draft, stage: Stage, found: Binding | None) -> Action:
    if found is None or draft.lost(found):
        return Action.RUN
    return reuse_of(found, draft.recipes[stage.name])
