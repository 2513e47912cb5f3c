"""Find a model in what dbt wrote about a project, and say why its table isn't that of its code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from tidemill.core.errors import SourceError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass

Json: TypeAlias = Mapping[str, Any]

_KINDS = ("model", "seed", "snapshot")
# The commands that build tables; others write results, too, such as those of `dbt test` or `dbt compile`.
_BUILDING = ("build", "run", "seed", "snapshot", "retry")
_FAILED_TESTS = ("fail", "error", "runtime error")
# Options with which tables get no rows, or some.
_PARTIAL = ("empty", "sample")
# So many names are listed in a message.
_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DbtModel:
    """A model, seed or snapshot: its name for lineage, its quoted table, and the file that defines it.

    `names` are those of its table: of the database, of the schema and its own, as far as there are.
    `code` is that of a model, `checksum` the SHA-256 of a seed; "" if dbt has none. `parsed` is when dbt read
    the file (Unix seconds). `path` is "" for snapshots, and for what is defined in another package.
    """

    unique_id: str
    relation: str
    names: tuple[str, ...] = ()
    path: str = ""
    code: str = ""
    checksum: str = ""
    parsed: float = 0.0

    @property
    def label(self) -> str:
        return f"dbt {self.unique_id}"

    def is_of_file(self, text: str) -> bool:
        """Whether dbt read this text; it takes files that differ in white space for the same."""
        if self.code:
            return self.code.split() == text.split()
        forms = (text.strip(), text.replace("\r\n", "\n").strip(), " ".join(text.split()))
        return not self.checksum or self.checksum in map(_sha256, forms)


def model_of(manifest: Json, name: str) -> DbtModel:
    """The model of a name, or of a unique id; SourceError if there isn't one, or it has no table."""
    try:
        own = _own_nodes(manifest)
        node = own[_find(own, manifest, name)]
        if not node["relation_name"]:
            kind = node["config"].get("materialized", "")
            raise SourceError(f"dbt's model {name!r} is {kind}: it has no table; materialize it")
        return _as_model(node, manifest)
    except (KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"dbt's manifest isn't as expected ({error!r})") from error


def with_upstream(manifest: Json, model: DbtModel) -> tuple[DbtModel, ...]:
    """A model, and all models and seeds that it is made of."""
    own = _own_nodes(manifest)
    found, waiting = dict[str, DbtModel](), [model.unique_id]
    while waiting:
        key = waiting.pop()
        if key in own and key not in found:
            found[key] = _as_model(own[key], manifest)
            waiting += own[key].get("depends_on", {}).get("nodes", ())
    return tuple(found.values())


def _own_nodes(manifest: Json) -> Json:
    nodes: Json = manifest["nodes"]
    return {key: node for key, node in nodes.items() if node["resource_type"] in _KINDS}


def _as_model(node: Json, manifest: Json) -> DbtModel:
    defined_here = node["package_name"] == manifest["metadata"]["project_name"]
    is_seed = node["resource_type"] == "seed" and node["checksum"]["name"] == "sha256"
    has_file = defined_here and node["resource_type"] != "snapshot"
    return DbtModel(
        unique_id=node["unique_id"],
        relation=node["relation_name"] or "",
        names=tuple(filter(None, (node.get(part) for part in ("database", "schema", "alias")))),
        path=node["original_file_path"] if has_file else "",
        code=node["raw_code"] or "",
        checksum=node["checksum"]["checksum"] if is_seed else "",
        parsed=float(node["created_at"]),
    )


def refuse_unbuilt(results: Json, manifest: Json, model: DbtModel) -> None:
    """Raise SourceError if the last results of dbt don't say that a model was built of its code."""
    try:
        reasons = [*_reasons(results, manifest, model)]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"dbt's run results aren't as expected ({error!r})") from error
    if reasons:
        raise SourceError(
            f"{model.label} {reasons[0]}: `dbt build` builds it; built=False reads what is there"
        )


def _find(own: Json, manifest: Json, name: str) -> str:
    """The unique id of a model: of the latest version, if the name has none."""
    if name in own:
        return name
    base, dot, version = name.rpartition(".v")
    found = [
        key
        for key, node in own.items()
        if (node["name"] == name and node.get("version") == node.get("latest_version"))
        or (dot and node["name"] == base and str(node.get("version")) == version)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceError(f"dbt has several models {name!r}: name {' or '.join(sorted(found))}")
    disabled = (node for nodes in manifest.get("disabled", {}).values() for node in nodes)
    if any(node["name"] == name for node in disabled):
        raise SourceError(f"dbt's model {name!r} is disabled")
    names = sorted({node["name"] for node in own.values()})
    advice = did_you_mean(name, names) if names else "the project has no models"
    raise SourceError(f"dbt has no model {name!r} ({advice})")


def _reasons(results: Json, manifest: Json, model: DbtModel) -> Iterator[str]:
    command, made = results["args"].get("which"), results["metadata"]["generated_at"]
    found = {item["unique_id"]: item["status"] for item in results["results"]}
    if command not in _BUILDING or model.unique_id not in found:
        yield f"wasn't built by the last command of dbt (`dbt {command}`, {made})"
        return
    if found[model.unique_id] != "success":
        yield f"wasn't built: its status is {found[model.unique_id]!r} ({made})"
    if flags := [flag for flag in _PARTIAL if results["args"].get(flag)]:
        yield f"was built with --{flags[0]} ({made})"
    for each in with_upstream(manifest, model):
        if each.parsed > datetime.fromisoformat(made).timestamp():
            what = "" if each.unique_id == model.unique_id else f"reads {each.unique_id}, which "
            yield f"{what}was parsed again after it was built ({made})"
    failed = [key for key in _tests_of(manifest, model) if found.get(key) in _FAILED_TESTS]
    if failed:
        more = f" and {len(failed) - _LISTED} more" if len(failed) > _LISTED else ""
        yield f"failed {', '.join(failed[:_LISTED])}{more} ({made})"


def _tests_of(manifest: Json, model: DbtModel) -> list[str]:
    return sorted(
        key
        for key, node in manifest["nodes"].items()
        if node["resource_type"] == "test" and model.unique_id in node["depends_on"]["nodes"]
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
