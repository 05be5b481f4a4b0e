"""Every way a command of ours ends badly, with its exit code (spec/cli.md §1.2).

CliError
├── Usage            2: the command line is wrong
├── NotFound         1: no such diagram or execution
├── FilesWanted      1: a remote executor asks for files; the command uploads them and asks again
└── Unreachable      3: no gateway, or it cannot be started

Stopped              BaseException, so that no `except Exception` holds it up: a signal asked us to end
"""

from typing import Any

from dipeo_kit import errors as kit

EXIT_NEGATIVE = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3
EXIT_UNFINISHED = 8
EXIT_STILL_RUNNING = 124


class CliError(Exception):
    """An expected failure. `context` goes into the JSON document beside `error` and `error_code`."""

    def __init__(
        self, message: str, *, code: str, exit_code: int, hint: str = "", context: dict[str, Any] | None = None
    ):
        super().__init__(message)
        self.code, self.exit_code, self.hint = code, exit_code, hint
        self.context = context or {}

    def document(self) -> dict[str, Any]:
        """The one JSON document of a failure under --json (spec/cli.md §14.5)."""
        hint = {"hint": self.hint} if self.hint else {}
        return {"error": str(self), "error_code": self.code} | hint | self.context


class Usage(CliError):
    """The command line is wrong."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, code="usage", exit_code=EXIT_USAGE, hint=hint)


class NotFound(CliError):
    """What the command line names does not exist."""

    def __init__(self, message: str, *, hint: str = "", context: dict[str, Any] | None = None) -> None:
        super().__init__(message, code="not_found", exit_code=EXIT_NEGATIVE, hint=hint, context=context)


class Conflict(CliError):
    """The gateway says that this is not possible any more."""


class FilesWanted(CliError):
    """A remote executor asks for files first; `context["wanted"]` names them."""

    def __init__(self, message: str, *, context: dict[str, Any]) -> None:
        super().__init__(message, code="files_wanted", exit_code=EXIT_NEGATIVE, context=context)


class Unreachable(CliError):
    """The gateway does not answer."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, code="unavailable", exit_code=EXIT_UNAVAILABLE, hint=hint)


class Stopped(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived."""

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number
        self.context: dict[str, Any] = {}  # for the JSON document


def from_gateway(code: str, message: str, *, context: dict[str, Any] | None = None) -> CliError:
    """The failure a GraphQL error code stands for (spec/gateway.md §13.3)."""
    if code == "FILES_WANTED":
        return FilesWanted(message, context=context or {})
    kind = Conflict if code == "CONFLICT" else CliError
    hint = "give the gateway's token with --token or DIPEO_API_TOKEN" if code == "UNAUTHENTICATED" else ""
    return kind(message, code=code.lower(), exit_code=kit.exit_code_of(code), hint=hint, context=context)
