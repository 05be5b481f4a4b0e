"""What the commands about diagrams as text share: reading one, telling what is wrong with it, writing the answer.

Nothing here looks into a diagram: texts go to the gateway and come back (decision 25).
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from dipeo_cli import diagnostics, lookup, output, stack
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, CliError, NotFound

Json = dict[str, Any]


class Unreadable(CliError):
    """The gateway finds errors in the diagram; they have been told."""

    def __init__(self, subject: str, found: Json) -> None:
        problems = {"errors": found["errors"], "warnings": found["warnings"]}
        first = found["errors"][0]["message"]
        super().__init__(f"{subject}: {first}", code="diagram_invalid", exit_code=EXIT_NEGATIVE, context=problems)


def read(config: Config, name: str, format: str = "") -> lookup.Diagram:
    """A diagram by path, name or `-`. Raises NotFound, or CliError for an empty stdin."""
    if name != "-":
        return lookup.load(name, format, config.base)
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    if not text.strip():
        raise CliError("No content received from stdin", code="diagram_invalid", exit_code=EXIT_NEGATIVE)
    return lookup.Diagram(text, "", format, "stdin")


def ask(config: Config, document: str, operation: str, diagram: lookup.Diagram, **more: Any) -> Json:
    """What the gateway says about a diagram. Raises Unreadable when it finds errors, after telling them."""
    variables = {"source": diagram.text, "path": diagram.path, "format": diagram.format.upper() or None, **more}
    with stack.connect(config) as gateway:
        found: Json = gateway.execute(document, variables)[operation]
    refuse_errors(found, diagram)
    return found


def refuse_errors(found: Json, diagram: lookup.Diagram) -> None:
    if found["errors"]:
        output.tell(diagnostics.text(found["errors"], found["warnings"], diagram.path))
        raise Unreadable(diagram.name, found)


def write(path: Path, text: str) -> None:
    """All of it or nothing, as a file that others may read. Raises CliError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as draft:
            draft.write(text.encode())
        Path(draft.name).chmod(mode)
        Path(draft.name).replace(path)
    except OSError as error:
        raise CliError(f"cannot write {path}: {error.strerror}", code="bad_input", exit_code=EXIT_NEGATIVE) from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def text_of(path: Path) -> str:
    """Raises NotFound, or CliError when it cannot be read."""
    if not path.exists():
        raise NotFound(f"there is no file {path}")
    return lookup.read_text(path)


def put(name: str, text: str) -> None:
    """To a file, or to stdout for `-`."""
    if name == "-":
        output.write(text)
    else:
        write(Path(name), text)
