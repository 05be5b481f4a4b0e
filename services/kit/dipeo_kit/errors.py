"""What can go wrong, once for the whole house.

    DipeoError
    ├── BadInput            a caller's mistake in an argument
    │   └── DiagramInvalid  the diagram does not compile; `diagnostics` says why
    ├── NotFound
    ├── Conflict            not legal in the present state; `reason` says which rule
    ├── AlreadyExists       the id or key is taken by something else
    ├── Unauthenticated, Forbidden
    ├── Overloaded          try again later
    ├── Unavailable         something we depend on is down
    ├── NotSupported
    ├── DataLoss            what is stored is damaged
    └── Internal            our mistake; the words stay in the log

Every package raises these or its own subclasses. TABLE is the only place that knows what each becomes on gRPC, in
GraphQL and as an exit code (spec/gateway.md §13.3, spec/cli.md §1.2). This module imports nothing, so that the CLI
can use it for free.
"""

from dataclasses import dataclass
from typing import ClassVar


class DipeoError(Exception):
    """Base of every expected failure. `str(error)` is for users: subject, what is wrong, what would be right."""

    code: ClassVar[str] = "INTERNAL"
    reason: str = ""

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        if reason:
            self.reason = reason


class BadInput(DipeoError):
    """A malformed argument, limit, path or JSON text."""

    code = "BAD_INPUT"


class DiagramInvalid(BadInput):
    """The diagram does not load or compile."""

    code = "DIAGRAM_INVALID"


class NotFound(DipeoError):
    """No such thing."""

    code = "NOT_FOUND"


class Conflict(DipeoError):
    """Not legal in the present state."""

    code = "CONFLICT"


class AlreadyExists(DipeoError):
    """The id or key belongs to something else."""

    code = "ALREADY_EXISTS"


class Unauthenticated(DipeoError):
    """No valid credential."""

    code = "UNAUTHENTICATED"


class Forbidden(DipeoError):
    """A valid credential that may not do this."""

    code = "FORBIDDEN"


class Overloaded(DipeoError):
    """A limit is reached; the same call may work later."""

    code = "OVERLOADED"


class Unavailable(DipeoError):
    """A service or database does not answer; the same call may work later."""

    code = "UNAVAILABLE"


class NotSupported(DipeoError):
    """Not offered here."""

    code = "NOT_SUPPORTED"


class DataLoss(DipeoError):
    """What is stored is not what was put there."""

    code = "DATA_LOSS"


class Internal(DipeoError):
    """A mistake of ours. Users see that it happened, the log says what."""


@dataclass(frozen=True, slots=True)
class Row:
    """How one kind of failure looks on each edge of the house."""

    error: type[DipeoError]
    grpc_status: str  # name of a grpc.StatusCode
    graphql_code: str
    exit_code: int


TABLE: tuple[Row, ...] = (
    Row(DiagramInvalid, "INVALID_ARGUMENT", "DIAGRAM_INVALID", 1),
    Row(BadInput, "INVALID_ARGUMENT", "BAD_INPUT", 2),
    Row(NotFound, "NOT_FOUND", "NOT_FOUND", 1),
    Row(Conflict, "FAILED_PRECONDITION", "CONFLICT", 1),
    Row(AlreadyExists, "ALREADY_EXISTS", "CONFLICT", 1),
    Row(Unauthenticated, "UNAUTHENTICATED", "UNAUTHENTICATED", 4),
    Row(Forbidden, "PERMISSION_DENIED", "FORBIDDEN", 4),
    Row(Overloaded, "RESOURCE_EXHAUSTED", "OVERLOADED", 3),
    Row(Unavailable, "UNAVAILABLE", "UNAVAILABLE", 3),
    Row(NotSupported, "UNIMPLEMENTED", "NOT_SUPPORTED", 1),
    Row(DataLoss, "DATA_LOSS", "DATA_LOSS", 3),
    Row(Internal, "INTERNAL", "INTERNAL", 3),
)

_BY_STATUS = {row.grpc_status: row.error for row in reversed(TABLE)} | {
    "INVALID_ARGUMENT": BadInput,
    "DEADLINE_EXCEEDED": Unavailable,
    "CANCELLED": Unavailable,
}
_BY_REASON = {"DIAGRAM_INVALID": DiagramInvalid}


def row_of(error: BaseException) -> Row:
    """The most specific row for an exception; anything unexpected is Internal."""
    for row in TABLE:
        if isinstance(error, row.error):
            return row
    return TABLE[-1]


def from_status(grpc_status: str, message: str, reason: str = "") -> DipeoError:
    """The error a gRPC status stands for, e.g. ("NOT_FOUND", "no execution exec_…")."""
    kind = _BY_REASON.get(reason) or _BY_STATUS.get(grpc_status, Internal)
    return kind(message, reason=reason)


def exit_code_of(graphql_code: str) -> int:
    """Exit code for a code the gateway answered with; 3 for a code we do not know."""
    return next((row.exit_code for row in TABLE if row.graphql_code == graphql_code), 3)
