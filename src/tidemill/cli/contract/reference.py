"""The contract that an argument of the command line names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import click

from tidemill.cli.lazy_group import where
from tidemill.cli.project_option import opened, users_trace
from tidemill.contracts.io.odcs_files import read_odcs
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import TidemillError, UsageError, did_you_mean
from tidemill.lineage.io.git_ref import stages_at

_SPEC = "__tidemill_contract__"
_YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A contract, the stage whose it is if it is one's, and how many parts of a file it leaves out."""

    spec: ContractSpec
    stage: str = ""
    unsaid: int = 0


def contract_named(name: str) -> Named:
    """The contract of STAGE, STAGE@REF, MODULE:CLASS or FILE.yaml[#NAME]; UsageError for none."""
    file, _, table = name.partition("#")
    if Path(file).suffix.lower() in _YAML:
        return _of_file(Path(file), table)
    stage, at, ref = name.partition("@")
    if at:
        return Named(spec=_of_ref(stage, ref), stage=stage)
    module, colon, attribute = name.partition(":")
    if colon:
        return Named(spec=of_class(module, attribute))
    with opened() as project:
        spec = project.stage(name).output
    if spec is None:
        raise UsageError(f"{name} has no contract: it makes no table")
    return Named(spec=spec, stage=name)


def _of_file(file: Path, table: str) -> Named:
    found = read_odcs(file)
    if not table and len(found.contracts) != 1:
        names = ", ".join(spec.name for spec in found.contracts) or "none"
        raise UsageError(f"{file} has {len(found.contracts)} tables: say {file}#NAME ({names})")
    spec = chosen(found.contracts, table or found.contracts[0].name, file)
    return Named(spec=spec, unsaid=len(found.unrepresented))


def chosen(contracts: Sequence[ContractSpec], name: str, file: Path) -> ContractSpec:
    """The contract of a table in a file; UsageError names the nearest for a wrong one."""
    for spec in contracts:
        if spec.name == name:
            return spec
    advice = did_you_mean(name, [spec.name for spec in contracts])
    raise UsageError(f"{file} has no schema {name!r} ({advice})")


def _of_ref(stage: str, ref: str) -> ContractSpec:
    with opened() as project:
        stages = stages_at(project.root, ref, where().workflow)
    found = {name: at.contract for name, at in stages.items() if at.contract is not None}
    if stage not in found:
        raise UsageError(
            f"at {ref} no stage {stage!r} has a contract ({did_you_mean(stage, found)})"
        )
    return found[stage]


def of_class(module: str, attribute: str) -> ContractSpec:
    """The contract that a class of a module is; UsageError names the nearest for a wrong one."""
    found = _module(module)
    spec = getattr(getattr(found, attribute, None), _SPEC, None)
    if not isinstance(spec, ContractSpec):
        known = [name for name, value in vars(found).items() if hasattr(value, _SPEC)]
        advice = did_you_mean(attribute, known)
        raise UsageError(f"{module} has no contract {attribute!r} ({advice})")
    return spec


def _module(name: str) -> ModuleType:
    """A module of the project's folder, or an installed one; exits 1 when it can't be imported."""
    folder = str(Path(where().project).resolve())
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(f"there is no module {name!r} in {folder}") from None
        failed: Exception = error
    except Exception as error:  # noqa: BLE001 - the user's module may raise anything
        failed = error
    finally:
        sys.path.remove(folder)
    click.echo(users_trace(failed), err=True)
    raise TidemillError(f"{name} can't be imported: it raised {type(failed).__name__}")
