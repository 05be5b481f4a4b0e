"""`dipeo compile` (spec/cli.md §6): the executor's verdict on a diagram, and nothing stored."""

import sys
from dataclasses import dataclass
from typing import Any

from dipeo_cli import diagnostics, lookup, output, stack, texts, uploads
from dipeo_cli import push as publishing
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, CliError, NotFound, Usage

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Push:
    """What to do with a diagram that compiles (§6.4)."""

    name: str
    target_dir: str
    clobber: bool


def compile(config: Config, name: str, *, stdin: bool, format: str, as_json: bool, push: Push | None = None) -> int:
    """Exit code 0 when the diagram is valid, warnings or not."""
    if push:
        publishing.check_name(push.name)
    subject = "stdin" if stdin or name == "-" else name
    try:
        diagram = _read(config, name, stdin=stdin, format=format)
    except (NotFound, CliError) as error:
        if not as_json or isinstance(error, Usage):
            raise
        output.error(str(error), error.hint)
        report: Json = {"valid": False, "errors": [_load_problem(error)], "warnings": [], "source": subject}
        output.document(report)
        return EXIT_NEGATIVE
    with stack.connect(config) as gateway:
        report = uploads.with_files(
            config, lambda sent: gateway.compile_diagram(diagram.text, diagram.path, diagram.format, sent)
        )
    if push and report["valid"]:
        report["pushed"] = publishing.push(
            config, diagram, name=push.name, format=report["format"], target_dir=push.target_dir, clobber=push.clobber
        )
    if as_json:
        output.document(report | {"source": diagram.path or "stdin"})
        if not report["valid"]:
            output.error(f"{subject} does not compile")
    else:
        _print(report, subject, diagram.path, rich=config.verbosity > 0 or sys.stdout.isatty())
        if pushed := report.get("pushed"):
            replaced = " (replaced)" if pushed["replaced"] else ""
            output.answer(f"{output.symbol('✅', 'OK:')} Pushed diagram to: {pushed['path']}{replaced}")
            output.answer(f"   {pushed['uri']}")
    return 0 if report["valid"] else EXIT_NEGATIVE


def _read(config: Config, name: str, *, stdin: bool, format: str) -> lookup.Diagram:
    if not stdin and not name:
        raise Usage("Either diagram path or --stdin is required")
    if not stdin and name != "-":
        return lookup.load(name, format, config.base)
    return texts.read(config, "-", format)


def _load_problem(error: CliError) -> Json:
    return {
        "phase": "LOAD",
        "code": error.code,
        "severity": "error",
        "message": str(error),
        "node_id": None,
        "suggestion": error.hint or None,
    }


def _print(report: Json, subject: str, path: str, *, rich: bool) -> None:
    """The lines scripts know, then the details where people look."""
    errors, warnings = report["errors"], report["warnings"]
    if report["valid"]:
        output.answer(f"{output.symbol('✅', 'OK:')} Diagram compiled successfully: {subject}")
        output.answer(f"   Nodes: {report['node_count']}\n   Edges: {report['edge_count']}")
    else:
        output.answer(f"{output.symbol('❌', 'FAILED:')} Compilation failed: {subject}")
        output.error(f"{subject} does not compile: {errors[0]['message'] if errors else 'see above'}")
    if rich and (errors or warnings):
        output.answer("\n" + diagnostics.text(errors, warnings, path))
        return
    for title, problems in (
        (f"{output.symbol('⚠️ ', '')} Warnings", warnings),
        (f"{output.symbol('❌', '')} Errors", errors),
    ):
        if problems:
            output.answer("\n".join(["", f"{title} ({len(problems)}):", *diagnostics.brief(problems)]))
