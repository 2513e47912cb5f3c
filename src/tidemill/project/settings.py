"""Read the settings of a project from `[tool.tidemill]` in pyproject.toml, and load its workflow."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.toml_text import TomlError, check_values, parse_toml
from tidemill.core.units import parse_bytes
from tidemill.governance.roles import Grants
from tidemill.ledger.access_token import TOKEN_VARIABLE
from tidemill.ledger.price import Price, PriceBook
from tidemill.project.fresh_imports import import_afresh
from tidemill.project.home_settings import parse_home
from tidemill.project.settings_table import SettingsTable, tables_of
from tidemill.project.store_urls import parse_store_url
from tidemill.workflow.environment import RunProfile
from tidemill.workflow.profile_settings import BUILT_IN, parse_profiles
from tidemill.workflow.workflow import Workflow

if TYPE_CHECKING:
    from tidemill.costs.budget import BudgetSettings
    from tidemill.governance.attest_settings import AttestSettings
    from tidemill.governance.audit_settings import AuditSettings
    from tidemill.governance.notify_settings import NotifySettings
    from tidemill.governance.oidc_settings import OidcSettings
    from tidemill.ledger.retention_settings import RetentionSettings
    from tidemill.offpeak.offpeak_settings import OffPeakSettings
    from tidemill.operations.alert_settings import AlertSettings
    from tidemill.operations.console_settings import ConsoleSettings
    from tidemill.operations.ledger_settings import LedgerSettings
    from tidemill.operations.metrics_settings import MetricsSettings
    from tidemill.operations.objective_settings import Objective
    from tidemill.operations.up_settings import UpSettings
    from tidemill.project.cluster_settings import ClusterSettings
    from tidemill.project.mlflow_settings import MlflowSettings
    from tidemill.project.openlineage_settings import OpenLineageSettings
    from tidemill.project.slurm_settings import SlurmSettings
    from tidemill.scorecard.scorecard_settings import ScorecardSettings
    from tidemill.serving.serve_settings import ServeSettings

# The characters of the shortest secret that is masked.
_LEAST_SECRET = 5
# Fields that are derived from what is set.
_NOT_SET = {"root", "grants", "home_url", "tables"}
# Tables of the settings that don't stand for themselves.
_TABLES = ("profiles", "roles", "groups", "trusted", "schedules", "prices")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`workflow` is `module:name`; `home` holds the state; a CPU hour costs `cpu_hour` of `currency`.

    If machines share the state, it is in the database at `home_url`, and the folder `home` has what this one
    keeps of it.

    An hour of a gigabyte of memory costs `memory_gb_hour`. `prices`, if there are any, take the place of
    these: ask `price_book`. `serve` are the settings of servers, `attest` those of attestations,
    `openlineage` those of events of lineage, `mlflow` those of the mirror in MLflow, `metrics` those of
    metrics; `slo` are the objectives of stages and endpoints.

    Runs use up to `workers` processes (0: one per CPU), which end after `idle` seconds without work, and
    `gpus` devices. The memory caps of active stages add up to at most `memory`, such as "16GB". Results
    of memos are stored in the folder `memo` (default: in `home`), which projects may share. Objects are
    stored at the URL `artifacts` (default: in `home`), with copies of up to `artifacts_cache`. Steps run on
    a Ray cluster or Slurm, if `executor` says so, as `ray` or `slurm` says, or else here. `profiles` are
    the run profiles by name. The values of the environment variables `secrets` are masked wherever
    text is recorded or shown. `model_formats` are formats of the project's own, each `module:Class`;
    `allow_pickle` stores models with pickle that no format accepts. Members of the
    group `home_group` share the home. `grants` are the roles of people, `trusted` are those
    whose results count, by environment, `oidc` is the identity provider at
    which they log in, `notify` says who is notified of reviews, `alerts` who is alerted of incidents.

    `budget` says how much may be spent before deferrable work stops. `retention` says how long data is kept.
    `audit` says which checkpoints of the ledger are made, `ledger` when its events are compacted, `up` what
    `tidemill up` does and when, `scorecard` which targets the four numbers have. `schedules` are the tables
    of schedules as they are: who uses them finds all faults at once, and others aren't disturbed.
    """

    root: Path
    workflow: str
    home: str = ".tidemill"
    home_url: str = ""
    cpu_hour: float = 0.0
    currency: str = "USD"
    workers: int = 0
    idle: float = 2.0
    gpus: int = 0
    memory: str = ""
    memo: str = ""
    artifacts: str = ""
    artifacts_cache: str = "20GB"
    profiles: Mapping[str, RunProfile] = field(default_factory=lambda: BUILT_IN)
    secrets: Sequence[str] = ()
    model_formats: Sequence[str] = ()
    allow_pickle: bool = False
    memory_gb_hour: float = 0.0
    prices: tuple[Price, ...] = ()
    schedules: Mapping[str, Any] = field(default_factory=dict)
    grants: Grants = field(default_factory=Grants)
    trusted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    home_group: str = ""
    executor: str = ""
    tables: Mapping[str, Any] = field(default_factory=dict)

    budget: ClassVar[SettingsTable[BudgetSettings]] = SettingsTable(
        "costs.budget_settings:parse_budget_settings", "costs.budget:BudgetSettings"
    )
    retention: ClassVar[SettingsTable[RetentionSettings]] = SettingsTable(
        "operations.retention_settings:parse_retention",
        "ledger.retention_settings:RetentionSettings",
    )
    serve: ClassVar[SettingsTable[ServeSettings]] = SettingsTable(
        "serving.serve_settings:parse_serve_settings", "serving.serve_settings:ServeSettings"
    )
    metrics: ClassVar[SettingsTable[MetricsSettings]] = SettingsTable(
        "operations.metrics_settings:parse_metrics_settings",
        "operations.metrics_settings:MetricsSettings",
    )
    slo: ClassVar[SettingsTable[tuple[Objective, ...]]] = SettingsTable(
        "operations.objective_settings:parse_objectives", absent=()
    )
    audit: ClassVar[SettingsTable[AuditSettings]] = SettingsTable(
        "governance.audit_settings:parse_audit_settings", "governance.audit_settings:AuditSettings"
    )
    ledger: ClassVar[SettingsTable[LedgerSettings]] = SettingsTable(
        "operations.ledger_settings:parse_ledger_settings",
        "operations.ledger_settings:LedgerSettings",
    )
    attest: ClassVar[SettingsTable[AttestSettings]] = SettingsTable(
        "governance.attest_settings:parse_attest_settings",
        "governance.attest_settings:AttestSettings",
    )
    openlineage: ClassVar[SettingsTable[OpenLineageSettings | None]] = SettingsTable(
        "project.openlineage_settings:parse_openlineage"
    )
    mlflow: ClassVar[SettingsTable[MlflowSettings | None]] = SettingsTable(
        "project.mlflow_settings:parse_mlflow"
    )
    notify: ClassVar[SettingsTable[NotifySettings]] = SettingsTable(
        "governance.notify_settings:parse_notify_settings",
        "governance.notify_settings:NotifySettings",
    )
    alerts: ClassVar[SettingsTable[AlertSettings]] = SettingsTable(
        "operations.alert_settings:parse_alert_settings", "operations.alert_settings:AlertSettings"
    )
    oidc: ClassVar[SettingsTable[OidcSettings | None]] = SettingsTable(
        "governance.oidc_settings:parse_oidc_settings"
    )
    up: ClassVar[SettingsTable[UpSettings]] = SettingsTable(
        "operations.up_settings:parse_up_settings", "operations.up_settings:UpSettings"
    )
    console: ClassVar[SettingsTable[ConsoleSettings]] = SettingsTable(
        "operations.console_settings:parse_console_settings",
        "operations.console_settings:ConsoleSettings",
    )
    offpeak: ClassVar[SettingsTable[OffPeakSettings]] = SettingsTable(
        "offpeak.offpeak_settings:parse_offpeak_settings",
        "offpeak.offpeak_settings:OffPeakSettings",
    )
    scorecard: ClassVar[SettingsTable[ScorecardSettings]] = SettingsTable(
        "scorecard.scorecard_settings:parse_scorecard_settings",
        "scorecard.scorecard_settings:ScorecardSettings",
    )
    ray: ClassVar[SettingsTable[ClusterSettings]] = SettingsTable(
        "project.ray_settings:parse_ray_settings", "project.cluster_settings:ClusterSettings"
    )
    slurm: ClassVar[SettingsTable[SlurmSettings]] = SettingsTable(
        "project.slurm_settings:parse_slurm_settings", "project.slurm_settings:SlurmSettings"
    )

    @property
    def price_book(self) -> PriceBook:
        """The prices, in whichever form they are set."""
        short = Price(
            cpu_hour=self.cpu_hour,
            currency=self.currency,
            memory_gb_hour=self.memory_gb_hour,
        )
        return PriceBook(prices=self.prices or (short,))

    @property
    def file(self) -> Path:
        """The file of the settings, for messages."""
        return self.root / "pyproject.toml"

    @property
    def profiles_place(self) -> str:
        """The place of the profiles in the settings, for messages."""
        if ":" in self.workflow:
            return f"[tool.tidemill.profiles] of {self.file}"
        return "a workflow that is passed as an object: name it as module:name"


