"""Problems of a diagram as people read them (spec/cli.md §6.1 and §6.3)."""

from typing import Any

from dipeo_cli import cells

Diagnostic = dict[str, Any]


def text(errors: list[Diagnostic], warnings: list[Diagnostic], path: str) -> str:
    """Every problem with its place and help, then the count."""
    lines = [line for problem in (*errors, *warnings) for line in _lines(problem, path)]
    counts = [_count(len(errors), "error"), _count(len(warnings), "warning")]
    return "\n".join([*map(cells.one_line, lines), ", ".join(filter(None, counts))])


def brief(problems: list[Diagnostic]) -> list[str]:
    """The lines scripts know from the original: `   [PHASE] message`."""
    return [f"   [{problem.get('phase') or 'LOAD'}] {problem['message']}" for problem in problems]


def annotations(errors: list[Diagnostic], warnings: list[Diagnostic], path: str) -> list[str]:
    """As GitHub shows them beside the file: `::error file=a.yaml,line=3,col=1,title=V4::no start node`."""
    return [_annotation(kind, it, path) for kind, found in (("error", errors), ("warning", warnings)) for it in found]


def _annotation(kind: str, problem: Diagnostic, path: str) -> str:
    facts = {"file": path, "line": problem.get("line"), "col": problem.get("column"), "title": problem.get("code")}
    told = ",".join(f"{name}={_escaped(str(value), ',:')}" for name, value in facts.items() if value)
    help = f" ({problem['suggestion']})" if problem.get("suggestion") else ""
    return f"::{kind} {told}::{_escaped(problem['message'] + help)}"


def _escaped(text: str, more: str = "") -> str:
    """As workflow commands want it: per cent first."""
    for sign in f"%\r\n{more}":
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def _lines(problem: Diagnostic, path: str) -> list[str]:
    code = f"[{problem['code']}]" if problem.get("code") else ""
    lines = [f"{problem.get('severity', 'error').lower()}{code}: {problem['message']}"]
    place = ":".join(str(part) for part in (path or "stdin", problem.get("line"), problem.get("column")) if part)
    if problem.get("line"):
        lines.append(f"  --> {place}")
    if problem.get("suggestion"):
        lines.append(f"  help: {problem['suggestion']}")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}" if number else ""
