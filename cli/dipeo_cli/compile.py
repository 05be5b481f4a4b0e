"""`dipeo compile` (spec/cli.md §6): the executor's verdict on diagrams, and nothing stored."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dipeo_cli import diagnostics, lookup, output, saving, stack, texts, uploads
from dipeo_cli import push as publishing
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, CliError, Usage

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Push:
    """What to do with a diagram that compiles (§6.4)."""

    name: str
    target_dir: str
    clobber: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What `dipeo compile` was asked for."""

    format: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)  # "NODE.property" -> value
    push: Push | None = None
    strict: bool = False
    annotate: bool = False  # print for GitHub's log
    as_json: bool = False


def compile(config: Config, names: Sequence[str], asked: Asked) -> int:
    """Exit code 0 when every diagram is valid; warnings count only with `strict`. `-` is stdin."""
    if asked.push:
        publishing.check_name(asked.push.name, published=not asked.push.target_dir)
    reports = [_report(config, name, asked) for name in names]
    if asked.as_json:
        output.document(reports if len(names) > 1 else reports[0])
    return 0 if all(_good(report, asked) for report in reports) else EXIT_NEGATIVE


def watch(config: Config, names: Sequence[str], asked: Asked) -> int:
    """Compile now and each time one of the files is saved, until a signal."""
    paths = [lookup.find(name, asked.format, config.base, Path.cwd()) for name in names]
    while True:
        seen = [saving.stamp(path) for path in paths]
        compile(config, names, asked)
        output.say(f"waiting for {', '.join(names)} to be saved; Ctrl-C ends it")
        saving.wait(paths, seen)


def _good(report: Json, asked: Asked) -> bool:
    return bool(report["valid"]) and not (asked.strict and report["warnings"])


def _report(config: Config, name: str, asked: Asked) -> Json:
    """The verdict on one diagram, told to people unless a document is wanted; a failure to read it is one, too."""
    subject = "stdin" if name == "-" else name
    try:
        diagram = texts.read(config, name, asked.format)
    except CliError as error:
        if not asked.as_json or isinstance(error, Usage):
            raise
        output.error(str(error), error.hint)
        return {"valid": False, "errors": [_load_problem(error)], "warnings": [], "source": subject}
    report = _compiled(config, diagram, asked)
    if asked.as_json:
        if not _good(report, asked):
            output.error(f"{subject} does not compile" if not report["valid"] else f"{subject} has warnings")
    elif asked.annotate:
        output.answer("\n".join(diagnostics.annotations(report["errors"], report["warnings"], diagram.path)))
    else:
        _print(report, subject, diagram.path, asked, rich=config.verbosity > 0 or sys.stdout.isatty())
        if pushed := report.get("pushed"):
            _print_pushed(pushed, config.api_url)
    return report | {"source": diagram.path or "stdin"}


def _compiled(config: Config, diagram: lookup.Diagram, asked: Asked) -> Json:
    with stack.connect(config) as gateway:
        report = uploads.with_files(config, lambda sent: gateway.compile_diagram(diagram, asked.changes, sent))
        if asked.push and report["valid"]:
            push = asked.push
            report["pushed"] = publishing.push(
                config,
                gateway,
                diagram,
                name=push.name,
                format=report["format"],
                target_dir=push.target_dir,
                clobber=push.clobber,
            )
    return report


def _load_problem(error: CliError) -> Json:
    return {
        "phase": "LOAD",
        "code": error.code,
        "severity": "error",
        "message": str(error),
        "node_id": None,
        "suggestion": error.hint or None,
    }


def _print(report: Json, subject: str, path: str, asked: Asked, *, rich: bool) -> None:
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
    else:
        _print_briefly(errors, warnings)
    if report["valid"] and not _good(report, asked):
        output.error(f"{subject} has warnings, and --strict counts them")


def _print_pushed(pushed: Json, api_url: str) -> None:
    replaced = " (replaced)" if pushed["replaced"] else ""
    output.answer(f"{output.symbol('✅', 'OK:')} Pushed diagram to: {pushed['path'] or api_url}{replaced}")
    output.answer(f"   {pushed['uri']}")


def _print_briefly(errors: list[Json], warnings: list[Json]) -> None:
    for title, problems in (
        (f"{output.symbol('⚠️ ', '')} Warnings", warnings),
        (f"{output.symbol('❌', '')} Errors", errors),
    ):
        if problems:
            output.answer("\n".join(["", f"{title} ({len(problems)}):", *diagnostics.brief(problems)]))
