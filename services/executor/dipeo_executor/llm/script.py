"""What the mock answers by a script (--mock-llm-file): a list of rules, of which the first that fits a call wins.

    - {node: Draft, run: 1, reply: A first draft}      # conditions: person, node, contains, run, attempt, purpose
    - {node: Draft, replies: [one, two]}               # its n-th run gets the n-th, the last one from then on
    - {person: Judge, reply: {score: 3}}               # a value that is no text goes out as JSON
    - {contains: weather, attempt: 1, status: 429}     # fails as that HTTP status
    - {reply: hello, latency_ms: 50, break: true}      # takes its time; breaks off half way

Nothing is counted, so a run that is recovered or retried hears the same. What no rule fits goes by mock.py.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from dipeo_executor.llm.call import Call, Scripted
from dipeo_kit.errors import BadInput

ANSWERS = ("reply", "replies", "status")


class Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    person: str | None = None  # label or id
    node: str | None = None  # label or id
    contains: str | None = None  # in the last user message
    run: int | None = Field(default=None, ge=1)  # of the node
    attempt: int | None = Field(default=None, ge=1)
    purpose: str | None = None  # answer, memory_selection, decision, retry; none = all but memory_selection
    reply: Any = None
    replies: list[Any] | None = Field(default=None, min_length=1)
    status: int | None = Field(default=None, ge=400, le=599)
    latency_ms: int = Field(default=0, ge=0)
    breaks: bool = Field(default=False, alias="break")

    @model_validator(mode="after")
    def _one_answer(self) -> Self:
        if len(self.model_fields_set.intersection(ANSWERS)) != 1:
            raise ValueError(f"give one of {', '.join(ANSWERS)}")
        return self


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call comes from. `run` and `attempt` from 1."""

    node_id: str = ""
    label: str = ""
    run: int = 1
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Script:
    rules: Sequence[Rule] = ()

    def answer(self, call: Call, place: Place) -> Scripted | None:
        rule = next((it for it in self.rules if _fits(it, call, place)), None)
        if rule is None:
            return None
        said = rule.replies[min(place.run, len(rule.replies)) - 1] if rule.replies else rule.reply
        text = said if isinstance(said, str) else json.dumps(said)
        return Scripted(text, rule.status or 0, rule.latency_ms / 1000, rule.breaks)


def _fits(rule: Rule, call: Call, place: Place) -> bool:
    return (
        (rule.person is None or rule.person in (call.person.id, call.person.label))
        and (rule.node is None or rule.node in (place.node_id, place.label))
        and (rule.contains is None or rule.contains in call.asked)
        and rule.run in (None, place.run)
        and rule.attempt in (None, place.attempt)
        and (call.purpose == rule.purpose if rule.purpose else call.purpose != "memory_selection")
    )


def read(rules: Any) -> Script:
    """Raises BadInput naming the rule and what is wrong with it."""
    try:
        return Script(TypeAdapter(list[Rule]).validate_python(rules))
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False)[0]
        if not wrong["loc"]:
            raise BadInput("the script of the mock must be a list of rules, e.g. [{reply: hello}]") from None
        number, *field = wrong["loc"]
        where = "".join(f" {it}" for it in field if it != "break") or ""
        said = wrong["msg"].removeprefix("Value error, ")
        raise BadInput(f"the script of the mock, rule {int(number) + 1}{where}: {said[0].lower()}{said[1:]}") from None
