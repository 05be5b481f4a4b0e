"""Hunks of a patch, found and applied in a text. Pure. (node contract 17)"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Line = str  # with its ending; without one only at the end of a file
Sign = Literal[" ", "-", "+", "?"]  # kept, removed, added; "?" removes a line whatever it says (ed)
_SWAPPED: dict[Sign, Sign] = {" ": " ", "-": "+", "+": "-"}


@dataclass(frozen=True, slots=True)
class Hunk:
    """One change. `old_at`, `new_at`: index of its first line in the old and in the new text."""

    old_at: int
    new_at: int
    lines: tuple[tuple[Sign, Line], ...]
    text: str  # as it is written in the patch

    @property
    def old(self) -> list[Line | None]:
        """The lines it replaces; None stands for any."""
        return [None if sign == "?" else line for sign, line in self.lines if sign != "+"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A hunk that does not fit. `line` is where it should, from 1."""

    number: int
    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Patched:
    text: str
    applied: int
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class Looseness:
    """`moves`: how many lines up or down a hunk may stand from where the patch says."""

    moves: int = 0
    ignore_whitespace: bool = False


def reverse(hunks: Sequence[Hunk]) -> list[Hunk]:
    """The patch that takes these changes back."""
    return [
        replace(
            hunk,
            old_at=hunk.new_at,
            new_at=hunk.old_at,
            lines=tuple((_SWAPPED[sign], line) for sign, line in hunk.lines),
        )
        for hunk in hunks
    ]


def apply(text: str, hunks: Sequence[Hunk], looseness: Looseness) -> Patched:
    """Apply what fits, each hunk behind the one before. A text's line endings stay as they are."""
    lines = split(text)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    out: list[Line] = []
    rejected: list[Rejected] = []
    done = drift = 0
    for number, hunk in enumerate(hunks, 1):
        found = _find(lines, hunk, done, hunk.old_at + drift, looseness)
        if found is None:
            rejected.append(Rejected(number, hunk.old_at + 1, _reason(lines, hunk), hunk.text))
            continue
        at, exact = found
        out += lines[done:at]
        out += _filled(hunk, lines[at:], exact, ending)
        drift = at - hunk.old_at
        done = at + len(hunk.old)
    out += lines[done:]
    whole = [line if line.endswith("\n") else line + ending for line in out[:-1]] + out[-1:]
    return Patched("".join(whole), len(hunks) - len(rejected), tuple(rejected))


def split(text: str) -> list[Line]:
    """At newlines only: form feeds and Unicode's separators are part of a line."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _find(
    lines: Sequence[Line], hunk: Hunk, earliest: int, wanted: int, looseness: Looseness
) -> tuple[int, bool] | None:
    """(index of the first line, whether the endings agree too), as near to `wanted` as it fits."""
    old = hunk.old
    for at in _nearest_first(wanted, looseness.moves):
        if earliest <= at <= len(lines) - len(old):
            there = lines[at : at + len(old)]
            if all(want in (None, line) for want, line in zip(old, there, strict=True)):
                return at, True
            if all(_alike(want, line, looseness) for want, line in zip(old, there, strict=True)):
                return at, False
    return None


def _nearest_first(wanted: int, moves: int) -> Iterator[int]:
    yield wanted
    for distance in range(1, moves + 1):
        yield wanted - distance
        yield wanted + distance


def _alike(want: Line | None, line: Line, looseness: Looseness) -> bool:
    if want is None:
        return True
    if looseness.ignore_whitespace:
        return want.split() == line.split()
    return want.rstrip("\r\n") == line.rstrip("\r\n")


def _filled(hunk: Hunk, there: Sequence[Line], exact: bool, ending: str) -> list[Line]:
    """What stands where the hunk stood. Kept lines stay the file's own; added ones take the file's ending."""
    out: list[Line] = []
    taken = 0
    for sign, line in hunk.lines:
        if sign == "+":
            bare = line.rstrip("\r\n")
            out.append(line if exact or bare == line else bare + ending)
        else:
            if sign == " ":
                out.append(there[taken])
            taken += 1
    unfinished = not exact and 0 < taken == len(there) and not there[-1].endswith("\n")
    if unfinished and out:  # the file ends without a newline, and the patch was made without regard to it
        out[-1] = out[-1].rstrip("\r\n")
    return out


def _reason(lines: Sequence[Line], hunk: Hunk) -> str:
    old = hunk.old
    new = [line for sign, line in hunk.lines if sign in " +"]
    there = lines[hunk.new_at : hunk.new_at + len(new)]
    if new and [line.rstrip("\r\n") for line in there] == [line.rstrip("\r\n") for line in new]:
        return "the change is there already"
    if hunk.old_at + len(old) > len(lines):
        return f"the file has {len(lines)} lines, the hunk needs {hunk.old_at + len(old)}"
    pairs = zip(old, lines[hunk.old_at :], strict=False)
    for number, (want, line) in enumerate(pairs, hunk.old_at + 1):
        if want is not None and not _alike(want, line, Looseness()):
            return f"line {number} is {_short(line)}, the patch has {_short(want)}"
    return "it overlaps the hunk before"


def _short(line: Line) -> str:
    bare = line.rstrip("\r\n")
    return repr(bare if len(bare) <= 80 else f"{bare[:79]}…")
