"""Persons and what they remember."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from dipeo_executor.export.runtime.kinds import Inputs, Message, Output, Person
from dipeo_executor.export.runtime.models import complete
from dipeo_executor.export.runtime.running import NodeError, Run, warn
from dipeo_executor.llm.selector import SCHEMA, candidates, question, read_ids
from dipeo_executor.nodes.condition import DECISION, read_decision
from dipeo_executor.nodes.person_batch import _items
from dipeo_executor.templates import as_text

Choice = Callable[[Run, Person, list[Message], int, str], Awaitable[list[Message]]]


async def ask(
    run: Run,
    person: Person,
    prompt: str,
    inputs: Inputs,
    *,
    remember: str = "",
    at_most: int = 0,
    ignore: tuple[str, ...] = (),
    choose: Choice | None = None,
    schema: dict[str, Any] | None = None,
) -> Output:
    """The person's answer; with a schema the JSON object in it. `choose` picks what else is remembered."""
    if not prompt:
        warn("the prompt is empty after filling it in; the model is not asked")
        return Output("")
    arrived = arrived_messages(run, person, inputs)
    kept = remembered([*run.history, *arrived], person, remember, 0 if choose else at_most, ignore)
    if choose:
        kept = await choose(run, person, kept, at_most, prompt)
    turns = [{"role": "system", "content": person.system_prompt}]
    turns += [{"role": "assistant" if it.from_id == person.id else "user", "content": it.content} for it in kept]
    turns = [turn for turn in [*turns, {"role": "user", "content": prompt}] if turn["content"]]
    text = await complete(run, person, turns, schema)
    value = await json_object(run, person, turns, text, schema) if schema else text
    exchange = [said("system", person.id, prompt), said(person.id, "system", text)]
    told = [as_told(it) for it in [*kept, *exchange]]
    talk = {"messages": told, "last_message": told[-1], "person_id": person.id, "model": person.model}
    return Output(value, conversation=talk, messages=[*arrived, *exchange])


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


def remembered(
    messages: list[Message], person: Person, remember: str, at_most: int, ignore: tuple[str, ...]
) -> list[Message]:
    """Which messages the person is shown, oldest first; the newest `at_most` of them."""
    me = person.id
    rules: dict[str, Callable[[Message], bool]] = {
        "ALL_INVOLVED": lambda it: me in (it.from_id, it.to_id),
        "CONVERSATION_PAIRS": lambda it: me in (it.from_id, it.to_id),
        "SYSTEM_AND_ME": lambda it: it.from_id in ("system", me),
        "SENT_BY_ME": lambda it: it.from_id == me,
        "SENT_TO_ME": lambda it: it.to_id == me,
        "GOLDFISH": lambda it: False,
    }
    keep = rules.get(remember)  # None: all of them
    deaf = [name for name in ignore if name != "system"]
    kept = [it for it in messages if it.from_id not in ignore and it.to_id not in deaf]
    kept = [it for it in kept if keep is None or keep(it)]
    return kept[-at_most:] if at_most > 0 else kept


def by_criterion(criterion: str) -> Choice:
    """The person's model is asked what is worth remembering for the task at hand."""

    async def choose(run: Run, person: Person, messages: list[Message], at_most: int, task: str) -> list[Message]:
        known: Any = messages
        shown = candidates(known)
        if not shown:
            return []
        named: Any = replace(person, label=person.label or person.id)
        asked = [{"role": "user", "content": question(shown, named, criterion, at_most or None, task)}]
        ids = read_ids(await complete(run, person, asked, SCHEMA, selects=True))
        kept = [it for it in messages if it.id in ids]
        return kept[-at_most:] if at_most > 0 else kept

    return choose


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


async def json_object(run: Run, person: Person, turns: list[dict[str, str]], text: str, schema: dict[str, Any]) -> Any:
    """The JSON object in an answer; asked for once more when there is none."""
    value = object_in(text)
    if value is None:
        words = f"Answer with one JSON object only. It must fit: {json.dumps(schema)}"
        again = [*turns, {"role": "assistant", "content": text}, {"role": "user", "content": words}]
        value = object_in(await complete(run, person, [turn for turn in again if turn["content"]], schema))
    if value is None:
        raise NodeError(f"model {person.model} was asked twice for a JSON object and answered: {text[:200]!r}")
    return value


def object_in(text: str) -> dict[str, Any] | None:
    stripped = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        value = json.loads(stripped)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


async def decide(run: Run, person: Person, question: str, inputs: Inputs) -> bool:
    """Yes or no, by a person who sees the text to judge and nothing else."""
    subject = next((inputs[key] for key in ("default", "generated_output") if inputs.get(key) is not None), None)
    if subject is None and inputs:
        subject = dict(inputs)
    if subject:
        question += f"\n\n--- BEGIN CONTENT ---\n{as_text(subject)}\n--- END CONTENT ---"
    return read_decision(await complete(run, person, [{"role": "user", "content": question}], DECISION))
