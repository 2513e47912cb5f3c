"""Bring a server of MLflow to where the ledger is: what is missing there is made, what differs is changed.

Nothing is remembered of what was sent: what the server has decides, as it names it in tags that are part of
each request that makes something. So an answer that was lost, a process that was killed and a second mirror
make nothing twice, and what a server didn't get is made up for by the next time. What people deleted there
stays deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import zip_longest
from typing import Any, TypeAlias

from tidemill.core.errors import RefusedError, StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.payload import Payload
from tidemill.models.mlflow.mirrored_version import (
    MODEL,
    OWNER,
    VERSION,
    MirroredMetric,
    MirroredModel,
    MirroredVersion,
)
from tidemill.models.mlflow.model_folder import describe_flavor, model_file
from tidemill.ports.tracking import TrackingServer
from tidemill.workflow.model import Artifact

# What one request may have of each: its limit is a thousand figures, a hundred tags, and 1 MB.
_FIGURES, _TEXTS = 500, 25
_PAGE = 1_000
_ABSENT = "RESOURCE_DOES_NOT_EXIST"
_ALIASES, _REGISTERED = "tidemill.aliases", "tidemill.registered"

Json: TypeAlias = Mapping[str, Any]
Load: TypeAlias = Callable[[Artifact], Payload]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorReport:
    """How many versions were made and changed on the server, how many aliases moved, and what went wrong."""

    made: int = 0
    changed: int = 0
    moved: int = 0
    faults: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Counts:
    made: int = 0
    changed: int = 0
    moved: int = 0
    faults: list[str] = field(default_factory=list)


class MlflowMirror:
    """Mirrors models to one server, their runs in one experiment, with their files if `load` gets them.

    What the server refuses of a version is a fault, which keeps no other version back. SendError if the
    server is away: what was done until then stays, and counts.
    """

    def __init__(self, server: TrackingServer, experiment: str, load: Load | None = None) -> None:
        self._server, self._experiment, self._load = server, experiment, load
        self._counts = _Counts()

    @property
    def report(self) -> MirrorReport:
        """What was done so far."""
        counts = self._counts
        return MirrorReport(
            made=counts.made,
            changed=counts.changed,
            moved=counts.moved,
            faults=tuple(counts.faults),
        )

    def mirror(self, models: Sequence[MirroredModel]) -> None:
        """Mirror models; those without a version have nothing to show."""
        filled = [model for model in models if model.versions]
        if not filled:
            return
        experiment = _find_experiment(self._server, self._experiment)
        for model in filled:
            try:
                _ModelMirror(self._server, experiment, model, self._load, self._counts).mirror()
            except RefusedError as error:
                self._counts.faults.append(f"{model.model}: {error}")


def _find_experiment(server: TrackingServer, name: str) -> str:
    """The id of an experiment, which is created if there is none; RefusedError for one that was deleted."""
    try:
        found = server.call("GET", "experiments/get-by-name", {"experiment_name": name})
    except RefusedError as error:
        if error.code != _ABSENT:
            raise
        return str(server.call("POST", "experiments/create", {"name": name})["experiment_id"])
    experiment = found["experiment"]
    number = str(experiment["experiment_id"])
    if experiment.get("lifecycle_stage") == "deleted":
        raise RefusedError(
            f"the experiment {name!r} was deleted: restore it (mlflow experiments restore -x {number}), or "
            "name another in [tool.tidemill.mlflow] experiment"
        )
    return number


class _ModelMirror:
    """Mirrors one model, as the server has it at its first look."""

    def __init__(
        self,
        server: TrackingServer,
        experiment: str,
        model: MirroredModel,
        load: Load | None,
        counts: _Counts,
    ) -> None:
        self._server, self._experiment, self._model = server, experiment, model
        self._load, self._counts = load, counts
        self._filter = f"tags.`{OWNER}` = '{model.owner}'"
        self._done = f"tidemill.mirrored.{model.environment}"
        # The registered model, whatever its name is there by now.
        found = self._pages("GET", "registered-models/search", "registered_models", self._filter)
        self._registered = next(found, None)
        self._known = dict(self._find_versions())

    def mirror(self) -> None:
        runs = {_tags(run["data"]).get(VERSION, ""): run for run in self._runs()}
        registered = {id for id, run in runs.items() if _REGISTERED in _tags(run["data"])}
        if self._registered is None and {each.id for each in self._model.versions} - registered:
            self._registered = self._register_model()
        for version in self._model.versions:
            try:
                self._mirror_version(version, runs.get(version.id))
            except RefusedError as error:
                self._counts.faults.append(f"{self._model.model} {version.id}: {error}")
        if self._registered is not None:
            self._move_aliases(self._registered)

    def _find_versions(self) -> Iterator[tuple[str, Json]]:
        if self._registered is not None:
            where, kind = f"name='{self._registered['name']}'", "model_versions"
            for found in self._pages("GET", "model-versions/search", kind, where):
                yield _tags(found).get(VERSION, ""), found

    def _register_model(self) -> Json:
        name = self._model.name
        tags = _pairs({OWNER: self._model.owner, MODEL: self._model.model})
        fields = {"name": name, "tags": tags}
        try:
            made = self._server.call("POST", "registered-models/create", fields)
        except RefusedError as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
            raise RefusedError(
                f"the server has a model {name!r} that isn't this one: rename it there, or set another "
                "prefix in [tool.tidemill.mlflow]"
            ) from None
        return dict(made["registered_model"])

    def _runs(self) -> Iterator[Json]:
        """The runs of the model's versions, deleted ones as well; of equal ones the first one last."""
        fields = {"experiment_ids": [self._experiment], "run_view_type": "ALL"}
        found = [*self._pages("POST", "runs/search", "runs", self._filter, fields)]
        return iter(sorted(found, key=lambda run: str(run["info"]["run_id"]), reverse=True))

    def _pages(
        self, method: str, name: str, kind: str, where: str, fields: Json | None = None
    ) -> Iterator[Json]:
        token = ""
        while True:
            page = {**(fields or {}), "filter": where, "max_results": _PAGE}
            found = self._server.call(
                method, name, {**page, "page_token": token} if token else page
            )
            yield from found.get(kind, ())
            token = str(found.get("next_page_token") or "")
            if not token:
                return

    def _mirror_version(self, version: MirroredVersion, run: Json | None) -> None:
        if run is not None and run["info"].get("lifecycle_stage") == "deleted":
            return
        tags = _tags(run["data"]) if run is not None else {}
        if tags.get(self._done) == version.digest:
            return
        run = run or self._create_run(version)
        self._log(run, version)
        self._update_version(version, run, is_new=_REGISTERED not in tags)
        marks = {_REGISTERED: "yes", self._done: version.digest}
        self._log_batch(str(run["info"]["run_id"]), {"tags": _pairs(marks)})
        if tags:
            self._counts.changed += 1
        else:
            self._counts.made += 1

    def _create_run(self, version: MirroredVersion) -> Json:
        tags = {**version.run_tags, OWNER: self._model.owner, VERSION: version.id}
        fields = {
            "experiment_id": self._experiment,
            "run_name": f"{self._model.model} {version.id}",
            "start_time": version.started,
            "tags": _pairs(tags),
        }
        return dict(self._server.call("POST", "runs/create", fields)["run"])

    def _log(self, run: Json, version: MirroredVersion) -> None:
        """Log what a run doesn't have; its parameters never change there, and figures are kept once each."""
        number = str(run["info"]["run_id"])
        had = {each["key"] for each in run["data"].get("params", ())}
        new = {name: text for name, text in version.parameters.items() if name not in had}
        figures = [
            {"key": one.name, "value": one.value, "timestamp": one.at, "step": 0}
            for one in self._missing_figures(run, version)
        ]
        portions = zip_longest(
            _portions(_pairs(new), _TEXTS), _portions(figures, _FIGURES), fillvalue=()
        )
        for some, some_figures in portions:
            self._log_batch(number, {"params": some, "metrics": some_figures})
        if run["info"].get("status") != "FINISHED":
            fields = {"run_id": number, "status": "FINISHED", "end_time": version.ended}
            self._server.call("POST", "runs/update", fields)

    def _missing_figures(self, run: Json, version: MirroredVersion) -> list[MirroredMetric]:
        """The figures that a run doesn't have: old servers refuse one that is NaN and is sent again.

        A run is listed with the newest figure of each name; the others are asked for where there are any.
        """
        newest = {str(one["key"]): int(one["timestamp"]) for one in run["data"].get("metrics", ())}
        known = set(newest.items())
        for name in {one.name for one in version.metrics if one.at < newest.get(one.name, 0)}:
            fields = {"run_id": run["info"]["run_id"], "metric_key": name}
            found = self._server.call("GET", "metrics/get-history", fields)
            known |= {(name, int(one["timestamp"])) for one in found.get("metrics", ())}
        return [one for one in dict.fromkeys(version.metrics) if (one.name, one.at) not in known]

    def _log_batch(self, run: str, fields: Json) -> None:
        self._server.call("POST", "runs/log-batch", {"run_id": run, **fields})

    def _update_version(self, version: MirroredVersion, run: Json, *, is_new: bool) -> None:
        """Register a version, or set the tags that differ; one that was deleted there stays so."""
        found = self._known.get(version.id)
        if found is None:
            if is_new:
                self._known[version.id] = self._register(version, run)
            return
        had, place = _tags(found), {"name": found["name"], "version": found["version"]}
        for key, text in version.version_tags.items():
            if had.get(key) != text:
                fields = {**place, "key": key, "value": text}
                self._server.call("POST", "model-versions/set-tag", fields)

    def _register(self, version: MirroredVersion, run: Json) -> Json:
        assert self._registered is not None, "it is registered before its versions"
        tags = {**version.version_tags, OWNER: self._model.owner, VERSION: version.id}
        fields = {
            "name": self._registered["name"],
            "source": self._upload(version, run) or version.source,
            "run_id": run["info"]["run_id"],
            "tags": _pairs(tags),
        }
        return dict(self._server.call("POST", "model-versions/create", fields)["model_version"])

    def _upload(self, version: MirroredVersion, run: Json) -> str:
        """Upload the files of a version, and return where they are; "" if they stay here."""
        if self._load is None:
            return ""
        folder = f"{run['info'].get('artifact_uri', '')}/model"
        try:
            payload = self._load(version.artifact)
            self._server.write_file(f"{folder}/{model_file(version.artifact)}", payload)
            if flavor := describe_flavor(version.artifact):
                self._server.write_file(f"{folder}/MLmodel", flavor.encode())
        # Such as an object that a sweep removed, or a place to which only the server can write.
        except (StorageError, RefusedError) as error:
            self._counts.faults.append(
                f"{self._model.model} {version.id} is registered without its files: {error}"
            )
            return ""
        return folder

    def _move_aliases(self, registered: Json) -> None:
        """Give the alias to the live version, and take away those that Tidemill gave and nothing needs.

        A live version that isn't there has none: an alias on another version would be wrong.
        """
        model, name, call = self._model, registered["name"], self._server.call
        at = {str(each["alias"]): str(each["version"]) for each in registered.get("aliases", ())}
        ours = set(_tags(registered).get(_ALIASES, "").split())
        number = str(self._known.get(model.live, {}).get("version", ""))
        wanted = ours & model.aliases - {model.alias} | ({model.alias} if number else set())
        # First what is ours is recorded: who is interrupted here still knows what to take away.
        self._tag_model(name, ours, ours | wanted)
        if number and at.get(model.alias) != number:
            fields = {"name": name, "alias": model.alias, "version": number}
            call("POST", "registered-models/alias", fields)
            self._counts.moved += 1
        for alias in sorted((ours - wanted) & {*at}):
            call("DELETE", "registered-models/alias", {"name": name, "alias": alias})
            self._counts.moved += 1
        self._tag_model(name, ours | wanted, wanted)

    def _tag_model(self, name: str, before: set[str], aliases: set[str]) -> None:
        if aliases == before:
            return
        fields = {"name": name, "key": _ALIASES, "value": " ".join(sorted(aliases))}
        self._server.call("POST", "registered-models/set-tag", fields)


def _portions(items: Sequence[Json], most: int) -> Iterator[Sequence[Json]]:
    for first in range(0, len(items), most):
        yield items[first : first + most]


def _tags(found: Json) -> dict[str, str]:
    return {str(tag["key"]): str(tag.get("value", "")) for tag in found.get("tags", ())}


def _pairs(texts: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": text} for key, text in texts.items()]
