"""How one node is run."""

import asyncio
import concurrent.futures
import inspect
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from dipeo_executor.export.runtime.kinds import Inputs, Message, Output


class NodeError(Exception):
    """A node cannot do what it is asked. `kind` is what an arrow for errors calls it."""

    def __init__(self, message: str, kind: str = "NodeError") -> None:
        super().__init__(message)
        self.kind = kind


class Stopped(Exception):
    """The run ends here; the message is for people."""


@dataclass(frozen=True)
class Step:
    """A node: its function, and what the diagram says about it."""

    work: Callable[..., Any]
    label: str
    type: str
    id: str = ""
    max_iteration: int | None = None
    on_error: str = "fail"


@dataclass
class Count:
    """How often a step has run, and what it produced last."""

    step: Step
    started: int = 0
    completed: int = 0
    value: Any = None


@dataclass
class Run:
    """What a node may look at. Names are looked up in the inputs, then in variables, then in custom_data."""

    variables: dict[str, Any]
    custom_data: dict[str, Any]
    mock: bool = False
    answers: dict[str, str] = field(default_factory=dict)
    interactive: bool = True
    messages: list[Message] = field(default_factory=list)  # what all persons have said so far
    history: list[Message] = field(default_factory=list)  # of these, what the present node may know
    counts: dict[str, Count] = field(default_factory=dict)  # by the label of a node
    count: int = 1  # which run of the present node this is, from 1
    path: str = ""


def warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


async def perform(run: Run, step: Step, inputs: Inputs) -> Output:
    """Run one node. Raises NodeError, which names it."""
    count = run.counts.setdefault(step.label, Count(step))
    count.started += 1
    view = replace(run, history=list(run.messages), count=count.started, path=f"{run.path}{step.id}")
    try:
        output = await carried_out(step.work, view, inputs)
    except Exception as error:
        kind = "" if isinstance(error, NodeError) else f"{type(error).__name__}: "
        raise NodeError(f'node "{step.label}" ({step.type}): {kind}{error}') from error
    run.messages += output.messages
    run.variables.update(output.variables)
    count.completed += 1
    count.value = output.value
    return output


async def carried_out(work: Callable[..., Any], run: Run, inputs: Inputs) -> Output:
    """The output of a node's function; one that is not async gets a thread of its own."""
    made = work(run, inputs) if inspect.iscoroutinefunction(work) else await in_thread(work, run, inputs)
    made = await made if inspect.isawaitable(made) else made
    output = made if isinstance(made, Output) else Output(made)
    output.value = as_json(output.value)
    return output


def in_thread(function: Callable[..., Any], *arguments: Any) -> "asyncio.Future[Any]":
    """As asyncio.to_thread does, but the end of the script waits for no thread that was given up."""
    done: concurrent.futures.Future[Any] = concurrent.futures.Future()
    done.set_running_or_notify_cancel()

    def work() -> None:
        try:
            done.set_result(function(*arguments))
        except BaseException as error:  # noqa: BLE001 it goes to whoever awaits
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return asyncio.wrap_future(done)


def as_json(value: Any) -> Any:
    """A copy as JSON has it: tuples become lists. Raises NodeError for what JSON cannot hold."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise NodeError(f"the value cannot travel on an arrow: {error}") from error


def body_of(value: Any) -> Any:
    """What a diagram hands to the one around it: a map always."""
    return value if isinstance(value, dict) else {"default": value}


def end(inputs: Inputs) -> Any:
    """The value of an endpoint: its only input, or all of them by name."""
    return inputs["default"] if list(inputs) == ["default"] else dict(inputs)


def begin(run: Run, manual: bool) -> Any:
    """The value of a start node: custom_data under the variables; without a trigger the variables alone."""
    if manual:
        return {"default": {**run.custom_data, **run.variables}}
    return dict(run.variables) if "default" in run.variables else {"default": dict(run.variables)}
