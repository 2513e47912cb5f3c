"""Plan ingests, transforms and deliveries: find the partitions that aren't current."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED, WHOLE, is_valid_key, readable_keys, summarize_keys
from tidemill.ledger.binding import Binding, find_bindings
from tidemill.ledger.run import Action
from tidemill.planning.completion import is_unchanged, suspect_partitions
from tidemill.planning.draft import (
    Draft,
    former_model,
    is_before_start,
    is_outdated_for,
    is_rerun_requested,
    reads_of,
    reasons_for,
    size_of,
)
from tidemill.planning.missing_rows import hold_missing
from tidemill.planning.plan import Step, Waiting
from tidemill.planning.request import is_selected
from tidemill.quarantine.ruling_input import pending_rulings, with_rulings
from tidemill.reuse.input_contents import RULINGS, Content, ExpectedContent, OverlaidContents
from tidemill.reuse.step_key import ExpectedColumns, Inputs, key_for, reuse_action
from tidemill.sources.scan import Scan, partitions_with_changed_files
from tidemill.workflow.partition_mapping import (
    output_partitions,
    visible_partitions,
    visible_to_unpartitioned,
)
from tidemill.workflow.stage import Input, Stage

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
    expected: ExpectedContent | None = None


def plan_ingest(draft: Draft, stage: Stage, scan: Scan) -> None:
    """Plan every partition with rows in a file, from `start` on, and remove partitions without any."""
    draft.source_nouns[stage.name] = scan.noun
    _note_skipped_rows(draft, stage, scan)
    draft.notes.extend(f"{stage.name}: {note}" for note in scan.notes)
    missing = hold_missing(draft, stage, scan)
    if stage.name in draft.blocked:
        return
    within = None
    if is_unchanged(draft, stage) and not scan.broken and not scan.kept_partitions:
        within = partitions_with_changed_files(draft.facts.sources.get(stage.name, {}), scan.files)
        if not within:
            _keep_all(draft, stage)
            return
    wanted, sizes = _files_by_partition(stage, scan, within)
    kept = _kept_partitions(draft, stage, scan, wanted)
    for key in sorted(scan.kept_partitions - kept):
        reason = "one of its source files can't be read"
        draft.waiting.append(Waiting(stage=stage.name, partition=key, reason=reason))
    kept |= missing
    held = kept | scan.kept_partitions
    inputs = {key: {FILES: files} for key, files in sorted(wanted.items()) if key not in held}
    plan_data(draft, stage, inputs, within=within, kept=kept, sizes=sizes)


def _note_skipped_rows(draft: Draft, stage: Stage, scan: Scan) -> None:
    if not stage.start:
        return
    skipped = sum(
        rows
        for file in scan.files.values()
        for key, rows in file.rows.items()
        if is_before_start(stage, key)
    )
    if skipped:
        draft.notes.append(
            f"{stage.name}: skipped {skipped} row{'s' * (skipped != 1)} before its start {stage.start}"
        )


def _files_by_partition(
    stage: Stage, scan: Scan, within: frozenset[str] | None
) -> tuple[dict[str, dict[str, Content]], dict[str, tuple[int, int]]]:
    """The files with rows of each partition, and its size in rows and bytes."""
    wanted: dict[str, dict[str, Content]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for path in sorted(scan.files):
        file = scan.files[path]
        keys = file.rows if within is None else within.intersection(file.rows)
        whole = max(1, sum(file.rows.values())) if keys else 1
        for key in keys:
            if is_before_start(stage, key):
                continue
            wanted.setdefault(key, {})[path] = file.content(key)
            known, rows = sizes.get(key, (0, 0)), file.rows[key]
            sizes[key] = (known[0] + rows, known[1] + file.size * rows // whole)
    return wanted, sizes


def _kept_partitions(
    draft: Draft, stage: Stage, scan: Scan, wanted: Mapping[str, object]
) -> frozenset[str]:
    """The published partitions to keep while a file can't be read, because it may have their rows."""
    if not scan.broken:
        return frozenset()
    return frozenset(
        key
        for key in draft.bindings(stage.name)
        if (key not in wanted or key in scan.kept_partitions)
        and is_valid_key(key, draft.partitionings[stage.name])
    )


