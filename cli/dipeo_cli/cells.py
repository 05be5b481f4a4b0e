"""Text in the cells of a terminal: wide characters take two, and nothing moves the cursor. Pure."""

import re

_SEQUENCE = r"\x1b\[[0-?]*[ -/]*[@-~]"  # what moves the cursor or paints
_ONE_LINE = re.compile(rf"{_SEQUENCE}|[\x00-\x1f\x7f-\x9f]+")
_TAME = re.compile(rf"{_SEQUENCE}|[\x00-\x08\x0b-\x1f\x7f-\x9f]+")


def one_line(text: str) -> str:
    """Without line breaks and whatever else a terminal would obey: models and labels may say anything."""
    return text if text.isprintable() else _ONE_LINE.sub(" ", text)


def tame(text: str) -> str:
    """The same for texts of several lines."""
    return text if text.isprintable() else _TAME.sub(" ", text)


def width(text: str) -> int:
    """How many cells a line takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, room: int) -> str:
    """At most `room` cells of a line, with an ellipsis where something is left out."""
    if width(text) <= room:
        return text
    if text.isascii():
        return f"{text[: room - 1]}…"
    from rich.cells import set_cell_size

    return f"{set_cell_size(text, room - 1).rstrip()}…"


def left(text: str, room: int) -> str:
    """Filled up to `room` cells, at the left; a longer text stays as it is."""
    return text + " " * (room - width(text))


def right(text: str, room: int) -> str:
    return " " * (room - width(text)) + text
