"""What a person remembers of what was said."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from dipeo_executor.export.runtime.kinds import Message, Person
from dipeo_executor.export.runtime.models import complete_choice
from dipeo_executor.export.runtime.running import Run
from dipeo_executor.llm.selector import candidates, question, read_ids

Rule = Callable[[Message, str], bool]  # (a message, the id of the person)
Recall = Callable[[Run, Person, list[Message], str], Awaitable[list[Message]]]  # (…, all messages, the prompt)


def recalling(rule: Rule | None = None, at_most: int = 0, ignore: tuple[str, ...] = ()) -> Recall:
    """By a rule, the newest `at_most` of them, nothing to do with those to ignore."""

    async def recall(run: Run, person: Person, messages: list[Message], prompt: str) -> list[Message]:
        kept = [it for it in heeded(messages, ignore) if rule is None or rule(it, person.id)]
        return kept[-at_most:] if at_most else kept

    return recall


def by_criterion(criterion: str, at_most: int = 0, ignore: tuple[str, ...] = ()) -> Recall:
    """The person's model is asked what is worth remembering for the task at hand."""

    async def recall(run: Run, person: Person, messages: list[Message], prompt: str) -> list[Message]:
        known: Any = heeded(messages, ignore)
        shown = candidates(known)
        if not shown:
            return []
        named: Any = replace(person, label=person.label or person.id)
        asked = [{"role": "user", "content": question(shown, named, criterion, at_most or None, prompt)}]
        ids = read_ids(await complete_choice(run, person, asked))
        kept = [it for it in known if it.id in ids]
        return kept[-at_most:] if at_most else kept

    return recall


def heeded(messages: list[Message], ignore: tuple[str, ...]) -> list[Message]:
    """Without what the ignored said or were told."""
    deaf = [name for name in ignore if name != "system"]
    return [it for it in messages if it.from_id not in ignore and it.to_id not in deaf]


def involving_me(it: Message, me: str) -> bool:
    return me in (it.from_id, it.to_id)


def from_system_or_me(it: Message, me: str) -> bool:
    return it.from_id in ("system", me)


def sent_by_me(it: Message, me: str) -> bool:
    return it.from_id == me


def sent_to_me(it: Message, me: str) -> bool:
    return it.to_id == me


def nothing(it: Message, me: str) -> bool:
    return False
