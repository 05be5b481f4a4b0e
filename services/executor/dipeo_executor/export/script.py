"""A program -> the text of a Python script that behaves like it and needs nothing of DiPeO. (spec/cli.md §7)

From top to bottom: what it is, persons, a function per node, the order of the nodes, and below that only what these
need of the runtime (`runtime/`, picked by shaking.py).
"""

import ast
import builtins
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from dipeo_executor import words
from dipeo_executor.export.literals import call, literal
from dipeo_executor.export.nodes import CannotExport, Writer, name_of, person_text
from dipeo_executor.export.order import order_of
from dipeo_executor.export.services import SERVICES, check_service
from dipeo_executor.export.shaking import definitions, needed
from dipeo_executor.export.writers import custom_data_of, function_of
from dipeo_executor.formats.diagnostics import Diagnostic
from dipeo_executor.program import Node, Person, Program

FILTERS = (
    *("snake_case", "pascal_case", "camel_case", "kebab_case", "pluralize", "singularize", "humanize"),
    *("escape_js", "strip_inline_comments"),
)
VERSIONS = {"openai": "openai>=2", "anthropic": "anthropic>=0.60", "jinja2": "jinja2>=3.1", "pyyaml": "pyyaml>=6"}
PYTHON = ">=3.11"
BASE = "DIPEO_BASE_DIR"  # a variable of the environment that code of nodes finds in every run
RULE = "# --- {} "


@dataclass(frozen=True, slots=True)
class Exported:
    """`text` is "" when there are problems."""

    text: str
    problems: tuple[Diagnostic, ...]


@dataclass(slots=True)
class _Script:
    """What is gathered while the diagrams of a script are written, the outermost last."""

    taken: set[str] = field(default_factory=set)
    persons: dict[Person, str] = field(default_factory=dict)
    flows: dict[int, str] = field(default_factory=dict)  # id of an inner program -> function that runs it
    parts: list[str] = field(default_factory=list)
    uses: set[str] = field(default_factory=lambda: {"run_script", "Inputs"})
    packages: set[str] = field(default_factory=set)
    filters: set[str] = field(default_factory=set)
    has_blocks: bool = False
    problems: list[Diagnostic] = field(default_factory=list)


def export(program: Program, *, about: str = "") -> Exported:
    """`about`: what the diagram says of itself."""
    script = _Script(_names_taken())
    _diagram(script, program, "main", "", outermost=True)
    if script.problems:
        return Exported("", tuple(script.problems))
    text = _text(script, program, about)
    ast.parse(text)
    return Exported(text, ())


def _names_taken() -> set[str]:
    """What a script calls something else, or Python does."""
    known = definitions().values()
    imported = {line.rpartition(" ")[2] for it in known for line in it.imports}
    return (
        {it.name for it in known}
        | imported
        | set(dir(builtins))
        | {"run", "inputs", "main", "names", "prompt", "value"}
    )


def _diagram(script: _Script, program: Program, name: str, where: str, *, outermost: bool = False) -> None:
    """The functions of a diagram's nodes, after those of the diagrams inside it, and the function that runs it."""
    prefix = "" if outermost else name.removeprefix("run_")
    names = {node.id: name_of(node.label, script.taken, prefix or node.type) for node in program.nodes}
    inner: dict[str, str] = {}
    for node in program.nodes:
        if node.child is None or (node.props.ignore_if_sub and not outermost):
            continue
        if id(node.child) not in script.flows:
            flow = name_of(f"run {node.child.name or node.label}", script.taken, "run")
            script.flows[id(node.child)] = flow
            _diagram(script, node.child, flow, f"{where}{node.label}/")
        inner[node.id] = script.flows[id(node.child)]
    writer = Writer(program, names, _persons(script, program), inner, script.taken, is_inner=not outermost)
    if not outermost or inner:
        script.parts.append(RULE.format(program.name or name).ljust(118, "-"))
    for node in program.nodes:
        try:
            _check_person(node, program)
            script.parts.append(function_of(writer, node))
        except CannotExport as error:
            script.problems.append(_problem(node, where, str(error)))
    if not outermost and not any(node.type == "start" for node in program.nodes):
        script.problems.append(_problem(program.nodes[0], where, "a diagram inside another needs a start node"))
    ordered = order_of(program, names, name, outermost=outermost)
    script.parts.append(ordered.text)
    script.uses |= ordered.uses
    script.uses |= writer.uses
    script.packages |= writer.packages
    script.filters |= writer.filters
    script.has_blocks = script.has_blocks or writer.has_blocks


def _problem(node: Node, where: str, problem: str) -> Diagnostic:
    message = f'node "{where}{node.label}" ({node.type}) cannot be exported: {problem}'
    return Diagnostic("EXPORT", "X1", "error", message, node_id=node.id, label=f"{where}{node.label}")


