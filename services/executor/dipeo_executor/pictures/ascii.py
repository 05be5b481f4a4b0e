"""A diagram for a terminal: boxes in layers, lines between them, ways back as notes in the boxes."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from dipeo_executor.formats.model import Diagram
from dipeo_executor.pictures.graph import kind_of, lines_of
from dipeo_executor.pictures.layout import Layout, lay_out

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
STROKES = " ╵╷│╴┘┐┤╶└┌├─┴┬┼"  # by the sum of the directions
GAP = 3  # columns between cells


def draw(diagram: Diagram) -> str:
    layout = lay_out(len(diagram.nodes), lines_of(diagram))
    texts = {number: [node.name, kind_of(node.type)] for number, node in enumerate(diagram.nodes)}
    for line in layout.back:
        words = f" {line.words}" if line.words else ""
        texts[line.source].append(f"↺{words} → {diagram.nodes[line.target].name}")
    middles = _columns(layout, texts)
    canvas = _Canvas()
    row = 0
    for number, layer in enumerate(layout.layers):
        height = max((len(texts[cell]) + 2 for cell in layer if cell in texts), default=1)
        for cell in layer:
            if cell in texts:
                canvas.box(row, middles[cell], texts[cell])
                canvas.vertical(middles[cell], row + len(texts[cell]) + 1, row + height, leaves=_leaves(layout, cell))
            else:
                canvas.vertical(middles[cell], row - 1, row + height)
        row = _connect(canvas, layout, number, row + height, middles)
    return canvas.text()


def _inner(lines: list[str]) -> int:
    """Columns between the edges of a box, an odd number: so that its middle is one."""
    return max(map(len, lines)) // 2 * 2 + 3


def _leaves(layout: Layout, cell: int) -> bool:
    return any(cells[0] == cell for _, cells in layout.ways)


def _columns(layout: Layout, texts: dict[int, list[str]]) -> dict[int, int]:
    """Middle column of every cell; layers are centred on the widest."""
    width = {cell: _inner(lines) + 2 for cell, lines in texts.items()}
    widths = [sum(width.get(cell, 1) + GAP for cell in layer) - GAP for layer in layout.layers]
    middles: dict[int, int] = {}
    for layer, wide in zip(layout.layers, widths, strict=True):
        column = (max(widths) - wide) // 2
        for cell in layer:
            middles[cell] = column + width.get(cell, 1) // 2
            column += width.get(cell, 1) + GAP
    return middles


def _connect(canvas: "_Canvas", layout: Layout, number: int, row: int, middles: dict[int, int]) -> int:
    """Draw the lines from one layer to the next, each with its own row where it runs sideways. The row below."""
    layer = set(layout.layers[number])
    steps = [
        (middles[upper], middles[lower], line.words if upper == cells[0] else "", lower == cells[-1])
        for line, cells in layout.ways
        for upper, lower in pairwise(cells)
        if upper in layer
    ]
    if not steps:
        return row + 1
    leaving = Counter(begin for begin, *_ in steps)
    tracks: list[list[_Run]] = []  # what runs sideways in each row
    placed = []
    for step in sorted(steps, key=lambda step: (abs(step[0] - step[1]), step)):
        begin, end, *_ = step
        run = _Run(min(begin, end), max(begin, end), (begin, -1) if leaving[begin] > 1 else (-1, end))
        track = next((t for t, taken in enumerate(tracks) if all(map(run.fits_beside, taken))), len(tracks))
        if begin != end:
            tracks[track:] = tracks[track:] or [[]]
            tracks[track].append(run)
        placed.append((*step, track if begin != end else 0))
    bottom = row + len(tracks) + 1
    for begin, end, words, arrives, track in placed:
        turn = row + track + 1 if tracks else bottom
        canvas.vertical(begin, row - 1, turn)
        canvas.horizontal(turn, begin, end)
        canvas.vertical(end, turn, bottom)
        if arrives:
            canvas.put(bottom, end, "▼")
        if words:
            canvas.note(bottom, end, words, to_the_left=end < begin)
    return bottom + 1


@dataclass(frozen=True, slots=True)
class _Run:
    """Columns that a line takes in a row. Lines that fan out from, or into, one cell may share them."""

    left: int
    right: int
    fan: tuple[int, int]

    def fits_beside(self, other: "_Run") -> bool:
        return self.right < other.left - 1 or other.right < self.left - 1 or self.fan == other.fan


class _Canvas:
    """Strokes as directions per place, so that where lines meet the right corner appears."""

    def __init__(self) -> None:
        self._strokes: dict[tuple[int, int], int] = {}
        self._signs: dict[tuple[int, int], str] = {}
        self._notes: list[tuple[int, list[int], str]] = []

    def vertical(self, column: int, top: int, bottom: int, *, leaves: bool = True) -> None:
        for row in range(top, bottom if leaves else top):
            self._stroke(row, column, DOWN)
            self._stroke(row + 1, column, UP)

    def horizontal(self, row: int, begin: int, end: int) -> None:
        for column in range(min(begin, end), max(begin, end)):
            self._stroke(row, column, RIGHT)
            self._stroke(row, column + 1, LEFT)

    def _stroke(self, row: int, column: int, direction: int) -> None:
        self._strokes[row, column] = self._strokes.get((row, column), 0) | direction

    def put(self, row: int, column: int, text: str) -> None:
        for offset, sign in enumerate(text):
            self._signs[row, column + offset] = sign

    def note(self, row: int, column: int, words: str, *, to_the_left: bool) -> None:
        """Beside the end of a line, where there is room."""
        sides = [column + 2, column - len(words) - 1]
        self._notes.append((row, sides[::-1] if to_the_left else sides, words))

    def box(self, row: int, middle: int, lines: list[str]) -> None:
        inner = _inner(lines)
        left = middle - (inner + 2) // 2
        self.put(row, left, "┌" + "─" * inner + "┐")
        for offset, line in enumerate(lines, 1):
            self.put(row + offset, left, f"│{line:^{inner}}│")
        self.put(row + len(lines) + 1, left, "└" + "─" * inner + "┘")

    def text(self) -> str:
        grid = {place: STROKES[directions] for place, directions in self._strokes.items()} | self._signs
        for row, columns, words in self._notes:
            for column in columns:
                places = [(row, column + offset) for offset in range(len(words))]
                if column >= 0 and not any(place in grid for place in places):  # a note never hides a line
                    grid |= dict(zip(places, words, strict=True))
                    break
        bottom = max((row for row, _ in grid), default=-1)
        right = max((column for _, column in grid), default=-1)
        rows = ("".join(grid.get((row, column), " ") for column in range(right + 1)) for row in range(bottom + 1))
        return "\n".join(line.rstrip() for line in rows) + "\n"
