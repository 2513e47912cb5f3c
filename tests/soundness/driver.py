"""Play a scenario: edit a project at random, run it, and hold what is published against the reference.

After every edit: every published partition has the reference's values, every step that had to run ran,
what ran needlessly is counted, and a second plan is empty.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, TypeAlias
from unittest.mock import patch

from tests.soundness import edits, oracle
from tests.soundness.counting import Scenario, Tally, Unsound
from tests.soundness.files import Files, random_files, store
from tests.soundness.loading import Fuse, Modules, engines, importing
from tests.soundness.model import Flow, Table, random_flow
from tests.soundness.oracle import Place
from tests.soundness.reference import UNPLACED, Part, World, interpret
from tests.soundness.render import ASKED
from tests.support.erratic import Erratic, away_to
from tidemill.core.errors import TidemillError, UsageError
from tidemill.ledger.event import Attempted, Published
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.planning import batches
from tidemill.ports.execution import Fate, Task
from tidemill.ports.runtime import Runtime
from tidemill.project.project import Project, open_project
from tidemill.steps.io import invocation as calling
from tidemill.testing.doubles import MemoryArtifacts, MemoryLedger
from tidemill.workflow.environment import PRODUCTION

ELSEWHERE = "dev"
Shown: TypeAlias = tuple[list[str], list[str]]
# What `run` is asked for, as keywords.
Options: TypeAlias = Mapping[str, Any]


class Player:
    """One project in a folder, edited and run."""

    def __init__(
        self, root: Path, modules: Modules, seed: int, use_engine: Callable[[str], None]
    ) -> None:
        self.root = root
        self.modules = modules
        self.tally = Tally()
        self._use_engine = use_engine
        self._tools: Runtime | None = None
        self._project: Project | None = None
        rng = Random(seed)
        flow = random_flow(rng)
        files = random_files(rng, [source.name for source in flow.sources])
        self.now = edits.Project(flow=flow, files=files, engine="")
        self._stored: Files | None = None
        self._writes = 0
        self._seq = 0
        self._must: set[int] = set()
        self._may: set[int] = set()
        self._stained: set[Place] = set()
        # The keys of what runs of a part published, some of it from what was not yet complete.
        self._partly: set[str] = set()
        self._judges: dict[int, set[Table]] = {}
        self._held: dict[tuple[str, Place], Shown] = {}
        self._known: dict[tuple[str, ...], Shown] = {}
        # Whether a process was killed, which loses the calls in flight.
        self.lost_calls = False
        self._rows_asked = 0

    def begin(self) -> None:
        """The first run builds everything."""
        self._settle("first build", Random(0))

    def play(self, kind: str, seed: int) -> None:
        """One edit, and all that follows from it."""
        rng = Random(seed)
        inner = kind if kind in edits.EDITS else rng.choice((*edits.MUST, *edits.DATA))
        edited = edits.apply(inner, rng, self.now)
        if edited is None:
            return
        self.tally.edits[kind] += 1
        self.now = edited
        self._settle(kind, rng)

    def finish(self) -> None:
        """What must hold at the end."""

    # Running

    def open(self) -> Project:
        """The project as the first command after an edit finds it."""
        if self._project is None:
            self._project = self.fresh()
        return self._project

    def fresh(self, environment: str = PRODUCTION) -> Project:
        """The project as the next command finds it."""
        flow = self.modules.load(self.now.flow)
        project = open_project(self.root, workflow=flow, env=environment)
        if self._tools is None:
            self._tools = self._doubles(project)
        project.workspace.tools = self._tools
        return project

    def _doubles(self, project: Project) -> Runtime:
        """Doubles in memory instead of the adapters that the project would open."""
        tools = project.tools
        tools.ledger.close()
        return replace(tools, ledger=MemoryLedger(), artifacts=MemoryArtifacts())

    def run(self, options: Options) -> tuple[int, str]:
        """One run; its exit code, and what it said."""
        with self.open() as project, self._anywhere():
            receipt = project.run(**options, raise_on_failure=False)
        return receipt.exit_code, str(receipt.messages)

    def _anywhere(self) -> AbstractContextManager[object]:
        """Every second run has its steps made by an engine that loses some of them, once."""
        rng, lost = Random(self._seq), set[str]()

        def mishap(task: Task) -> tuple[Fate, bool] | None:
            if task.id in lost or rng.random() < 0.8:
                return None
            lost.add(task.id)
            return Fate.LOST, rng.random() < 0.5

        if rng.random() < 0.5:
            return nullcontext()
        return patch("tidemill.project.runs.engine_options", away_to(Erratic(rng, mishap)))

    def crash(self, rng: Random) -> bool:
        """A run that dies somewhere, if it gets that far."""
        project = self.fresh()
        calls = [rng.randrange(12)]
        tools: Any = project.tools
        project.workspace.tools = replace(
            tools, ledger=Fuse(tools.ledger, calls), artifacts=Fuse(tools.artifacts, calls)
        )
        try:
            project.run(raise_on_failure=False)
        except TidemillError:
            return True
        return False

    def twice(self) -> list[tuple[int, str]]:
        """Two runs at once, the second of which waits; how each of them ended."""
        ends: list[tuple[int, str]] = []
        projects = [self.fresh(), self.fresh()]

        def work(project: Project) -> None:
            receipt = project.run(wait_s=60, raise_on_failure=False)
            ends.append((receipt.exit_code, str(receipt.messages)))

        threads = [threading.Thread(target=work, args=(project,)) for project in projects]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ends

    def elsewhere(self, rng: Random) -> tuple[int, str]:
        """A run in a branch, which may be a new one; how it ended."""
        with self.fresh() as project:
            known = [found.name for found in project.environments.list()]
            if ELSEWHERE in known and rng.random() < 0.3:
                project.environments.drop([ELSEWHERE])
                known.remove(ELSEWHERE)
        if ELSEWHERE not in known:
            # It begins with what production holds.
            self._held = {
                place: held for place, held in self._held.items() if place[0] != ELSEWHERE
            }
            self._held |= {(ELSEWHERE, place): held for (_, place), held in self._held.items()}
        return self.run_elsewhere()

    def run_elsewhere(self) -> tuple[int, str]:
        """A run in the branch."""
        with self.fresh(ELSEWHERE) as project:
            receipt = project.run(raise_on_failure=False)
        return receipt.exit_code, str(receipt.messages)

    def promoted(self) -> tuple[int, str]:
        """Promote the branch; how that ended. What doesn't succeed must have changed nothing."""
        with self.fresh() as project:
            before = self._bound(project)
            try:
                receipt = project.promote(ELSEWHERE, raise_on_failure=False)
                code, said = receipt.exit_code, str(receipt.messages)
            except UsageError as error:
                code, said = error.exit_code, str(error)
            if code and self._bound(project) != before:
                raise Unsound(f"a promotion that failed published something: {said}")
        return code, said

    def _bound(self, project: Project) -> dict[str, dict[str, str]]:
        heads = project.state().heads
        return {
            name: {k: b.key for k, b in head.partitions.items()} for name, head in heads.items()
        }

    def save(self) -> None:
        """Make the folder hold what the files are now."""
        self._project = None
        self._writes += 1
        # Half of all writes look as if they were long ago, so that hints are trusted.
        aged = self._writes * 1_000_000 if self._writes % 2 else 0
        store(self.now.files, self._stored, self.root, aged)
        self._stored = self.now.files

    def _disturb(self, kind: str, rng: Random, world: World, tainted: set[Place]) -> None:
        """What comes before the run that must put everything right."""
        if kind == "crash":
            self.tally.steps["runs that died"] += self.crash(rng)
        elif kind == "two at once":
            ends = self.twice()
            if [code for code, _ in ends if code not in (0, 3)] or len(ends) < 2:
                raise Unsound(f"two at once: {ends}")
        elif kind == "partial":
            stage = rng.choice(self.now.flow.names)
            day = "2024-05-02"
            self.run(rng.choice(({"stage": stage}, {"limit": 1}, {"since": day}, {"until": day})))
            with self.open() as project:
                facts = project.tools.ledger.events(kinds=["Published"], after=self._seq)
                self._partly |= {
                    f.event.binding.key for f in facts if isinstance(f.event, Published)
                }
        elif kind in ("other environment", "promotion"):
            code, said = self.elsewhere(rng)
            if code != (3 if tainted else 0):
                raise Unsound(f"{kind}: exit code {code}: {said}")
            with self.fresh(ELSEWHERE) as project:
                self._compare(project, kind, world, tainted)
            if kind == "promotion":
                self._promote(kind, world, tainted)

    def _promote(self, kind: str, world: World, tainted: set[Place]) -> None:
        code, said = self.promoted()
        # Of a stage that fails in all partitions nothing was made by the code at hand.
        if code not in ((2, 3) if tainted else (0,)):
            raise Unsound(f"{kind}: exit code {code}: {said}")
        if not tainted:
            with self.fresh() as project:
                self._compare(project, kind, world, tainted)
                if steps := project.plan().steps:
                    raise Unsound(f"{kind}: then the plan has {[step.id for step in steps][:5]}")

    def _settle(self, kind: str, rng: Random) -> None:
        self.save()
        self._use_engine(self.now.engine)
        world = interpret(self.now.flow, self.now.files)
        tainted = tainted_of(self.now.flow, world)
        self._disturb(kind, rng, world, tainted)
        again = rng.choice(self.now.flow.names) if kind == "again" else ""
        self._run(kind, {"stage": again, "again": True} if again else {}, world, tainted)
        if again:
            # What it doesn't need stays as it is, and may be outdated.
            self.run({})
        with self.open() as project:
            self._compare(project, kind, world, tainted)
            self._account(project, kind, world, tainted, again)
            self._count_asked(kind)
            if not tainted and (steps := project.plan().steps):
                left = [(step.id, step.reasons) for step in steps][:5]
                raise Unsound(f"{kind}: the second plan has {left}")
        if tainted:
            self._resolve()

    def _run(self, kind: str, options: Options, world: World, tainted: set[Place]) -> None:
        """A run that does what the plan says, and succeeds."""
        with self.open() as project:
            planned = {(s.stage, s.partition, s.action) for s in project.plan(**options).steps}
            before = self._last(project)
            code, said = self.run(options)
            attempts = self._attempts(project, before)
        # What was to run may turn out to be known, and then is only judged again.
        planned |= {(s, k, Action.RECHECK) for s, k, action in planned if action == Action.RUN}
        strange = {(a.stage, a.partition, a.action) for a in attempts} - planned
        if strange:
            raise Unsound(f"{kind}: ran what the plan didn't say: {sorted(map(str, strange))}")
        # A run of a part of the stages may not come to the rule that fails.
        expected = {0, 3} if tainted and options else {3} if tainted else {0}
        if code not in expected:
            raise Unsound(f"{kind}: exit code {code}: {said}")
        if options:
            stage = options["stage"]
            ran = {a.partition for a in attempts if a.stage == stage and a.outcome is Outcome.OK}
            wanted = {key for key in world.parts[stage] if (stage, key) not in tainted}
            if not wanted <= ran:
                raise Unsound(f"again: {stage} didn't run {wanted - ran}")

    def _resolve(self) -> None:
        """Let nothing fail any more: what was held back comes."""
        flow = self.now.flow
        for name, table in flow.tables.items():
            rules = tuple(
                replace(rule, on_fail="warn") if rule.on_fail == "fail" else rule
                for rule in table.rules
            )
            flow = flow.swap_table(name, replace(table, rules=rules))
        self.now = replace(self.now, flow=flow)
        self.tally.edits["failing rule resolved"] += 1
        self._settle("failing rule resolved", Random(0))

    # Judging

    def _last(self, project: Project) -> int:
        return max(
            (fact.seq for fact in project.tools.ledger.events(after=self._seq)), default=self._seq
        )

    def _attempts(self, project: Project, after: int) -> list[Attempt]:
        facts = project.tools.ledger.events(kinds=["Attempted"], after=after)
        return [fact.event.attempt for fact in facts if isinstance(fact.event, Attempted)]

    def _compare(self, project: Project, kind: str, world: World, tainted: set[Place]) -> None:
        heads = project.state().heads
        for name in self.now.flow.names:
            expected = world.parts[name]
            bound = heads[name].partitions if name in heads else {}
            held_back = {key for stage, key in tainted if stage == name}
            if set(bound) - held_back != set(expected) - held_back:
                text = f"{sorted(bound)}, not {sorted(expected)}"
                raise Unsound(f"{kind}: {name} has the partitions {text}")
            for key, binding in bound.items():
                found = self._shown(project, name, key, binding.product)
                allowed = [shown(expected[key], self.now.flow.table(name).keyed)]
                place = project.environment, (name, key)
                if (name, key) in tainted and place in self._held:
                    allowed.append(self._held[place])
                if found not in allowed:
                    raise Unsound(f"{kind}: {name} {key} holds\n{found}\nnot\n{allowed[0]}")
                self._held[place] = found

    def _shown(self, project: Project, name: str, key: str, product: Any) -> Shown:
        """The published rows; an object that was read before is still what its name says."""
        table = self.now.flow.table(name)
        objects = (name, *product.all_objects, *table.names)
        if objects not in self._known:
            good: list[dict[str, Any]] = []
            if key != UNPLACED or product.rows:
                good = project.read(name, key).collect().to_dicts()
            bad = project.quarantined(name, key).collect().to_dicts()
            self._known[objects] = shown(Part(good, bad), table.keyed)
        return self._known[objects]

    def _count_asked(self, kind: str) -> None:
        """Hold it against memos that they were ever asked for a row that they knew."""
        file = self.root / ASKED
        rows = Counter(file.read_text(encoding="utf-8").splitlines() if file.exists() else ())
        again = [row for row, times in rows.items() if times > 1]
        if again and not self.lost_calls:
            raise Unsound(f"{kind}: memos were asked again for {again[:5]}")
        self.tally.steps["rows that memos were asked for"] += len(rows) - self._rows_asked
        self._rows_asked = len(rows)

    def _account(
        self, project: Project, kind: str, world: World, tainted: set[Place], again: str
    ) -> None:
        """Hold what ran against what had to."""
        self._stained |= {
            (name, k) for name, parts in world.parts.items() for k, p in parts.items() if p.found
        }
        keys = oracle.wanted(self.now, world)
        attempts = self._attempts(project, self._seq)
        self._seq = self._last(project)
        ran = [
            (a.stage, a.partition)
            for a in attempts
            if a.outcome is Outcome.OK and a.action == Action.RUN
        ]
        for attempt in attempts:
            self.tally.steps[f"{attempt.outcome} {attempt.action}"] += 1
            self.tally.steps["of some columns only"] += bool(attempt.columns)
            may = keys.may.get((attempt.stage, attempt.partition))
            if attempt.action == Action.RECHECK and may is not None:
                self._judged_by(may, attempt.stage)
                self._judged_by(keys.must[attempt.stage, attempt.partition], attempt.stage)
        due = {
            key
            for place, key in keys.must.items()
            if key not in self._must and place not in tainted
        }
        # What is complete now may be just what a run of a part saw.
        heads = project.state().heads
        seen = [
            (a.stage, a.partition)
            for a in attempts
            if a.outcome is Outcome.BOUND
            and (a.stage, a.partition) in keys.must
            and heads[a.stage].partitions[a.partition].key in self._partly
        ]
        missed = due - {keys.must[place] for place in (*ran, *seen) if place in keys.must}
        if missed:
            places = [place for place, key in keys.must.items() if key in missed]
            raise Unsound(f"{kind}: these had to run and didn't: {places}")
        self.tally.steps["had to run"] += len(due)
        for place in seen:
            self._note_made(place, keys)
        # A run of a part may make what sees all partitions of something that is not yet complete.
        for place in dict.fromkeys(ran) if kind == "partial" else ran:
            self._judge(kind, place, keys, forced=place[0] == again)

    def _judge(self, kind: str, place: Place, keys: oracle.Wanted, *, forced: bool) -> None:
        """Whether one step that ran had to."""
        if place not in keys.must:
            return
        must, may = keys.must[place], keys.may[place]
        if must in self._must and not forced:
            text = f"{kind}: {self._op(place[0])}"
            if may in self._may and not self._excused(place, must, may):
                raise Unsound(f"{text}: {place} ran for nothing")
            self.tally.declared[text] += 1
        self._note_made(place, keys)

    def _note_made(self, place: Place, keys: oracle.Wanted) -> None:
        must, may = keys.must[place], keys.may[place]
        self._must.add(must)
        self._may.add(may)
        self._judged_by(must, place[0])
        self._judged_by(may, place[0])

    def _judged_by(self, key: int, name: str) -> None:
        self._judges.setdefault(key, set()).add(self.now.flow.table(name))

    def _excused(self, place: Place, must: int, may: int) -> bool:
        """Whether a step may run again with all that the declared grain looks at as it was.

        Where a contract ever found something, all that it checks counts, for as little as was the
        same; and rows whose order is open come in any.
        """
        name = place[0]
        table = self.now.flow.table(name)
        judges = self._judges[must] | self._judges[may]
        judged = place in self._stained and judges != {table}
        return judged or any(not self.now.flow.table(n).keyed for n in self._upstream(name))

    def _upstream(self, name: str) -> set[str]:
        found, known = {name}, {stage.name: stage for stage in self.now.flow.stages}
        while more := {i for n in found if n in known for i in known[n].inputs} - found:
            found |= more
        return found

    def _op(self, name: str) -> str:
        flow = self.now.flow
        return next((stage.op for stage in flow.stages if stage.name == name), "ingest")


