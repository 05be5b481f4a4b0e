"""Diagram -> Program, or every reason why not. (spec/formats.md §9)

Never raises because of the diagram. VALIDATION and NODE_TRANSFORMATION both run before an error stops the work, so that
one report holds all problems. Files come through `SourceFiles`, so a captured run compiles without a disk.
"""

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from dipeo_executor.analysis import build_edges, look_for_waste, validate
from dipeo_executor.bundle import Bundle
from dipeo_executor.changes import applied
from dipeo_executor.formats.detect import SUFFIXES, name_of
from dipeo_executor.formats.diagnostics import Diagnostic, Report
from dipeo_executor.formats.loading import load
from dipeo_executor.formats.model import NODE_TYPES, Diagram, DiagramNode, Metadata
from dipeo_executor.nodes import REGISTRY, person_job, sub_diagram
from dipeo_executor.program import Budget, Node, Program
from dipeo_executor.properties import Given, checked, named
from dipeo_executor.requirements import Surroundings, check, persons_of, read_files
from dipeo_executor.sources import SourceFiles, diagram_places, first_found, shown_places

NO_CHANGES: Mapping[str, Any] = MappingProxyType({})
MAX_LEVELS = 50  # of sub-diagrams in each other (node contract 12.3)


@dataclass(frozen=True, slots=True)
class Compiled:
    """`program` is None when a diagnostic is an error. `format` as detected, "" when it could not be told."""

    program: Program | None
    diagnostics: tuple[Diagnostic, ...]
    format: str
    name: str  # from the metadata, else the file name without extension
    metadata: Metadata


def compile_diagram(
    text: str, *, path: str = "", format: str = "", files: SourceFiles, changes: Mapping[str, Any] = NO_CHANGES
) -> Compiled:
    """`path`: of the diagram, relative to BASE or absolute, "" from a pipe. `format`: "" = detect.

    `changes`: see changes.applied, which raises BadInput. Sub-diagrams stay as they are.
    """
    return _compile(text, path, format, _Session(files), (), changes)


def compile_bundle(bundle: Bundle) -> Compiled:
    """Compile again what was captured when the run was submitted."""
    return compile_diagram(bundle.text, path=bundle.path, format=bundle.format, files=bundle, changes=bundle.changes)


@dataclass(frozen=True, slots=True)
class _Session:
    """One compilation with all its sub-diagrams. `children`: place -> what it compiled to, and for which node."""

    files: SourceFiles
    children: dict[str, tuple[Compiled, str]] = field(default_factory=dict)


def _compile(
    text: str,
    path: str,
    format: str,
    session: _Session,
    levels: tuple[str, ...],
    changes: Mapping[str, Any] = NO_CHANGES,
) -> Compiled:
    """`levels`: places of the sub-diagrams around this one, itself included; empty for the outermost."""
    path = posixpath.normpath(path) if path else ""
    report = Report()
    diagram, detected = load(text, path=path, flag=format, report=report)
    if diagram and changes:
        diagram = applied(diagram, changes)
    name = (diagram and diagram.metadata.name) or name_of(path)
    program = _program(diagram, path, name, session, levels, report) if diagram else None
    metadata = diagram.metadata if diagram else Metadata()
    return Compiled(program, report.in_file_order(), detected or "", name, metadata)


def _program(
    diagram: Diagram, path: str, name: str, session: _Session, levels: tuple[str, ...], report: Report
) -> Program | None:
    if not diagram.nodes:
        report.add("V1", "the diagram has no nodes", ("nodes",), suggestion="a diagram begins with a start node")
        return None
    links = validate(diagram, report)
    persons = persons_of(diagram, path, session.files, report)
    around = Surroundings(diagram, persons, path, session.files, report)
    nodes = [_node(node, around, session, levels) for node in diagram.nodes]
    edges = build_edges(links, report)
    if report.has_errors:
        return None
    look_for_waste(diagram, links, report)
    return Program(tuple(node for node in nodes if node), edges, persons, name, path, Budget(**diagram.metadata.budget))


