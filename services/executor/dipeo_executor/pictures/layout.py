"""Boxes in layers, so that lines lead down: long lines get a place in every layer they pass. (after Sugiyama)"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dipeo_executor.pictures.graph import Line

SWEEPS = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """`layers`: cells from left to right. A cell below the number of boxes is a box, one above is a line passing by.

    `ways`: for each line that leads down, its cells from box to box; `back`: the lines that lead up again.
    """

    layers: list[list[int]]
    ways: list[tuple[Line, list[int]]]
    back: list[Line]


def lay_out(size: int, lines: Sequence[Line]) -> Layout:
    back = _back_lines(size, lines)
    down = [line for number, line in enumerate(lines) if number not in back]
    rank = _ranks(size, down)
    layers: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    for cell in range(size):
        layers[rank[cell]].append(cell)
    ways: list[tuple[Line, list[int]]] = []
    passing = size
    for line in down:
        between = range(rank[line.source] + 1, rank[line.target])
        cells = list(range(passing, passing + len(between)))
        passing += len(cells)
        for layer, cell in zip(between, cells, strict=True):
            layers[layer].append(cell)
        ways.append((line, [line.source, *cells, line.target]))
    _untangle(layers, [cells for _, cells in ways])
    return Layout(layers, ways, [line for number, line in enumerate(lines) if number in back])


def _back_lines(size: int, lines: Sequence[Line]) -> set[int]:
    """Lines that close a cycle, found by walking depth first from the first box on."""
    leaving: list[list[int]] = [[] for _ in range(size)]
    for number, line in enumerate(lines):
        leaving[line.source].append(number)
    fed = {line.target for line in lines}
    roots = sorted(range(size), key=lambda cell: cell in fed)
    state = [0] * size  # 0 = new, 1 = on the way, 2 = done
    back: set[int] = set()
    for root in roots:
        path = [(root, iter(leaving[root]))] if not state[root] else []
        state[root] = state[root] or 1
        while path:
            cell, rest = path[-1]
            number = next(rest, -1)
            if number < 0:
                state[cell] = 2
                path.pop()
                continue
            following = lines[number].target
            if state[following] == 1:
                back.add(number)
            elif not state[following]:
                state[following] = 1
                path.append((following, iter(leaving[following])))
    return back


def _ranks(size: int, down: Sequence[Line]) -> list[int]:
    """Every box below all that lead to it."""
    waiting = [0] * size
    for line in down:
        waiting[line.target] += 1
    rank = [0] * size
    ready = [cell for cell in range(size) if not waiting[cell]]
    while ready:
        cell = ready.pop()
        for line in down:
            if line.source == cell:
                rank[line.target] = max(rank[line.target], rank[cell] + 1)
                waiting[line.target] -= 1
                if not waiting[line.target]:
                    ready.append(line.target)
    return rank


def _untangle(layers: list[list[int]], ways: Sequence[Sequence[int]]) -> None:
    """Order each layer by the middle of its neighbours above, then below, a few times."""
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    for cells in ways:
        for upper, lower in pairwise(cells):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    for sweep in range(SWEEPS):
        neighbours, order = (above, layers) if sweep % 2 == 0 else (below, layers[::-1])
        for fixed, moving in pairwise(order):
            at = {cell: place for place, cell in enumerate(fixed)}
            places = {
                cell: sum(at[it] for it in neighbours[cell]) / len(neighbours[cell]) if cell in neighbours else index
                for index, cell in enumerate(moving)
            }
            moving.sort(key=places.__getitem__)
