"""Two streams: the answer on stdout, everything else on stderr (spec/cli.md §1.3)."""

import json
import os
import sys
from dataclasses import dataclass
from typing import Any, TextIO

from dipeo_cli.errors import CliError, Usage


@dataclass(slots=True)
class _Style:
    """How this invocation prints; the callback of the command sets it once."""

    color: str = "auto"
    emoji: bool = True
    jq: str = ""


_style = _Style()


def use(*, color: str, emoji: bool, jq: str) -> None:
    _style.color, _style.emoji, _style.jq = color, emoji, jq


def colored(stream: TextIO) -> bool:
    """Whether this stream gets colour: as told, else where it is a terminal that can show it."""
    if _style.color != "auto":
        return _style.color == "always"
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def width() -> int:
    """Columns of the terminal, 80 where there is none."""
    import shutil

    return shutil.get_terminal_size((80, 24)).columns


def painted(text: str, code: int) -> str:
    """For stderr; `code` as in ANSI: 31 red, 33 yellow."""
    return f"\x1b[{code}m{text}\x1b[0m" if colored(sys.stderr) else text


def answer(text: str) -> None:
    """Print to stdout, at once: a pipe reads along."""
    print(text, flush=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def error(message: str, hint: str = "") -> None:
    say(f"{painted('error:', 31)} {message}")
    if hint:
        say(f"  hint: {hint}")


def warning(message: str) -> None:
    say(f"{painted('warning:', 33)} {message}")


def document(value: Any) -> None:
    """The one JSON document of --json, or what --jq makes of it."""
    for each in filtered(value) if _style.jq else [value]:
        answer(value_text(each) if _style.jq else json.dumps(each, ensure_ascii=False, indent=2))


def yaml(value: Any) -> None:
    """One YAML document, its keys in our order."""
    from yaml import safe_dump

    answer(safe_dump(value, sort_keys=False, allow_unicode=True).rstrip())


def filtered(value: Any) -> list[Any]:
    """What --jq makes of a value: any number of values. Raises Usage for a filter that is wrong or does not fit."""
    import jq  # type: ignore[import-not-found]  # it has no stubs

    try:
        return list(jq.compile(_style.jq).input_value(value))
    except ValueError as error:
        raise Usage(f"--jq {_style.jq}: {str(error).splitlines()[0]}") from error


def line(value: Any) -> None:
    """One compact JSON line."""
    answer(json.dumps(value, ensure_ascii=False))


def failure(failed: CliError, *, as_json: bool) -> None:
    error(str(failed), failed.hint)
    if as_json:
        answer(json.dumps(failed.document(), ensure_ascii=False, indent=2))


def value_text(value: Any) -> str:
    """How a result is printed: strings raw, else JSON (spec/cli.md §3.3)."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def symbol(emoji: str, plain: str) -> str:
    """The emoji, or plain words on a stream that cannot carry it, or when words are wanted."""
    if not _style.emoji:
        return plain
    try:
        emoji.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return plain
    return emoji
