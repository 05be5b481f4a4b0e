"""Values as JSON bytes: what events, arrows and the journal carry. (decisions 6 and 44)"""

import json
import math
import re
from typing import Any

import orjson

MAX_BYTES = 8 * 1024 * 1024  # one value; the store keeps large ones as blobs
MAX_DEPTH = 200  # below the 254 at which orjson gives up
_LONG_DIGITS = re.compile(rb"\d{19}")


class ValueNotJson(ValueError):
    """JSON cannot hold this value. The message names the type and the path to it, e.g. `value.rows[3].when`."""


class ValueTooLarge(ValueError):
    """Larger than MAX_BYTES; the message names the size."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the value is {size_bytes:,} bytes of JSON; at most {MAX_BYTES:,} can travel on an arrow")
        self.size_bytes = size_bytes


def encode(value: Any) -> bytes:
    """UTF-8 JSON. A tuple becomes a list; integers of any size stay exact. Raises ValueNotJson, ValueTooLarge."""
    _check(value, None, 0)
    try:
        data = orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bit, or a lone surrogate
        data = _encode_exactly(value)
    if len(data) > MAX_BYTES:
        raise ValueTooLarge(len(data))
    return data


def decode(data: bytes) -> Any:
    """The inverse of encode. Raises ValueNotJson on anything that is not JSON."""
    try:
        # orjson makes floats of long integers, so those take the exact way
        return json.loads(data, parse_constant=_refuse_constant) if _LONG_DIGITS.search(data) else orjson.loads(data)
    except ValueError as error:
        raise ValueNotJson(f"not JSON: {error}") from None


_Path = tuple["_Path", str | int] | None  # from the inside out; spelled only when something is wrong


def _check(value: Any, path: _Path, depth: int) -> None:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return
    if depth > MAX_DEPTH:
        raise ValueNotJson(f"{_spell(path)[:80]}… is nested deeper than {MAX_DEPTH} levels")
    if kind is float:
        if not math.isfinite(value):
            raise ValueNotJson(f"{_spell(path)} is {value}, which JSON cannot hold; use null or text")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise ValueNotJson(
                    f"{_spell(path)} has the key {key!r} of type {type(key).__name__}; keys must be text"
                )
            _check(item, (path, key), depth + 1)
    elif kind is list or kind is tuple:
        for index, item in enumerate(value):
            _check(item, (path, index), depth + 1)
    else:
        raise ValueNotJson(f"{_spell(path)} is of type {kind.__name__}, which JSON cannot hold")


def _spell(path: _Path) -> str:
    if path is None:
        return "value"
    outer, step = path
    return f"{_spell(outer)}[{step}]" if isinstance(step, int) else f"{_spell(outer)}.{step}"


def _encode_exactly(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise ValueNotJson(f"the value holds text that is not Unicode: {error.object[error.start]!r}") from None
    except ValueError as error:  # more digits than Python writes (4,300)
        raise ValueNotJson(f"the value holds a number that is too long: {error}") from None


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
