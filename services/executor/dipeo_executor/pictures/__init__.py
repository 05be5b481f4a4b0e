"""Diagrams as pictures: mermaid and dot for other programs, svg and ascii drawn here."""

from collections.abc import Callable

from dipeo_executor.formats.model import Diagram
from dipeo_executor.pictures import ascii, dot, mermaid, svg

PICTURES: dict[str, Callable[[Diagram], str]] = {
    "mermaid": mermaid.draw,
    "dot": dot.draw,
    "svg": svg.draw,
    "ascii": ascii.draw,
}
