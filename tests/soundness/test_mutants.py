"""Keys that forget something: the suite must find every one of them out.

A mutant is the project with one field of a key left out, found by reflection, or with one of the
classic mistakes. It is *killed* when a scenario or a scene fails that holds for the real project.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import polars as pl
import pytest

from tests.soundness import edits
from tests.soundness.counting import Unsound, random_scenario
from tests.soundness.driver import play
from tests.soundness.model import OPERATORS, random_flow
from tests.soundness.scenes import SCENES
from tidemill.analysis.code import callables
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import TidemillError
from tidemill.core.fingerprint import fingerprint
from tidemill.folds import partials
from tidemill.folds.io import partials_cache as folding
from tidemill.folds.partials import resolve_fold
from tidemill.ledger.binding import Binding
from tidemill.memos.identity import memo_digest
from tidemill.memos.io.in_memory import InMemoryMemos
from tidemill.memos.io.lookup import MemoSession
from tidemill.memos.io.segments import SegmentIndex
from tidemill.ports.reuse import Memos
from tidemill.project.workspace import Workspace
from tidemill.reuse import probe as probing
from tidemill.reuse.io import evidence
from tidemill.reuse.recipe import Recipe, step_key
from tidemill.reuse.step_key import key_for
from tidemill.workflow.incremental_fold import Fold, ResolvedFold
from tidemill.workflow.memo import MemoFunction
from tidemill.workflow.stage import Stage

Mutate = Callable[[Recipe], Recipe]
CODE = (*edits.MUST, "equal meaning")
DATA = tuple(edits.DATA)
CONTRACTS = tuple(edits.CONTRACTS)
# The kinds of edit that a part of a recipe is there for; scenes tell of the others.
KINDS_OF = {
    "column": CODE,
    "code": CODE,
    "contract": CONTRACTS,
    "engine": ("polars upgrade",),
}
# Short scenarios: each begins with a project of its own, and most mutants die soon.
LENGTH, TRIES = 8, 60


@pytest.mark.parametrize("name", SCENES)
def test_the_real_project_passes_every_scene(tmp_path: Path, name: str) -> None:
    SCENES[name](tmp_path)


def _survives(root: Path, kinds: Sequence[str], ops: Collection[str] = OPERATORS) -> bool:
    """Whether no scenario notices, of those with one of these operators."""
    for seed in range(TRIES):
        if not any(stage.op in ops for stage in random_flow(Random(seed)).stages):
            continue
        try:
            play(random_scenario(seed, LENGTH, kinds), root / str(seed))
        except Unsound as error:
            # Only what the suite judges counts, not that a mutant can't even run.
            if not isinstance(error.__cause__, (Unsound, TidemillError)):
                raise
            return False
    return True


def _fails(scene: Callable[[Path], None], root: Path) -> bool:
    root.mkdir()
    try:
        scene(root)
    except AssertionError:
        return True
    return False


@contextmanager
def _everywhere(known: Any, other: Any) -> Iterator[None]:
    """Put another function in the place of one, wherever it is imported, also for the first time."""
    _replace_everywhere(known, other)
    try:
        yield
    finally:
        _replace_everywhere(other, known)


def _replace_everywhere(known: Any, other: Any) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("tidemill.") and module is not None:
            for label, value in list(vars(module).items()):
                if value is known:
                    setattr(module, label, other)


def test_a_module_that_is_imported_during_a_mutant_gets_the_real_function_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = ModuleType("tidemill.late")
    monkeypatch.setitem(sys.modules, late.__name__, late)
    mutant = Mock()
    with _everywhere(resolve_fold, mutant):
        vars(late)["resolve_fold"] = partials.resolve_fold
        assert vars(late)["resolve_fold"] is mutant
    assert vars(late)["resolve_fold"] is partials.resolve_fold is resolve_fold


@contextmanager
def _recipes(mutate: Mutate) -> Iterator[None]:
    """Every recipe that a project has, changed."""
    known = inspect.getattr_static(Workspace, "recipes").func

    def recipes(self: Workspace) -> Mapping[str, Recipe]:
        return {name: mutate(recipe) for name, recipe in known(self).items()}

    mutant = cached_property(recipes)
    mutant.__set_name__(Workspace, "recipes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "recipes", mutant)
        yield


def _group(part: str) -> str:
    """The parts of single columns are one kind of part."""
    return part.partition(" ")[0]


def _without(group: str) -> Mutate:
    def mutate(recipe: Recipe) -> Recipe:
        parts = {name: part for name, part in recipe.parts.items() if _group(name) != group}
        return replace(recipe, parts=parts, digest=fingerprint("mutant", parts))

    return mutate


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every part that some recipe has, as the project makes them now."""
    found: set[str] = set()

    def note(recipe: Recipe) -> Recipe:
        found.update(_group(name) for name in recipe.parts)
        return recipe

    with _recipes(note):
        for name, scene in SCENES.items():
            scene(tmp_path_factory.mktemp(name))
        play(random_scenario(0, 1), tmp_path_factory.mktemp("random"))
    return found


