"""Two streams: the answer on stdout, everything else on stderr (spec/cli.md §1.3)."""

import json
import os
import sys
from dataclasses import dataclass
from typing import Any, TextIO

from dipeo_cli import cells
from dipeo_cli.errors import CliError, Usage


@dataclass(slots=True)
class _Style:
    """How this invocation prints; the callback of the command sets it once."""

    color: str = "auto"
    emoji: bool = True
    jq: str = ""
    form: str = "text"
    quiet: bool = False


DOCUMENTS = ("json", "yaml", "ndjson")  # forms in which every answer is a document
_style = _Style()


def use(*, color: str, emoji: bool, jq: str, form: str, quiet: bool) -> None:
    _style.color, _style.emoji, _style.jq, _style.form, _style.quiet = color, emoji, jq, form, quiet


def documents_wanted() -> bool:
    return _style.form in DOCUMENTS


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


class Unwritable(Exception):
    """Stdout takes nothing more: the disk is full."""


def prepare_streams() -> None:
    """A stream that was closed takes nothing; one that cannot carry a character shows its number."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  # until the end
        else:
            stream.reconfigure(errors="backslashreplace")


def answer(text: str) -> None:
    """Print to stdout, at once: a pipe reads along. Raises Unwritable."""
    write(f"{text}\n")


def write(text: str) -> None:
    """The text as it is, to stdout. Raises Unwritable."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unwritable(f"cannot write to stdout: {error.strerror}") from error


def say(text: str) -> None:
    """A note on stderr; -q leaves it out."""
    if not _style.quiet:
        tell(text)


def tell(text: str) -> None:
    """What has to be seen on stderr: errors, questions."""
    print(text, file=sys.stderr, flush=True)


def error(message: str, hint: str = "") -> None:
    tell(f"{painted('error:', 31)} {cells.tame(message)}")
    if hint:
        tell(f"  hint: {cells.tame(hint)}")


def warning(message: str) -> None:
    say(f"{painted('warning:', 33)} {cells.tame(message)}")


def document(value: Any) -> None:
    """The one document of --json and -o, or what --jq makes of it."""
    if _style.jq:
        for each in filtered(value):
            answer(value_text(each))
    elif _style.form == "yaml":
        yaml(value)
    elif _style.form == "ndjson":
        for each in value if isinstance(value, list) else [value]:
            line(each)
    else:
        answer(_json(value, indent=2))


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
    answer(_json(value))


def _json(value: Any, indent: int | None = None) -> str:
    """Escaped where stdout cannot carry every character."""
    return json.dumps(value, ensure_ascii=not _carries_everything(sys.stdout), indent=indent)


def _carries_everything(stream: TextIO) -> bool:
    return (stream.encoding or "ascii").lower().replace("-", "").startswith("utf")


def failure(failed: CliError, *, as_json: bool) -> None:
    """On stderr; as the one document, too, where documents are wanted. --jq was meant for the answer."""
    error(str(failed), failed.hint)
    if as_json or documents_wanted():
        _style.jq = ""
        document(failed.document())


def value_text(value: Any) -> str:
    """How a result is printed: strings raw, else JSON (spec/cli.md §3.3)."""
    return value if isinstance(value, str) else _json(value, indent=2)


def symbol(emoji: str, plain: str) -> str:
    """The emoji, or plain words on a stream that cannot carry it, or when words are wanted."""
    if not _style.emoji:
        return plain
    try:
        emoji.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return plain
    return emoji
