"""Read from the ledger how versions of models and tables were made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import field
from functools import partial

from tidemill.core.lazy_dataclass import dataclass
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
from tidemill.ports.ledger import Ledger, State
from tidemill.reuse.input_contents import input_digest, share_columns
from tidemill.workflow.environment import history_filter
from tidemill.workflow.model import Artifact
from tidemill.workflow.source import SourceFile

_BOUND = ("Published", "Computed")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """A recorded binding of a partition; `environment` is empty if it wasn't published."""

    environment: str
    partition: str
    binding: Binding


@dataclass(slots=True, kw_only=True)
class BuildReader:
    """Reads how versions of models and tables were made, in the environment of a state.

    Times tell what was known when. What a build read is proven by the digests that it recorded of its inputs,
    so that a partition that was published later is never taken for the one that was read.
    """

    ledger: Ledger
    workflow: str
    state: State
    redact: Callable[[str], str] = str
    _histories: dict[str, dict[str, list[_Bound]]] = field(default_factory=dict)
    _delivered: list[RecordedEvent] | None = None

    def of_model(self, version: ModelVersion) -> BuildRecord:
        """How a version was trained, and what was decided on it."""
        artifact = version.artifact
        trained = next(
            each
            for bound in self._history(version.model).values()
            for each in bound
            if (made := each.binding.product.artifact) is not None and made.id == version.id
        )
        until = trained.binding.at
        inputs = [
            BuildInput(
                name=name,
                files=self._trained_files(artifact, name, keys, until),
                columns=version.columns.get(name, ()),
                contract=artifact.contracts.get(name, ""),
            )
            for name, keys in sorted(artifact.trained_on.items())
        ]
        sources = self._sources(artifact.trained_on, until, trained.environment)
        subjects = {decision.subject for decision in version.decisions}
        rulings = self._rulings()
        return BuildRecord(
            workflow=self.workflow,
            stage=version.model,
            environment=self.state.environment,
            run=self._run(version.run),
            inputs=(*inputs, *sources),
            policy=tuple(rulings.decisions(SubjectKind.DELIVERY, version.model, subjects)),
            reviews=tuple(rulings.reviews(SubjectKind.DELIVERY, version.model, subjects)),
            redact=self.redact,
        )

    def of_table(
        self, table: str, bindings: Mapping[str, Binding]
    ) -> tuple[BuildRecord, tuple[AttestedPartition, ...]]:
        """How partitions of a table were made, and each of them."""
        last = max(bindings.values(), key=lambda held: held.at)
        # Of what was compacted, only the names of inputs are left.
        names = {
            name for held in bindings.values() for name, digest in held.inputs.items() if digest
        }
        inputs = [self._table_input(name, bindings) for name in sorted(names)]
        reads = {name: tuple(bindings) if name == table else () for name in {*names, table}}
        sources = self._sources(reads, last.at, self.state.environment)
        runs = {held.run for held in bindings.values()}
        rulings = self._rulings()
        policy = tuple(rulings.decisions(SubjectKind.TABLE, table, runs=runs))
        subjects = {decision.subject for decision in policy}
        record = BuildRecord(
            workflow=self.workflow,
            stage=table,
            environment=self.state.environment,
            run=self._run(last.run),
            inputs=(*inputs, *self._models(bindings), *sources),
            policy=policy,
            reviews=tuple(rulings.reviews(SubjectKind.TABLE, table, subjects)),
            redact=self.redact,
        )
        return record, tuple(_partition(table, key, held) for key, held in sorted(bindings.items()))

    def last_effect(self, table: str, objects: Collection[str], after: int) -> Effect | None:
        """The last effect, after an event, that wrote one of some objects to the sink of a table."""
        found = None
        for fact in self.ledger.events(kinds=("EffectQueued",), after=after):
            event = fact.event
            if isinstance(event, EffectQueued) and event.environment == self.state.environment:
                effect = event.effect
                if effect.stage == table and effect.object in objects:
                    found = effect
        return found

    def _ours(self, environment: str = "") -> Callable[[str, int], bool]:
        return history_filter(self.state.environments, environment or self.state.environment)

    def _rulings(self) -> RecordedRulings:
        return RecordedRulings(ledger=self.ledger, ours=self._ours())

    def _history(self, stage: str) -> dict[str, list[_Bound]]:
        """Every binding of a stage that was ever recorded, by partition, oldest first."""
        if stage not in self._histories:
            found = self._histories[stage] = dict[str, list[_Bound]]()
            for fact in self.ledger.events(kinds=_BOUND, stage=stage):
                event = fact.event
                if isinstance(event, Published | Computed):
                    environment = event.environment if isinstance(event, Published) else ""
                    bound = _Bound(
                        environment=environment, partition=event.partition, binding=event.binding
                    )
                    found.setdefault(event.partition, []).append(bound)
        return self._histories[stage]

    def _find(
        self, stage: str, partition: str, until: float, fits: Callable[[Binding], bool]
    ) -> Binding | None:
        """The binding of a partition that was read at a time, which `fits` what was recorded of it."""
        held = self._partitions(stage).get(partition)
        if held is not None and held.at <= until and fits(held):
            return held
        fitting = [
            each.binding for each in self._history(stage).get(partition, ()) if fits(each.binding)
        ]
        before = [binding for binding in fitting if binding.at <= until]
        # Equal content may have been stored later once more.
        return before[-1] if before else next(iter(fitting), None)

    def _partitions(self, stage: str) -> Mapping[str, Binding]:
        head = self.state.heads.get(stage)
        return head.partitions if head is not None else {}

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
        self, artifact: Artifact, name: str, keys: Collection[str], until: float
    ) -> dict[str, str]:
        """The files of the partitions of an input, as they were when a model was trained on them."""
        known, files = artifact.snapshot.get(name, {}), dict[str, str]()
        for key in sorted(keys):
            content = known.get(key, "")
            held = self._find(name, key, until, partial(_has_content, content))
            if held is not None:
                files |= {file.name: file.sha256 for file in files_of(key, held)}
        return files

    def _table_input(self, name: str, bindings: Mapping[str, Binding]) -> BuildInput:
        """An input of partitions: the files that they were made from where that is proven, else digests."""
        files: dict[str, str] = {}
        columns: dict[str, None] = {}
        for key, held in sorted(bindings.items()):
            if not (digest := held.inputs.get(name)):
                continue
            seen = share_columns(held.seen.get(name, {}))
            columns.update(dict.fromkeys(seen or ()))
            read = self._find(name, key, held.at, partial(_is_whole_input, key, seen, digest))
            if read is not None:
                files |= {file.name: file.sha256 for file in files_of(key, read)}
            else:
                files[key] = digest
        return BuildInput(name=name, files=files, columns=tuple(columns))

    def _models(self, bindings: Mapping[str, Binding]) -> Iterator[BuildInput]:
        """The versions of the models that scored some partitions, by model."""
        files: dict[str, dict[str, str]] = {}
        for _, held in sorted(bindings.items()):
            artifact = self._live(held.model, held.at) if held.model else None
            if artifact is not None:
                own = files.setdefault(held.model, {})
                own[artifact_file_name(artifact)] = artifact.object[:64]
        for name in sorted(files):
            yield BuildInput(name=name, files=files[name], kind="model")

    def _live(self, model: str, at: float) -> Artifact | None:
        """The version of a model that was live at a time."""
        if self._delivered is None:
            self._delivered = list(self.ledger.events(kinds=("Delivered",)))
        ours = self._ours()
        for fact in reversed(self._delivered):
            event = fact.event
            if isinstance(event, Delivered) and ours(event.environment, fact.seq):
                delivery = event.delivery
                if delivery.name == model and delivery.at <= at:
                    return delivery.artifact
        return None

    def _sources(
        self, reads: Mapping[str, Collection[str]], until: float, environment: str
    ) -> list[BuildInput]:
        """The files of the sources upstream, as they were known at a time.

        Of an ingest that was read itself only the files that feed the partitions; which files of others count
        isn't recorded, so that all are listed.
        """
        waiting, seen = sorted(reads), set(reads)
        found: list[BuildInput] = []
        while waiting:
            name = waiting.pop()
            files, keys = self._files_seen(name, until, environment), set(reads.get(name, ()))
            listed = {
                path: file.digest
                for path, file in files.items()
                if not keys or keys & file.rows.keys()
            }
            if listed:
                found.append(BuildInput(name=f"source of {name}", files=listed, kind="source"))
            others = self._inputs_of(name, until) - seen
            seen |= others
            waiting += sorted(others)
        return sorted(found, key=lambda item: item.name)

    def _inputs_of(self, stage: str, until: float) -> set[str]:
        """The inputs of a stage at a time."""
        partitions = self._partitions(stage)
        held = partitions[key] if (key := next(iter(partitions), None)) is not None else None
        if held is None or held.at > until:
            history = [each.binding for bound in self._history(stage).values() for each in bound]
            before = [binding for binding in history if binding.at <= until]
            held = max(before, key=lambda binding: binding.at, default=None)
        return set(held.inputs) if held is not None else set()

    def _files_seen(self, stage: str, until: float, environment: str) -> dict[str, SourceFile]:
        """The files of an ingest that were known at a time in an environment."""
        ours = self._ours(environment)
        found: dict[str, SourceFile] = {}
        for fact in self.ledger.events(kinds=("SourceSeen",), stage=stage):
            event = fact.event
            if isinstance(event, SourceSeen) and fact.at <= until:
                if not ours(event.environment, fact.seq):
                    continue
                found.update({file.path: file for file in event.files})
                for path in event.gone:
                    found.pop(path, None)
        return found


def _has_content(prefix: str, read: Binding) -> bool:
    """Whether the digest of a partition's content begins with a recorded prefix."""
    return read.product.content.startswith(prefix)


def _is_whole_input(
    partition: str, columns: Collection[str] | None, digest: str, read: Binding
) -> bool:
    """Whether a partition alone is what a step read of an input, by the digest that it recorded."""
    return input_digest({partition: read.product}, columns) == digest


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
