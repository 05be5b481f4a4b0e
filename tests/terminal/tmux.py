"""A terminal with a person in front of it: tmux with a server of its own."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MARK = "READY$ "
TMUX = shutil.which("tmux")


@dataclass(frozen=True)
class Terminal:
    """One window with a shell in it."""

    socket: Path
    width: int

    def tmux(self, *words: str) -> str:
        done = subprocess.run(
            [TMUX or "tmux", "-S", str(self.socket), *words], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    def type(self, text: str) -> None:
        """A line, with Enter."""
        self.keys(text)
        self.press("Enter")

    def keys(self, text: str) -> None:
        """As typed, without Enter."""
        self.tmux("send-keys", "-l", text)

    def press(self, key: str) -> None:
        """A key as tmux names it: C-c, Enter."""
        self.tmux("send-keys", key)

    def screen(self, *, escapes: bool = False) -> str:
        """Everything written so far, scrolled-out lines included."""
        return self.tmux("capture-pane", "-p", "-S", "-", *(["-e"] if escapes else []))

    def visible(self) -> str:
        """What is on the screen now."""
        return self.tmux("capture-pane", "-p")

    def see(self, pattern: str, timeout_s: float = 30) -> str:
        """Wait until it is on the screen; the screen then."""
        return self.until(lambda screen: bool(re.search(pattern, screen, re.MULTILINE)), pattern, timeout_s)

    def until(self, fits: Callable[[str], bool], what: str, timeout_s: float = 30) -> str:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if fits(screen := self.screen()):
                return screen
            time.sleep(0.03)
        raise AssertionError(f"never saw {what!r} on this screen:\n{self.screen()}")

    def run(self, command: str) -> None:
        self.type(command)

    def done(self, timeout_s: float = 40) -> str:
        """Wait for the shell's prompt after a command, at the start of its line; the screen then."""
        prompts = rf"^{re.escape(MARK.strip())}"
        return self.until(lambda screen: len(re.findall(prompts, screen, re.MULTILINE)) >= 2, "the prompt", timeout_s)


@contextmanager
def terminal(folder: Path, environment: Mapping[str, str], *, width: int = 100, height: int = 30) -> Iterator[Terminal]:
    """A shell in `folder`; its prompt is MARK and says nothing else."""
    with tempfile.TemporaryDirectory(prefix="tmux") as sockets:
        made = Terminal(Path(sockets) / "s", width)
        env = {**environment, "TERM": "screen-256color", "LC_ALL": "C.UTF-8", "HISTFILE": ""}
        env.pop("TMUX", None)
        started = [TMUX or "tmux", "-S", str(made.socket), "-f", os.devnull, "new-session", "-d"]
        size = ["-x", str(width), "-y", str(height), "-c", str(folder)]
        subprocess.run(
            [*started, *size, f"exec env PS1='{MARK}' bash --norc --noprofile -i"], env=env, check=True, timeout=20
        )
        try:
            made.see(rf"^{re.escape(MARK.strip())}")
            yield made
        finally:
            made.tmux("kill-server")
