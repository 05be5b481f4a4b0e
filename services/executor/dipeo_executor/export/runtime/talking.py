"""Talking with persons."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from dipeo_executor.export.runtime.kinds import Inputs, Message, Output, Person
from dipeo_executor.export.runtime.models import Turns, complete, complete_object
from dipeo_executor.export.runtime.recalling import Recall
from dipeo_executor.export.runtime.running import NodeError, Run, warn
from dipeo_executor.nodes.condition import DECISION, read_decision
from dipeo_executor.nodes.person_batch import _items
from dipeo_executor.templates import as_text


async def ask(run: Run, person: Person, prompt: str, inputs: Inputs, recall: Recall | None = None) -> Output:
    """The person's answer. `recall` picks what it remembers; without, it is all that was said."""
    if not prompt:
        return unasked()
    arrived, kept, turns = await listening(run, person, prompt, inputs, recall)
    return answered(person, prompt, await complete(run, person, turns), arrived, kept)


async def listening(
    run: Run, person: Person, prompt: str, inputs: Inputs, recall: Recall | None
) -> tuple[list[Message], list[Message], Turns]:
    """(messages that came in as data, those the person remembers, what the model is sent)"""
    arrived = arrived_messages(run, person, inputs)
    known = [*run.history, *arrived]
    kept = await recall(run, person, known, prompt) if recall else known
    turns = [{"role": "system", "content": person.system_prompt}]
    turns += [{"role": "assistant" if it.from_id == person.id else "user", "content": it.content} for it in kept]
    turns.append({"role": "user", "content": prompt})
    return arrived, kept, [turn for turn in turns if turn["content"]]


def unasked() -> Output:
    warn("the prompt is empty after filling it in; the model is not asked")
    return Output("")


def answered(person: Person, prompt: str, text: str, arrived: list[Message], kept: list[Message]) -> Output:
    """The answer as the value, and what it adds to the conversation."""
    exchange = [said("system", person.id, prompt), said(person.id, "system", text)]
    told = [as_told(it) for it in [*kept, *exchange]]
    talk = {"messages": told, "last_message": told[-1], "person_id": person.id, "model": person.model}
    return Output(text, conversation=talk, messages=[*arrived, *exchange])


async def ask_each(
    run: Run, ask_one: Callable[[Run, Inputs], Awaitable[Output]], inputs: Inputs, key: str, at_once: int
) -> Output:
    """One answer per item; they do not hear each other. Fails when all of them do."""
    items = _items(inputs, key)
    if items is None:
        warn(f'there are no items: no input has "{key}"; the inputs are {", ".join(inputs) or "none"}')
    total, gate = len(items or []), asyncio.Semaphore(at_once)
    others = {name: value for name, value in inputs.items() if name not in (key, "default")}

    async def one(index: int, item: Any) -> Output | Exception:
        async with gate:
            try:
                return await ask_one(run, {**others, "default": item, "_batch_index": index, "_batch_total": total})
            except Exception as error:  # noqa: BLE001 the value says which items failed
                return error

    made = await asyncio.gather(*(one(index, item) for index, item in enumerate(items or [])))
    failed = [(index, it) for index, it in enumerate(made) if isinstance(it, Exception)]
    if failed and len(failed) == total:
        raise NodeError(f"all {total} items failed; the first: {failed[0][1]}") from failed[0][1]
    answered = [(index, it) for index, it in enumerate(made) if isinstance(it, Output)]
    value = {
        "total_items": total,
        "successful": len(answered),
        "failed": len(failed),
        "results": [{"index": index, "output": it.value} for index, it in answered],
        "errors": [{"index": index, "error": str(it), "item": (items or [])[index]} for index, it in failed] or None,
    }
    new = {message.id: message for _, it in answered for message in it.messages}
    told = [as_told(it) for it in [*run.history, *new.values()]]
    talk = {"messages": told, "last_message": told[-1]} if told else None
    return Output(value, conversation=talk, messages=list(new.values()))


def said(from_id: str, to_id: str, content: str) -> Message:
    return Message(uuid.uuid4().hex[:12], from_id, to_id, content)


def as_told(it: Message) -> dict[str, Any]:
    """A message as it travels on arrows."""
    return {"id": it.id, "from_person_id": it.from_id, "to_person_id": it.to_id, "content": it.content}


def arrived_messages(run: Run, person: Person, inputs: Inputs) -> list[Message]:
    """Messages that came in as data and are not known yet."""
    known = {it.id for it in run.history}
    new: list[Message] = []
    for value in inputs.values():
        told = value.get("messages") if isinstance(value, dict) else None
        for it in told if isinstance(told, list) else ():
            if isinstance(it, dict) and isinstance(it.get("content"), str):
                outsider = "system" if it.get("role") in ("user", "system") else person.id
                from_id = str(it.get("from_person_id") or outsider)
                to_id = str(it.get("to_person_id") or ("system" if from_id == person.id else person.id))
                name = str(it.get("id") or json.dumps([from_id, to_id, it["content"]]))
                if name not in known:
                    known.add(name)
                    new.append(Message(name, from_id, to_id, it["content"]))
    return new


async def decide(run: Run, person: Person, question: str, inputs: Inputs) -> bool:
    """Yes or no, by a person who sees the text to judge and nothing else."""
    subject = next((inputs[key] for key in ("default", "generated_output") if inputs.get(key) is not None), None)
    if subject is None and inputs:
        subject = dict(inputs)
    if subject:
        question += f"\n\n--- BEGIN CONTENT ---\n{as_text(subject)}\n--- END CONTENT ---"
    return read_decision(await complete_object(run, person, [{"role": "user", "content": question}], DECISION))
