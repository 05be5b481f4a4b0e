"""Compiling texts in tests, with files that live in a dictionary."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import dedent

from dipeo_executor.compiler import Compiled, compile_diagram
from dipeo_executor.formats.diagnostics import Diagnostic, Report
from dipeo_executor.formats.loading import load
from dipeo_executor.formats.model import Diagram
from dipeo_executor.program import Program
from dipeo_executor.sources import Lookup


@dataclass(frozen=True)
class Files:
    texts: Mapping[str, str] = field(default_factory=dict)

    def read(self, name: str) -> Lookup:
        return Lookup(self.texts.get(name), "" if name in self.texts else "not found")


def compiled(text: str, *, path: str = "", format: str = "", files: Mapping[str, str] | None = None) -> Compiled:
    return compile_diagram(dedent(text), path=path, format=format, files=Files(files or {}))


def light(text: str, *, path: str = "x.light.yaml", files: Mapping[str, str] | None = None) -> Compiled:
    return compiled(text, path=path, files=files)


def program_of(result: Compiled) -> Program:
    assert result.program is not None, result.diagnostics
    return result.program


def loaded(text: str, path: str = "x.light.yaml") -> tuple[Diagram, list[Diagnostic]]:
    report = Report()
    diagram, _ = load(dedent(text), path=path, report=report)
    assert diagram is not None, report.found
    return diagram, report.found


def codes(result: Compiled) -> list[str]:
    return [problem.code for problem in result.diagnostics]


def only(result: Compiled, code: str) -> Diagnostic:
    found = [problem for problem in result.diagnostics if problem.code == code]
    assert len(found) == 1, result.diagnostics
    return found[0]
