"""`dipeo export`: a Python script that runs without DiPeO (spec/cli.md §7)."""

from pathlib import Path

from dipeo_cli import operations, output, texts
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, CliError


def export(config: Config, name: str, target: str, *, format: str, force: bool, check: bool) -> int:
    """Exit code 1 with --check when the file differs from what would be written."""
    file = Path(target)
    if target != "-" and not (force or check) and file.exists():
        raise CliError(
            f"{target} exists", code="conflict", exit_code=EXIT_NEGATIVE, hint="--force replaces it, --check compares"
        )
    diagram = texts.read(config, name, format)
    text = texts.ask(config, operations.EXPORT_DIAGRAM, "exportDiagram", diagram)["text"]
    if check:
        same = file.is_file() and file.read_bytes() == text.encode()
        output.say(f"{target} is {'as the diagram has it' if same else 'out of date'}")
        return 0 if same else EXIT_NEGATIVE
    texts.put(target, text)
    if target != "-":
        output.answer(f"{output.symbol('✅', 'OK:')} Exported diagram to {target}")
    return 0