@pytest.mark.slow
def test_each_part_of_a_recipe_is_missed(tmp_path: Path, groups: set[str]) -> None:
    assert groups == {*KINDS_OF, *SCENES}
    survivors = []
    for group in sorted(groups):
        root = tmp_path / group
        with _recipes(_without(group)):
            if group in KINDS_OF:
                killed = not _survives(root, KINDS_OF[group])
            else:
                killed = _fails(SCENES[group], root)
        if not killed:
            survivors.append(group)
    assert survivors == []


def _blank(value: Any) -> Any:
    return type(value)() if isinstance(value, (str, dict)) else {}


@pytest.mark.slow
@pytest.mark.parametrize(
    # The inputs of two partitions differ, so the partition in the key is one more safeguard.
    "name",
    [name for name in inspect.signature(step_key).parameters if name != "partition"],
)
def test_each_argument_of_a_steps_key_is_missed(tmp_path: Path, name: str) -> None:
    signature = inspect.signature(step_key)

    def forgetful(*given: Any, **named: Any) -> str:
        bound = signature.bind(*given, **named)
        bound.arguments[name] = _blank(bound.arguments[name])
        return step_key(*bound.args, **bound.kwargs)

    with _everywhere(step_key, forgetful):
        assert not _survives(tmp_path, ("late rows", "file deleted", "helper"))


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
def test_each_input_of_a_steps_key_is_missed(tmp_path: Path, place: int) -> None:
    def forgetful(recipe: str, partition: str, inputs: Mapping[str, str]) -> str:
        names = sorted(inputs)
        kept = {name: inputs[name] for name in names if name != names[place] or len(names) < 2}
        return step_key(recipe, partition, kept)

    with _everywhere(step_key, forgetful):
        # One input may change alone where the code of a stage before it is edited.
        assert not _survives(tmp_path, (*DATA, *CODE), ("join", "union"))


def _reading_less(recipe: Recipe, place: int) -> Recipe:
    reads = {
        name: tuple(column for column in columns if column != columns[min(place, len(columns) - 1)])
        for name, columns in recipe.reads.items()
    }
    return replace(recipe, reads=reads)


def _depending_on_less(recipe: Recipe, place: int) -> Recipe:
    """Without one of the columns of each input that each output column depends on."""
    lineage = {
        output: {
            name: tuple(column for at, column in enumerate(columns) if at != place % len(columns))
            for name, columns in reads.items()
            if columns
        }
        for output, reads in recipe.lineage.items()
    }
    return replace(recipe, lineage=lineage)


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
def test_each_column_that_an_output_column_depends_on_is_missed(tmp_path: Path, place: int) -> None:
    with _recipes(lambda recipe: _depending_on_less(recipe, place)):
        assert not _survives(tmp_path, ("column restated", "row changed"))


