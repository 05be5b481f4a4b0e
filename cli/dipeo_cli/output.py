"""Two streams: the answer on stdout, everything else on stderr (spec/cli.md §1.3)."""

import json
import sys
from typing import Any

from dipeo_cli.errors import CliError


def answer(text: str) -> None:
    """Print to stdout, at once: a pipe reads along."""
    print(text, flush=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def error(message: str, hint: str = "") -> None:
    say(f"error: {message}")
    if hint:
        say(f"  hint: {hint}")


def warning(message: str) -> None:
    say(f"warning: {message}")


def document(value: Any) -> None:
    """The one JSON document of --json."""
    answer(json.dumps(value, ensure_ascii=False, indent=2))


def line(value: Any) -> None:
    """One compact JSON line."""
    answer(json.dumps(value, ensure_ascii=False))


def failure(failed: CliError, *, as_json: bool) -> None:
    error(str(failed), failed.hint)
    if as_json:
        document(failed.document())


def value_text(value: Any) -> str:
    """How a result is printed: strings raw, else JSON (spec/cli.md §3.3)."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def symbol(emoji: str, plain: str) -> str:
    """The emoji, or plain words on a stream that cannot carry it."""
    try:
        emoji.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return plain
    return emoji
