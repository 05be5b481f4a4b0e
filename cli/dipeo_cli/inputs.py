"""Input variables of a run: --inputs, --input-data, -i, merged in that order (spec/cli.md §2.3). All raise Usage."""

import json
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from dipeo_cli.errors import Usage

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, None: 1}


def variables(file: str, data: str, pairs: list[str], *, option: str = "--input-data") -> dict[str, Any]:
    """Everything the command line gives, as one mapping; `option` gave `data`."""
    if file and data:
        raise Usage(f"--inputs is not allowed with {option}")
    given: dict[str, Any] = {}
    if file:
        given = _mapping(_parse_file(file, "--inputs"), f"--inputs {file}")
    elif data:
        given = _mapping(_json(data, option), option)
    for pair in pairs:
        key, value = _pair(pair)
        given[key] = value
    return given


def answers(file: str, pairs: list[str]) -> dict[str, str]:
    """--answers FILE and --answer LABEL=TEXT: node label -> text."""
    given = _mapping(_parse_file(file, "--answers"), f"--answers {file}") if file else {}
    for label, text in given.items():
        if not isinstance(text, str):
            raise Usage(f"--answers {file}: the answer for {label} must be text")
    return given | dict(_text_pair(pair, "--answer", "LABEL=TEXT") for pair in pairs)


def script(file: str) -> list[Any]:
    """--mock-llm-file FILE: rules of the mock; what they may say is for the executor to judge."""
    rules = _parse_file(file, "--mock-llm-file") if file else []
    if not isinstance(rules, list):
        raise Usage(
            f"--mock-llm-file {file} must be a list of rules", hint="e.g. [{reply: hello}], see docs/persons.md"
        )
    return rules


def seconds(text: str, option: str) -> float:
    """A duration: 90, 90s, 5m, 1h. Zero is refused."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise Usage(f"{option} {text}: write seconds, or a number with s, m, h or d, e.g. 90s")
    value = float(found[1]) * _SECONDS[found[2]]
    if value <= 0:
        raise Usage(f"{option} must be more than 0 seconds")
    return value


def moment(text: str, option: str, now: datetime) -> datetime:
    """A point in time: so long ago (2h, 3d), or a date with or without a time, local unless it says its zone."""
    if found := _DURATION.fullmatch(text.strip()):
        return now - timedelta(seconds=float(found[1]) * _SECONDS[found[2]])
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except ValueError as error:
        raise Usage(f"{option} {text}: write how long ago, e.g. 2h, or a time like 2026-01-31T12:00") from error


def labels(pairs: list[str]) -> dict[str, str]:
    """--label K=V, repeated."""
    return dict(_text_pair(pair, "--label", "KEY=VALUE") for pair in pairs)


def _text_pair(pair: str, option: str, form: str) -> tuple[str, str]:
    key, equals, text = pair.partition("=")
    if not equals or not key:
        raise Usage(f"{option} {pair}: write {form}")
    return key, text


def changes(pairs: list[str]) -> dict[str, Any]:
    """--set NODE.property=value, repeated: "NODE.property" -> value, written as -i writes values."""
    given: dict[str, Any] = {}
    for pair in pairs:
        key, value = _pair(pair, "--set")
        node, dot, name = key.rpartition(".")
        if not (dot and node and name):
            raise Usage(f"--set {pair}: write NODE.property=text, NODE.property:=json or NODE.property=@file")
        given[key] = value
    return given


def _pair(pair: str, option: str = "-i") -> tuple[str, Any]:
    key, equals, text = pair.partition("=")
    if not equals or not key.rstrip(":"):
        raise Usage(f"{option} {pair}: write key=text, key:=json or key=@file")
    if key.endswith(":"):
        return key[:-1], _json(text, f"{option} {key[:-1]}")
    if text.startswith("@"):
        return key, _read(text[1:], f"{option} {key}")
    return key, text


def _parse_file(name: str, option: str) -> Any:
    text = _read(name, option)
    option = f"{option} {name}"
    if name.endswith((".yaml", ".yml")):
        return _yaml(text, option)
    if name.endswith(".toml"):
        return _toml(text, option)
    return _json(text, option)


def _read(name: str, option: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise Usage(f"{option}: cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Usage(f"{option}: {name} is not UTF-8 text") from error


def _json(text: str, option: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise Usage(f"{option}: {constant} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise Usage(f"{option}: line {error.lineno}, column {error.colno}: {error.msg}") from error


def _yaml(text: str, option: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Usage(f"{option}: {place}{error.problem}") from error


def _toml(text: str, option: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Usage(f"{option}: {error}") from error


def _mapping(value: Any, option: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Usage(f'{option} must be an object with text keys, e.g. {{"topic": "tea"}}')
    return value
