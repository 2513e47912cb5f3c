"""Read the settings of a project from `[tool.tidemill]` in pyproject.toml, and load its workflow."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields
from math import isfinite
from pathlib import Path
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.toml_text import TomlError, check_values, parse_toml
from tidemill.core.units import parse_bytes
from tidemill.costs.budget import BudgetSettings
from tidemill.costs.budget_settings import parse_budget_settings
from tidemill.governance.attest_settings import AttestSettings, parse_attest_settings
from tidemill.governance.audit_settings import AuditSettings, parse_audit_settings
from tidemill.governance.notify_settings import NotifySettings, parse_notify_settings
from tidemill.governance.oidc_settings import OidcSettings, parse_oidc_settings
from tidemill.governance.role_settings import parse_grants, parse_trusted
from tidemill.governance.roles import Grants
from tidemill.ledger.access_token import TOKEN_VARIABLE
from tidemill.ledger.price import Price, PriceBook
from tidemill.ledger.retention_settings import RetentionSettings
from tidemill.offpeak.offpeak_settings import OffPeakSettings, parse_offpeak_settings
from tidemill.operations.alert_settings import AlertSettings, parse_alert_settings
from tidemill.operations.console_settings import ConsoleSettings, parse_console_settings
from tidemill.operations.ledger_settings import LedgerSettings, parse_ledger_settings
from tidemill.operations.metrics_settings import MetricsSettings, parse_metrics_settings
from tidemill.operations.objective_settings import Objective, parse_objectives
from tidemill.operations.retention_settings import parse_retention
from tidemill.operations.up_settings import UpSettings, parse_up_settings
from tidemill.project.cluster_settings import ClusterSettings
from tidemill.project.fresh_imports import import_afresh
from tidemill.project.home_settings import parse_home
from tidemill.project.mlflow_settings import MlflowSettings, parse_mlflow
from tidemill.project.openlineage_settings import OpenLineageSettings, parse_openlineage
from tidemill.project.ray_settings import parse_executor, parse_ray_settings
from tidemill.project.slurm_settings import SlurmSettings, parse_slurm_settings
from tidemill.scorecard.scorecard_settings import ScorecardSettings, parse_scorecard_settings
from tidemill.serving.serve_settings import ServeSettings, parse_serve_settings
from tidemill.workflow.environment import RunProfile
from tidemill.workflow.profile_settings import BUILT_IN, parse_profiles
from tidemill.workflow.workflow import Workflow

# The characters of the shortest secret that is masked.
_LEAST_SECRET = 5
# Fields that are derived from what is set.
_NOT_SET = {"root", "grants", "home_url"}
# Tables of the settings, and what reads those that stand for themselves.
_TABLES = ("profiles", "roles", "groups", "trusted", "schedules", "prices")
_READERS: Mapping[str, Callable[[Mapping[str, Any], str], object]] = {
    "serve": parse_serve_settings,
    "metrics": parse_metrics_settings,
    "budget": parse_budget_settings,
    "slo": parse_objectives,
    "audit": parse_audit_settings,
    "ledger": parse_ledger_settings,
    "attest": parse_attest_settings,
    "notify": parse_notify_settings,
    "alerts": parse_alert_settings,
    "retention": parse_retention,
    "oidc": parse_oidc_settings,
    "openlineage": parse_openlineage,
    "mlflow": parse_mlflow,
    "up": parse_up_settings,
    "console": parse_console_settings,
    "offpeak": parse_offpeak_settings,
    "scorecard": parse_scorecard_settings,
    "ray": parse_ray_settings,
    "slurm": parse_slurm_settings,
}


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
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    schedules: Mapping[str, Any] = field(default_factory=dict)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    slo: tuple[Objective, ...] = ()
    grants: Grants = field(default_factory=Grants)
    trusted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    home_group: str = ""
    audit: AuditSettings = field(default_factory=AuditSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    attest: AttestSettings = field(default_factory=AttestSettings)
    openlineage: OpenLineageSettings | None = None
    mlflow: MlflowSettings | None = None
    notify: NotifySettings = field(default_factory=NotifySettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    oidc: OidcSettings | None = None
    up: UpSettings = field(default_factory=UpSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    offpeak: OffPeakSettings = field(default_factory=OffPeakSettings)
    scorecard: ScorecardSettings = field(default_factory=ScorecardSettings)
    executor: str = ""
    ray: ClusterSettings = field(default_factory=ClusterSettings)
    slurm: SlurmSettings = field(default_factory=SlurmSettings)

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
    known = {field.name for field in fields(Settings)} - _NOT_SET | {"roles", "groups"}
    for name in table:
        if name not in known:
            raise UsageError(f"{file}: [tool.tidemill] {name}: {did_you_mean(name, known)}")
        if name not in (*_TABLES, *_READERS):
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
            f"{file}: [tool.tidemill",
            project_settings=known - {"memory"},
        ),
        "schedules": _as_table(f"{file}: [tool.tidemill] schedules", table.get("schedules", {})),
    }
    for name, read in _READERS.items():
        if name in table:
            if not isinstance(table[name], dict):
                raise UsageError(f"{place}] {name} = {table[name]!r} is not a table")
            given[name] = read(table[name], f"{place}.{name}]")
    given["prices"] = _prices(file, table, given.get("metrics", MetricsSettings()).zone)
    oidc, proxy = given.get("oidc"), given.get("serve", ServeSettings()).proxy
    given["grants"] = parse_grants(
        table.get("roles"),
        table.get("groups"),
        place,
        has_logins=isinstance(oidc, OidcSettings) and bool(oidc.groups_claim),
        may_be_empty=proxy is not None and bool(proxy.groups_header),
    )
    given["trusted"] = parse_trusted(table.get("trusted", {}), given["grants"].groups, place)
    given |= parse_home(table, f"{place}]")
    if table.get("artifacts"):
        from tidemill.project.store_urls import parse_store_url

        given["artifacts"] = parse_store_url(table["artifacts"], f"{place}]")
    given["executor"] = parse_executor(table.get("executor", ""), f"{place}]")
    apart = (*_TABLES, *_READERS)
    plain = {name: value for name, value in table.items() if name not in apart}
    return Settings(**{**plain, **given})


def _prices(file: Path, table: Mapping[str, Any], zone: str) -> tuple[Price, ...]:
    if "prices" not in table:
        return ()
    from tidemill.operations.price_settings import require_one_form

    require_one_form(table, f"{file}: [tool.tidemill]")
    from tidemill.operations.price_settings import parse_prices

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
