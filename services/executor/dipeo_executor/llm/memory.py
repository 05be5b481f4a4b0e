"""Which messages a person remembers: fixed words, no model call. (decision 8, node contract 6.5)"""

from collections.abc import Callable, Sequence

from dipeo_executor.llm import persons
from dipeo_executor.nodes.base import Message

RULES: dict[str, Callable[[Message, str], bool]] = {
    "": lambda message, me: True,
    "ALL_MESSAGES": lambda message, me: True,
    "ALL_INVOLVED": lambda message, me: me in (message.from_id, message.to_id),
    "CONVERSATION_PAIRS": lambda message, me: me in (message.from_id, message.to_id),
    "SYSTEM_AND_ME": lambda message, me: message.from_id in (persons.SYSTEM, me),
    "SENT_BY_ME": lambda message, me: message.from_id == me,
    "SENT_TO_ME": lambda message, me: message.to_id == me,
    "GOLDFISH": lambda message, me: False,
}


def is_rule(memorize_to: str) -> bool:
    """False for free text: a criterion that only a model can judge (selector.py)."""
    return memorize_to.strip().upper() in RULES


def select(
    history: Sequence[Message], me: str, memorize_to: str, at_most: int | None, ignore_person: str
) -> tuple[Message, ...]:
    """In the order of the conversation. The newest `at_most` win; what ignored persons said or heard goes first.

    Of a criterion in words: all that it may be judged on.
    """
    keep = RULES.get(memorize_to.strip().upper(), RULES[""])
    ignored = {name.strip() for name in ignore_person.split(",") if name.strip()}
    deaf = ignored - {persons.SYSTEM}  # every answer is to the system
    known = [message for message in history if message.from_id not in ignored and message.to_id not in deaf]
    kept = [message for message in known if keep(message, me)]
    if at_most is not None and at_most > 0:
        kept = kept[-at_most:]
    return tuple(kept)
