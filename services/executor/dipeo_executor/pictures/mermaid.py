"""A diagram as a Mermaid flowchart, which GitHub and many editors draw."""

from dipeo_executor.formats.model import Diagram
from dipeo_executor.pictures.graph import kind_of, lines_of

SHAPES = {
    "start": ("([", "])"),
    "endpoint": ("([", "])"),
    "condition": ("{", "}"),
    "db": ("[(", ")]"),
    "sub_diagram": ("[[", "]]"),
    "user_response": ("[/", "/]"),
    "person_job": ("(", ")"),
}


def draw(diagram: Diagram) -> str:
    lines = ["flowchart TD"]
    for number, node in enumerate(diagram.nodes):
        opening, closing = SHAPES.get(node.type, ("[", "]"))
        named = (
            node.name if node.type in ("start", "endpoint", "condition") else f"{node.name}<br/>{kind_of(node.type)}"
        )
        lines.append(f'    n{number}{opening}"{_escaped(named)}"{closing}')
    for line in lines_of(diagram):
        words = f'|"{_escaped(line.words)}"|' if line.words else ""
        lines.append(f"    n{line.source} -->{words} n{line.target}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    plain = text.replace("<br/>", "\0").replace("&", "&amp;").replace('"', "#quot;").replace("<", "&lt;")
    return plain.replace("\0", "<br/>").replace("\n", " ")
