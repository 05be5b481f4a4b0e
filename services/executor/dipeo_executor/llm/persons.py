"""Persons: who they are and what a model is shown in their name. (node contract 6.4, 19.1)"""

from collections.abc import Mapping, Sequence

from dipeo_executor.nodes.base import Message, NodeError
from dipeo_executor.program import Person

SYSTEM = "system"
ALIASES = {
    "claude": "anthropic",
    "claude-sdk": "claude-code",
    "chatgpt": "openai",
    "gpt": "openai",
    "gpt-4": "openai",
    "gpt-3.5": "openai",
    "google": "gemini",
    "llama": "ollama",
    "mistral": "ollama",
    "gemma": "ollama",
    "phi": "ollama",
}


def service_name(name: str) -> str:
    """A service as people spell it -> the one name we use."""
    folded = name.strip().lower().replace("_", "-")
    return ALIASES.get(folded, folded)


class PersonUnknown(NodeError):
    """The node names a person the diagram does not have."""


def find(persons: Mapping[str, Person], name: str) -> Person:
    """By id, else by label."""
    person = persons.get(name) or next((person for person in persons.values() if person.label == name), None)
    if person is None:
        known = ", ".join(sorted(persons)) or "none"
        raise PersonUnknown(f'there is no person "{name}" in the diagram; its persons: {known}')
    return person


def chat(person: Person, history: Sequence[Message], prompt: str) -> list[dict[str, str]]:
    """What the model is sent: system prompt, history, prompt. Whatever others said is a user's words to this person."""
    turns = [{"role": "system", "content": person.system_prompt}]
    turns += [{"role": "assistant" if m.from_id == person.id else "user", "content": m.content} for m in history]
    turns.append({"role": "user", "content": prompt})
    return [turn for turn in turns if turn["content"]]
