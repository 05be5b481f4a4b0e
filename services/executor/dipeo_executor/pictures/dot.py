"""A diagram in Graphviz's language."""

import json

from dipeo_executor.formats.model import Diagram
from dipeo_executor.pictures.graph import kind_of, lines_of

SHAPES = {"start": "oval", "endpoint": "oval", "condition": "diamond", "db": "cylinder", "sub_diagram": "component"}


def draw(diagram: Diagram) -> str:
    lines = ["digraph diagram {", '    node [shape=box, style=rounded, fontname="sans-serif"];']
    for number, node in enumerate(diagram.nodes):
        shape = f", shape={SHAPES[node.type]}" if node.type in SHAPES else ""
        label = _quoted(f"{node.name}\n{kind_of(node.type)}")
        lines.append(f"    n{number} [label={label}{shape}];")
    for line in lines_of(diagram):
        words = f" [label={_quoted(line.words)}]" if line.words else ""
        lines.append(f"    n{line.source} -> n{line.target}{words};")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
