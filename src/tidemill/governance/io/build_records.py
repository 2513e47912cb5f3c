"""Read from the ledger how versions of models and tables were made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from tidemill.governance.in_toto import AttestedFile
from tidemill.governance.io.recorded_rulings import RecordedRulings
from tidemill.governance.provenance import (
    AttestedPartition,
    AttestedRun,
    BuildInput,
    BuildRecord,
    artifact_file_name,
    partition_file_name,
)
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import (
    Computed,
    Delivered,
    EffectQueued,
    Published,
    RecordedEvent,
    RunStarted,
    SourceSeen,
)
from tidemill.ledger.model_version import ModelVersion
from tidemill.ledger.policy import SubjectKind
from tidemill.ports.ledger import Ledger
from tidemill.reuse.input_contents import input_digest, share_columns
from tidemill.workflow.environment import Environment, history_filter
from tidemill.workflow.model import Artifact
from tidemill.workflow.source import SourceFile

_BOUND = ("Published", "Computed")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """A binding of a partition, and where and when it was recorded."""

    seq: int
    environment: str
    partition: str
    binding: Binding


@dataclass(slots=True, kw_only=True)
class BuildReader:
    """Reads the builds of a workflow; `environments` are those that exist, by name."""

    ledger: Ledger
    workflow: str
    environment: str
    environments: Mapping[str, Environment]
    redact: Callable[[str], str] = str
    _stages: dict[str, list[_Bound]] = field(default_factory=dict)
    _delivered: list[RecordedEvent] | None = None

    def of_model(self, version: ModelVersion) -> BuildRecord:
        """How a version was trained, and what was decided on it."""
        artifact = version.artifact
        trained = next(
            each
            for each in self._bound(version.model)
            if (made := each.binding.product.artifact) is not None and made.id == version.id
        )
        inputs = [
            BuildInput(
                name=name,
                files=self._trained_files(artifact, name, keys, trained.seq),
                columns=version.columns.get(name, ()),
                contract=artifact.contracts.get(name, ""),
            )
            for name, keys in sorted(artifact.trained_on.items())
        ]
        subjects = {decision.subject for decision in version.decisions}
        rulings = self._rulings()
        return BuildRecord(
            workflow=self.workflow,
            stage=version.model,
            environment=self.environment,
            run=self._run(version.run),
            inputs=(*inputs, *self._sources(artifact.trained_on, trained)),
            policy=tuple(rulings.decisions(SubjectKind.DELIVERY, version.model, subjects)),
            reviews=tuple(rulings.reviews(SubjectKind.DELIVERY, version.model, subjects)),
            redact=self.redact,
        )

    def of_table(
        self, table: str, bindings: Mapping[str, Binding]
    ) -> tuple[BuildRecord, tuple[AttestedPartition, ...]]:
        """How partitions of a table were made, and each of them."""
        last = max(bindings.values(), key=lambda held: held.at)
        seqs = {key: self._published(table, key, held) for key, held in bindings.items()}
        latest = max(seqs.values(), key=lambda each: each.seq)
        names = {name for held in bindings.values() for name in held.inputs}
        inputs = [self._table_input(name, bindings, seqs) for name in sorted(names)]
        runs = {held.run for held in bindings.values()}
        rulings = self._rulings()
        policy = tuple(rulings.decisions(SubjectKind.TABLE, table, runs=runs))
        subjects = {decision.subject for decision in policy}
        reads = {name: tuple(bindings) if name == table else () for name in {*names, table}}
        record = BuildRecord(
            workflow=self.workflow,
            stage=table,
            environment=self.environment,
            run=self._run(last.run),
            inputs=(*inputs, *self._models(bindings, seqs), *self._sources(reads, latest)),
            policy=policy,
            reviews=tuple(rulings.reviews(SubjectKind.TABLE, table, subjects)),
            redact=self.redact,
        )
        return record, tuple(_partition(table, key, held) for key, held in sorted(bindings.items()))

    def last_effect(self, table: str, objects: Collection[str], after: int) -> Effect | None:
        """The last effect that wrote one of some objects to the sink of a table."""
        found = None
        for fact in self.ledger.events(kinds=("EffectQueued",), after=after):
            event = fact.event
            if isinstance(event, EffectQueued) and event.environment == self.environment:
                effect = event.effect
                if effect.stage == table and effect.object in objects:
                    found = effect
        return found

    def _rulings(self) -> RecordedRulings:
        ours = history_filter(self.environments, self.environment)
        return RecordedRulings(ledger=self.ledger, ours=ours)

    def _bound(self, stage: str) -> list[_Bound]:
        if stage not in self._stages:
            self._stages[stage] = [
                _Bound(
                    seq=fact.seq,
                    environment=event.environment if isinstance(event, Published) else "",
                    partition=event.partition,
                    binding=event.binding,
                )
                for fact in self.ledger.events(kinds=_BOUND, stage=stage)
                if isinstance(event := fact.event, Published | Computed)
            ]
        return self._stages[stage]

    def _run(self, run: str) -> AttestedRun:
        for fact in self.ledger.events(kinds=("RunStarted",), run=run):
            if isinstance(fact.event, RunStarted):
                holder = fact.event.holder
                return AttestedRun(
                    id=run,
                    started=fact.at,
                    command=fact.event.command,
                    commit=holder.get("commit", ""),
                    changed=holder.get("changed", "") == "yes",
                )
        return AttestedRun(id=run)

    def _trained_files(
        self, artifact: Artifact, name: str, keys: Collection[str], until: int
    ) -> dict[str, str]:
        """The files of the partitions of an input, as they were when a model was trained on them."""
        known = artifact.snapshot.get(name, {})
        chosen: dict[str, Binding] = {}
        for each in self._bound(name):
            content = each.binding.product.content
            is_read = content.startswith(known.get(each.partition, content))
            # Equal content may have been stored later once more.
            is_before = each.seq < until or each.partition not in chosen
            if each.partition in keys and is_read and is_before:
                chosen[each.partition] = each.binding
        return {
            file.name: file.sha256 for key, held in chosen.items() for file in files_of(key, held)
        }

    def _published(self, stage: str, partition: str, binding: Binding) -> _Bound:
        """The event that published a binding."""
        identity = (partition, binding.run, binding.at)
        return next(
            each
            for each in reversed(self._bound(stage))
            if (each.partition, each.binding.run, each.binding.at) == identity
        )

    def _table_input(
        self, name: str, bindings: Mapping[str, Binding], seqs: Mapping[str, _Bound]
    ) -> BuildInput:
        """An input of partitions: the files that they were made from where that is proven, else digests."""
        files: dict[str, str] = {}
        columns: dict[str, None] = {}
        for key, held in sorted(bindings.items()):
            if (digest := held.inputs.get(name)) is None:
                continue
            seen = share_columns(held.seen.get(name, {}))
            columns.update(dict.fromkeys(seen or ()))
            read = self._before(name, key, seqs[key].seq)
            if read is not None and input_digest({key: read.product}, seen) == digest:
                files |= {file.name: file.sha256 for file in files_of(key, read)}
            else:
                files[key] = digest
        return BuildInput(name=name, files=files, columns=tuple(columns))

    def _models(
        self, bindings: Mapping[str, Binding], seqs: Mapping[str, _Bound]
    ) -> Iterator[BuildInput]:
        """The versions of the models that scored some partitions, by model."""
        files: dict[str, dict[str, str]] = {}
        for key, held in sorted(bindings.items()):
            artifact = self._live(held.model, seqs[key]) if held.model else None
            if artifact is not None:
                own = files.setdefault(held.model, {})
                own[artifact_file_name(artifact)] = artifact.object[:64]
        for name in sorted(files):
            yield BuildInput(name=name, files=files[name], kind="model")

    def _live(self, model: str, made: _Bound) -> Artifact | None:
        """The version of a model that was live at an event."""
        ours = history_filter(self.environments, self.environment)
        for fact in reversed(self._deliveries):
            event = fact.event
            if not isinstance(event, Delivered) or fact.seq > made.seq:
                continue
            if event.delivery.name == model and ours(event.environment, fact.seq):
                return event.delivery.artifact
        return None

    @property
    def _deliveries(self) -> list[RecordedEvent]:
        if self._delivered is None:
            self._delivered = list(self.ledger.events(kinds=("Delivered",)))
        return self._delivered

    def _before(self, stage: str, partition: str, until: int) -> Binding | None:
        """The binding of a partition that was published last before an event."""
        ours = history_filter(self.environments, self.environment)
        found = (
            each.binding
            for each in reversed(self._bound(stage))
            if each.partition == partition and each.seq < until and ours(each.environment, each.seq)
        )
        return next(found, None)

    def _sources(self, reads: Mapping[str, Collection[str]], made: _Bound) -> list[BuildInput]:
        """The files of the sources upstream, as they were known when something was made.

        Of an ingest that was read itself only the files that feed the partitions; which files of others count
        isn't recorded, so that all are listed.
        """
        waiting, seen = list(reads), set(reads)
        found: list[BuildInput] = []
        while waiting:
            name = waiting.pop()
            files, keys = self._files_seen(name, made), set(reads.get(name, ()))
            listed = {
                path: file.digest
                for path, file in files.items()
                if not keys or keys & file.rows.keys()
            }
            if listed:
                found.append(BuildInput(name=f"source of {name}", files=listed, kind="source"))
            before = [each for each in self._bound(name) if each.seq <= made.seq]
            for other in sorted(before[-1].binding.inputs) if before else ():
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return sorted(found, key=lambda item: item.name)

    def _files_seen(self, stage: str, made: _Bound) -> dict[str, SourceFile]:
        """The files of an ingest that were known at an event."""
        ours = history_filter(self.environments, made.environment or self.environment)
        found: dict[str, SourceFile] = {}
        for fact in self.ledger.events(kinds=("SourceSeen",), stage=stage):
            event = fact.event
            if not isinstance(event, SourceSeen) or fact.seq > made.seq:
                continue
            if ours(event.environment, fact.seq):
                found.update({file.path: file for file in event.files})
                for path in event.gone:
                    found.pop(path, None)
        return found


def files_of(partition: str, binding: Binding) -> tuple[AttestedFile, ...]:
    """The files of a published partition, named by it."""
    return tuple(
        AttestedFile(name=partition_file_name(partition, name, part), sha256=name[:64])
        for part, name in enumerate(binding.product.objects)
    )


def _partition(table: str, key: str, held: Binding) -> AttestedPartition:
    files = (
        AttestedFile(name=f"{table}/{file.name}", sha256=file.sha256)
        for file in files_of(key, held)
    )
    return AttestedPartition(
        key=key,
        files=tuple(files),
        run=held.run,
        at=held.at,
        rows=held.product.rows,
        contract=held.contract,
        recipe=held.recipe,
    )