def tainted_of(flow: Flow, world: World) -> set[Place]:
    """The partitions that a rule holds back, and all that is made of them."""
    found = {(name, k) for name, parts in world.parts.items() for k, p in parts.items() if p.fails}
    for stage in flow.stages:
        for key in world.parts[stage.name]:
            seen = zip(stage.inputs, world.sight[stage.name, key], strict=True)
            if any((name, other) in found for name, keys in seen for other in keys):
                found.add((stage.name, key))
    return found


def shown(part: Part, keyed: bool) -> Shown:
    """Rows as texts that are equal only for equal values: good ones in order if they have one."""
    good = [_text(row) for row in part.good]
    bad = [_text({name: _as_it_came(value) for name, value in row.items()}) for row in part.bad]
    return (good if keyed else sorted(good), sorted(bad))


def _text(row: Mapping[str, Any]) -> str:
    return repr(sorted((name, value) for name, value in row.items() if value is not None))


def _as_it_came(value: Any) -> Any:
    """What was quarantined may have come as 5 or as 5.0; the order of reasons is no promise."""
    if isinstance(value, list):
        return sorted(value)
    is_whole = isinstance(value, float) and value.is_integer() and repr(value) != "-0.0"
    return int(value) if is_whole else value


def play(scenario: Scenario, root: Path, kind: type[Player] = Player) -> Tally:
    """Play a scenario in a folder of its own; Unsound says what is wrong after which edit."""
    place = "the first build"
    # Small frames are computed in memory; every second scenario takes them for large ones.
    limit = batches.IN_MEMORY_ROWS if scenario.seed % 2 else -1
    with (
        patch.object(calling, "IN_MEMORY_ROWS", limit),
        patch.object(batches, "IN_MEMORY_ROWS", limit),
        engines() as use_engine,
        importing(root) as modules,
    ):
        player = kind(root, modules, scenario.seed, use_engine)
        try:
            player.begin()
            for number, (edit, seed) in enumerate(scenario.edits):
                place = f"edit {number}"
                player.play(edit, seed)
            place = "the end"
            player.finish()
        except Exception as error:
            raise Unsound(f"{place} of {scenario}: {error}") from error
    return player.tally
