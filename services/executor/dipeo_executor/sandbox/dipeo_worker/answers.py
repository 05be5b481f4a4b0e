"""What a job answers: its value as JSON, or its error as users see it. (decisions 6 and 44)"""

from __future__ import annotations

import json
import math
import signal
import traceback
from typing import Any

STREAM_BYTES = 64 * 1024  # kept of stdout and of stderr
TAIL_BYTES = 2 * 1024  # of them quoted in an error
DETAIL_CHARS, MESSAGE_CHARS = 16 * 1024, 4 * 1024
MAX_DEPTH = 200  # as values.py
MODULE = "code_module"  # what user code is called while it runs


class Failed(Exception):
    """The job failed for a reason of ours; `kind` is what users see as the error's type."""

    def __init__(self, message: str, kind: str, details: str = "") -> None:
        super().__init__(message)
        self.kind, self.details = kind, details


def encode(answer: dict[str, Any], max_value_bytes: int) -> bytes:
    """Raises Failed naming the type JSON cannot hold, or the size. (decision 44)"""
    _check(answer["value"], None, 0)
    try:
        value = json.dumps(answer["value"], ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise Failed(
            f"the value holds text that is not Unicode: {error.object[error.start]!r}", "ValueNotJson"
        ) from None
    if len(value) > max_value_bytes:
        raise Failed(too_large(len(value), max_value_bytes), "ValueTooLarge")
    return b'{"value":%b,"stdout":%b,"stderr":%b}' % (
        value, json.dumps(answer["stdout"]).encode(), json.dumps(answer["stderr"]).encode()
    )  # fmt: skip


def too_large(size: int, most: int) -> str:
    return (
        f"the value is {size:,} bytes; at most {most:,} can travel on an arrow. Write it to a file and return its name"
    )


def _check(value: Any, path: tuple[Any, str | int] | None, depth: int) -> None:
    """As values.py, but subclasses of what JSON knows (enums, named tuples, Counter …) pass too.

    `path` goes from the inside out and is spelled only when something is wrong.
    """
    if value is None or isinstance(value, (str, int)):
        return
    if depth > MAX_DEPTH:
        raise Failed(f"{_spell(path)[:80]}… is nested deeper than {MAX_DEPTH} levels", "ValueNotJson")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Failed(f"{_spell(path)} is {value}, which JSON cannot hold; use null or text", "ValueNotJson")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                words = f"{_spell(path)} has the key {key!r} of type {_type(key)}; keys must be text"
                raise Failed(words, "ValueNotJson")
            _check(item, (path, key), depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, (path, index), depth + 1)
    else:
        raise Failed(f"{_spell(path)} is of type {_type(value)}, which JSON cannot hold", "ValueNotJson")


def _spell(path: tuple[Any, str | int] | None) -> str:
    if path is None:
        return "value"
    outer, step = path
    return f"{_spell(outer)}[{step}]" if isinstance(step, int) else f"{_spell(outer)}.{step}"


def _type(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ in ("builtins", MODULE) else f"{kind.__module__}.{kind.__qualname__}"


def failure(error: BaseException, job: dict[str, Any], printed: str, memory_bytes: int) -> bytes:
    """The error as users see it: their own frames only, the file as they named it."""
    if isinstance(error, Failed):
        message, kind, details = str(error), error.kind, error.details
    else:
        message, kind = str(error) or type(error).__name__, type(error).__name__
        if isinstance(error, MemoryError):
            message = f"the code needs more than the {memory_bytes // 2**20:,} MiB of memory it may use"
        elif isinstance(error, KeyError):
            message = f"there is no key {message}"
        elif isinstance(error, SystemExit):
            message = f"the code ended itself with sys.exit({error.code!r}); return a value or raise an error"
        frames = error.__traceback__
        while frames and frames.tb_frame.f_code.co_filename != job["filename"]:
            frames = frames.tb_next
        details = "".join(traceback.TracebackException(type(error), error, frames).format())
    if printed.strip():
        details = f"{details}\nPrinted before:\n{printed[-TAIL_BYTES:]}"
    fields = {"message": message[:MESSAGE_CHARS], "kind": kind, "details": details[-DETAIL_CHARS:]}
    return json.dumps({"error": {k: text.encode("utf-8", "replace").decode() for k, text in fields.items()}}).encode()


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