def _node(node: DiagramNode, around: Surroundings, session: _Session, levels: tuple[str, ...]) -> Node | None:
    """None after an error."""
    if node.type not in NODE_TYPES:
        return None  # V3 has said so
    node_type = REGISTRY[node.type]
    given = named(node, node_type, around.report)
    read_files(given, around)
    props = checked(given, node_type, around.report)
    if props is None:
        return None
    props = check(given, props, around)
    return Node(
        id=node.id,
        type=node.type,
        label=node.name,
        props=props,
        on_error=props.on_error,
        max_iteration=props.max_iteration if isinstance(props, person_job.Props) else None,
        child=_child(given, props, around, session, levels) if isinstance(props, sub_diagram.Props) else None,
    )


def _child(
    given: Given, props: sub_diagram.Props, around: Surroundings, session: _Session, levels: tuple[str, ...]
) -> Program | None:
    """The nested program of a sub-diagram; None after an error."""
    report = around.report
    if props.ignore_if_sub and levels:
        return Program((), ())  # never runs here, and may name a diagram that is being compiled
    elif len(levels) >= MAX_LEVELS:
        given.add(report, "T10", f"more than {MAX_LEVELS} diagrams in each other: {' → '.join(levels[-3:])}")
    elif props.diagram_data is not None:
        text = props.diagram_data if isinstance(props.diagram_data, str) else json.dumps(props.diagram_data)
        flag = props.diagram_format if props.diagram_format in SUFFIXES else ""
        inside = f"{given.node.name} (inline)"
        compiled = _compile_inline(text, str(flag), around.path, session, (*levels, inside))
        _adopt(compiled.diagnostics, given, "diagram_data", inside, report)
        return compiled.program
    elif props.diagram_name:
        return _named_child(given, props, around, session, levels)
    else:
        given.add(report, "T10", "it names no diagram", suggestion="set diagram_name, or diagram_data")
    return None


def _named_child(
    given: Given, props: sub_diagram.Props, around: Surroundings, session: _Session, levels: tuple[str, ...]
) -> Program | None:
    name, report = props.diagram_name, around.report
    found = first_found(diagram_places(name, props.diagram_format or "light", around.path), session.files)
    if found.text is None:
        given.add(report, "T10", f'diagram "{name}" not found; tried {shown_places(found.tried)}', "diagram_name")
        return None
    place = found.place
    if place in levels:
        cycle = " → ".join((*levels[levels.index(place) :], place))
        given.add(report, "T10", f"the diagram contains itself: {cycle}", "diagram_name")
        return None
    if place in session.children:
        compiled, first = session.children[place]
        if compiled.program is None:
            given.add(report, "T10", f'diagram "{name}" is invalid, as told at node "{first}"', "diagram_name")
        return compiled.program
    compiled = _compile(found.text, place, "", session, (*levels, place))
    session.children[place] = (compiled, given.node.name)
    _adopt(compiled.diagnostics, given, "diagram_name", place, report)
    return compiled.program


def _compile_inline(text: str, flag: str, parent_path: str, session: _Session, levels: tuple[str, ...]) -> Compiled:
    """An inline diagram has no file of its own: names in it are looked up from its parent's folder."""
    report = Report()
    diagram, detected = load(text, flag=flag, report=report)
    program = _program(diagram, parent_path, levels[-1], session, levels, report) if diagram else None
    return Compiled(
        program, report.in_file_order(), detected or "", levels[-1], diagram.metadata if diagram else Metadata()
    )


def _adopt(problems: tuple[Diagnostic, ...], given: Given, field: str, source: str, report: Report) -> None:
    """Report a sub-diagram's problems at the node that names it, with the place inside the other file."""
    line, column = report.positions.of(given.at(field))
    for problem in problems:
        place = f"{source}:{problem.line}:{problem.column}" if problem.line else source
        report.found.append(
            replace(
                problem,
                message=f"{place}: {problem.message}",
                node_id=_inside(given.node.id, problem.node_id),
                label=_inside(given.node.name, problem.label),
                line=line,
                column=column,
            )
        )


def _inside(outer: str, inner: str) -> str:
    return f"{outer}/{inner}" if inner else outer
