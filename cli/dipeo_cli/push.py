"""`dipeo compile --push-as`: publish a diagram that compiles (spec/cli.md §6.4)."""

from pathlib import Path
from typing import Any

from dipeo_cli import lookup, texts
from dipeo_cli.client import Gateway
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, CliError, Conflict, Usage
from dipeo_kit import publishing

FOLDER = "projects/mcp-diagrams"  # under BASE; the local gateway offers what lies there
SUFFIXES = (".light.yaml", ".readable.yaml", ".native.json", ".yaml", ".yml", ".json")
MAX_NAME = 100


def check_name(name: str, *, published: bool) -> None:
    """`published`: it becomes the name of a tool, so that spaces and letters beyond ASCII are out (spec/mcp.md S4).

    Raises Usage.
    """
    problem = (
        "it is empty" if not name
        else f"it is longer than {MAX_NAME} characters" if len(name) > MAX_NAME
        else "it contains a path separator" if "/" in name or "\\" in name
        else "it begins with a dot" if name.startswith(".")
        else "it contains .." if ".." in name
        else "it contains a control character" if not name.isprintable()
        else "it has something else than letters a to z, digits, dots, _ and - after a letter or digit"
        if published and not publishing.is_name(_plain(name))
        else ""
    )  # fmt: skip
    if problem:
        raise Usage(f"--push-as {name!r}: {problem}", hint="a plain name such as report")


def push(
    config: Config,
    gateway: Gateway,
    diagram: lookup.Diagram,
    *,
    name: str,
    format: str,
    target_dir: str,
    clobber: bool,
) -> dict[str, Any]:
    """Keeps the text as it is. {name, path, uri, replaced}. `format`: as the executor told it.

    With --target-dir a local file, which publishes nothing; else the catalogue of a gateway elsewhere, where `path` is
    None, or BASE's folder of published diagrams.
    """
    if config.api_url and not target_dir:
        return _uploaded(gateway, diagram.text, name=_plain(name), format=format, clobber=clobber)
    folder = Path.cwd() / target_dir if target_dir else config.base / FOLDER
    file = name if name.endswith(SUFFIXES) else f"{name}{'.json' if format == 'native' else '.yaml'}"
    path = folder / file
    replaced = path.exists()
    if replaced and not clobber:
        raise CliError(
            f"{path} exists", code="conflict", exit_code=EXIT_NEGATIVE, hint="leave out --no-clobber to replace it"
        )
    texts.write(path, diagram.text)
    return {"name": name, "path": str(path), "uri": f"{publishing.URI}{_plain(name)}", "replaced": replaced}


def _uploaded(gateway: Gateway, text: str, *, name: str, format: str, clobber: bool) -> dict[str, Any]:
    try:
        made = gateway.publish(name, text, format, overwrite=clobber)
    except Conflict as error:
        hint = "publish it again to replace it" if clobber else "leave out --no-clobber to replace it"
        raise Conflict(str(error), code=error.code, exit_code=error.exit_code, hint=hint) from error
    return {"name": name, "path": None, "uri": made["uri"], "replaced": made["replaced"]}


def _plain(name: str) -> str:
    """As it is published: without the suffix of its format."""
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)
