"""`dipeo convert` and `dipeo fmt` (spec/cli.md §8.1, §14.1)."""

from pathlib import Path
from typing import Any

from dipeo_cli import lookup, operations, output, stack, texts
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, NotFound, Usage, from_gateway

FORMATS = ("native", "light", "readable")
SUFFIXES = {".light.yaml": "light", ".light.yml": "light", ".readable.yaml": "readable", ".readable.yml": "readable",
            ".native.json": "native", ".json": "native", ".yaml": "light", ".yml": "light"}  # fmt: skip


def convert(config: Config, source: str, target: str, *, from_: str, to: str, check: bool, as_json: bool) -> int:
    """Exit code 1 with --check when something would be lost."""
    for word in filter(None, (from_, to)):
        if word not in FORMATS:
            raise Usage(f"there is no format {word}; there are {', '.join(FORMATS)}")
    to = to or next((word for suffix, word in SUFFIXES.items() if target.lower().endswith(suffix)), "")
    if not to:
        raise Usage(f"the name {target} does not tell the format", hint="give --to-format light, native or readable")
    try:
        diagram = texts.read(config, source, from_)
    except NotFound as error:
        raise NotFound(f"Input file not found: {source}", hint=error.hint) from error
    converted = _asked(config, diagram, from_, to)
    losses: list[str] = converted["envelope"]["losses"]
    for loss in losses:
        output.warning(loss)
    if not check:
        texts.put(target, converted["data"])
    if as_json:
        output.document({
            "input": source, "output": target, "format": converted["format"],
            "original_format": converted["original_format"], "losses": losses,
        })  # fmt: skip
    elif check:
        output.say(f"{source}: {f'{len(losses)} lost' if losses else 'nothing is lost'} as {to}")
    elif target != "-":
        output.answer(f"{output.symbol('✅', 'OK:')} Converted {source} to {target}")
    return EXIT_NEGATIVE if check and losses else 0


def _asked(config: Config, diagram: lookup.Diagram, from_: str, to: str) -> Any:
    variables = {
        "content": diagram.text, "path": diagram.path, "from": from_.upper() or None, "to": to.upper(),
    }  # fmt: skip
    with stack.connect(config) as gateway:
        result = gateway.execute(operations.CONVERT_DIAGRAM, variables)["convertDiagramFormat"]
    if not result["success"]:
        texts.refuse_errors(result["envelope"] or {"errors": [], "warnings": []}, diagram)
        raise from_gateway(result["error_type"] or "INTERNAL", result["error"] or "the gateway refused")
    return result


def tidy(config: Config, names: list[str], *, check: bool) -> int:
    """Rewrites files in the usual layout. Exit code 1 with --check when one is not in it."""
    untidy = 0
    for name in names:
        diagram = texts.read(config, name)
        text = texts.ask(config, operations.REFORMAT_DIAGRAM, "reformatDiagram", diagram)["text"]
        changed = text != diagram.text
        untidy += changed
        if name == "-" and not check:
            texts.put("-", text)
        elif changed and check:
            output.answer(f"{name} would be laid out anew")
        elif changed:
            texts.write(_file(config, diagram), text)
            output.answer(f"{name} laid out anew")
    return EXIT_NEGATIVE if check and untidy else 0


def _file(config: Config, diagram: lookup.Diagram) -> Path:
    return config.base / diagram.path
