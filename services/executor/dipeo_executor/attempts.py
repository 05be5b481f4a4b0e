"""One attempt at one node: the handler within its time, its output as events, its failure as users read it."""

import asyncio
from dataclasses import astuple, replace
from typing import Any

from dipeo_executor import values
from dipeo_executor.engine import events as ev
from dipeo_executor.engine.state import Running
from dipeo_executor.llm.metering import Metered
from dipeo_executor.nodes import REGISTRY
from dipeo_executor.nodes.base import Context, NodeError, Output, Usage
from dipeo_executor.program import Node
from dipeo_kit import logs

log = logs.get(__name__)


async def attempt(path: str, node: Node, run: Running, context: Context, metered: Metered) -> list[ev.Event]:
    """Messages, then the completion. Raises whatever went wrong; `failure_of` tells what that was."""
    handler = REGISTRY[node.type].run
    if handler is None:
        raise NodeError(f"{node.type} nodes do not run by themselves")
    limit_s = None if node.props.times_itself else node.props.timeout or node.props.default_timeout_s
    try:
        async with asyncio.timeout(limit_s) as limit:
            output = await handler(node.props, run.inputs, context)
    except TimeoutError:
        if limit.expired():
            raise timed_out(limit_s or 0) from None
        raise
    if metered.calls:
        output = replace(output, usage=metered.usage, meta={**output.meta, **metered.meta()})
    return events_of(path, run, output)


def timed_out(seconds: float) -> NodeError:
    return NodeError(f"timed out after {seconds:g} seconds", kind="TimeoutError")


def events_of(path: str, run: Running, output: Output) -> list[ev.Event]:
    """Raises ValueNotJson, ValueTooLarge."""
    encoded = values.encode(output.value)
    completion = ev.NodeCompleted(
        path,
        run.iteration,
        run.attempt,
        values.decode(encoded),
        output.port,
        encoded=encoded,
        usage=usage_of(output.usage),
        conversation=_native(output.conversation),
        variables=_native(dict(output.variables)),
        meta=_native(dict(output.meta)),
        model=output.model,
    )
    messages = [
        ev.MessageAppended(it.id, path, run.iteration, it.from_id, it.to_id, it.content, it.token_count)
        for it in output.messages
    ]
    return [*messages, completion]


def usage_of(usage: Usage | None) -> ev.Usage | None:
    """None when no model was asked."""
    return ev.Usage(*astuple(usage)) if usage is not None and usage != Usage() else None


def failure_of(error: Exception, path: str) -> ev.Failure:
    """What users read. The boundary around a node: one bug of ours fails one node, and its trace goes to the log."""
    if isinstance(error, NodeError):
        return ev.Failure(error.kind, str(error), code=error.code, details=error.details)
    if isinstance(error, values.ValueNotJson | values.ValueTooLarge):
        return ev.Failure(type(error).__name__, str(error))
    log.error("node.crashed", node=path, exc_info=error)
    return ev.Failure(type(error).__name__, f"internal error: {error}", code="internal")


def _native(value: Any) -> Any:
    """A copy of what JSON keeps of a value."""
    return values.decode(values.encode(value)) if value else value
