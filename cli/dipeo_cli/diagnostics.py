"""Problems of a diagram as people read them (spec/cli.md §6.1 and §6.3)."""

from typing import Any

Diagnostic = dict[str, Any]


def text(errors: list[Diagnostic], warnings: list[Diagnostic], path: str) -> str:
    """Every problem with its place and help, then the count."""
    lines = [line for problem in (*errors, *warnings) for line in _lines(problem, path)]
    counts = [_count(len(errors), "error"), _count(len(warnings), "warning")]
    return "\n".join([*lines, ", ".join(filter(None, counts))])


def brief(problems: list[Diagnostic]) -> list[str]:
    """The lines scripts know from the original: `   [PHASE] message`."""
    return [f"   [{problem.get('phase') or 'LOAD'}] {problem['message']}" for problem in problems]


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