def configured_secrets(settings: Settings) -> frozenset[str]:
    """The values of the environment variables that the settings name as secrets, and the token of who acts.

    UsageError for one that is too short: to mask it would hide ordinary words and numbers in all messages,
    and so show what it is.
    """
    found = {name: os.environ.get(name, "") for name in settings.secrets}
    for name, value in found.items():
        if 0 < len(value.strip()) < _LEAST_SECRET:
            raise UsageError(
                f"{name} has fewer than {_LEAST_SECRET} characters, too few to be masked in text: use a "
                f"longer secret, or remove {name} from `secrets` in [tool.tidemill]"
            )
    return frozenset((*found.values(), os.environ.get(TOKEN_VARIABLE, "").strip()))


def find_settings(start: Path, workflow: str | None = None) -> Settings:
    """Read the nearest pyproject.toml with a [tool.tidemill] table, from `start` upwards.

    `workflow` overrides its entry, and needs no file. UsageError names what is missing.
    """
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            table = _table(file)
            if table is not None:
                return _settings(folder, file, table, workflow)
    if workflow is None:
        raise UsageError(
            f"no project here: neither {start} nor a folder above has a pyproject.toml with "
            "[tool.tidemill]; start one with `tidemill init`, or name a workflow with -w module:name"
        )
    return Settings(root=start, workflow=workflow)


