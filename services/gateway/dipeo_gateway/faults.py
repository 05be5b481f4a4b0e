"""Errors on their way out: coded, in words for users, never with a stack or a driver's text (spec/gateway.md §13.3)."""

import structlog
from graphql import GraphQLError
from strawberry.extensions import MaskErrors

from dipeo_kit import errors, logs, telemetry

log = logs.get(__name__)

RESYNC_REQUIRED = "RESYNC_REQUIRED"


class StreamBroken(Exception):
    """A subscription ended early; subscribing again with `last_seq` misses nothing."""

    def __init__(self, cause: errors.DipeoError, last_seq: int) -> None:
        super().__init__(str(cause))
        self.cause, self.last_seq = cause, last_seq


def code_of(error: errors.DipeoError) -> str:
    return RESYNC_REQUIRED if error.reason == RESYNC_REQUIRED else errors.row_of(error).graphql_code


def text_of(error: errors.DipeoError) -> str:
    """What users may read. The words of an internal error stay in the log, under the request id."""
    if errors.row_of(error).error is not errors.Internal:
        return str(error)
    log.error("request.failed", error=str(error))
    return f"internal error (request {request_id()})"


def request_id() -> str:
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


class CodedErrors(MaskErrors):
    """Gives every top-level error `extensions.code`, and masks those nobody expected."""

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        message, extensions = _described(error)
        return GraphQLError(
            message,
            nodes=error.nodes,
            source=error.source,
            positions=error.positions,
            path=error.path,
            extensions={**extensions, "request_id": request_id(), **telemetry.trace_ids()},
        )


def _described(error: GraphQLError) -> tuple[str, dict[str, object]]:
    cause = error.original_error
    if isinstance(cause, errors.DipeoError):
        return text_of(cause), {"code": code_of(cause)}
    if isinstance(cause, StreamBroken):
        return text_of(cause.cause), {"code": code_of(cause.cause), "last_seq": cause.last_seq}
    if error.path is None and (cause is None or isinstance(cause, GraphQLError)):
        return error.message, {"code": errors.BadInput.code}  # the document or its variables: nothing was run
    log.error("request.failed", exc_info=cause or error)
    return f"internal error (request {request_id()})", {"code": errors.Internal.code}
