"""The versions of one model: load, compare, export them, and move what is live."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from math import isfinite
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, overload

import polars as pl

from tidemill.adapters.files.disk import storage_error
from tidemill.core.errors import UsageError
from tidemill.core.partition import readable_keys
from tidemill.history.model_comparison import compare_versions
from tidemill.history.model_versions import KINDS, VersionFacts
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.event_filter import EVERYTHING, EventFilter, about
from tidemill.ledger.event_subjects import (
    changed_subject,
    model_subject,
    review_subject,
    training_subject,
)
from tidemill.ledger.governance_events import ReviewOpened
from tidemill.ledger.model_version import (
    Latency,
    LivePeriod,
    ModelVersion,
    Moved,
    VersionComparison,
    VersionState,
)
from tidemill.ledger.policy import SubjectKind
from tidemill.models.input_compatibility import TrainedInputs, trained_inputs
from tidemill.models.live_moves import LIVE_VERSION, NEWEST, find_version
from tidemill.models.version_notebook import versions_html
from tidemill.ports.ledger import Ledger
from tidemill.project.live_models import LiveModels, current_artifact
from tidemill.project.loaded_model import LoadedModel, load_model
from tidemill.project.model_bom import ModelBom, bom_of
from tidemill.project.model_cards import ModelCard
from tidemill.project.removals import removed_versions
from tidemill.project.workspace import Workspace
from tidemill.store.published import read_rows
from tidemill.workflow.environment import history_filter
from tidemill.workflow.stage import Kind, Stage

MANIFEST = "manifest.json"
# Predictions are timed on up to so many rows, and so often.
_ROWS, _TURNS = 1_000, 15
# They are read from at most so many partitions.
_PARTITIONS = 40


class RegisteredModel:
    """A model by name: its versions, what was live when, and predictions of any of them."""

    def __init__(self, workspace: Workspace, stage: Stage) -> None:
        self._workspace = workspace
        self._stage = stage

    def __repr__(self) -> str:
        return f"<RegisteredModel {self.name} in {self._workspace.environment}>"

    def _repr_html_(self) -> str:
        """Render a row per version, for notebooks."""
        return versions_html(f"model {self.name} in {self._workspace.environment}", self.versions)

    @property
    def name(self) -> str:
        """The name of the model's stage."""
        return self._stage.name

    @property
    def versions(self) -> tuple[ModelVersion, ...]:
        """All versions in the history of the environment, the one that was trained last first."""
        space, noted = self._workspace, self._noted(KINDS)
        bound = space.read_state(lambda now: _bindings(now.heads.get(self.name)))
        candidate = next((held.product.artifact for held in bound if held.product.artifact), None)
        live = space.state().live.get(self.name)
        found = self._facts(noted).versions(live.artifact if live else None, candidate)
        removed = removed_versions(space, self.name, noted)
        return tuple(replace(each, removed=removed.get(each.id)) for each in found)

    @property
    def history(self) -> tuple[LivePeriod, ...]:
        """The periods in which versions were live, by whom and why, in every environment, in order."""
        return self._facts(self._noted(("Decided",))).live_periods()

    def version(self, version: str = "") -> ModelVersion:
        """The version with a unique prefix of its id, or "live" or "newest" (the one trained last).

        By default it is the live one, else the newest. UsageError lists the versions there are.
        """
        known = {found.id: found for found in self.versions}
        if version == NEWEST and known:
            return next(iter(known.values()))
        if version not in ("", LIVE_VERSION) or not known:
            return known[find_version(self.name, version, known)]
        live = (found for found in known.values() if found.state is VersionState.LIVE)
        return next(live, next(iter(known.values())))

    def load(self, version: str = "", *, candidate: bool = False) -> LoadedModel:
        """Load a version that predicts: by default the live one, with `candidate` the one trained last.

        A model without gates has no live one: the last is loaded.
        """
        artifact = (
            self.version(version).artifact
            if version
            else current_artifact(self._workspace, self.name, candidate=candidate)
        )
        return load_model(self._workspace, artifact)

    @overload
    def predict(self, features: pl.DataFrame) -> pl.DataFrame: ...
    @overload
    def predict(self, features: pl.LazyFrame) -> pl.LazyFrame: ...
    def predict(self, features: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame | pl.LazyFrame:
        """Add the predictions of the live version to a frame; see `LoadedModel.predict`."""
        return self.load().predict(features)

    def compare(
        self, one: str = "", other: str = "", *, latency: bool = False
    ) -> VersionComparison:
        """Compare the version `other` with `one`; with `latency` also how long they take to predict now.

        By default `other` is the newest, and `one` the live one; if that is the same, the one that it
        replaced. UsageError if there is only one.
        """
        second = self.version(other or NEWEST)
        facts = compare_versions(self.version(one or self._rival(second)), second)
        return self._with_latency(facts) if latency else facts

    def _rival(self, version: ModelVersion) -> str:
        """The live version; if that is `version`, the one that it replaced."""
        live = self.version()
        if live.id != version.id:
            return live.id
        known = {found.id for found in self.versions}
        for period in reversed(self.history):
            if period.version == live.id and period.replaced in known:
                return period.replaced
        raise UsageError(
            f"{live.id} is the only version of {self.name} that was live; name two versions "
            f"to compare (`tidemill models list {self.name}`)"
        )

    def card(self, version: str = "") -> ModelCard:
        """The model card of a version, chosen as by `version`: Markdown from recorded facts only."""
        return ModelCard(self.version(version), self._workspace)

    def bom(self, version: str = "") -> ModelBom:
        """The bill of materials of a version, chosen as by `version`: a CycloneDX document."""
        return bom_of(self.version(version), self._workspace)

    def deliver(self, version: str, *, reason: str = "", note: str = "") -> Moved:
        """Make an approved version live; see `LiveModels.deliver`."""
        return LiveModels(self._workspace).deliver(self.name, version, reason=reason, note=note)

    def rollback(self, *, to: str | None = None, reason: str = "", note: str = "") -> Moved:
        """Make the version live that was live before, or the version `to`; see `LiveModels.rollback`."""
        return LiveModels(self._workspace).rollback(self.name, to=to, reason=reason, note=note)

    def export(self, folder: str | Path, version: str = "") -> Path:
        """Write a version to a folder, in the format of its library, with golden rows and a manifest in JSON.

        The folder is created. Returns the path of the manifest. UsageError if the folder has other files of
        these names; StorageError if the stored model is missing or damaged.
        """
        found, target = self.version(version), Path(folder)
        artifact, artifacts = found.artifact, self._workspace.tools.artifacts
        payloads = {
            f"{self.name}-{found.id}{Path(artifact.object).suffix}": artifacts.get(artifact.object)
        }
        if artifact.golden:
            payloads[f"golden{Path(artifact.golden).suffix}"] = artifacts.get(artifact.golden)
        text = json.dumps(
            _manifest(found, payloads), indent=2, ensure_ascii=False, default=_as_json
        )
        payloads[MANIFEST] = text.encode() + b"\n"
        try:
            target.mkdir(parents=True, exist_ok=True)
            for name, payload in payloads.items():
                _write_new(target / name, payload)
        except OSError as error:
            raise storage_error(error, str(target)) from error
        return target / MANIFEST

    def _noted(self, kinds: Collection[str]) -> list[RecordedEvent]:
        return _events_of(self._workspace.tools.ledger, self.name, self._evaluations(), kinds)

    def _evaluations(self) -> list[str]:
        readers = self._workspace.flow.readers(self.name)
        return [reader.name for reader in readers if reader.kind is Kind.EVALUATE]

    def _facts(self, noted: Iterable[RecordedEvent]) -> VersionFacts:
        state = self._workspace.state()
        facts = VersionFacts(
            model=self.name,
            evaluations=self._evaluations(),
            ours=history_filter(state.environments, state.environment),
        )
        for fact in noted:
            facts.note(fact)
        return facts

    def _with_latency(self, facts: VersionComparison) -> VersionComparison:
        versions = {facts.one.id: facts.one, facts.other.id: facts.other}.values()
        timed: dict[str, tuple[LoadedModel, pl.DataFrame]] = {}
        notes = [*facts.notes]
        for version in versions:
            rows = self._recent_rows(version)
            if rows is None:
                notes.append(f"{version.id}: no published rows have its inputs, so it isn't timed")
            else:
                timed[version.id] = load_model(self._workspace, version.artifact), rows
        return replace(facts, latency=_measure(timed), notes=tuple(notes))

    def _recent_rows(self, version: ModelVersion) -> pl.DataFrame | None:
        """The first rows of the newest partition of an input that has the columns of a version."""
        space, wanted = self._workspace, set(version.artifact.inputs)
        for item in self._stage.frames:
            if item.contract is None or not wanted <= set(item.contract.names):
                continue
            found, many = list[pl.DataFrame](), 0
            for key in reversed(readable_keys(space.bindings(item.name))):
                found.append(self._read(item.name, key))
                many += found[-1].height
                if many >= _ROWS or len(found) == _PARTITIONS:
                    break
            if many:
                return pl.concat(found, how="vertical_relaxed").head(_ROWS)
        return None

    def _read(self, stage: str, key: str) -> pl.DataFrame:
        space = self._workspace
        found = space.read_state(lambda now: read_rows(space.tools, space.flow[stage], now, key))
        return found.head(_ROWS).collect()


def _events_of(
    ledger: Ledger, model: str, evaluations: Sequence[str], own: Collection[str]
) -> list[RecordedEvent]:
    """What tells about a model, oldest first: of its stages only the `own` kinds, its deliveries and reviews.

    Other stages publish by the thousand.
    """
    found: dict[int, RecordedEvent] = {}

    def add(kinds: Collection[str], where: EventFilter = EVERYTHING, stage: str = "") -> None:
        facts = ledger.events(kinds=kinds, where=where, stage=stage)
        found.update((fact.seq, fact) for fact in facts)

    for name in (model, *evaluations):
        add(own, stage=name)
    add(("Attempted",), about(training_subject(model)))
    add(("Delivered",), about(model_subject(model)))
    for kind in SubjectKind:
        add(("ReviewOpened",), about(changed_subject(kind, model)))
    opened = [fact.event for fact in found.values() if isinstance(fact.event, ReviewOpened)]
    if reviews := tuple(review_subject(event.review.id) for event in opened):
        add(("Voted",), EventFilter(among=reviews))
    return [found[seq] for seq in sorted(found)]


def _bindings(head: Any) -> Sequence[Binding]:
    return list(head.partitions.values()) if head is not None else []


def _measure(timed: Mapping[str, tuple[LoadedModel, pl.DataFrame]]) -> dict[str, Latency]:
    """Time the predictions of versions in turns, so that a busy moment meets all of them."""
    ones: dict[str, list[float]] = {name: [] for name in timed}
    batches: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(_TURNS + 1):
        for name, (model, rows) in timed.items():
            one, batch = _seconds(model, rows.head(1)), _seconds(model, rows)
            if turn:  # the first predictions also prepare the library
                ones[name].append(one)
                batches[name].append(batch)
    return {
        name: Latency(one_row_s=median(ones[name]), batch_s=median(batches[name]), rows=rows.height)
        for name, (_, rows) in timed.items()
    }


def _seconds(model: LoadedModel, rows: pl.DataFrame) -> float:
    begun = perf_counter()
    model.predict(rows)
    return perf_counter() - begun


def _manifest(version: ModelVersion, payloads: dict[str, bytes]) -> dict[str, Any]:
    """What another program needs to use an exported model, and where it came from."""
    artifact = version.artifact
    inputs = trained_inputs(artifact)
    return {
        "schema": "tidemill.model/1",
        "model": version.model,
        "version": version.id,
        "format": artifact.format,
        "files": {
            name: {"sha256": hashlib.sha256(payload).hexdigest(), "bytes": len(payload)}
            for name, payload in payloads.items()
        },
        "inputs": [_input(name, inputs) for name in artifact.inputs],
        "output": artifact.output,
        "encodings": artifact.encodings,
        "classes": list(artifact.class_labels),
        "contract": inputs.contract.title if inputs is not None else "",
        "parameters": json.loads(artifact.params),
        "seed": artifact.seed,
        "trained_on": artifact.trained_on,
        "rows": artifact.rows,
        "recipe": artifact.recipe,
        "parent": artifact.parent.id if artifact.parent is not None else "",
        "generation": artifact.generation,
        "packages": artifact.packages,
        "hardware": artifact.hardware,
        "metrics": {
            # JSON has no NaN.
            stage: {n: value if isfinite(value) else None for n, value in each.metrics.items()}
            for stage, each in version.latest_scores().items()
        },
        "state": str(version.state),
        "run": version.run,
        "trained_at": version.trained_at,
    }


def _input(name: str, inputs: TrainedInputs | None) -> dict[str, Any]:
    """A column that a model reads, with what its contract says of it; only its name if that isn't known."""
    if inputs is None:
        return {"name": name}
    column = inputs.contract.column(name)
    terms = {"unit": column.unit, "min": column.min, "max": column.max}
    known = {key: value for key, value in terms.items() if value not in (None, "")}
    return {"name": name, "type": str(column.dtype), "nullable": column.nullable, **known}


def _as_json(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def _write_new(path: Path, payload: bytes) -> None:
    """Write a file whole; one with the same content stays, another one is an error."""
    if path.exists():
        if path.read_bytes() == payload:
            return
        raise UsageError(f"{path} exists already: export to another folder, or remove it")
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(payload)
    part.replace(path)
