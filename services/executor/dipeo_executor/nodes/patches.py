"""Texts of patches -> hunks: unified and git, context, normal, ed. Pure. (node contract 17)"""

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dipeo_executor.nodes.base import NodeError
from dipeo_executor.nodes.hunks import Hunk, Line, Sign, split

_UNIFIED = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_CONTEXT_OLD = re.compile(r"\*\*\* (\d+)(?:,(\d+))? \*\*\*\*\s*$")
_CONTEXT_NEW = re.compile(r"--- (\d+)(?:,(\d+))? ----\s*$")
_NORMAL = re.compile(r"(\d+)(?:,(\d+))?([acd])(\d+)(?:,(\d+))?\s*$")
_ED = re.compile(r"(\d+)(?:,(\d+))?([acd])\s*$")
_Signed = list[tuple[Sign, Line]]


class PatchInvalid(NodeError):
    """The text is not a patch of the format the node names. The message says which line of it."""


@dataclass(slots=True)
class _File:
    """The part of a patch that is for one file."""

    old_name: str = ""
    new_name: str = ""
    hunks: list[Hunk] = field(default_factory=list)


def parse(text: str, patch_format: str, *, target: str, strip_level: int, strict: bool) -> list[Hunk]:
    """The hunks for `target`, in the order of the file. Raises PatchInvalid.

    `strict`: headers must be there, and the counts in them right. `strip_level` folders are cut from the names in a
    patch; they matter only when it is for several files.
    """
    files = _READERS[patch_format](split(text), strict)
    files = [file for file in files if file.hunks]
    if not files:
        raise PatchInvalid(f"the patch has no hunk of the {patch_format} format")
    if strict and patch_format in ("unified", "git", "context") and not all(file.new_name for file in files):
        raise PatchInvalid("the patch has no header that names the files (--- and +++; *** and --- in a context diff)")
    return (files[0] if len(files) == 1 else _meant(files, target, strip_level)).hunks


def _meant(files: Sequence[_File], target: str, strip_level: int) -> _File:
    target = posixpath.normpath(target)
    names = {file.new_name if file.new_name != "/dev/null" else file.old_name: file for file in files}
    for name, file in names.items():
        stripped = "/".join(name.split("/")[strip_level:])
        if stripped and (target == stripped or target.endswith(f"/{stripped}")):
            return file
    listed = ", ".join(names)
    raise PatchInvalid(f'the patch is for {listed}; none is "{target}" after strip_level {strip_level}')


def _name(header: Line) -> str:
    return header[4:].split("\t")[0].strip()


def _no_newline(signed: _Signed) -> None:
    """ "\\ No newline at end of file" is about the line before it."""
    if signed:
        sign, line = signed[-1]
        signed[-1] = (sign, line.rstrip("\r\n"))


# --- unified ----------------------------------------------------------------------------------------------------------


def _unified(lines: Sequence[Line], strict: bool) -> list[_File]:
    files = [_File()]
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith(("GIT binary patch", "Binary files ")):
            raise PatchInvalid(f"line {at + 1} of the patch: binary changes are not applied")
        if line.startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            files.append(_File(_name(line), _name(lines[at + 1])))
            at += 2
        elif header := _UNIFIED.match(line):
            hunk, at = _unified_hunk(lines, at, header, strict)
            files[-1].hunks.append(hunk)
        elif line.startswith("@@"):
            raise PatchInvalid(f'line {at + 1} of the patch: "{line.strip()}" is not of the form @@ -1,3 +1,4 @@')
        else:
            at += 1
    return files


def _unified_hunk(lines: Sequence[Line], at: int, header: re.Match[str], strict: bool) -> tuple[Hunk, int]:
    """The hunk whose header stands at `at`, and the index behind it."""
    olds, news = int(header[2] or 1), int(header[4] or 1)
    first, signed = at, _Signed()
    at += 1
    while at < len(lines):
        line = lines[at]
        sign = " " if line in ("\n", "\r\n") else line[0]  # editors cut the blank of an empty kept line
        ended = olds <= 0 and news <= 0 if strict else _ends_hunk(lines, at, olds <= 0 and news <= 0)
        if sign == "\\":
            _no_newline(signed)
        elif ended or sign not in " +-":
            break
        else:
            signed.append((sign, line if line in ("\n", "\r\n") else line[1:]))  # type: ignore[arg-type]
            olds -= sign != "+"
            news -= sign != "-"
        at += 1
    if strict and (olds or news):
        raise PatchInvalid(
            f'line {first + 1} of the patch: the hunk is not as long as "{header[0]}" says; correct it, '
            "or set validate_patch: false"
        )
    old_at = int(header[1]) - (header[2] != "0")
    return Hunk(old_at, int(header[3]) - (header[4] != "0"), tuple(signed), "".join(lines[first:at])), at


def _ends_hunk(lines: Sequence[Line], at: int, full: bool) -> bool:
    """Where counts are not to be trusted: at the next file's header, or at blank lines after the last change."""
    if lines[at].startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
        return True
    return full and not lines[at].strip()


# --- context ----------------------------------------------------------------------------------------------------------


