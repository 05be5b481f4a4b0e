"""What this package adds to the house's errors.

DipeoError
└── BadInput
    └── SettingsRefused     settings that contradict each other or leave a door open: exit code 78
Busy (Overloaded)           a limit of this service; `retry_after_s` says when it may work again
Unserved                    a call that was understood and not served: becomes a tool result with isError
"""

from dipeo_kit import errors

EXIT_CONFIG = 78  # sysexits.h EX_CONFIG (spec/mcp.md §3.12)
CODES = (
    "invalid_input",
    "not_found",
    "timeout",
    "cancelled",
    "node_failed",
    "busy",
    "backend_unavailable",
    "internal",
)


class SettingsRefused(errors.BadInput):
    """Starting with these settings would be wrong."""


class Busy(errors.Overloaded):
    """A limit is reached."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unserved(Exception):
    """`code` is one of CODES; the text is for the caller's model to act on."""

    def __init__(self, code: str, message: str, *, node: str = "") -> None:
        super().__init__(message)
        self.code, self.node = code, node


def unserved(error: errors.DipeoError) -> Unserved:
    """The tool error a failure of the house becomes; words of an internal error stay in the log."""
    match error:
        case errors.NotFound():
            return Unserved("not_found", str(error))
        case errors.Unavailable():
            return Unserved("backend_unavailable", "backend unavailable: the service behind does not answer, try again")
        case errors.Overloaded():
            return Unserved("busy", str(error))
        case errors.Internal():
            return Unserved("internal", "internal error")
        case _:
            return Unserved("invalid_input", str(error))