def _table(file: Path) -> Mapping[str, Any] | None:
    try:
        tools = parse_toml(file.read_bytes()).get("tool")
        table = tools.get("tidemill") if isinstance(tools, dict) else None
        check_values(table, "tool.tidemill")
    except (TomlError, OSError) as error:
        raise UsageError(f"{file} can't be read: {error}") from error
    return table if isinstance(table, dict) else None


def _check_type(file: Path, name: str, value: object) -> None:
    kinds = {
        "bool": (isinstance(value, bool), "true or false"),
        "float": (_is_number(value), "a number, such as 0.04"),
        "int": (isinstance(value, int), "a whole number, such as 4"),
        "str": (isinstance(value, str), "text"),
        "Sequence[str]": (_is_names(value), 'a list of names, such as ["API_TOKEN"]'),
    }
    kind = next(str(field.type) for field in fields(Settings) if field.name == name)
    fits, wanted = kinds[kind]
    if not fits or isinstance(value, bool) != (kind == "bool"):
        raise UsageError(f"{file}: [tool.tidemill] {name} = {value!r} is not {wanted}")
    if isinstance(value, int | float) and value < 0:
        raise UsageError(f"{file}: [tool.tidemill] {name} = {value!r} is negative")


def _check_sizes(file: Path, table: Mapping[str, Any]) -> None:
    sizes = {"memory": table.get("memory") or 1, "artifacts_cache": table.get("artifacts_cache", 1)}
    for name, value in sizes.items():
        try:
            parse_bytes(value)
        except ValueError as error:
            raise UsageError(f"{file}: [tool.tidemill] {name} = {error}") from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and isfinite(value)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _settings(folder: Path, file: Path, table: Mapping[str, Any], workflow: str | None) -> Settings:
    own = tables_of(Settings)
    known = {field.name for field in fields(Settings)} - _NOT_SET | {"roles", "groups", *own}
    apart = (*_TABLES, *own)
    for name in table:
        if name not in known:
            raise UsageError(f"{file}: [tool.tidemill] {name}: {did_you_mean(name, known)}")
        if name not in apart:
            _check_type(file, name, table[name])
    _check_sizes(file, table)
    named = workflow or table.get("workflow")
    if not named:
        raise UsageError(f'{file}: [tool.tidemill] needs workflow = "module:name"')
    place = f"{file}: [tool.tidemill"
    given: dict[str, Any] = {
        "root": folder,
        "workflow": named,
        "profiles": parse_profiles(
            table.get("profiles", {}),
            place,
            project_settings=known - {"memory"},
        ),
        "schedules": _as_table(f"{file}: [tool.tidemill] schedules", table.get("schedules", {})),
    }
    given["tables"] = tables = _read_tables(table, place)
    given["prices"] = _prices(file, table, tables)
    given |= _people(table, tables, place)
    given |= parse_home(table, f"{place}]")
    if table.get("artifacts"):
        given["artifacts"] = parse_store_url(table["artifacts"], f"{place}]")
    if table.get("executor"):
        from tidemill.project.ray_settings import parse_executor

        given["executor"] = parse_executor(table["executor"], f"{place}]")
    plain = {name: value for name, value in table.items() if name not in apart}
    return Settings(**{**plain, **given})


