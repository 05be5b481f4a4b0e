"""Messages of the execution's conversation: made, read from inputs, and written as JSON. (engine contract 4.4, 4.7)"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from dipeo_executor.llm import persons
from dipeo_executor.nodes.base import Context, Inputs, Message, Usage

PREPENDED = "[Previous conversation"  # how the original marked history that it had put before a prompt


def exchange(person_id: str, prompt: str, reply: str, usage: Usage, ctx: Context, item: str = "") -> list[Message]:
    """The two messages of one call. Their ids are the same over attempts; their time is the driver's to add.

    `item` tells apart the calls of one node run.
    """

    def message(part: str, from_id: str, to_id: str, content: str, tokens: int) -> Message:
        message_id = _digest(f"{ctx.idempotency_key}/{item}/{part}" if item else f"{ctx.idempotency_key}/{part}")
        return Message(message_id, from_id, to_id, content, ctx.node.id, ctx.iteration, tokens)

    return [
        message("prompt", persons.SYSTEM, person_id, prompt, 0),
        message("reply", person_id, persons.SYSTEM, reply, usage.input + usage.output),
    ]


def arrived(inputs: Inputs, history: Sequence[Message], person_id: str, node_id: str) -> list[Message]:
    """Messages that came in as data ({"messages": […]}) and are not in the conversation yet."""
    known = {message.id for message in history}
    new: list[Message] = []
    for value in inputs.values():
        entries = value.get("messages") if isinstance(value, Mapping) else None
        for position, entry in enumerate(entries if isinstance(entries, list) else ()):
            if _is_message(entry):
                message = _from_json(entry, position, person_id, node_id)
                if message.id not in known:
                    known.add(message.id)
                    new.append(message)
    return new


def _is_message(entry: Any) -> bool:
    content = entry.get("content") if isinstance(entry, Mapping) else None
    return isinstance(content, str) and PREPENDED not in content


def _from_json(entry: Mapping[str, Any], position: int, person_id: str, node_id: str) -> Message:
    """Ours ({from_person_id, to_person_id, content}) or chat style ({role, content})."""
    outsider = persons.SYSTEM if entry.get("role") in ("user", "system") else person_id
    from_id = str(entry.get("from_person_id") or outsider)
    to_id = str(entry.get("to_person_id") or (persons.SYSTEM if from_id == person_id else person_id))
    # without an id, one made of what it says: the same list arriving again adds nothing
    message_id = entry.get("id") or _digest(json.dumps([position, from_id, to_id, entry["content"]]))
    return Message(str(message_id), from_id, to_id, entry["content"], node_id)


def as_json(message: Message) -> dict[str, Any]:
    spoken = "system_to_person" if message.from_id == persons.SYSTEM else "person_to_system"
    both = persons.SYSTEM not in (message.from_id, message.to_id)
    return {
        "id": message.id,
        "from_person_id": message.from_id,
        "to_person_id": message.to_id,
        "content": message.content,
        "message_type": "person_to_person" if both else spoken,
        "timestamp": message.at.isoformat() if message.at else None,
        "token_count": message.token_count,
        "metadata": {"node_id": message.node_id},
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
