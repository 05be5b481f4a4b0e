"""Which messages fit a criterion in words: a model is asked. (engine contract 4.6, node contract 6.5)"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dipeo_executor.llm import persons
from dipeo_executor.nodes.base import Context, Message, Usage
from dipeo_executor.program import Person

MOST = 150  # candidates shown
COMPARED, EXCERPT, PREVIEW = 400, 250, 1200  # characters
ALIKE = 0.9  # share of the words of the shorter of two messages
SCHEMA = {
    "type": "object",
    "properties": {"message_ids": {"type": "array", "items": {"type": "string"}}},
    "required": ["message_ids"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Selected:
    messages: tuple[Message, ...]
    usage: Usage


async def select(
    known: Sequence[Message], person: Person, criteria: str, at_most: int | None, task: str, ctx: Context
) -> Selected:
    """In the order of the conversation, the newest `at_most`. `task`: what the person is about to be asked.

    Without candidates no model is asked. Raises what the call raises.
    """
    shown = candidates(known)
    if not shown:
        return Selected((), Usage())
    asked = [{"role": "user", "content": question(shown, person, criteria, at_most, task)}]
    reply = await ctx.llm.complete(person, asked, schema=SCHEMA, temperature=0, purpose="memory_selection")
    ids = read_ids(reply.text)
    kept = [message for message in known if message.id in ids]
    if at_most is not None and at_most > 0:
        kept = kept[-at_most:]
    return Selected(tuple(kept), reply.usage)


def candidates(known: Sequence[Message]) -> list[Message]:
    """The best MOST, in the order of the conversation. What nearly repeats an earlier message counts for that one.

    Recency goes by place in the conversation rather than by the clock, so that a replay shows the same list.
    """
    kept: list[Message] = []
    words: list[frozenset[str]] = []
    frequency: list[int] = []
    for message in known:
        mine = frozenset(message.content[:COMPARED].lower().split())
        like = next((place for place, other in enumerate(words) if _alike(mine, other)), None)
        if like is not None:
            frequency[like] += 1
            continue
        kept.append(message)
        words.append(mine)
        frequency.append(1)

    def score(place: int) -> float:
        often = min(100, 30 + 20 * (frequency[place] - 1))
        often = min(100, often + 30) if kept[place].from_id == persons.SYSTEM else often
        return 0.7 * 100 * (place + 1) / len(kept) + 0.3 * often

    best = sorted(range(len(kept)), key=score, reverse=True)[:MOST]
    return [kept[place] for place in sorted(best)]


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    smaller = min(len(one), len(other))
    return len(one & other) >= ALIKE * smaller if smaller else one == other


def question(shown: Sequence[Message], person: Person, criteria: str, at_most: int | None, task: str) -> str:
    """One line per message: its id in brackets, who wrote it, how it begins."""
    lines = [f"[{it.id}] {it.from_id}: {' '.join(it.content.split())[:EXCERPT]}" for it in shown]
    limit = [f"Choose at most {at_most} messages."] if at_most is not None and at_most > 0 else []
    return "\n".join(
        [
            f"You choose what {person.label} should remember of a conversation before the task below.",
            "",
            "MESSAGES (id, sender, beginning):",
            *lines,
            "",
            "TASK PREVIEW:",
            task[:PREVIEW],
            "",
            "CRITERIA:",
            criteria,
            "",
            *limit,
            "Leave out messages whose content the task preview already has.",
            'Answer with JSON only: {"message_ids": ["id", …]}',
        ]
    )


def read_ids(text: str) -> set[str]:
    """Of a list, of an object with message_ids, else of the first bracketed list in the text; else nothing."""
    for attempt in (text, *re.findall(r"\[[^\[\]]*\]", text)[:1]):
        try:
            found = json.loads(attempt)
        except ValueError:
            continue
        found = found.get("message_ids") if isinstance(found, dict) else found
        if isinstance(found, list):
            return {str(it) for it in found}
    return set()
