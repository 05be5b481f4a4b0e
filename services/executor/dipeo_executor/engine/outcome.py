"""How a run or a sub-diagram ends, and with what result (engine contract 1.6, 1.7; spec/cli.md §4.3)."""

from typing import Any

from dipeo_executor.engine.events import RunStatus
from dipeo_executor.engine.graph import bits
from dipeo_executor.engine.state import Frame

Json = Any


def quiet_status(frame: Frame) -> tuple[RunStatus, tuple[str, ...]]:
    """(status, warnings) of a diagram in which nothing failed, nothing runs and nothing may start."""
    if not frame.graph.endpoints or frame.reached:
        return "completed", ()
    if frame.exhausted & frame.holding:
        return "maxiter_reached", ()
    return "completed", ("no endpoint was reached",)


def result(frame: Frame) -> tuple[bool, Json, bool]:
    """(whether there is one, the result, whether it is an error value).

    One endpoint reached: its value; several: label -> value; none: the value of the node that completed last.
    """
    reached = list(bits(frame.reached))
    if not reached:
        return frame.last >= 0, frame.output[frame.last] if frame.last >= 0 else None, frame.last_wrong
    wrong = bool(frame.wrong)
    if len(reached) == 1:
        return True, _value(frame, reached[0]), wrong
    return True, {frame.node(index).label or frame.node(index).id: _value(frame, index) for index in reached}, wrong


def body(frame: Frame) -> Json:
    """What a sub-diagram hands to its parent: bodies as they are, not unwrapped (engine contract 5.1)."""
    reached = list(bits(frame.reached))
    if not reached:
        return frame.output[frame.last] if frame.last >= 0 else None
    if len(reached) == 1:
        return frame.output[reached[0]]
    return {frame.node(index).label or frame.node(index).id: frame.output[index] for index in reached}


def outputs(frame: Frame) -> dict[str, Json]:
    """Label -> last value, of the nodes that completed."""
    return {
        node.label or node.id: frame.output[index]
        for index, node in enumerate(frame.program.nodes)
        if frame.completed[index]
    }


def never_started(frame: Frame) -> tuple[str, ...]:
    return tuple(frame.path_of(index) for index in range(frame.graph.size) if not frame.count[index])


def _value(frame: Frame, index: int) -> Json:
    value = frame.output[index]
    return value["default"] if frame.wrapped >> index & 1 else value
