"""Answers of models that may use tools of their service."""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from dipeo_executor.export.runtime.kinds import Inputs, Output, Person
from dipeo_executor.export.runtime.models import Turns, complete, key_of
from dipeo_executor.export.runtime.recalling import Recall
from dipeo_executor.export.runtime.running import Run, warn
from dipeo_executor.export.runtime.talking import answered, listening, unasked

Tools = list[dict[str, Any]]
IMAGES = Path("files/results/images")  # where made images go


async def ask_with_tools(
    run: Run,
    person: Person,
    service: Callable[[Person, Turns, Tools], Awaitable[str]],
    tools: Tools,
    prompt: str,
    inputs: Inputs,
    recall: Recall | None = None,
) -> Output:
    """As `ask`; the mock uses no tools."""
    if not prompt:
        return unasked()
    arrived, kept, turns = await listening(run, person, prompt, inputs, recall)
    text = await complete(run, person, turns) if run.mock else await service(person, turns, tools)
    return answered(person, prompt, text, arrived, kept)


async def openai_with_tools(person: Person, turns: Turns, tools: Tools) -> str:
    from openai import AsyncOpenAI

    asked: Any = {"input": turns, "tools": tools}
    async with AsyncOpenAI(api_key=key_of("OPENAI_API_KEY"), max_retries=4) as client:
        answer = await client.responses.create(model=person.model, **asked)
    for number, it in enumerate(answer.output):
        if it.type == "image_generation_call" and it.result:
            path = IMAGES / f"{answer.id}-{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b64decode(it.result))
            warn(f"{person.id} made the image {path}")
    return str(answer.output_text)


async def anthropic_with_tools(person: Person, turns: Turns, tools: Tools) -> str:
    from anthropic import AsyncAnthropic

    system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
    asked: Any = {"messages": [turn for turn in turns if turn["role"] != "system"], "tools": tools}
    asked |= {"system": system} if system else {}
    async with AsyncAnthropic(api_key=key_of("ANTHROPIC_API_KEY"), max_retries=4) as client:
        answer = await client.messages.create(model=person.model, max_tokens=4096, **asked)
    return "".join(block.text for block in answer.content if block.type == "text")
