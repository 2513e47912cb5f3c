"""What a step sends to a worker and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tidemill.contracts.row_ruling import Ruling
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Binding, Product
from tidemill.sources.scan import is_apart
from tidemill.workflow.environment import RunProfile
from tidemill.workflow.incremental_fold import FoldUsage
from tidemill.workflow.memo import Usage
from tidemill.workflow.model import Artifact
from tidemill.workflow.source import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What another process needs to open the same project.

    `path` is where it imports from, `argv` what the program was called with: modules may read both.
    """

    root: str = ""
    workflow: str = ""
    home: str = ""
    memo: str = ""
    environment: str = ""
    run: str = ""
    path: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    profiles: Mapping[str, RunProfile] = field(default_factory=dict)


# By stage, the partitions that a step sees.
Inputs: TypeAlias = Mapping[str, Mapping[str, Binding]]
Objects = tuple[tuple[bytes, str], ...]


def rows_in(inputs: Inputs) -> int:
    """The rows that a step is handed, by which it is told how they are computed."""
    return sum(held.product.rows for bound in inputs.values() for held in bound.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All that it takes to make what a step gives.

    `recipe` names what the stage did when the step was planned. `inputs` are partitions by stage,
    `files` those of an ingest, `artifact` the model that is scored, or delivered with. It is tried for
    the `number`-th time. Of what is `held`, only some `columns` have to be made anew, if that can be.
    """

    stage: str
    partition: str
    recipe: str
    number: int = 1
    subject: str = ""
    inputs: Inputs = field(default_factory=dict)
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    rulings: tuple[Ruling, ...] = ()
    artifact: Artifact | None = None
    held: Product | None = None
    columns: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The rows of its inputs."""
        return rows_in(self.inputs) + sum(sum(file.rows.values()) for file in self.files.values())

    def is_like(self, other: Work) -> bool:
        """Whether it is the same work as on another partition, tried for the first time."""
        if self.number > 1 or self.rulings or not is_apart(self.partition, self.files):
            return False
        same = (self.stage, self.columns, self.held is None, self._seen_by_all)
        return same == (other.stage, other.columns, other.held is None, other._seen_by_all)

    @property
    def _seen_by_all(self) -> Inputs:
        """The inputs that have no partitions."""
        return {name: bound for name, bound in self.inputs.items() if WHOLE in bound}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Why nothing was made: in words, the user's own frames, and whether to try again makes sense.

    `fate` is that of the attempt. `unlike`: it wasn't tried, because the process has other code. `memo` is
    what its memos took all the same.
    """

    message: str
    trace: str = ""
    exit_code: int = 1
    transient: bool = False
    fate: str = "error"
    unlike: bool = False
    memo: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a step gave, what else its code reached for, and the bytes of objects that aren't stored.

    Where only some `columns` were made, the others are those that were there. `memo` is what
    its memos spared and took, `fold` what its folds did.
    """

    product: Product
    touched: tuple[str, ...] = ()
    objects: Objects = ()
    memo: Usage | None = None
    fold: FoldUsage | None = None
    columns: tuple[str, ...] = ()
