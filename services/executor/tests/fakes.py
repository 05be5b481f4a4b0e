"""A Context for node tests: real files under a temporary folder, a scripted or mock model, answers given beforehand."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dipeo_executor.files import ProjectFiles
from dipeo_executor.llm import mock
from dipeo_executor.llm.call import Call
from dipeo_executor.nodes.base import Answer, CodeJob, CodeResult, Message, NodeCount, Output, Question, Reply, Usage
from dipeo_executor.program import Edge, Node, Person

ADA = Person("Ada", "Ada", "mock", "m-1", "default", system_prompt="You are Ada.")
BEN = Person("Ben", "Ben", "mock", "m-1", "default", system_prompt="You are Ben.")


class Mock:
    """The mock service as a node's Llm, without what is around calls in a run."""

    async def complete(
        self,
        person,
        messages,
        *,
        schema=None,
        temperature=None,
        max_tokens=None,
        purpose="answer",
        tools=(),
        on_text=None,
    ) -> Reply:
        return await mock.answer(Call(person, messages, schema, temperature, max_tokens, purpose, tools, on_text))


@dataclass
class ScriptedLlm:
    """Gives the scripted replies in turn (an exception is raised); keeps what it was asked."""

    replies: Sequence[Any] = ()
    calls: list[dict[str, Any]] = field(default_factory=list)

    async def complete(self, person, messages, **options) -> Reply:
        self.calls.append({"person": person.id, "messages": list(messages), **options})
        reply = self.replies[len(self.calls) - 1] if self.replies else f"ECHO:{messages[-1]['content']}"
        if isinstance(reply, Exception):
            raise reply
        return Reply(reply, Usage(3, 2, 1), person.model)


@dataclass
class KeptWorkers:
    """Keeps the jobs; the result is what `result` makes of them."""

    result: Callable[[CodeJob], CodeResult] = lambda job: CodeResult(None)
    python: list[CodeJob] = field(default_factory=list)
    bash: list[CodeJob] = field(default_factory=list)
    typescript: list[CodeJob] = field(default_factory=list)

    async def run_python(self, job: CodeJob) -> CodeResult:
        self.python.append(job)
        return self.result(job)

    async def run_bash(self, job: CodeJob) -> CodeResult:
        self.bash.append(job)
        return self.result(job)

    async def run_typescript(self, job: CodeJob) -> CodeResult:
        self.typescript.append(job)
        return self.result(job)


@dataclass
class FakeContext:
    files: ProjectFiles
    node: Node
    execution_id: str = "exec_0"
    iteration: int = 0
    first_run: bool = True
    attempt: int = 1
    idempotency_key: str = "key-0"
    variables: Mapping[str, Any] = field(default_factory=dict)
    custom_data: Mapping[str, Any] = field(default_factory=dict)
    counts: Sequence[NodeCount] = ()
    outgoing: Sequence[Edge] = ()
    persons: Mapping[str, Person] = field(default_factory=lambda: {"Ada": ADA, "Ben": BEN})
    history: Sequence[Message] = ()
    pictures: Sequence[str] = ()
    nested: bool = False
    workers: Any = field(default_factory=KeptWorkers)
    llm: Any = field(default_factory=Mock)
    http: Any = None
    answer: Answer = field(default_factory=lambda: Answer("", "unattended"))
    asked: list[tuple[str, str, float | None]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    async def ask(self, question: Question, *, timeout_s: float | None = None) -> Answer:
        self.asked.append((question.prompt, question.context, timeout_s))
        self.questions.append(question)
        return self.answer

    def log(self, level: str, message: str, **fields: Any) -> None:
        self.lines.append((level, message))

    def say(self, piece: str) -> None:
        self.said.append(piece)

    @property
    def warnings(self) -> list[str]:
        return [message for level, message in self.lines if level == "warning"]


def context(base: Path, **given: Any) -> FakeContext:
    return FakeContext(ProjectFiles(base), given.pop("node", Node("n1", "x", "N", None)), **given)


async def run(module: Any, props: Mapping[str, Any], inputs: Mapping[str, Any], ctx: FakeContext) -> Output:
    """Validate the properties as the compiler does, then run the node."""
    return await module.run(module.Props.model_validate(dict(props)), inputs, ctx)


def shared_table(name: str) -> list[dict[str, Any]]:
    """A table of input and answer recorded from the original; only where its folder is at hand."""
    folder = os.environ.get("DIPEO_TEST_SHARED")
    if not folder:
        pytest.skip("DIPEO_TEST_SHARED does not name the folder of the recordings")
    return json.loads((Path(folder) / "cases/units" / name).read_text())