def plan_transform(draft: Draft, stage: Stage) -> None:
    """Plan every partition that the inputs allow; partitions with a missing input wait."""
    within = suspect_partitions(draft, stage)
    if within is not None and not within:
        _keep_all(draft, stage)
        return
    available = {item.name: _available(draft, item, within) for item in stage.frames}
    if stage.partitioning.is_whole:
        wanted = _whole(draft, stage, available)
    else:
        wanted = {}
        for partition in output_partitions(stage, draft.partitionings, available):
            inputs = _inputs(draft, stage, partition, available)
            if inputs is not None:
                wanted[partition] = inputs
    plan_data(draft, stage, wanted, within=within)


def _available(draft: Draft, item: Input, within: frozenset[str] | None) -> list[str]:
    """The partitions of an input that may be read, limited to those `within` unless it is None."""
    contents = draft.contents[item.name]
    if within is None:
        return readable_keys(contents)
    keys = (WHOLE,) if draft.partitionings[item.name].is_whole else within
    return sorted(key for key in keys if key in contents)


def _keep_all(draft: Draft, stage: Stage) -> None:
    """Keep all partitions of a stage, which is current."""
    draft.contents[stage.name] = OverlaidContents(draft.bindings(stage.name))
    draft.current[stage.name] = draft.facts.marks[stage.name].partitions


def _whole(draft: Draft, stage: Stage, available: Mapping[str, list[str]]) -> dict[str, Inputs]:
    seen = visible_to_unpartitioned(stage, draft.partitionings, available)
    missing = [i.name for i in stage.frames if i.name not in seen and not i.optional]
    if missing:
        _add_waiting(draft, stage, WHOLE, missing[0])
        return {}
    return {WHOLE: {name: draft.contents_of(name, keys) for name, keys in seen.items()}}


def _inputs(
    draft: Draft, stage: Stage, partition: str, available: Mapping[str, list[str]]
) -> Inputs | None:
    cut = draft.partitionings[stage.name]
    found: dict[str, dict[str, Content]] = {}
    for item in stage.frames:
        seen = visible_partitions(
            item, partition, cut, draft.partitionings[item.name], available[item.name]
        )
        if seen is None and not item.optional:
            _add_waiting(draft, stage, partition, item.name)
            return None
        contents = draft.contents[item.name]
        found[item.name] = {key: contents[key] for key in seen or ()}
    return found


def _add_waiting(draft: Draft, stage: Stage, partition: str, missing: str) -> None:
    own = "" if partition == WHOLE else f" {partition}"
    reason = f"upstream `{missing}` has no partition{own} yet"
    draft.waiting.append(Waiting(stage=stage.name, partition=partition, reason=reason))


def plan_delivery(draft: Draft, stage: Stage, gate_rank: str | None) -> None:
    """Plan a delivery of every partition of a stage; a model, if it has one, scores them when they run.

    A table that is rescored also reads the live version: another one changes the key of its steps.
    `gate_rank` is the rank of the gate step for the model, None if the plan has none.
    """
    source = stage.inputs[0].name
    contents = draft.contents[source]
    if stage.model and stage.model not in draft.facts.live and gate_rank is None:
        if any(key != UNPLACED for key in contents):
            reason = f"model `{stage.model}` has no approved version yet"
            draft.waiting.append(Waiting(stage=stage.name, partition="", reason=reason))
        draft.contents[stage.name] = {}
        draft.incomplete.add(stage.name)
        return
    rescored = stage.on_new_model == "rescore"
    # Which version will be live isn't known before the gates have decided.
    undecided = (rescored or stage.exclude_training) and gate_rank is not None
    if stage.exclude_training and undecided:
        draft.incomplete.add(stage.name)
    early, trained = _left_out(draft, stage, undecided=gate_rank is not None)
    left_out = early | trained
    within = None if undecided else suspect_partitions(draft, stage)
    if within is not None and not within:
        _keep_all(draft, stage)
        return
    keys = _available(draft, stage.inputs[0], within)
    read = draft.contents_of(source, [key for key in keys if key not in left_out])
    wanted: dict[str, Inputs] = {key: {source: {key: held}} for key, held in read.items()}
    sizes = {key: size_of(draft, read) for key, read in wanted.items()} if rescored else None
    if rescored:
        version = None if gate_rank is not None else draft.facts.live[stage.model].artifact.content
        wanted = {key: {**read, stage.model: {WHOLE: version}} for key, read in wanted.items()}
    plan_data(
        draft,
        stage,
        wanted,
        within=within,
        kept=trained.intersection(keys).intersection(draft.bindings(stage.name)),
        sizes=sizes,
        action=Action.DELIVER,
        after=gate_rank or "",
    )


