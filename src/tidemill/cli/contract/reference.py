"""Find the contract that a command-line argument refers to."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from tidemill.cli.lazy_group import project_location
from tidemill.cli.project_option import project_session, user_traceback
from tidemill.cli.terminal.output import print_text
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import TidemillError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.project.contract_files import contract_in_file
from tidemill.project.contracts import contract_of_class

_YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractReference:
    """A contract, its stage if it has one, and how many parts of its file it doesn't express."""

    spec: ContractSpec
    stage: str = ""
    unexpressed: int = 0


def find_contract(name: str) -> ContractReference:
    """Find the contract STAGE, STAGE@REF, MODULE:CLASS or FILE.yaml[#NAME]; UsageError for none."""
    file, _, table = name.partition("#")
    if Path(file).suffix.lower() in _YAML:
        spec, unsaid = contract_in_file(Path(file), table)
        return ContractReference(spec=spec, unexpressed=unsaid)
    stage, at, ref = name.partition("@")
    if at:
        with project_session() as project:
            spec = project.contracts.at_ref(stage, ref, project_location().workflow)
        return ContractReference(spec=spec, stage=stage)
    module, colon, attribute = name.partition(":")
    if colon:
        return ContractReference(spec=contract_in_module(module, attribute))
    with project_session() as project:
        return ContractReference(spec=project.contracts.of_stage(name), stage=name)


def contract_in_module(module: str, attribute: str) -> ContractSpec:
    """The contract of a class in a module; UsageError suggests the nearest name."""
    return contract_of_class(_module(module), attribute)


def _module(name: str) -> ModuleType:
    """Import a module from the project's folder, or an installed one; exit 1 when that fails."""
    folder = str(Path(project_location().project).resolve())
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
    print_text(user_traceback(failed), err=True)
    raise TidemillError(f"{name} can't be imported: it raised {type(failed).__name__}")
