"""Questions of a run, answered on the terminal or from a pipe (spec/cli.md §3.5).

Reading never blocks: the follow loop polls, so a question can be withdrawn and nothing holds up the exit.
"""

import os
import select
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from dipeo_cli import output
from dipeo_cli.client import Gateway
from dipeo_cli.errors import CliError, Usage

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    prompt_id: str
    node_id: str
    label: str
    prompt: str
    context: str
    default: str
    options: tuple[str, ...]
    sensitive: bool = False

    @classmethod
    def from_data(cls, data: Event) -> "Question":
        return cls(
            prompt_id=str(data.get("prompt_id") or ""),
            node_id=str(data["node_id"]),
            label=str(data.get("node_name") or data["node_id"]),
            prompt=str(data.get("prompt") or ""),
            context=str(data.get("context") or ""),
            default=str(data.get("default") or ""),
            options=tuple(map(str, data.get("options") or ())),
            sensitive=bool(data.get("sensitive")),
        )

    def choice(self, text: str) -> str | None:
        """What is answered by `text`: itself, or the option it is or is the number of; None when it is none of them."""
        if not self.options or text in self.options:
            return text
        number = int(text) if text.strip().isdecimal() else 0
        return self.options[number - 1] if 1 <= number <= len(self.options) else None


class Lines:
    """Lines of a file descriptor, as far as they have come."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._pending = b""
        self.at_end = False

    def poll(self) -> str | None:
        """The next line without its end, or None when none is there yet. At the end of input: always ""."""
        while b"\n" not in self._pending and not self.at_end and select.select([self._descriptor], [], [], 0)[0]:
            chunk = os.read(self._descriptor, 65536)
            self._pending += chunk
            self.at_end = not chunk
        line, newline, rest = self._pending.partition(b"\n")
        if not newline and not self.at_end:
            return None
        self._pending = rest
        return line.decode(errors="replace").rstrip("\r")


class Desk:
    """The open questions of one run, asked one by one in the order they were opened."""

    def __init__(self, execution_id: str, lines: Lines | None, *, verbose: bool, pause: Callable[[], None]) -> None:
        self._execution_id, self._lines, self._verbose, self._pause = execution_id, lines, verbose, pause
        self._open: list[Question] = []
        self._asked: Question | None = None
        self._typed = ""
        self._hidden = ExitStack()  # while it holds something, the terminal does not show what is typed

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._hidden.close()

    @property
    def waiting(self) -> bool:
        """A human is awaited."""
        return bool(self._open)

    @property
    def reading(self) -> bool:
        return bool(self._open) and self._lines is not None

    def take(self, event: Event) -> None:
        """Learn from an event that a question was opened or closed."""
        data = event.get("data") or {}
        if event["type"] == "INTERACTIVE_PROMPT":
            self._open.append(Question.from_data(data | {"node_name": event.get("node_name") or data.get("node_name")}))
        elif event["type"] == "INTERACTIVE_RESPONSE":
            self._close(str(data.get("prompt_id")), str(data.get("outcome") or "answered"))

    def _close(self, prompt_id: str, outcome: str) -> None:
        if self._asked and self._asked.prompt_id == prompt_id:
            if os.isatty(0):
                output.tell("")  # leaves the line on which somebody may be typing
                _forget_typed()
            self._hidden.close()
            output.tell(f'(the question of "{self._asked.label}" is closed: {outcome})')
            self._asked, self._typed = None, ""
        self._open = [question for question in self._open if question.prompt_id != prompt_id]

    def work(self, gateway: Gateway) -> None:
        """Ask the first open question, and send what was typed, if anything."""
        if not self._open or self._lines is None:
            return
        if self._asked is None:
            self._asked = self._open[0]
            self._ask(self._asked)
        line = self._lines.poll()
        if line is None:
            return
        if line.endswith("\\") and not self._lines.at_end and not self._asked.sensitive:
            self._typed += line[:-1] + "\n"
            return
        question, text = self._asked, self._typed + line
        self._asked, self._typed = None, ""
        self._hidden.close()
        answer = question.choice(text or question.default)
        if answer is None and (text or not self._lines.at_end):
            said = "that" if question.sensitive or not text else text
            output.tell(f"  {said} is none of {', '.join(question.options)}")
            return  # it is asked again
        self._open.remove(question)
        self._send(gateway, question, answer or "")

    def _ask(self, question: Question) -> None:
        self._pause()
        output.tell(f"? {question.label}: {question.prompt}")
        if self._verbose and question.context:
            output.tell(f"  {question.context}")
        if question.options:
            for number, option in enumerate(question.options, 1):
                output.tell(f"  {number}) {option}")
        if question.default:
            output.tell(f"  (empty line: {question.default})")
        if os.isatty(0):
            if question.sensitive:
                output.tell("  (what you type is not shown)")
                self._hidden.enter_context(_unseen())
            print("> ", end="", file=sys.stderr, flush=True)

    def _send(self, gateway: Gateway, question: Question, text: str) -> None:
        try:
            gateway.respond(self._execution_id, question.node_id, text, question.prompt_id)
        except CliError as error:
            if error.code not in ("conflict", "not_found"):
                raise
            output.tell(f'(the question of "{question.label}" was answered elsewhere)')


@contextmanager
def _unseen() -> Iterator[None]:
    """The terminal shows nothing of what is typed but the end of the line."""
    import termios

    kept = termios.tcgetattr(0)
    hidden = [*kept]
    hidden[3] = (kept[3] & ~termios.ECHO) | termios.ECHONL
    termios.tcsetattr(0, termios.TCSADRAIN, hidden)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, kept)


def _forget_typed() -> None:
    """What was typed for a question that is closed must not reach the shell."""
    import termios

    with suppress(termios.error):
        termios.tcflush(0, termios.TCIFLUSH)


def stdin_lines(*, may_prompt: bool) -> Lines | None:
    """Where answers come from: a terminal unless prompting is off, a pipe or file; None when nobody can be asked."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    if os.isatty(0):
        return Lines() if may_prompt else None
    return None if stat.S_ISCHR(mode) else Lines()


def confirm(question: str, *, may_prompt: bool) -> None:
    """Ask before something is destroyed. Raises Usage when nobody can be asked, CliError when the answer is no."""
    if not (may_prompt and os.isatty(0)):
        raise Usage(f"{question} say so with --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CliError("nothing was done", code="interrupted", exit_code=1)
