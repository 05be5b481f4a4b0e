"""Settings and where each comes from: flag, environment, project file, user file, default (spec/cli.md §14.2).

The project file is BASE/dipeo.toml, or the table [tool.dipeo] of BASE/pyproject.toml; the user file is
$XDG_CONFIG_HOME/dipeo/config.toml. All are flat tables of the settings below.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dipeo_cli.errors import CliError, Usage

Value = str | bool | float
FLAG, ENVIRONMENT, PROJECT, USER, DEFAULT = range(5)  # ranks: the lower wins
FALSE = ("", "0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Known:
    """One setting there is. `env` may hold several variables; `read` makes the value of one's text."""

    default: Value
    help: str
    env: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    read: Callable[[str, str], Value] = lambda variable, text: text


@dataclass(frozen=True, slots=True)
class Setting:
    value: Value
    origin: str  # as people read it: "environment DIPEO_COLOR", "/home/me/project/dipeo.toml"
    rank: int


def _truth(variable: str, text: str) -> Value:
    return text.lower() not in FALSE


def _untruth(variable: str, text: str) -> Value:
    return text.lower() in FALSE


def _color(variable: str, text: str) -> Value:
    """NO_COLOR and FORCE_COLOR mean what they say whatever they hold."""
    return {"NO_COLOR": "never", "FORCE_COLOR": "always", "CLICOLOR_FORCE": "always"}.get(variable, text)


KNOWN: Mapping[str, Known] = {
    "api_url": Known("", "gateway to talk to; empty: the local stack", ("DIPEO_API_URL",)),
    "autostart": Known(True, "start the local stack when it is needed", ("DIPEO_AUTOSTART",), read=_truth),
    "color": Known(
        "auto",
        "colour on terminals",
        ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "DIPEO_COLOR"),
        ("auto", "always", "never"),
        _color,
    ),
    "context": Known("", "name of a gateway, see `dipeo context list`", ("DIPEO_CONTEXT",)),
    "emoji": Known(True, "symbols such as ✅, where the terminal can show them", ("DIPEO_NO_EMOJI",), read=_untruth),
    "input": Known(True, "ask on the terminal", ("CI",), read=_untruth),
    "output": Known(
        "text", "what answers look like", ("DIPEO_OUTPUT",), choices=("text", "json", "yaml", "ndjson", "raw")
    ),
    "progress": Known(
        "auto", "how a run is shown", ("DIPEO_PROGRESS",), choices=("auto", "tty", "plain", "json", "none")
    ),
    "strict": Known(False, "a failed node fails the run, handled or not", ("DIPEO_STRICT",), read=_truth),
    "timeout": Known("300", "of foreground runs: 90, 90s, 5m, 1h", ("DIPEO_TIMEOUT",)),
}


def resolve(base: Path | None, flags: Mapping[str, Value]) -> dict[str, Setting]:
    """Every setting with its origin; without a base no file is read. Raises Usage for one that makes no sense."""
    files = [(PROJECT, *project_table(base)), (USER, *user_table())] if base else []
    return {name: _resolve(name, known, flags, files) for name, known in KNOWN.items()}


def _resolve(
    name: str, known: Known, flags: Mapping[str, Value], files: list[tuple[int, Path, dict[str, Any]]]
) -> Setting:
    if name in flags:
        return Setting(_checked(name, flags[name], f"--{name.replace('_', '-')}"), "command line", FLAG)
    for variable in known.env:
        if text := os.environ.get(variable):
            return Setting(_checked(name, known.read(variable, text), variable), f"environment {variable}", ENVIRONMENT)
    for rank, path, table in files:
        if name in table:
            return Setting(_checked(name, table[name], str(path)), str(path), rank)
    return Setting(known.default, "default", DEFAULT)


def _checked(name: str, value: Any, where: str) -> Value:
    """The value, of the kind the setting has; a number stands for its text. Raises Usage."""
    known = KNOWN[name]
    if isinstance(known.default, str) and isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value:g}"
    if type(value) is not type(known.default):
        kind = "true or false" if isinstance(known.default, bool) else "text"
        raise Usage(f"{where}: {name} must be {kind}")
    if known.choices and value not in known.choices:
        raise Usage(f"{where}: {name} must be {', '.join(known.choices[:-1])} or {known.choices[-1]}, not {value}")
    checked: Value = value
    return checked


# --- files -----------------------------------------------------------------------------------------------------------


def config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "dipeo"


def project_table(base: Path) -> tuple[Path, dict[str, Any]]:
    """(the file, what it says). dipeo.toml wins over [tool.dipeo] of pyproject.toml."""
    own, shared = base / "dipeo.toml", base / "pyproject.toml"
    if not own.is_file() and shared.is_file() and "[tool.dipeo" in (text := shared.read_text(errors="replace")):
        table = _parse(text, shared).get("tool", {}).get("dipeo", {})
        return shared, table if isinstance(table, dict) else {}
    return own, _read(own)


def user_table() -> tuple[Path, dict[str, Any]]:
    path = config_home() / "config.toml"
    return path, _read(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"cannot read {path}: {error}") from error
    return _parse(text, path) if text.strip() else {}


def _parse(text: str, path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Usage(f"{path}: {error}") from error


def write(path: Path, name: str, value: Value) -> None:
    """Set one key of a flat file, leaving its other lines, comments included, as they are."""
    import json

    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        line = f"{name} = {json.dumps(value, ensure_ascii=False)}"
        found = re.search(rf"^{name}\s*=.*$", text, re.MULTILINE)
        if found:
            text = text[: found.start()] + line + text[found.end() :]
        else:  # top-level keys stand before the first table
            table = re.search(r"^\[", text, re.MULTILINE)
            at = table.start() if table else len(text)
            before = text[:at] if not text[:at] or text[:at].endswith("\n") else text[:at] + "\n"
            text = f"{before}{line}\n{text[at:]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"cannot write {path}: {error.strerror}", code="bad_input", exit_code=1) from error


def checked_name(name: str) -> str:
    """Raises Usage for a name that is no setting."""
    if name not in KNOWN:
        raise Usage(f"there is no setting {name}", hint=f"there are {', '.join(KNOWN)}")
    return name


def value_of(name: str, text: str) -> Value:
    """What somebody typed for a setting. Raises Usage."""
    checked_name(name)
    if isinstance(KNOWN[name].default, bool):
        if text.lower() not in ("true", "false"):
            raise Usage(f"{name} must be true or false, not {text}")
        return text.lower() == "true"
    return _checked(name, text, "config set")