def _persons(script: _Script, program: Program) -> dict[str, str]:
    """Person id -> constant. Persons that are the same in several diagrams stand once."""
    asked = {getattr(node.props, "person", "") for node in program.nodes}
    named: dict[str, str] = {}
    for person in program.persons.values():
        if person.id in asked:
            if person not in script.persons:
                lower = {word.lower() for word in script.taken}
                constant = name_of(person.label, lower, "person").upper()
                script.taken.add(constant)
                script.persons[person] = constant
            named[person.id] = script.persons[person]
    return named


def _check_person(node: Node, program: Program) -> None:
    person = program.persons.get(getattr(node.props, "person", ""))
    if person is not None:
        check_service(person)


# --- the text ---------------------------------------------------------------------------------------------------------


def _text(script: _Script, program: Program, about: str) -> str:
    custom_data = custom_data_of(program)
    replaced = _replaced(script)
    persons = [person_text(name, person, script.taken) for person, name in script.persons.items()]
    roots = script.uses | ({"Person"} if persons else set())
    found = needed(roots, replaced)
    imports = found.imports | {"from typing import Any", "import sys"}
    sections = [
        f"{RULE.format(heading):-<118}\n\n\n" + "\n\n\n".join(_joined(texts))
        for heading, texts in found.sections.items()
    ]
    data = f"CUSTOM_DATA = {literal(custom_data)}\n\n\n" if custom_data else ""
    started = call("run_script", ["main", '__doc__ or ""', "CUSTOM_DATA" if custom_data else "{}"])
    start = 'if __name__ == "__main__":\n'
    if any(BASE in part for part in script.parts):
        imports.add("import os")
        start += f'    os.environ.setdefault("{BASE}", os.getcwd())  # code of nodes reads it\n'
    start += f"    sys.exit({started})"
    tables = [table for name, table in replaced.items() if name.isupper() and name in found.names]
    body = "\n\n\n".join(
        [*found.first, *(["\n".join(persons)] if persons else []), *script.parts, *sections, *tables, start]
    )
    head = [_header(script), _docstring(program, about, custom_data), "", "from __future__ import annotations", ""]
    head += [*_imports(imports, body), "", ""]
    return "\n".join(head) + data + body + "\n"


def _joined(texts: Iterable[str]) -> list[str]:
    """Constants that follow each other stand without gaps."""
    joined: list[str] = []
    was_constant = False
    for text in texts:
        is_constant = not re.match(r"(async def|def|class|@)", text)
        if joined and is_constant and was_constant:
            joined[-1] += f"\n{text}"
        else:
            joined.append(text)
        was_constant = is_constant
    return joined


def _replaced(script: _Script) -> dict[str, str]:
    """Tables that hold what this script needs of them."""
    services = sorted({person.service for person in script.persons if person.service != "mock"})
    script.packages |= {SERVICES[service][1] for service in services}
    rows = "".join(f'    "{service}": {SERVICES[service][0]},\n' for service in services)
    table = f"SERVICES: dict[str, Any] = {{\n{rows}}}" if rows else "SERVICES: dict[str, Any] = {}"
    filters = [name for name in FILTERS if hasattr(words, name) and (name in script.filters or "*" in script.filters)]
    shown = "".join(f'    "{name}": {name},\n' for name in filters)
    replaced = {"FILTERS": f"FILTERS: dict[str, Any] = {{\n{shown}}}" if shown else "FILTERS: dict[str, Any] = {}"}
    replaced["SERVICES"] = table
    if script.has_blocks:
        replaced["fill"] = definitions()["export/runtime/texts.py", "fill_blocks"].text.replace(
            "def fill_blocks", "def fill"
        )
    return replaced


def _header(script: _Script) -> str:
    packages = [VERSIONS.get(name, name) for name in sorted(script.packages)]
    listed = "[" + ", ".join(f'"{package}"' for package in packages) + "]"
    return "\n".join(
        ["#!/usr/bin/env -S uv run --script", "# /// script", f'# requires-python = "{PYTHON}"',
         f"# dependencies = {listed}", "# ///"]
    )  # fmt: skip


def _docstring(program: Program, about: str, custom_data: dict[str, object]) -> str:
    name = program.name or "diagram"
    told = f"{name}: {about}" if about else name
    options = " ".join(f"[--{key.replace('_', '-')} …]" for key in custom_data)
    source = f"Exported from {program.path}. " if program.path else "Exported from a DiPeO diagram. "
    lines = [
        " ".join(told.split()),
        "",
        f"{source}It runs without DiPeO:",
        "",
        f"    uv run THIS_FILE {options}".rstrip(),
    ]
    lines.append("    uv run THIS_FILE --mock      answers by rule, no model is called")
    plain = "\n".join(lines).replace("\\", "/").replace('"""', "'''")
    return f'"""{plain}\n"""'


def _imports(lines: Iterable[str], body: str) -> list[str]:
    """Only what the body names."""
    plain = sorted(line for line in lines if line.startswith("import ") and f"{line.split()[1]}." in body)
    named: dict[str, set[str]] = {}
    for line in lines:
        if line.startswith("from "):
            _, module, _, name = line.split(" ", 3)
            if re.search(rf"\b{name}\b", body):
                named.setdefault(module, set()).add(name)
    return [*plain, *(f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(named.items()))]
