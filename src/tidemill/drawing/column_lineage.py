"""Draw which columns are computed from which: tables with the columns asked for, and edges between them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.graph import edge_markup
from tidemill.drawing.graph_layout import ROUNDING, Network, Orientation, Point, lay_out_graph
from tidemill.drawing.links import link
from tidemill.drawing.svg import BOLD, LABEL_SIZE, SMALL_SIZE, Drawing, number, text, translate
from tidemill.drawing.text import plain_line, text_width

_LEAST, _WIDEST, _PADDING = 110.0, 240.0, 11.0
_HEADER, _ROW, _FOOT = 28.0, 20.0, 6.0

# The names of a table and of a column in it.
ColumnName = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageColumn:
    """A column, where it leads to, and a note for pointers and screen readers, such as its type."""

    name: str
    href: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageTable:
    """A table with all of its columns; `unfold` leads to where all of them are shown."""

    name: str
    columns: Sequence[LineageColumn] = ()
    href: str = ""
    unfold: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnLineage:
    """Tables, and edges from a column to one that is computed from it.

    Only the columns `shown` and those on the `path` are drawn. If there is a path, it stands out from the
    others. Edges of the other columns are drawn between the tables.
    """

    tables: Sequence[LineageTable]
    edges: Sequence[tuple[ColumnName, ColumnName]] = ()
    shown: Collection[ColumnName] = ()
    path: Collection[ColumnName] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """A table with its columns that are drawn, and how many are not."""

    table: LineageTable
    columns: Sequence[LineageColumn]
    hidden: int

    @property
    def height(self) -> float:
        return _HEADER + _ROW * (len(self.columns) + (self.hidden > 0)) + _FOOT

    def port(self, column: str) -> float:
        """Where the edges of a column meet the side of the table; in its header if it isn't drawn."""
        names = [each.name for each in self.columns]
        if column not in names:
            return _HEADER / 2
        return _HEADER + _ROW * (names.index(column) + 0.5)

    @property
    def fold(self) -> str:
        """What stands for the columns that are not drawn."""
        more = "more " if self.columns else ""
        return f"{self.hidden:,} {more}column{'s' if self.hidden > 1 else ''}"


def draw_column_lineage(lineage: ColumnLineage) -> Drawing:
    """Draw the tables from left to right, each after all that its columns are computed from.

    Raises ValueError when two tables have one name, an edge names no column, or tables form a cycle.
    """
    cards = [_card(table, {*lineage.shown, *lineage.path}) for table in lineage.tables]
    numbers = {card.table.name: i for i, card in enumerate(cards)}
    _check(lineage, numbers)
    width = _width(cards)
    links: dict[tuple[int, int, float, float], bool] = {}
    for (a, x), (b, y) in lineage.edges:
        source, target = numbers[a], numbers[b]
        ends = (source, target, cards[source].port(x), cards[target].port(y))
        is_lit = (a, x) in lineage.path and (b, y) in lineage.path
        links[ends] = links.get(ends, False) or is_lit
    layout = lay_out_graph(
        Network(
            sizes=[(width, card.height) for card in cards],
            edges=[(source, target) for source, target, *_ in links],
            ports=[(leaves, enters) for *_, leaves, enters in links],
            direction=Orientation.RIGHT,
            layer_gap=56.0,
        )
    )
    found = zip(links.values(), layout.lines, layout.heads, strict=True)
    # What stands out is drawn over the others.
    edges = [
        edge_markup(line, head, css=_emphasis(is_lit, lineage.path))
        for is_lit, line, head in sorted(found, key=lambda one: one[0])
    ]
    tables = [
        _table(cards[i], lineage.path, layout.corners[i], width) for i in layout.reading_order
    ]
    return Drawing(width=layout.width, height=layout.height, markup="".join([*edges, *tables]))


def _check(lineage: ColumnLineage, numbers: Collection[str]) -> None:
    if len(numbers) < len(lineage.tables):
        raise ValueError("two tables of the lineage have the same name")
    known = {(table.name, column.name) for table in lineage.tables for column in table.columns}
    unknown = {name for edge in lineage.edges for name in edge} - known
    if unknown:
        raise ValueError(f"the lineage has no columns {sorted(unknown)}")


def _card(table: LineageTable, shown: Collection[ColumnName]) -> _Card:
    columns = [column for column in table.columns if (table.name, column.name) in shown]
    return _Card(table=table, columns=columns, hidden=len(table.columns) - len(columns))


def _width(cards: Sequence[_Card]) -> float:
    """The width that all tables have."""
    lines = [
        (content, size)
        for card in cards
        for content, size in (
            (card.table.name, BOLD * LABEL_SIZE),
            (card.fold, SMALL_SIZE),
            # Columns on the path are bold.
            *((column.name, BOLD * SMALL_SIZE) for column in card.columns),
        )
    ]
    widest = max((text_width(plain_line(content), size) for content, size in lines), default=0.0)
    return min(max(float(round(widest + 2 * _PADDING)), _LEAST), _WIDEST)


def _emphasis(is_lit: bool, path: Collection[ColumnName]) -> str:
    """The CSS class that lifts something above others, or lowers it."""
    return "" if not path else "lit" if is_lit else "quiet"


def _table(card: _Card, path: Collection[ColumnName], corner: Point, width: float) -> str:
    table, on_path = card.table, {name for name, _ in path}
    size = f'width="{number(width)}" height="{number(card.height)}"'
    heading = _line(table.name, 0.0, _HEADER, width, css="heading", pixels=LABEL_SIZE)
    rows = [link(heading, table.href, label=table.name)]
    y = _HEADER
    for column in card.columns:
        label = ", ".join(part for part in (f"{table.name}.{column.name}", column.note) if part)
        css = _emphasis((table.name, column.name) in path, path)
        line = _line(column.name, y, _ROW, width, css="name", pixels=SMALL_SIZE)
        rows.append(
            link(line, column.href, label=label, css=css, name=f"{table.name}.{column.name}")
        )
        y += _ROW
    if card.hidden:
        line = _line(card.fold, y, _ROW, width, css="note", pixels=SMALL_SIZE)
        rows.append(link(line, table.unfold, label=f"{table.name}: {card.fold}"))
    box = f'<rect class="box" {size} rx="{number(ROUNDING)}"/>'
    # The header line stops before the border.
    rule = f'<path class="grid" d="M1 {number(_HEADER)}H{number(width - 1)}"/>'
    inside = f"{box}{rule}<svg {size}>{''.join(rows)}</svg>"
    css = _emphasis(table.name in on_path, path)
    moved = translate(Drawing(width=width, height=card.height, markup=inside), *corner)
    return f'<g class="{" ".join(part for part in ("table grey", css) if part)}">{moved}</g>'


def _line(content: str, y: float, height: float, width: float, *, css: str, pixels: float) -> str:
    """A line of text in a row that reacts to pointers as a whole."""
    row = (
        f'<rect class="row" x="2" y="{number(y + 1)}" width="{number(width - 4)}"'
        f' height="{number(height - 2)}" rx="3"/>'
    )
    baseline = y + height / 2 + pixels / 3
    room = width - 2 * _PADDING + 1
    return row + text(content, _PADDING, baseline, kind=css, size=pixels, width=room)