def _read_tables(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    found = {}
    for name, reader in tables_of(Settings).items():
        if name in table:
            if not isinstance(table[name], dict):
                raise UsageError(f"{place}] {name} = {table[name]!r} is not a table")
            found[name] = reader.read(table[name], f"{place}.{name}]")
    return found


def _people(
    table: Mapping[str, Any], tables: Mapping[str, Any], place: str
) -> dict[str, Mapping[str, Any] | Grants]:
    """Who may do what, and whose results count; nothing of what the settings don't say."""
    if not {"roles", "groups", "trusted"} & table.keys():
        return {}
    from tidemill.governance.role_settings import parse_grants, parse_trusted

    oidc, serve = tables.get("oidc"), tables.get("serve")
    proxy = serve.proxy if serve is not None else None
    grants = parse_grants(
        table.get("roles"),
        table.get("groups"),
        place,
        has_logins=oidc is not None and bool(oidc.groups_claim),
        may_be_empty=proxy is not None and bool(proxy.groups_header),
    )
    return {
        "grants": grants,
        "trusted": parse_trusted(table.get("trusted", {}), grants.groups, place),
    }


def _prices(file: Path, table: Mapping[str, Any], tables: Mapping[str, Any]) -> tuple[Price, ...]:
    if "prices" not in table:
        return ()
    from tidemill.operations.metrics_settings import MetricsSettings
    from tidemill.operations.price_settings import parse_prices, require_one_form

    require_one_form(table, f"{file}: [tool.tidemill]")
    zone = tables.get("metrics", MetricsSettings()).zone
    return parse_prices(table["prices"], f"{file}: [[tool.tidemill.prices]]", zone)


def _as_table(place: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{place} = {value!r} is not a table")
    return value


def load_workflow(settings: Settings) -> Workflow:
    """Import the workflow that the settings name, with the project's folder first on the path."""
    module, _, name = settings.workflow.partition(":")
    if not name:
        raise UsageError(f"workflow {settings.workflow!r} is not module:name, such as flights:flow")
    root = str(settings.root)
    import_afresh(root)
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        # An import that fails inside the module is the module's own error.
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UsageError(f"there is no module {module!r} in {root} or on the path") from error
    except SystemExit as error:
        raise UsageError(
            f"{module} ended the program while it was imported (exit code {error.code}): let it do so under "
            'if __name__ == "__main__"'
        ) from error
    workflow = getattr(found, name, None)
    if not isinstance(workflow, Workflow):
        flows = [key for key, value in vars(found).items() if isinstance(value, Workflow)]
        raise UsageError(f"{module} has no workflow {name!r} ({did_you_mean(name, flows)})")
    return workflow
