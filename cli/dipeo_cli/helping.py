"""`dipeo help [TOPIC | COMMAND]`."""

from typing import Any

import typer

from dipeo_cli import output, topics
from dipeo_cli.errors import Usage


def help(root: Any, subject: str) -> int:
    """`root`: the context of the program itself."""
    known = topics.topics()
    if not subject:
        output.answer(root.get_help())
        output.answer(f"\nTopics: {', '.join(known)}")
        return 0
    if subject in known:
        output.answer(known[subject])
        return 0
    command = root.command.commands.get(subject)
    if command is None:
        raise Usage(f"there is no topic or command {subject}", hint=f"topics: {', '.join(known)}")
    output.answer(command.get_help(typer.Context(command, info_name=f"dipeo {subject}")))
    return 0
