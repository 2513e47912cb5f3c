"""A trained model: in memory as a training function returns it, and stored as an artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, Protocol, TypeAlias

from tidemill.contracts.spec import Reads
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.search import Study

Params: TypeAlias = Mapping[str, Any]
# The value of a label that a classifier predicts.
ClassLabel: TypeAlias = bool | int | float | str
# How a column's values become numbers.
EncodingKind: TypeAlias = Literal[
    "number", "boolean", "category", "date", "datetime", "duration", "time"
]
# Whether a model gets a two-dimensional array of floats, or a frame of named columns in their own types.
Feed: TypeAlias = Literal["matrix", "frame"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnEncoding:
    """How the values of an input column become numbers; null becomes NaN.

    A category becomes its position in `categories`. One that isn't among them becomes NaN, or is refused
    if `unseen` is "fail".
    """

    name: str
    kind: EncodingKind
    categories: tuple[str, ...] = ()
    unseen: Literal["missing", "fail"] = "missing"


class EncodedInputs(Protocol):
    """The columns that a model reads, in order, with their encodings: what `tm.encoder` returns."""

    @property
    def reads(self) -> Reads: ...

    @property
    def encodings(self) -> tuple[ColumnEncoding, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A model in memory, the columns that it reads (in order), and the label that it predicts.

    `encodings` say how the columns become numbers. `classes` are the labels in the order of the model's
    probabilities; None if its library knows them, or if it predicts numbers. `entity`, `as_of` and
    `allow_leakage` are about leakage, see `fitted`.
    """

    model: Any
    inputs: Reads
    output: str
    encodings: tuple[ColumnEncoding, ...] = ()
    classes: tuple[ClassLabel, ...] | None = None
    entity: str = ""
    as_of: tuple[tuple[str, str], ...] = ()
    allow_leakage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentVersion:
    """The version that a training continued: its id and the key of its training.

    `digest` covers all that the training got of it.
    """

    id: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A stored model with its metadata.

    `trained_on` maps each input stage to its partitions. `baseline` is the constant that a trivial
    model predicts, `anchor` the newest partition at training time, `rows` the number of training rows.
    `reads` is the contract of the columns that it reads, `label` that of the one that it predicts, as
    JSON; empty in artifacts stored before they were recorded. `classes` is a JSON list of the labels that
    a classifier predicts, `shares` are their shares of the training rows. `golden` is the object with the
    rows on which the stored model was compared with the one in memory, and `export_difference` the largest
    absolute difference of their predictions. `snapshot` maps each input to its partitions and a prefix of
    the digest of their content. `packages` are the versions of Python and of the packages that were loaded
    in training, `hardware` describes the machine. `entities` is a sample of the values of the column
    `entity` in training, if the model declares one. `study` is the search that chose its parameters.
    `labelled` is the number of rows of the input that has the label; 0 in artifacts stored before it was
    recorded. `key` is that of its training; empty in artifacts stored before it was recorded. `parent` is the
    version that its training continued, if any, and `generation` counts how many were continued since a
    training from scratch. `data_at` is when the newest data in training was published (Unix seconds); 0 in
    artifacts stored before it was recorded. `source` is the object with the source text of the model and of
    the stages that it is made from, when it was trained; people compare it, and it may be missing.
    """

    id: str
    stage: str
    object: str
    format: str
    inputs: tuple[str, ...]
    output: str
    baseline: float
    anchor: str
    rows: int
    trained_on: dict[str, tuple[str, ...]]
    contracts: dict[str, str]
    recipe: str
    params: str
    seed: int | None
    reads: str = ""
    encodings: tuple[ColumnEncoding, ...] = ()
    feed: Feed = "matrix"
    label: str = ""
    classes: str = ""
    shares: tuple[float, ...] = ()
    golden: str = ""
    export_difference: float | None = None
    snapshot: dict[str, dict[str, str]] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    hardware: dict[str, str] = field(default_factory=dict)
    entity: str = ""
    entities: str = ""
    study: Study | None = None
    labelled: int = 0
    key: str = ""
    parent: ParentVersion | None = None
    generation: int = 0
    data_at: float = 0.0
    source: str = ""

    @property
    def content(self) -> str:
        """What identifies how the model predicts: its id, but its bytes if an older version stored it."""
        return self.object if self.id == self.object[: len(self.id)] else self.id

    @property
    def baseline_content(self) -> str:
        """What identifies the scores of its baseline: equal models of other labels have other ones."""
        shares = list(map(repr, self.shares))
        return fingerprint("baseline", self.content, repr(self.baseline), self.classes, shares)

    @property
    def lineage(self) -> str:
        """Which version its training continued, in words; "" for one that was trained from scratch."""
        return f"continues {self.parent.id}, generation {self.generation}" if self.parent else ""

    @property
    def all_objects(self) -> tuple[str, ...]:
        """The names of all objects that must be kept while this model may be used.

        Its parent isn't among them: a trained model doesn't need it any more.
        """
        return (self.object, self.golden) if self.golden else (self.object,)

    @property
    def class_labels(self) -> tuple[ClassLabel, ...]:
        """The labels that a classifier predicts, in the order of its probabilities; empty without classes."""
        return tuple(json.loads(self.classes)) if self.classes else ()


def fitted(
    model: Any,
    *,
    inputs: Reads | EncodedInputs,
    output: str,
    classes: Sequence[ClassLabel] | None = None,
    entity: str = "",
    as_of: Mapping[str, str] | None = None,
    allow_leakage: Sequence[str] = (),
) -> Fitted:
    """Return a trained model from a training function, with its input columns and its label.

    `inputs` are the columns that the model reads, in order (`Features.reads("hour", "distance")`), or the
    encoder that made numbers of them (`tm.encoder(...)`); `output` is the name of the label column that it
    predicts. `classes` are the labels of a classifier in the order of its probabilities, for libraries that
    don't know them: a booster that was trained on the positions of text labels.

    For the checks of leakage, `entity` names the column of what rows belong to (a customer): none should be
    in both training and evaluation. `as_of` maps a column with the time at which features were observed to
    the one of the prediction (`{"weather_at": "departs_at"}`): none should be later. `allow_leakage` lists
    columns whose finding is accepted.
    """
    return Fitted(
        model=model,
        inputs=inputs if isinstance(inputs, Reads) else inputs.reads,
        output=output,
        encodings=() if isinstance(inputs, Reads) else tuple(inputs.encodings),
        classes=None if classes is None else tuple(classes),
        entity=entity,
        as_of=tuple((as_of or {}).items()),
        allow_leakage=tuple(allow_leakage),
    )
