"""Profile the last partitions of a table for the rules that compare with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.contracts.profiles.record import Grid, Profile
from tidemill.ledger.binding import Binding, Product
from tidemill.runs.io.published_view import PublishedView
from tidemill.store.frames import FrameStore


class PastProfiles:
    """Profiles published partitions, and one that is about to be; equal content only once.

    All profiles use the grids of the table's first partition: equal values are in equal bins, and
    findings depend on what is published, not on the run.
    """

    def __init__(self, published: PublishedView, frames: FrameStore) -> None:
        self._holdings = published
        self._frames = frames
        self._known: dict[tuple[str, str, tuple[str, ...]], Profile] = {}

    def compare(
        self, stage: str, partition: str, product: Product, frame: pl.DataFrame, *, count: int
    ) -> tuple[list[Profile], Profile | None]:
        """Return the profiles of at most `count` partitions before one, and its own; none if there are none.

        `frame` has the columns to profile. Partitions that lack one of them don't count.
        """
        columns = tuple(frame.columns)
        held = self._with_columns(self._holdings.bindings_before(stage, partition, count), columns)
        if not held:
            return [], None
        first = self._with_columns(self._holdings.first_binding(stage), columns) or held
        self._frames.require({stage: [*first, *held]})
        grid = first[0].product
        before = [self._profile(grid, one.product, columns) for one in held]
        return before, self._profile(grid, product, columns, frame)

    def _with_columns(self, held: Sequence[Binding], columns: tuple[str, ...]) -> list[Binding]:
        return [one for one in held if one.product.columns.keys() >= {*columns}]

    def _profile(
        self,
        first: Product,
        product: Product,
        columns: tuple[str, ...],
        frame: pl.DataFrame | None = None,
    ) -> Profile:
        key = (first.content, product.content, columns)
        if key not in self._known:
            own = product.content == first.content
            grids = None if own else self._profile(first, first, columns).grids
            stored = self._stored_profile(product, columns, grids) if frame is None else None
            if stored is None:
                rows = self._frames.columns(product, columns, None) if frame is None else frame
                stored = profile_frame(rows, grids)
            self._known[key] = stored
        return self._known[key]

    def _stored_profile(
        self, product: Product, columns: tuple[str, ...], grids: Mapping[str, Grid] | None
    ) -> Profile | None:
        """The profile that is stored with the rows, if it uses these grids; it saves reading them."""
        whole = self._frames.profile(product)
        by_name = {} if whole is None else {column.name: column for column in whole.columns}
        if whole is None or not by_name.keys() >= {*columns}:
            return None
        found = Profile(rows=whole.rows, columns=tuple(by_name[name] for name in columns))
        return found if grids is None or found.grids == grids else None
