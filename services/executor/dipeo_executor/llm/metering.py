"""nodes.base.Llm as nodes get it: every call held against the run's budget, priced, counted by purpose and traced."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dipeo_executor.llm import genai
from dipeo_executor.llm.call import Call
from dipeo_executor.llm.ledger import Ledger
from dipeo_executor.llm.models import Models
from dipeo_executor.llm.script import Place, Script
from dipeo_executor.nodes.base import ModelTool, Reply, Usage
from dipeo_executor.program import Person


@dataclass(frozen=True, slots=True)
class Counted:
    """One call that was answered."""

    purpose: str
    service: str
    model: str
    usage: Usage
    duration_ms: int


@dataclass(slots=True)
class Metered:
    """Of one attempt at one node. `calls` grows as they are answered, also when the attempt fails in the end."""

    models: Models
    ledger: Ledger
    mock: bool
    trace_content: bool = False
    script: Script = field(default_factory=Script)  # of the mock
    place: Place = field(default_factory=Place)
    calls: list[Counted] = field(default_factory=list)

    async def complete(
        self,
        person: Person,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        purpose: str = "answer",
        tools: Sequence[ModelTool] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        if self.mock:
            person = replace(person, service="mock")
        call = Call(person, messages, schema, temperature, max_tokens, purpose, tools, on_text)
        if self.mock and self.script.rules:
            call = replace(call, scripted=self.script.answer(call, self.place))
        expected = await self.ledger.hold(call)
        try:
            with genai.chat_span(call, content=self.trace_content) as span:
                begun = time.monotonic()
                reply = await self.models.answer(call)
                took_ms = round((time.monotonic() - begun) * 1000)
                genai.answered(span, reply, content=self.trace_content)
            reply = replace(reply, usage=await self.ledger.priced(call, reply))
        finally:
            self.ledger.release(expected)  # what it did cost counts by now: no call slips in between
        self.calls.append(Counted(purpose, person.service, reply.model, reply.usage, took_ms))
        return reply

    @property
    def usage(self) -> Usage:
        return sum((call.usage for call in self.calls), Usage())

    def meta(self) -> dict[str, Any]:
        """For the node run's meta: the sum, and each call with its purpose. {} when no model was asked."""
        if not self.calls:
            return {}
        calls = [
            {"purpose": it.purpose, "service": it.service, "model": it.model, "duration_ms": it.duration_ms}
            | shown(it.usage)
            for it in self.calls
        ]
        return {"llm_usage": shown(self.usage), "llm_calls": calls, "prices": self.ledger.prices.dated}


def shown(usage: Usage) -> dict[str, Any]:
    """A cost that is not wholly known is null, never nothing."""
    counted = asdict(usage)
    unpriced, cost = counted.pop("unpriced"), counted.pop("cost_usd")
    return {**counted, "total": usage.input + usage.output, "cost_usd": None if unpriced else round(cost, 10)}
