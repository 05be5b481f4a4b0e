"""What a picture shows of a diagram: boxes and lines by number."""

from dataclasses import dataclass

from dipeo_executor.formats.model import BRANCHES, Diagram
from dipeo_executor.formats.writing import arrows_of


@dataclass(frozen=True, slots=True)
class Line:
    """From box to box; `words` say by which handle and under which name."""

    source: int
    target: int
    words: str


def lines_of(diagram: Diagram) -> list[Line]:
    return [
        Line(it.source, it.target, ": ".join(filter(None, (_handle(it.handle), it.label)))) for it in arrows_of(diagram)
    ]


def _handle(handle: str) -> str:
    return "" if handle == "default" else BRANCHES.get(handle, handle)


def kind_of(node_type: str) -> str:
    """The type as a reader of the picture says it."""
    return node_type.replace("_", " ") or "?"
