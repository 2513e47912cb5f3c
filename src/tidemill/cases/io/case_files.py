"""Find and read the files of cases: TOML, YAML with PyYAML, and Python."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from types import ModuleType

from tidemill.cases.case_file import CaseParser
from tidemill.cases.python_case import PythonCase
from tidemill.cases.stage_case import StageCase
from tidemill.contracts.io.safe_yaml import parse_yaml
from tidemill.core.errors import Fault, SourceError, TidemillError, UsageError, describe_error
from tidemill.core.extras import install_command
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.toml_text import TomlError, check_values, parse_toml

FOLDER = "cases"
_SUFFIXES = (".toml", ".yaml", ".yml", ".py")
_MOST_BYTES = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCases:
    """The cases of files, and what is wrong with the files."""

    cases: tuple[StageCase, ...]
    faults: tuple[Fault, ...] = ()


def find_case_files(root: Path) -> list[Path]:
    """The files of cases in the folder `cases` of a project, by their paths.

    Names that begin with a dot or an underscore aren't looked at.
    """
    folder = root / FOLDER
    return sorted(
        path
        for path in (folder.rglob("*") if folder.is_dir() else ())
        if path.suffix.lower() in _SUFFIXES
        and path.is_file()
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    )


def load_cases(root: Path, files: Iterable[Path]) -> LoadedCases:
    """The cases in some files of a project, in their order."""
    cases: list[StageCase] = []
    faults: list[Fault] = []
    for path in files:
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
        try:
            found = _load_file(path, name, root)
        except TidemillError as error:
            faults.append(Fault(message=str(error), where=name if name not in str(error) else ""))
            continue
        cases += found.cases
        faults += found.faults
    return LoadedCases(cases=tuple(cases), faults=tuple(faults))


def _load_file(path: Path, name: str, root: Path) -> LoadedCases:
    if path.suffix.lower() == ".py":
        return _load_python(path, name, root)
    text = _read_text(path, name)
    document = (
        _parse_toml(text, name) if path.suffix.lower() == ".toml" else _parse_yaml(text, name)
    )
    parser = CaseParser(file=name)
    cases = parser.parse(document)
    if parser.wanted:
        # They are only known now: read them, and parse the cases with them.
        parser = CaseParser(file=name, texts=_read_tables(path.parent, parser.wanted))
        cases = parser.parse(document)
    return LoadedCases(cases=tuple(cases), faults=tuple(parser.faults))


def _read_tables(folder: Path, names: list[str]) -> dict[str, str]:
    return {name: _read_text(folder / name, name) for name in dict.fromkeys(names)}


def _read_text(path: Path, name: str) -> str:
    """The text of a file; SourceError if it can't be read, isn't UTF-8, or is too large."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SourceError(f"{name} is larger than {_MOST_BYTES / 1e6:g} MB: give fewer rows")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(f"{name} isn't UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"{name} can't be read: {reason}") from None


def _parse_toml(text: str, name: str) -> object:
    try:
        document = parse_toml(text.encode())
        check_values(document)
    except TomlError as error:
        raise SourceError(f"{name}: {error}") from None
    return document


def _parse_yaml(text: str, name: str) -> object:
    try:
        yaml = import_module("yaml")
    except ModuleNotFoundError:
        raise UsageError(
            f"{name} needs PyYAML: {install_command('yaml')}, or write the cases as TOML"
        ) from None
    document, _ = parse_yaml(text, name, yaml)
    return {} if document is None else document


def _load_python(path: Path, name: str, root: Path) -> LoadedCases:
    """The cases that a Python file declares; it is imported like a module of the project."""
    parser = CaseParser(file=name)
    cases: list[StageCase] = []
    try:
        module = _import_file(path, root)
        declared = [each for each in vars(module).values() if isinstance(each, PythonCase)]
        for each in dict.fromkeys(declared):
            table = each.table()
            _collect_files(parser, table, path)
            case = parser.parse_case(table, each.name)
            if case is not None:
                cases.append(case)
    except TidemillError:
        raise
    except SystemExit as error:
        raise SourceError(
            f"{name} ended the program while its cases were read (exit code {error.code}): let it do so "
            'under if __name__ == "__main__"'
        ) from error
    # The file is the user's: it may raise anything, also where a lazy frame is collected.
    except Exception as error:
        raise SourceError(f"{name} raised {describe_error(error)}") from error
    return LoadedCases(cases=tuple(cases), faults=tuple(parser.faults))


def _collect_files(parser: CaseParser, table: Mapping[str, object], path: Path) -> None:
    """Read the CSV files that a case names."""
    trial = CaseParser(file=parser.file, texts=parser.texts)
    trial.parse_case(table, "")
    if trial.wanted:
        parser.texts = {**parser.texts, **_read_tables(path.parent, trial.wanted)}


def _import_file(path: Path, root: Path) -> ModuleType:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    # A name of its own: other projects and folders have files of the same name.
    mark = blake2b(str(path).encode(), digest_size=6).hexdigest()
    spec = importlib.util.spec_from_file_location(f"tidemill_cases_{mark}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module