def _left_out(
    draft: Draft, stage: Stage, *, undecided: bool
) -> tuple[frozenset[str], frozenset[str]]:
    """The partitions that a table leaves out, with a note: before its start, and those of the training.

    The live model was trained on these, or a candidate that is `undecided`, which may become live. Those
    that were delivered by an earlier model, which hadn't seen them, stay as they are.
    """
    if not stage.start and not stage.exclude_training:
        return frozenset(), frozenset()
    source = stage.inputs[0].name
    keys = readable_keys(draft.contents[source])
    early = frozenset(key for key in keys if is_before_start(stage, key))
    if early:
        count = plural(len(early), "partition")
        draft.notes.append(f"{stage.name}: left out {count} before its start {stage.start}")
    if not stage.exclude_training:
        return early, frozenset()
    live = draft.facts.live.get(stage.model)
    candidate = draft.candidates.get(stage.model) if undecided else None
    artifacts = [*([live.artifact] if live else []), *([candidate] if candidate else [])]
    seen = {key for artifact in artifacts for key in artifact.trained_on.get(source, ())}
    for _, _, step in draft.steps:
        if undecided and step.stage == stage.model:
            seen.update(step.reads.get(source, ()))
    trained = frozenset(seen.intersection(keys)) - early
    if new := trained.difference(draft.bindings(stage.name)):
        draft.notes.append(
            f"{stage.name}: left out {summarize_keys(new)}, which {stage.model} was trained on "
            "(exclude_training)"
        )
    return early, trained


def plan_data(  # noqa: PLR0913 - what is known of a stage, in keywords
    draft: Draft,
    stage: Stage,
    wanted: Mapping[str, Inputs],
    *,
    within: frozenset[str] | None = None,
    kept: frozenset[str] = frozenset(),
    sizes: Mapping[str, tuple[int, int]] | None = None,
    action: Action = Action.RUN,
    after: str = "",
) -> None:
    """Compare the wanted partitions of a stage with its bindings, and draft the steps to get there.

    If `within` is given, all other partitions are known to be current.
    """
    bound = _bindings(draft, stage, within)
    contents: dict[str, Content] = {key: bound[key].product for key in kept}
    pending: list[_Pending] = []
    rulings = draft.facts.rulings.get(stage.name, {})
    expected = ExpectedColumns(draft.recipes[stage.name], draft.facts.recipes.get(stage.name, {}))
    absent = next((name for name in sorted(stage.refers.values()) if not draft.contents[name]), "")
    for partition, read in wanted.items():
        binding, inputs = bound.get(partition), with_rulings(read, rulings.get(partition, ()))
        found = _judge(draft, stage, partition, inputs, binding, expected)
        if found is not None and absent:
            reason = f"referenced table `{absent}` is not published yet"
            draft.waiting.append(Waiting(stage=stage.name, partition=partition, reason=reason))
        elif found is not None and _is_requested(draft, stage, partition, len(pending)):
            pending.append(found)
            continue
        if binding is not None:
            contents[partition] = binding.product
        if found is not None:
            draft.incomplete.add(stage.name)
    for partition in sorted(set(bound) - set(wanted) - kept):
        if is_selected(draft.request, partition, draft.partitionings[stage.name]):
            step = Step(
                stage=stage.name,
                partition=partition,
                action=Action.REMOVE,
                reasons=(
                    f"it is before the start {stage.start}"
                    if is_before_start(stage, partition)
                    else "its input was removed",
                ),
            )
            draft.add(step)
        else:
            contents[partition] = bound[partition].product
            draft.incomplete.add(stage.name)
    draft.current[stage.name] = len(contents)
    if within is not None:
        draft.current[stage.name] += draft.facts.marks[stage.name].partitions - len(bound)
    _draft_steps(draft, stage, pending, contents, sizes or {}, action, after)
    whole = draft.bindings(stage.name)
    draft.contents[stage.name] = (
        contents if within is None else OverlaidContents(whole, within, contents)
    )


def _bindings(draft: Draft, stage: Stage, within: frozenset[str] | None) -> dict[str, Binding]:
    """The bindings of the partitions `within`, or of all."""
    bound = draft.bindings(stage.name)
    if within is None:
        return dict(bound.items())
    return find_bindings(bound, sorted(within))