def _context(lines: Sequence[Line], strict: bool) -> list[_File]:
    files = [_File()]
    at = 0
    while at < len(lines):
        line = lines[at]
        if header := _CONTEXT_OLD.match(line):
            hunk, at = _context_hunk(lines, at, header)
            files[-1].hunks.append(hunk)
            continue
        if line.startswith("*** ") and at + 1 < len(lines) and lines[at + 1].startswith("--- "):
            files.append(_File(_name(line), _name(lines[at + 1])))
            at += 1
        at += 1
    return files


def _context_hunk(lines: Sequence[Line], at: int, header: re.Match[str]) -> tuple[Hunk, int]:
    first = at
    olds, at = _context_half(lines, at + 1)
    found = _CONTEXT_NEW.match(lines[at]) if at < len(lines) else None
    if found is None:
        raise PatchInvalid(f'line {at + 1} of the patch: "--- 1,3 ----" should follow the old lines of the hunk')
    news, at = _context_half(lines, at + 1)
    if not olds:  # a half without changes is left out
        olds = [(mark, line) for mark, line in news if mark == " "]
    if not news:
        news = [(mark, line) for mark, line in olds if mark == " "]
    signed = _merged(olds, news)
    takes = any(sign != "+" for sign, _ in signed)
    gives = any(sign != "-" for sign, _ in signed)
    text = "".join(lines[first:at])
    return Hunk(int(header[1]) - takes, int(found[1]) - gives, tuple(signed), text), at


def _context_half(lines: Sequence[Line], at: int) -> tuple[list[tuple[str, Line]], int]:
    """(marks and lines, index behind them); the marks are blank, !, - and +."""
    half: list[tuple[str, Line]] = []
    while at < len(lines):
        line = lines[at]
        if line.startswith("\\") and half:
            half[-1] = (half[-1][0], half[-1][1].rstrip("\r\n"))
        elif line[:2] in ("  ", "! ", "- ", "+ ") or line.rstrip("\r\n") in ("", "!", "-", "+"):
            half.append((line[0].strip() or " ", line[2:] or "\n"))
        else:
            break
        at += 1
    return half, at


def _merged(olds: Sequence[tuple[str, Line]], news: Sequence[tuple[str, Line]]) -> _Signed:
    signed = _Signed()
    rest = list(news)
    for mark, line in olds:
        if mark != " ":
            signed.append(("-", line))
            continue
        while rest and rest[0][0] != " ":
            signed.append(("+", rest.pop(0)[1]))
        if rest:
            rest.pop(0)
        signed.append((" ", line))
    return signed + [("+", line) for mark, line in rest if mark != " "]


# --- normal and ed ----------------------------------------------------------------------------------------------------


def _normal(lines: Sequence[Line], strict: bool) -> list[_File]:
    file = _File()
    at = 0
    while at < len(lines):
        header = _NORMAL.match(lines[at])
        if header is None:
            if lines[at].strip():
                raise PatchInvalid(f'line {at + 1} of the patch: "{lines[at].strip()}" is not of the form 3,4c5')
            at += 1
            continue
        first, signed = at, _Signed()
        at += 1
        while at < len(lines) and lines[at][:1] in ("<", ">", "-", "\\"):
            if lines[at].startswith("\\"):
                _no_newline(signed)
            elif lines[at][0] in "<>":
                signed.append(("-" if lines[at][0] == "<" else "+", lines[at][2:] or "\n"))
            at += 1
        old_at, new_at = int(header[1]) - (header[3] != "a"), int(header[4]) - (header[3] != "d")
        file.hunks.append(Hunk(old_at, new_at, tuple(signed), "".join(lines[first:at])))
    return [file]


def _ed(lines: Sequence[Line], strict: bool) -> list[_File]:
    """As `diff -e` writes them: from the end of the file to its beginning, so numbers are those of the old text."""
    hunks: list[Hunk] = []
    at = 0
    while at < len(lines):
        header = _ED.match(lines[at])
        if header is None:
            if lines[at].strip() not in ("", "w", "q"):
                raise PatchInvalid(
                    f'line {at + 1} of the patch: "{lines[at].strip()}" is not of the form 3,4c, 5d or 2a'
                )
            at += 1
            continue
        first, action = at, header[3]
        at += 1
        signed = _Signed()
        if action != "a":
            signed += [("?", "")] * (int(header[2] or header[1]) - int(header[1]) + 1)
        if action != "d":
            while at < len(lines) and lines[at].rstrip("\r\n") != ".":
                signed.append(("+", lines[at]))
                at += 1
            at += 1
        old_at = int(header[1]) - (action != "a")
        hunks.append(Hunk(old_at, old_at, tuple(signed), "".join(lines[first:at])))
    hunks.reverse()
    if any(after.old_at < before.old_at + len(before.old) for before, after in pairwise(hunks)):
        raise PatchInvalid("the commands of an ed script must go from the end of the file to its beginning")
    return [_File(hunks=hunks)]


_READERS: dict[str, Callable[[Sequence[Line], bool], list[_File]]] = {
    "unified": _unified,
    "git": _unified,
    "context": _context,
    "normal": _normal,
    "ed": _ed,
}
