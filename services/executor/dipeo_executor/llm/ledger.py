"""What model calls have cost, and the refusal of a call that would cost too much."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from dipeo_executor.llm.call import Call
from dipeo_executor.llm.errors import BudgetExceeded, PriceUnknown
from dipeo_executor.llm.prices import Prices
from dipeo_executor.nodes.base import Reply, Usage
from dipeo_executor.program import Budget

CHARACTERS_PER_TOKEN = 4


@dataclass(slots=True)
class Ledger:
    """Of one diagram while it runs, over all its nodes. A call counts in it and in each one around it."""

    budget: Budget
    prices: Prices
    spent: Usage = field(default_factory=Usage)
    outer: "Ledger | None" = None
    name: str = ""  # whose budget it is, for people: " of …"; "" = the run's
    _calls: int = 0
    _held: Usage = field(default_factory=Usage)  # of calls on their way, as expected

    async def hold(self, call: Call) -> Usage:
        """What the call is expected to use, set aside until `release`. Raises BudgetExceeded, PriceUnknown."""
        ledgers = list(self._outwards())
        expected = ledgers[-1]._expected(call)
        limited = next((it for it in ledgers if it.budget.max_cost_usd), None)
        if limited is not None:
            cost = await self._cost(call, call.person.model, expected)
            if cost is None:
                raise PriceUnknown(
                    f"the price of {call.person.service} model {call.person.model} is not known, so max_cost_usd"
                    f"{limited.name} cannot be kept; add it to the price file, or limit max_tokens instead"
                )
            expected += Usage(cost_usd=cost)
        for ledger in ledgers:
            ledger._check(expected)
        for ledger in ledgers:
            ledger._held += expected
        return expected

    def release(self, expected: Usage) -> None:
        """The call is over, well or not."""
        back = Usage(-expected.input, -expected.output, 0, -expected.cost_usd)
        for ledger in self._outwards():
            ledger._held += back

    async def priced(self, call: Call, reply: Reply) -> Usage:
        """The reply's usage with its cost, which counts from now on; what was not measured counts as estimated."""
        if reply.usage.unpriced:
            length = sum(len(it["content"]) for it in call.messages)
            usage = reply.usage
            counted = Usage(length // CHARACTERS_PER_TOKEN, len(reply.text) // CHARACTERS_PER_TOKEN, unpriced=1)
        else:
            cost = await self._cost(call, reply.model, reply.usage)
            if cost is None and reply.model != call.person.model:
                cost = await self._cost(call, call.person.model, reply.usage)
            usage = counted = reply.usage + (Usage(unpriced=1) if cost is None else Usage(cost_usd=cost))
        for ledger in self._outwards():
            ledger._calls += 1
            ledger.spent += counted
        return usage

    def _outwards(self) -> "Iterator[Ledger]":
        ledger: Ledger | None = self
        while ledger is not None:
            yield ledger
            ledger = ledger.outer

    def _expected(self, call: Call) -> Usage:
        output = self.spent.output // self._calls if self._calls else 0
        return Usage(sum(len(it["content"]) for it in call.messages) // CHARACTERS_PER_TOKEN, output)

    def _check(self, expected: Usage) -> None:
        """Raises BudgetExceeded."""
        budget, ahead = self.budget, self.spent + self._held + expected
        if budget.max_tokens and ahead.input + ahead.output > budget.max_tokens:
            used = self.spent.input + self.spent.output
            raise BudgetExceeded(
                f"the next call needs about {expected.input + expected.output:,} tokens, {used:,} of the budget"
                f"{self.name} of {budget.max_tokens:,} are used; raise max_tokens, or ask for less"
            )
        if budget.max_cost_usd and ahead.cost_usd > budget.max_cost_usd:
            raise BudgetExceeded(
                f"the next call costs about ${expected.cost_usd:.6f}, ${self.spent.cost_usd:.6f} of the budget"
                f"{self.name} of ${budget.max_cost_usd:g} are spent; raise max_cost_usd, or ask for less"
            )

    async def _cost(self, call: Call, model: str, usage: Usage) -> float | None:
        service = call.person.service
        if service == "mock":
            return self.prices.cost(service, model, usage)
        return await asyncio.to_thread(self.prices.cost, service, model, usage)  # the table takes its time to load
