"""What the model calls of one run have cost, and the refusal of a call that would cost too much."""

import asyncio
from dataclasses import dataclass, field

from dipeo_executor.llm.call import Call
from dipeo_executor.llm.errors import BudgetExceeded, PriceUnknown
from dipeo_executor.llm.prices import Prices
from dipeo_executor.nodes.base import Reply, Usage
from dipeo_executor.program import Budget

CHARACTERS_PER_TOKEN = 4


@dataclass(slots=True)
class Ledger:
    """Of one run, over all its nodes. `spent`: what has been used so far; a recovered run begins with its journal's."""

    budget: Budget
    prices: Prices
    spent: Usage = field(default_factory=Usage)
    _calls: int = 0
    _held: Usage = field(default_factory=Usage)  # of calls on their way, as expected

    async def hold(self, call: Call) -> Usage:
        """What the call is expected to use, set aside until `settle`. Raises BudgetExceeded, PriceUnknown."""
        budget = self.budget
        output = self.spent.output // self._calls if self._calls else 0
        expected = Usage(sum(len(it["content"]) for it in call.messages) // CHARACTERS_PER_TOKEN, output)
        if budget.max_cost_usd:
            cost = await self._cost(call, call.person.model, expected)
            if cost is None:
                raise PriceUnknown(
                    f"the price of {call.person.service} model {call.person.model} is not known, so max_cost_usd "
                    "cannot be kept; add it to the price file, or limit max_tokens instead"
                )
            expected += Usage(cost_usd=cost)
        ahead = self.spent + self._held + expected
        if budget.max_tokens and ahead.input + ahead.output > budget.max_tokens:
            used = self.spent.input + self.spent.output
            raise BudgetExceeded(
                f"the next call needs about {expected.input + expected.output:,} tokens, {used:,} of the budget of "
                f"{budget.max_tokens:,} are used; raise max_tokens, or ask for less"
            )
        if budget.max_cost_usd and ahead.cost_usd > budget.max_cost_usd:
            raise BudgetExceeded(
                f"the next call costs about ${expected.cost_usd:.6f}, ${self.spent.cost_usd:.6f} of the budget of "
                f"${budget.max_cost_usd:g} are spent; raise max_cost_usd, or ask for less"
            )
        self._held += expected
        return expected

    def release(self, expected: Usage) -> None:
        """The call is over, well or not."""
        held = self._held
        self._held = Usage(
            held.input - expected.input, held.output - expected.output, 0, held.cost_usd - expected.cost_usd
        )

    async def priced(self, call: Call, reply: Reply) -> Usage:
        """The reply's usage with its cost, which counts from now on; what was not measured counts as estimated."""
        self._calls += 1
        if reply.usage.unpriced:
            length = sum(len(it["content"]) for it in call.messages)
            self.spent += Usage(length // CHARACTERS_PER_TOKEN, len(reply.text) // CHARACTERS_PER_TOKEN, unpriced=1)
            return reply.usage
        cost = await self._cost(call, reply.model, reply.usage)
        if cost is None and reply.model != call.person.model:
            cost = await self._cost(call, call.person.model, reply.usage)
        usage = reply.usage + (Usage(unpriced=1) if cost is None else Usage(cost_usd=cost))
        self.spent += usage
        return usage

    async def _cost(self, call: Call, model: str, usage: Usage) -> float | None:
        service = call.person.service
        if service == "mock":
            return self.prices.cost(service, model, usage)
        return await asyncio.to_thread(self.prices.cost, service, model, usage)  # the table takes its time to load
