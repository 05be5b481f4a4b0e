"""The reference of the command line, docs/cli.md, made of the commands themselves.

python -m dipeo_cli.reference > docs/cli.md
"""

from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

import dipeo_cli.main  # noqa: F401  # adds every command to the app
from dipeo_cli import topics
from dipeo_cli.app import AUTHOR, GROUPS, app

HEAD = """# The command line

Made by `python -m dipeo_cli.reference > docs/cli.md`; a test keeps it in step with the commands. Options before the
command work after it, too.
"""


def markdown() -> str:
    root: Any = get_command(app)
    parts = [HEAD, "## Options of every command\n", _options(root)]
    for group in GROUPS:
        commands = [each for each in root.commands.values() if _group(each) == group and not each.hidden]
        if commands:
            parts.append(f"## {group}\n")
            parts += [part for command in commands for part in _command(command, "dipeo")]
    parts.append("## Topics\n")
    parts += [f"### {name}\n\n```text\n{text}\n```\n" for name, text in topics.topics().items()]
    return "\n".join(parts)


def _group(command: Any) -> str:
    group = getattr(command, "rich_help_panel", AUTHOR)
    return group if group in GROUPS else AUTHOR


def _command(command: Any, parent: str) -> Iterator[str]:
    name = f"{parent} {command.name}"
    inner = getattr(command, "commands", None)
    context = typer.Context(command, info_name=name)
    if inner is None:
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"### `{name} {usage}`\n\n{_sentence(command)}\n\n{_options(command)}"
        return
    yield f"### `{name}`\n\n{_sentence(command)}\n"
    for each in inner.values():
        yield from _command(each, name)


def _sentence(command: Any) -> str:
    return str(command.help or "").partition("\f")[0].strip().replace("\n", " ")


def _options(command: Any) -> str:
    context = typer.Context(command, info_name="dipeo")
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [(names, text) for names, text in filter(None, records) if "--help" not in names]
    if not rows:
        return ""
    lines = [f"| `{names}` | {text} |".replace("[default: 0]", "").replace("  |", " |") for names, text in rows]
    return "\n".join(["| Option | |", "|---|---|", *lines, ""])


if __name__ == "__main__":
    print(markdown(), end="")
