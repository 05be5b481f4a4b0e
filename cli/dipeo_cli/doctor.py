"""`dipeo doctor`: what could keep a run from working here, and what would help. Starts nothing, changes nothing."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dipeo_cli import __version__, output, releases, stack
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE

OK, WARNING, PROBLEM = "ok", "warning", "problem"
SERVICES = ("dipeo-store", "dipeo-executor", "dipeo-gateway")
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY", "OLLAMA_HOST")
LEAST_PYTHON = (3, 11)
LEAST_DISK_BYTES = 1024**3
FIRST_PORT = 8000
_MARKS = {OK: ("✔", "ok"), WARNING: ("!", "warning"), PROBLEM: ("✘", "PROBLEM")}


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: str  # ok, warning, problem
    found: str
    suggestion: str = ""


def doctor(config: Config, *, as_json: bool) -> int:
    """Exit code 1 when something is a problem; warnings are none."""
    checks = list(_checks(config))
    bad = [check for check in checks if check.state == PROBLEM]
    if as_json:
        output.document({"healthy": not bad, "checks": [asdict(check) for check in checks]})
    else:
        output.answer("\n".join(line for check in checks for line in _lines(check)))
    for check in bad:
        output.error(f"{check.name}: {check.found}", check.suggestion)
    return EXIT_NEGATIVE if bad else 0


def _lines(check: Check) -> Iterator[str]:
    yield f"{output.symbol(*_MARKS[check.state])} {check.name:<12} {check.found}"
    if check.suggestion:
        yield f"  {'':<12} {output.symbol('→', '->')} {check.suggestion}"


def _checks(config: Config) -> Iterator[Check]:
    yield _python()
    yield _versions()
    yield _project(config)
    yield from _gateway(config)
    if not config.api_url:
        yield _port()
        yield _store(config)
        yield from _sandbox(config)
    yield _keys(config)
    yield _terminal()


def _python() -> Check:
    found = f"{'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}"
    if sys.version_info < LEAST_PYTHON:
        return Check("python", PROBLEM, found, f"install Python {'.'.join(map(str, LEAST_PYTHON))} or newer")
    return Check("python", OK, found)


def _versions() -> Check:
    """The services are installed here, in the same version, or not at all."""
    found: dict[str, str] = {}
    for name in SERVICES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if not found:
        hint = 'for a local stack install "dipeo-cli[local]"; a gateway elsewhere needs nothing'
        return Check("versions", WARNING, f"dipeo {__version__}, no services installed", hint)
    shown = f"dipeo {__version__}, " + ", ".join(f"{name.removeprefix('dipeo-')} {it}" for name, it in found.items())
    if len(found) < len(SERVICES) or set(found.values()) != {__version__}:
        return Check("versions", PROBLEM, shown, 'install one version of all: pip install -U "dipeo-cli[local]"')
    return Check("versions", OK, shown)


def _project(config: Config) -> Check:
    base = config.base
    folder = base / ".dipeo" if (base / ".dipeo").exists() else base
    if not os.access(folder, os.W_OK):
        hint = "choose another project root with -C, or make it writable"
        return Check("project", PROBLEM, f"{folder} cannot be written", hint)
    free = shutil.disk_usage(base).free
    if free < LEAST_DISK_BYTES:
        return Check("project", WARNING, f"{base}, only {free / 2**20:,.0f} MiB free on its disk", "make room")
    if not (base / "dipeo.toml").exists() and not (base / ".dipeo").exists():
        return Check("project", WARNING, f"{base} is no project yet", "`dipeo init` makes it one")
    return Check("project", OK, str(base))


def _gateway(config: Config) -> Iterator[Check]:
    found = stack.status(config)
    if config.api_url:
        if not found["running"]:
            hint = "is the address right? `dipeo context list`"
            yield Check("gateway", PROBLEM, f"{config.api_url} does not answer", hint)
            return
        if releases.fits(found["version"]):
            yield Check("gateway", OK, f"{config.api_url}, version {found['version']}")
        else:
            said = f"{config.api_url} is {releases.remark(found['version'])}"
            yield Check("gateway", WARNING, said, "bring both to one release; what only the newer knows is refused")
    elif not found["running"]:
        yield Check("stack", OK, "not running; it starts with the first run")
    elif found["version"] != __version__:
        hint = "restart it: `dipeo down && dipeo up`; its runs continue"
        yield Check("stack", WARNING, f"{found['url']} runs version {found['version']}, this is {__version__}", hint)
    else:
        yield Check("stack", OK, f"{found['url']}, pid {found['pid']}, up for {found['uptime_s']:.0f} s")


def _port() -> Check:
    """A taken port is no problem: the stack takes another one."""
    try:
        with socket.create_server(("127.0.0.1", FIRST_PORT)):
            return Check("port", OK, f"{FIRST_PORT} is free")
    except OSError:
        return Check("port", OK, f"{FIRST_PORT} is taken; a stack that starts takes any free one")


def _store(config: Config) -> Check:
    path = config.layout().database
    if not path.exists():
        return Check("store", OK, "no runs yet")
    size = f"{path.stat().st_size / 2**20:,.1f} MiB in {path.relative_to(config.base)}"
    if stack.holder(config.layout()) is not None:
        return Check("store", OK, f"{size}, in use")
    import sqlite3

    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return Check("store", PROBLEM, f"{size} cannot be read: {error}", "restore it from a backup, or move it aside")
    if verdict != "ok":
        return Check("store", PROBLEM, f"{size} is damaged: {verdict}", "restore it from a backup, or move it aside")
    return Check("store", OK, f"{size}, sound")


def _sandbox(config: Config) -> Iterator[Check]:
    try:
        from dipeo_cli.local import walls
    except ModuleNotFoundError:  # said already: no services
        return
    for name, holds, detail in walls.standing(config.base):
        state = OK if holds else WARNING
        yield Check("sandbox", state, f"{name}: {detail}", "" if holds else "docs/sandbox.md says what it takes")


def _keys(config: Config) -> Check:
    """Names only. Keys kept by `dipeo keys` are the store's affair."""
    dotenv = config.base / ".env"
    names = {line.partition("=")[0].removeprefix("export ").strip() for line in _text(dotenv).splitlines()}
    found = [f"{key} (.env)" if key in names else key for key in KEYS if os.environ.get(key) or key in names]
    if not found:
        hint = "put them into .env, or `dipeo keys add`; without any: --mock-llm"
        return Check("keys", WARNING, "no key of a model service in the environment", hint)
    return Check("keys", OK, ", ".join(found))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _terminal() -> Check:
    encoding = (sys.stdout.encoding or "ascii").lower()
    if "utf" not in encoding:
        hint = "set a UTF-8 locale, e.g. LC_ALL=C.UTF-8; --no-emoji uses words"
        return Check("terminal", WARNING, f"{encoding} cannot show symbols", hint)
    return Check("terminal", OK, f"{encoding}, {'colour' if output.colored(sys.stdout) else 'no colour'}")
