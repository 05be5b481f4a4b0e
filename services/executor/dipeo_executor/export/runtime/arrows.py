"""Arrows between nodes, and what a diagram of them comes to."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dipeo_executor.export.runtime.kinds import Output
from dipeo_executor.export.runtime.running import NodeError, Run, Step


@dataclass(frozen=True)
class Arrow:
    """`key` names the input at the target. `first`: only for its first run. `talk`: carries the conversation."""

    source: Callable[..., Any]
    target: Callable[..., Any]
    key: str = "default"
    port: str = "default"
    talk: bool = False
    priority: float = 0

    def takes(self, output: Output) -> bool:
        """Whether what a node produced goes along here."""
        return output.port == self.port or (output.port == "default" and self.port in ("success", "results"))

    def carried(self, output: Output) -> Any:
        return output.conversation if self.talk and output.conversation is not None else output.value


class Outcome:
    """What the steps of a diagram have produced, by their place in it."""

    def __init__(self, run: Run, steps: list[Step], arrows: list[Arrow]) -> None:
        self.run, self.steps, self.arrows = run, steps, arrows
        self.ends = [index for index, step in enumerate(steps) if step.type == "endpoint"]
        self.outputs: dict[int, Output] = {}
        self.last: int | None = None

    async def play(self) -> None:
        """Run the steps, each when it is its turn. Raises NodeError, Stopped."""
        raise NotImplementedError

    def send(self, index: int, output: Output) -> None:
        """What a step produced goes on its way."""
        self.outputs[index], self.last = output, index

    def ended(self, index: int, task: "asyncio.Task[Output]") -> BaseException | None:
        """Send on what a step produced; of a failed one the error, where it may go. Else the failure."""
        step, error = self.steps[index], task.exception()
        arrows = (arrow for arrow in self.arrows if arrow.source is step.work)
        output = task.result() if error is None else error_going_on(step, error, arrows)
        if output is None:
            return error
        self.send(index, output)
        return None

    async def result(self) -> Any:
        """Run to the end. One endpoint: its value; several: by label; none: what came last."""
        await self.play()
        reached = [index for index in self.ends if index in self.outputs]
        if len(reached) == 1:
            return self.outputs[reached[0]].value
        if reached:
            return {self.steps[index].label: self.outputs[index].value for index in reached}
        return self.outputs[self.last].value if self.last is not None else None


def error_going_on(step: Step, error: BaseException, arrows: Iterable[Arrow]) -> Output | None:
    """What a failed step produces where its error may go on; None where it fails the run."""
    if not isinstance(error, NodeError):
        raise error
    cause = error.__cause__ or error
    kind = cause.kind if isinstance(cause, NodeError) else type(cause).__name__
    value = {"error": str(cause), "type": kind, "node": step.id}
    if any(arrow.port == "error" for arrow in arrows):
        return Output(value, port="error")
    if step.on_error == "continue":
        return Output(value, port="condfalse" if step.type == "condition" else "default")
    return None