def _judge(
    draft: Draft,
    stage: Stage,
    partition: str,
    inputs: Inputs,
    binding: Binding | None,
    expected: ExpectedColumns,
) -> _Pending | None:
    """Return None if the partition is current, else the step that it needs and the reasons."""
    recipe = draft.recipes[stage.name]
    handed = key_for(recipe, partition, inputs)
    same = binding is not None and handed.key == binding.key
    forced = (
        (is_rerun_requested(draft, stage) and is_outdated_for(draft, binding))
        or (binding is not None and former_model(stage, binding) != "")
        or bool(recipe.unproven)
        or not _is_fresh(draft, stage, binding)
    )
    recheck = unlikely = False
    hoped = handed
    ruled = _pending_rulings(draft, stage, partition, binding)
    if binding is not None and same and not forced:
        taken = reuse_action(binding, recipe, partition=partition)
        if taken is Action.BIND and not draft.is_missing(binding):
            return None
        recheck = taken is Action.RECHECK and not draft.is_missing(binding)
        forced = not recheck
    elif binding is not None and handed.key is None and not forced:
        hoped = key_for(recipe, partition, inputs, include_expected=True)
        again = reuse_action(binding, recipe, partition=partition)
        unlikely = hoped.key == binding.key and again is Action.BIND
    columns = frozenset[str]()
    if binding is not None and not forced and not recheck and not ruled:
        columns = frozenset(binding.product.columns) if unlikely else expected.find(binding, hoped)
    return _Pending(
        partition=partition,
        inputs=inputs,
        key=None if forced else handed.key,
        reasons=reasons_for(draft, stage, binding, inputs, handed, ruled=ruled),
        forced=forced,
        held=binding if recheck else None,
        unlikely=unlikely,
        expected=None
        if binding is None
        else ExpectedContent(product=binding.product, columns=columns),
    )


def _pending_rulings(
    draft: Draft, stage: Stage, partition: str, binding: Binding | None
) -> tuple[str, ...]:
    """Describe the rulings that a partition wasn't computed with."""
    rulings = draft.facts.rulings.get(stage.name, {}).get(partition, ())
    if binding is None or not rulings:
        return ()
    return pending_rulings(rulings, binding.inputs.get(RULINGS))


def _is_fresh(draft: Draft, stage: Stage, binding: Binding | None) -> bool:
    """Whether a result of an impure stage is recent enough; results of other stages always are."""
    if stage.impure is None:
        return True
    return binding is not None and stage.impure.is_valid(binding.at, draft.facts.at)


def _is_requested(draft: Draft, stage: Stage, partition: str, taken: int) -> bool:
    request = draft.request
    if request.limit is not None and taken >= request.limit:
        return False
    if request.holds(stage.name, partition):
        return False
    return is_selected(request, partition, draft.partitionings[stage.name])


def _draft_steps(
    draft: Draft,
    stage: Stage,
    pending: list[_Pending],
    contents: dict[str, Content],
    sizes: Mapping[str, tuple[int, int]],
    action: Action,
    after: str,
) -> None:
    keys = [item.key for item in pending if item.key is not None and item.held is None]
    traces = draft.lookup(keys) if keys and action is Action.RUN else {}
    # A table with references is checked after all steps of the tables that it refers to.
    referred = {rank for name in stage.refers.values() for rank in draft.ranks[name].values()}
    for item in pending:
        found = item.held or (traces.get(item.key) if item.key is not None else None)
        own = item.held is not None
        taken = _reuse_action(draft, stage, item.partition, found, own=own)
        known = found is not None and taken is not Action.RUN
        contents[item.partition] = found.product if found is not None and known else item.expected
        rows, bytes_ = sizes.get(item.partition) or size_of(draft, item.inputs)
        step = Step(
            stage=stage.name,
            partition=item.partition,
            action=taken if known else action,
            reasons=item.reasons,
            reads=reads_of(item.inputs),
            forced=item.forced,
            unlikely=item.unlikely,
            rows=rows,
            bytes=bytes_,
        )
        draft.add(step, after=(after, *referred))


def _reuse_action(
    draft: Draft, stage: Stage, partition: str, found: Binding | None, *, own: bool
) -> Action:
    if found is None or draft.is_missing(found):
        return Action.RUN
    return reuse_action(found, draft.recipes[stage.name], partition=partition, own=own)
