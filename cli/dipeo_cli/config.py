"""What the global options and the environment say, once per invocation. Flag wins over environment."""

import os
from dataclasses import dataclass
from pathlib import Path

from dipeo_cli.errors import Usage


@dataclass(frozen=True, slots=True)
class Config:
    """Where to work and whom to talk to."""

    base: Path  # the project root, resolved (decision 24)
    api_url: str = ""  # "" = the local stack of `base`
    token: str = ""
    autostart: bool = True
    may_prompt: bool = True
    verbosity: int = 0  # 1 = details, 2 = tracebacks

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
    def database(self) -> Path:
        return self.root / "data" / "state.db"

    @property
    def stack_log(self) -> Path:
        return self.root / "logs" / "stack.log"

    @property
    def cli_log(self) -> Path:
        return self.root / "logs" / "cli.log"


def load(
    project: str = "",
    api_url: str = "",
    token: str = "",
    no_autostart: bool = False,
    no_input: bool = False,
    verbose: int = 0,
) -> Config:
    """Raises Usage when the project folder does not exist."""
    environment = os.environ.get
    return Config(
        base=find_base(project or environment("DIPEO_BASE_DIR", "")),
        api_url=(api_url or environment("DIPEO_API_URL", "")).rstrip("/"),
        token=token or environment("DIPEO_API_TOKEN", ""),
        autostart=not (no_autostart or environment("DIPEO_AUTOSTART", "") in ("0", "false", "no")),
        may_prompt=not (no_input or environment("CI", "") not in ("", "0", "false")),
        verbosity=verbose,
    )


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
