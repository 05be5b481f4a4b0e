"""Structured logs: an event name and ids as fields, one JSON object a line, on standard error."""

import logging
import sys

import structlog

from dipeo_kit import telemetry


def configure(level: str = "INFO", *, service: str) -> None:
    """Send our logs, and those of the libraries, through one JSON formatter. Call once per process."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        _traced,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    structlog.contextvars.bind_contextvars(service=service)


def _traced(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.update(telemetry.trace_ids())
    return event


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger: `log.info("run.claimed", execution_id=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
