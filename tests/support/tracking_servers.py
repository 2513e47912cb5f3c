"""Tracking servers for tests: one in memory, and one that dies at a chosen request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import count
from typing import Any

from tidemill.core.errors import RefusedError, SendError
from tidemill.core.payload import Payload
from tidemill.ports.tracking import TrackingServer


class MemoryServer:
    """What a server of MLflow keeps, with the answers that the mirror relies on."""

    place = "http://memory"

    def __init__(self) -> None:
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        # All figures of each run; it has the newest of each name itself.
        self.metrics: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.models: dict[str, dict[str, Any]] = {}
        self.versions: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.calls: list[str] = []
        # Texts of names that are refused, as a server does whose rules are others.
        self.refused: set[str] = set()
        self._ids = count(1)

    def call(
        self, method: str, name: str, fields: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        self.calls.append(name)
        for text in self.refused:
            if text in str(fields):
                raise RefusedError(f"{text} is refused", "INVALID_PARAMETER_VALUE")
        answer = getattr(self, f"_{method}_{name}".replace("/", "_").replace("-", "_").lower())
        found: Mapping[str, Any] = answer(fields or {})
        return found

    def list_files(self, uri: str) -> Mapping[str, int | None]:
        if not uri.startswith("mlflow-artifacts:"):
            raise RefusedError(f"the server doesn't pass on what is at {uri}")
        names: dict[str, int | None] = {}
        for path, payload in self.files.items():
            if path.startswith(f"{uri}/"):
                name, slash, _ = path.removeprefix(f"{uri}/").partition("/")
                names[name] = None if slash else len(payload)
        return names

    def read_file(self, uri: str) -> bytes:
        self.calls.append("read")
        return self.files[uri]

    def write_file(self, uri: str, payload: Payload) -> None:
        self.calls.append("write")
        self.files[uri] = bytes(memoryview(payload))

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _get_experiments_get_by_name(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        found = self.experiments.get(fields["experiment_name"])
        if found is None:
            raise RefusedError("there is no such experiment", "RESOURCE_DOES_NOT_EXIST")
        return {"experiment": found}

    def _post_experiments_create(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        number = str(next(self._ids))
        self.experiments[fields["name"]] = {"experiment_id": number, "lifecycle_stage": "active"}
        return {"experiment_id": number}

    def _post_runs_create(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        number = f"run{next(self._ids):04}"
        self.runs[number] = {
            "info": {
                "run_id": number,
                "status": "RUNNING",
                "lifecycle_stage": "active",
                "artifact_uri": f"mlflow-artifacts:/1/{number}/artifacts",
            },
            "data": {"tags": [*fields["tags"]], "params": [], "metrics": []},
        }
        return {"run": self.runs[number]}

    def _post_runs_search(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        # One a page, so that all pages have to be asked for.
        found = [run for run in self.runs.values() if _fits(run["data"], fields["filter"])]
        return _page(found, "runs", fields)

    def _post_runs_update(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        self.runs[fields["run_id"]]["info"]["status"] = fields["status"]
        return {}

    def _post_runs_log_batch(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        run = fields["run_id"]
        data = self.runs[run]["data"]
        for param in fields.get("params", ()):
            had = [each["value"] for each in data["params"] if each["key"] == param["key"]]
            if had and had != [param["value"]]:
                raise RefusedError("a parameter never changes", "INVALID_PARAMETER_VALUE")
            data["params"] += [] if had else [param]
        for metric in fields.get("metrics", ()):
            place = (metric["key"], metric["timestamp"])
            # Servers of 2.x refuse one that is NaN.
            assert place not in {(one["key"], one["timestamp"]) for one in self.metrics[run]}
            self.metrics[run].append(metric)
        newest = sorted(self.metrics[run], key=lambda one: int(one["timestamp"]))
        data["metrics"] = [*{one["key"]: one for one in newest}.values()]
        for tag in fields.get("tags", ()):
            data["tags"] = [each for each in data["tags"] if each["key"] != tag["key"]] + [tag]
        return {}

    def _get_metrics_get_history(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        found = self.metrics[fields["run_id"]]
        return {"metrics": [one for one in found if one["key"] == fields["metric_key"]]}

    def _get_registered_models_search(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        found = [model for model in self.models.values() if _fits(model, fields["filter"])]
        return _page(found, "registered_models", fields)

    def _post_registered_models_create(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        if fields["name"] in self.models:
            raise RefusedError("it exists", "RESOURCE_ALREADY_EXISTS")
        model = {"name": fields["name"], "tags": [*fields["tags"]], "aliases": []}
        self.models[fields["name"]] = model
        return {"registered_model": model}

    def _post_registered_models_set_tag(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        model = self.models[fields["name"]]
        tag = {"key": fields["key"], "value": fields["value"]}
        model["tags"] = [each for each in model["tags"] if each["key"] != tag["key"]] + [tag]
        return {}

    def _get_registered_models_alias(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        aliases = self.models.get(fields["name"], {}).get("aliases", ())
        for each in aliases:
            if each["alias"] == fields["alias"]:
                return self._get_model_versions_get({**fields, "version": each["version"]})
        raise RefusedError("alias not found", "INVALID_PARAMETER_VALUE")

    def _post_registered_models_alias(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        self._delete_registered_models_alias(fields)
        alias = {"alias": fields["alias"], "version": fields["version"]}
        self.models[fields["name"]]["aliases"].append(alias)
        return {}

    def _delete_registered_models_alias(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        model = self.models[fields["name"]]
        model["aliases"] = [one for one in model["aliases"] if one["alias"] != fields["alias"]]
        return {}

    def _get_model_versions_search(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        found = [one for one in self.versions if fields["filter"] == f"name='{one['name']}'"]
        return _page(found, "model_versions", fields)

    def _get_model_versions_get(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        place = (fields["name"], fields["version"])
        found = [one for one in self.versions if (one["name"], one["version"]) == place]
        if not found:
            raise RefusedError("version not found", "RESOURCE_DOES_NOT_EXIST")
        return {"model_version": found[0]}

    def _get_model_versions_get_download_uri(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"artifact_uri": self._get_model_versions_get(fields)["model_version"]["source"]}

    def _get_runs_get(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"run": self.runs[fields["run_id"]]}

    def _post_model_versions_create(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        number = sum(one["name"] == fields["name"] for one in self.versions) + 1
        version = {**fields, "version": str(number), "tags": [*fields["tags"]]}
        self.versions.append(version)
        return {"model_version": version}

    def _post_model_versions_set_tag(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        place = (fields["name"], fields["version"])
        [found] = [one for one in self.versions if (one["name"], one["version"]) == place]
        tag = {"key": fields["key"], "value": fields["value"]}
        found["tags"] = [each for each in found["tags"] if each["key"] != tag["key"]] + [tag]
        return {}


class DyingServer:
    """A server of which the process that asks it is killed at a request: before it is sent, or after.

    `requests` counts down; nothing is answered any more after that.
    """

    def __init__(self, server: TrackingServer, requests: int, *, after: bool) -> None:
        self._server, self._left, self._after = server, requests, after
        self.place = server.place

    def call(
        self, method: str, name: str, fields: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        self._count(before=True)
        answer = self._server.call(method, name, fields)
        self._count(before=False)
        return answer

    def list_files(self, uri: str) -> Mapping[str, int | None]:
        return self._server.list_files(uri)

    def read_file(self, uri: str) -> bytes:
        return self._server.read_file(uri)

    def write_file(self, uri: str, payload: Payload) -> None:
        self._count(before=True)
        self._server.write_file(uri, payload)
        self._count(before=False)

    def close(self) -> None:
        self._server.close()

    def _count(self, *, before: bool) -> None:
        self._left -= before
        if self._left < 0 or (self._left == 0 and self._after != before):
            raise SendError("killed")


def _fits(found: Mapping[str, Any], where: str) -> bool:
    return any(where == f"tags.`{tag['key']}` = '{tag['value']}'" for tag in found["tags"])


def _page(found: list[Any], kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    first = int(fields.get("page_token", 0))
    more = {"next_page_token": str(first + 1)} if len(found) > first + 1 else {}
    return {kind: found[first : first + 1], **more}