# The first one is mostly the day, which all rows of a partition share.
@pytest.mark.slow
@pytest.mark.parametrize("place", [1, -1], ids=["second", "last"])
def test_each_column_of_a_steps_key_is_missed(tmp_path: Path, place: int) -> None:
    def forgetful(recipe: Recipe, *given: Any, **named: Any) -> Any:
        return key_for(_reading_less(recipe, place), *given, **named)

    with _everywhere(key_for, forgetful):
        assert not _survives(tmp_path, DATA)


@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
def test_a_run_refuses_to_read_a_column_that_is_not_in_its_key(tmp_path: Path, place: int) -> None:
    with (
        _recipes(lambda recipe: _reading_less(recipe, place)),
        pytest.raises(Unsound, match=r"the first build of .* which it didn't on frames"),
    ):
        play(random_scenario(0, 0), tmp_path)


@pytest.mark.slow
def test_what_a_contract_only_checks_is_missed(tmp_path: Path) -> None:
    with _recipes(lambda recipe: replace(recipe, check="")):
        assert not _survives(tmp_path, ("rule added", "rule's on_fail"))


def test_a_forgotten_closure_value(tmp_path: Path) -> None:
    known = callables.cells_of

    def forgetful(function: Any) -> Iterator[tuple[str, Any, bool]]:
        for name, _, filled in known(function):
            yield name, None, filled

    with _everywhere(known, forgetful):
        assert not _survives(tmp_path, ("closure",))


def test_a_stale_probe(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "probe_key", lambda stage, *_: stage.name)
        assert not _survives(tmp_path, CODE)


@pytest.mark.slow
def test_the_text_of_a_query_as_its_key(tmp_path: Path) -> None:
    known = probing.probe

    def explained(stage: Stage) -> Any:
        found = known(stage)
        if found is None or not found.query.columns:
            return found
        assert stage.function is not None
        frames = {i.name: pl.LazyFrame(schema=probing._schema(i)) for i in stage.frames}
        result = stage.function(**frames).lazy()
        columns = {
            name: fingerprint("text", result.select(name).explain(optimized=False))
            for name in found.query.columns
        }
        return replace(found, query=replace(found.query, columns=columns))

    with _everywhere(known, explained):
        assert not _survives(tmp_path, ("body",), ("rank",))


def test_a_memo_that_forgets_what_it_does(tmp_path: Path) -> None:
    def forgetful(costly: MemoFunction, platform: Sequence[str]) -> str:
        return fingerprint("memo", costly.name)

    with _everywhere(memo_digest, forgetful):
        assert not _survives(tmp_path, ("body",), ("memo",))


@pytest.mark.slow
def test_a_memo_that_forgets_what_it_knew(tmp_path: Path) -> None:
    class Forgetful(MemoSession):
        def __init__(self, memos: Memos, shelves: dict[str, SegmentIndex] | None = None) -> None:
            super().__init__(InMemoryMemos())

    with _everywhere(MemoSession, Forgetful):
        assert not _survives(tmp_path, DATA, ("memo",))


@pytest.mark.slow
def test_partials_that_forget_a_column(tmp_path: Path) -> None:
    def short(fold: ResolvedFold, binding: Binding) -> str:
        return fingerprint("leaf", [binding.product.columns.get(name) for name in fold.columns[:1]])

    with _everywhere(folding._leaf_key, short):
        assert not _survives(tmp_path, DATA, ("fold",))


@pytest.mark.slow
def test_partials_that_forget_what_is_folded(tmp_path: Path) -> None:
    known = resolve_fold

    def alike(fold: Fold, contract: ContractSpec) -> tuple[ResolvedFold | None, tuple[str, ...]]:
        found, problems = known(fold, contract)
        assert found is not None
        return replace(
            found, partials_digest=fingerprint("any", [str(t) for t in found.schema.values()])
        ), problems

    with _everywhere(resolve_fold, alike):
        assert not _survives(tmp_path, CODE, ("fold",))
