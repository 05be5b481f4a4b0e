"""A diagram as SVG: a file of its own, light and dark."""

from xml.sax.saxutils import escape

from dipeo_executor.formats.model import Diagram
from dipeo_executor.pictures.graph import Line, kind_of, lines_of
from dipeo_executor.pictures.layout import lay_out

HEIGHT, ROW, GAP, MARGIN = 44, 96, 32, 24
LETTER = 7.5  # average width at 13 px
STYLE = """
  .box { fill: #fff; stroke: #475569; stroke-width: 1.5 } .start, .endpoint { fill: #e2e8f0 }
  .person_job { fill: #dbeafe } .condition { fill: #fef3c7 } .code_job { fill: #dcfce7 } .db { fill: #f3e8ff }
  text { font: 13px system-ui, sans-serif; text-anchor: middle; fill: #0f172a } .kind, .words { font-size: 10px }
  .line { fill: none; stroke: #475569; stroke-width: 1.5; marker-end: url(#tip) } .back { stroke-dasharray: 5 3 }
  .words { fill: #475569 } .tip { fill: #475569 }
  @media (prefers-color-scheme: dark) {
    .words { fill: #cbd5e1 } .line { stroke: #94a3b8 } .tip { fill: #94a3b8 }
  }
"""


def draw(diagram: Diagram) -> str:
    layout = lay_out(len(diagram.nodes), lines_of(diagram))
    width = {cell: max(len(node.name) * LETTER + 24, 90.0) for cell, node in enumerate(diagram.nodes)}
    rows = [sum(width.get(cell, 8.0) + GAP for cell in layer) - GAP for layer in layout.layers]
    widest = max(rows, default=0.0)
    at: dict[int, tuple[float, float]] = {}
    for number, (layer, wide) in enumerate(zip(layout.layers, rows, strict=True)):
        x = MARGIN + (widest - wide) / 2
        for cell in layer:
            at[cell] = (x + width.get(cell, 8.0) / 2, MARGIN + number * ROW)
            x += width.get(cell, 8.0) + GAP
    aside = MARGIN + widest
    parts = [_way(line, [at[cell] for cell in cells]) for line, cells in layout.ways]
    parts += [_back(line, at, width, aside + 18 * (lane + 1)) for lane, line in enumerate(layout.back)]
    parts += [_box(node.name, node.type, at[cell], width[cell]) for cell, node in enumerate(diagram.nodes)]
    size = (aside + 18 * (len(layout.back) + 1) + MARGIN, 2 * MARGIN + (len(rows) - 1) * ROW + HEIGHT)
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]:.0f}" height="{size[1]:.0f}" role="img">'
    title = f"<title>{escape(diagram.metadata.name or 'diagram')}</title>"
    definitions = f'<defs>{tip}<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>'
    return "\n".join([head, title, f"<style>{STYLE}</style>", definitions, *parts, "</svg>"]) + "\n"


def _box(name: str, node_type: str, at: tuple[float, float], width: float) -> str:
    x, y = at
    round_by = HEIGHT / 2 if node_type in ("start", "endpoint") else 6
    return (
        f'<rect class="box {escape(node_type)}" x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{HEIGHT}" rx="{round_by}"/><text x="{x:.1f}" y="{y + 20:.1f}">{escape(name)}</text>'
        f'<text class="kind" x="{x:.1f}" y="{y + 35:.1f}">{escape(kind_of(node_type))}</text>'
    )


def _way(line: Line, places: list[tuple[float, float]]) -> str:
    x, y = places[0][0], places[0][1] + HEIGHT
    path = f"M{x:.1f} {y:.1f}"
    for next_x, next_y in places[1:]:
        middle = (y + next_y) / 2
        path += f"C{x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {next_y:.1f}"
        x, y = next_x, next_y
    begin, after = places[0], places[1]
    where = ((begin[0] + after[0]) / 2, (begin[1] + HEIGHT + after[1]) / 2 - 4)
    return f'<path class="line" d="{path}"/>{_words(line.words, where)}'


def _back(line: Line, at: dict[int, tuple[float, float]], width: dict[int, float], lane: float) -> str:
    """Up again, on the right of everything."""
    (x1, y1), (x2, y2) = at[line.source], at[line.target]
    begin, end = x1 + width[line.source] / 2, x2 + width[line.target] / 2
    y1, y2 = y1 + HEIGHT / 2, y2 + HEIGHT / 2
    path = f"M{begin:.1f} {y1:.1f}C{lane:.1f} {y1:.1f} {lane:.1f} {y1:.1f} {lane:.1f} {(y1 + y2) / 2:.1f}"
    path += f"C{lane:.1f} {y2:.1f} {lane:.1f} {y2:.1f} {end:.1f} {y2:.1f}"
    return f'<path class="line back" d="{path}"/>{_words(line.words, (lane - 14, (y1 + y2) / 2))}'


def _words(words: str, at: tuple[float, float]) -> str:
    return f'<text class="words" x="{at[0]:.1f}" y="{at[1]:.1f}">{escape(words)}</text>' if words else ""
