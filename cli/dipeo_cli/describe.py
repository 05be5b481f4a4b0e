"""`dipeo stats`, `dipeo graph`, `dipeo nodes`, `dipeo schema` (spec/cli.md §8.2, §14.1)."""

import json
from difflib import get_close_matches
from typing import Any

from dipeo_cli import operations, output, stack, texts
from dipeo_cli.config import Config
from dipeo_cli.errors import NotFound, Usage
from dipeo_cli.tables import columns

PICTURES = ("ascii", "mermaid", "dot", "svg")
Json = dict[str, Any]


def stats(config: Config, name: str, *, format: str, as_json: bool) -> int:
    diagram = texts.read(config, name, format)
    found = texts.ask(config, operations.DESCRIBE_DIAGRAM, "describeDiagram", diagram)
    if as_json:
        figures = {key: value for key, value in found.items() if key not in ("errors", "warnings", "picture")}
        output.document({"diagram": diagram.path or "stdin", **figures})
    else:
        output.answer("\n".join(_figures(diagram.name, found)))
    return 0


def _figures(name: str, found: Json) -> list[str]:
    """The first lines are those of the original."""
    lines = [f"Diagram Statistics: {name}", f"  Nodes: {found['nodes']}", f"  Edges: {found['edges']}"]
    lines += ["  Node Types:", *(f"    {kind}: {count}" for kind, count in found["node_types"].items())]
    lines.append(f"  Format: {found['format']}")
    lines.append(f"  Depth: {found['depth']}")
    if found["persons"]:
        lines.append("  Persons:")
        lines += [f"    {it['label']}: {it['service']} {it['model']}, {it['nodes']} node(s)" for it in found["persons"]]
    if found["loops"]:
        lines += ["  Loops:", *(f"    {', '.join(labels)}" for labels in found["loops"])]
    if found["unreachable"]:
        lines.append(f"  Unreachable: {', '.join(found['unreachable'])}")
    return lines


def graph(config: Config, name: str, *, picture: str, format: str, to: str) -> int:
    if picture not in PICTURES:
        raise Usage(f"there is no picture {picture}; there are {', '.join(PICTURES)}")
    diagram = texts.read(config, name, format)
    found = texts.ask(config, operations.DESCRIBE_DIAGRAM, "describeDiagram", diagram, picture=picture)
    texts.put(to, found["picture"])
    return 0


def nodes(config: Config, name: str, *, as_json: bool) -> int:
    kinds: list[Json] = _reference(config)["types"]
    if not name:
        if as_json:
            output.document(kinds)
        else:
            output.answer(columns([(kind["name"], kind["summary"]) for kind in kinds]))
        return 0
    kind = next((kind for kind in kinds if kind["name"] == name), None)
    if kind is None:
        close = get_close_matches(name, [kind["name"] for kind in kinds], n=1)
        hint = f"did you mean {close[0]}?" if close else "`dipeo nodes` lists them"
        raise NotFound(f"there is no node type {name}", hint=hint)
    if as_json:
        output.document(kind)
    else:
        output.answer(_kind(kind))
    return 0


def _kind(kind: Json) -> str:
    rows = [("PROPERTY", "TYPE", "DEFAULT", "")]
    for it in kind["properties"]:
        default = "required" if it["required"] else _short(it["default"])
        rows.append((it["name"], it["type"], default, it["help"] or ""))
    ways = f"{', '.join(kind['inputs']) or 'nothing'} → {', '.join(kind['outputs']) or 'nothing'}"
    return f"{kind['name']}: {kind['summary']}\nArrows: {ways}\n\n{columns(rows)}"


def _short(value: Any) -> str:
    return "" if value in (None, "", [], {}) else json.dumps(value, ensure_ascii=False)


def schema(config: Config, *, to: str) -> int:
    texts.put(to, json.dumps(_reference(config)["light_schema"], ensure_ascii=False, indent=2) + "\n")
    return 0


def _reference(config: Config) -> Json:
    with stack.connect(config) as gateway:
        found: Json = gateway.execute(operations.GET_NODE_TYPES, {})["getNodeTypes"]
    return found
