"""A diagram for a terminal: boxes in layers, lines between them, ways back as notes in the boxes."""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from dipeo_executor.formats.model import Diagram
from dipeo_executor.pictures.graph import kind_of, lines_of
from dipeo_executor.pictures.layout import Layout, lay_out

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
STROKES = " ╵╷│╴┘┐┤╶└┌├─┴┬┼"  # by the sum of the directions
GAP = 3  # columns between cells
MAX_LABEL = 48  # columns


def draw(diagram: Diagram) -> str:
    layout = lay_out(len(diagram.nodes), lines_of(diagram))
    labels = [_short(node.name) for node in diagram.nodes]
    texts = {number: [labels[number], kind_of(node.type)] for number, node in enumerate(diagram.nodes)}
    for line in layout.back:
        words = f" {_short(line.words)}" if line.words else ""
        texts[line.source].append(f"↺{words} → {labels[line.target]}")
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


def _signs(text: str) -> Iterator[tuple[str, int]]:
    """(what a terminal shows in one place, the columns it takes): wide signs take two, accents join the sign before."""
    sign = ""
    for char in text:
        if sign and unicodedata.category(char) in ("Mn", "Me", "Cf"):
            sign += char
            continue
        if sign:
            yield sign, 2 if unicodedata.east_asian_width(sign[0]) in "WF" else 1
        sign = char
    if sign:
        yield sign, 2 if unicodedata.east_asian_width(sign[0]) in "WF" else 1


def _width(text: str) -> int:
    return len(text) if text.isascii() else sum(columns for _, columns in _signs(text))


def _short(text: str) -> str:
    """One line that fits into a box."""
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if _width(text) <= MAX_LABEL:
        return text
    kept, room = "", MAX_LABEL - 1
    for sign, columns in _signs(text):
        room -= columns
        if room < 0:
            break
        kept += sign
    return f"{kept.rstrip()}…"


def _inner(lines: list[str]) -> int:
    """Columns between the edges of a box, an odd number: so that its middle is one."""
    return max(map(_width, lines)) // 2 * 2 + 3


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
        (middles[upper], middles[lower], _short(line.words) if upper == cells[0] else "", lower == cells[-1])
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
            beside = canvas.beside(bottom, end, words), canvas.beside(row, begin, words)
            canvas.note(words, [*(beside[0][::-1] if end < begin else beside[0]), *beside[1]])
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
        self._notes: list[tuple[str, list[tuple[int, int]]]] = []

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
        self._signs |= _placed(row, column, text)

    @staticmethod
    def beside(row: int, column: int, words: str) -> list[tuple[int, int]]:
        """Places at the right and at the left of a line."""
        return [(row, column + 2), (row, column - _width(words) - 1)]

    def note(self, words: str, places: list[tuple[int, int]]) -> None:
        """At the first of the places where there is room."""
        self._notes.append((words, places))

    def box(self, row: int, middle: int, lines: list[str]) -> None:
        inner = _inner(lines)
        left = middle - (inner + 2) // 2
        self.put(row, left, "┌" + "─" * inner + "┐")
        for offset, line in enumerate(lines, 1):
            before = (inner - _width(line)) // 2
            self.put(row + offset, left, f"│{' ' * before}{line}{' ' * (inner - before - _width(line))}│")
        self.put(row + len(lines) + 1, left, "└" + "─" * inner + "┘")

    def text(self) -> str:
        grid = {place: STROKES[directions] for place, directions in self._strokes.items()} | self._signs
        for words, places in self._notes:
            for row, column in places:
                placed = _placed(row, column, words)
                if column >= 0 and not placed.keys() & grid.keys():  # a note never hides a line
                    grid |= placed
                    break
        bottom = max((row for row, _ in grid), default=-1)
        right = max((column for _, column in grid), default=-1)
        rows = ("".join(grid.get((row, column), " ") for column in range(right + 1)) for row in range(bottom + 1))
        return "\n".join(line.rstrip() for line in rows) + "\n"


def _placed(row: int, column: int, text: str) -> dict[tuple[int, int], str]:
    """Place -> sign; the second place of a wide sign holds nothing."""
    placed: dict[tuple[int, int], str] = {}
    for sign, columns in _signs(text):
        placed[row, column] = sign
        if columns == 2:
            placed[row, column + 1] = ""
        column += columns
    return placed
