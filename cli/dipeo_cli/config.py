"""What the global options, the environment and the settings say, once per invocation."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dipeo_cli import settings
from dipeo_cli.errors import Usage


@dataclass(frozen=True, slots=True)
class Config:
    """Where to work and whom to talk to."""

    base: Path  # the project root, resolved (decision 24)
    api_url: str = ""  # "" = the local stack of `base`
    token: str = ""
    typed_token: str = ""  # as given on the command line, and nothing else
    autostart: bool = True
    may_prompt: bool = True
    verbosity: int = 0  # 1 = details, 2 = tracebacks
    color: str = "auto"  # auto, always, never
    emoji: bool = True
    env_file: str = ""  # variables for a stack that this command starts
    settings: Mapping[str, "settings.Setting"] = field(default_factory=dict)  # everything, with where it comes from

    def layout(self) -> "Layout":
        return Layout(self.base / ".dipeo")


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a project's local stack (spec/cli.md §11.2)."""

    root: Path  # BASE/.dipeo

    @property
    def base(self) -> Path:
        return self.root.parent

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def gateway(self) -> Path:
        """How to reach the running stack: JSON, mode 0600."""
        return self.run / "gateway.json"

    @property
    def starting(self) -> Path:
        """Held with flock by whoever starts the stack, so that two command lines start one."""
        return self.run / "lock"

    @property
    def alive(self) -> Path:
        """Locked by the stack as long as it lives; holds its pid."""
        return self.run / "stack.pid"

    @property
    def token(self) -> Path:
        return self.run / "token"

    @property
    def master_key(self) -> Path:
        """What keys of other services are encrypted with: 32 bytes as hex, mode 0600."""
        return self.root / "master.key"

    @property
    def database(self) -> Path:
        return self.root / "data" / "state.db"

    @property
    def stack_log(self) -> Path:
        return self.root / "logs" / "stack.log"

    @property
    def cli_log(self) -> Path:
        return self.root / "logs" / "cli.log"


@dataclass(frozen=True, slots=True)
class Flags:
    """The global options as they were typed; empty = not given."""

    project: str = ""
    api_url: str = ""
    token: str = ""
    context: str = ""
    no_autostart: bool = False
    no_input: bool = False
    color: str = ""
    no_emoji: bool = False
    verbose: int = 0
    output: str = ""
    quiet: bool = False


def load(flags: Flags = Flags(), *, read_files: bool = True) -> Config:
    """Raises Usage for a project folder or context that does not exist, and for a setting that makes no sense.

    Without `read_files` only the command line and the environment count.
    """
    base = find_base(flags.project or os.environ.get("DIPEO_BASE_DIR", ""))
    given: dict[str, settings.Value] = {}
    if flags.no_autostart:
        given["autostart"] = False
    if flags.no_input:
        given["input"] = False
    if flags.no_emoji:
        given["emoji"] = False
    given |= {name: value for name in ("api_url", "context", "color", "output") if (value := getattr(flags, name))}
    found = settings.resolve(base if read_files else None, given)
    url, token = _gateway(found, flags.token)
    return Config(
        base=base,
        api_url=url,
        token=token,
        typed_token=flags.token,
        autostart=found["autostart"].value is True,
        may_prompt=found["input"].value is True,
        verbosity=flags.verbose,
        color=str(found["color"].value),
        emoji=found["emoji"].value is True,
        settings=found,
    )


def _gateway(found: "dict[str, settings.Setting]", token: str) -> tuple[str, str]:
    """(url, token) of the gateway, "" = the local stack. The nearer of api_url and context counts (spec/cli.md §11.2).

    A project's own file may point anywhere, so it never gets a token of the environment, only one kept for its address.
    """
    from dipeo_cli import contexts

    api_url, context = found["api_url"], found["context"]
    if api_url.rank == context.rank == settings.FLAG:
        raise Usage("--api-url is not allowed with --context")
    if api_url.value and not str(api_url.value).startswith(("http://", "https://")):
        raise Usage(f"{api_url.value} ({api_url.origin}) is no address of a gateway", hint="e.g. http://127.0.0.1:8000")
    from_environment = os.environ.get("DIPEO_API_TOKEN", "")
    if api_url.value and api_url.rank <= context.rank:
        url = str(api_url.value).rstrip("/")
        if api_url.rank == settings.PROJECT:
            return url, token or contexts.token_of(url)
        return url, token or from_environment
    known = contexts.named(str(context.value)) if context.value else contexts.active()
    return (known.url, token or known.token or from_environment) if known else ("", token or from_environment)


def find_base(given: str, cwd: Path | None = None) -> Path:
    """The project root: given, else the nearest ancestor with .dipeo/ or dipeo.toml, else here (decision 24)."""
    here = (cwd or Path.cwd()).resolve()
    if given:
        base = (here / given).resolve()
        if not base.is_dir():
            raise Usage(f"project folder {given} does not exist")
        return base
    for folder in (here, *here.parents):
        if (folder / ".dipeo").is_dir() or (folder / "dipeo.toml").is_file():
            return folder
    return here
