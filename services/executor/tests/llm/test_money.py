"""Prices, the ledger and the retry rule, apart from any model."""

import asyncio

import pytest

from dipeo_executor.llm import prices
from dipeo_executor.llm.call import Call
from dipeo_executor.llm.errors import BudgetExceeded, KeyMissing, PriceUnknown, RateLimited, ServiceDown
from dipeo_executor.llm.ledger import Ledger
from dipeo_executor.llm.retrying import WINDOW_S, wait_s
from dipeo_executor.nodes.base import NodeError, Reply, RetryPolicy, Usage
from dipeo_executor.program import Budget, Person

MINI = Person("P", "P", "openai", "gpt-4o-mini", "default")
LOCAL = Person("P", "P", "ollama", "llama", "default")


def call(words: str, person: Person = MINI) -> Call:
    return Call(person, [{"role": "user", "content": words}])


def test_the_table_knows_cached_tokens_apart_and_other_models_not_at_all():
    table = prices.load(None)
    assert table.cost("openai", "gpt-4o-mini", Usage(1_000_000, 0, 0)) == pytest.approx(0.15)
    assert table.cost("openai", "gpt-4o-mini", Usage(1_000_000, 1_000_000, 1_000_000)) == pytest.approx(0.675)
    assert table.cost("gemini", "gemini-2.5-flash", Usage(1_000_000)) is not None
    assert table.cost("openai", "gpt-nobody-knows", Usage(1)) is None
    assert table.cost("ollama", "llama3.2", Usage(1)) is None
    assert table.cost("openai-compatible", "gpt-4o-mini", Usage(1)) is None, "who knows what that server charges"
    assert table.cost("mock", "m-1", Usage(1)) == 0


def test_a_price_file_comes_first(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(
        'dated = 2026-11-01\n[prices."ollama/*"]\ninput = 0\noutput = 0\n'
        '[prices."openai/gpt-4o-mini"]\ninput = 2\noutput = 3\ncached = 1\n'
    )
    table = prices.load(path)
    assert table.cost("ollama", "anything", Usage(5, 5)) == 0
    assert table.cost("openai", "gpt-4o-mini", Usage(1_000_000, 1_000_000, 500_000)) == pytest.approx(4.5)
    assert "prices.toml 2026-11-01" in table.dated


@pytest.mark.parametrize(
    "text",
    ["prices = ", '[prices."gpt"]\ninput = 1\noutput = 1', '[prices."a/b"]\ninput = 1', '[prices."a/b"]\ninput = "1"'],
)
def test_a_price_file_that_cannot_be_read_is_named(tmp_path, text):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(prices.PricesUnusable, match=r"prices\.toml"):
        prices.load(path)


async def test_calls_on_their_way_count_against_the_budget():
    ledger = Ledger(Budget(max_tokens=25), prices.load(None))
    held = await asyncio.gather(ledger.hold(call("x" * 40)), ledger.hold(call("x" * 40)))
    with pytest.raises(BudgetExceeded, match="about 10 tokens, 0 of the budget of 25"):
        await ledger.hold(call("x" * 40))
    ledger.release(held[0])
    assert await ledger.hold(call("x" * 40))


async def test_the_answers_so_far_tell_how_long_the_next_may_be():
    ledger = Ledger(Budget(max_tokens=100), prices.load(None))
    expected = await ledger.hold(call("x" * 40))
    ledger.release(expected)
    await ledger.priced(call("x" * 40), Reply("…", Usage(10, 60), "gpt-4o-mini"))
    with pytest.raises(BudgetExceeded, match="about 70 tokens, 70 of"):
        await ledger.hold(call("x" * 40))


async def test_money_cannot_be_limited_where_the_price_is_unknown():
    ledger = Ledger(Budget(max_cost_usd=1), prices.load(None))
    with pytest.raises(PriceUnknown, match="ollama model llama is not known"):
        await ledger.hold(call("hi", LOCAL))
    assert await ledger.hold(call("hi"))


def wait(error, policy=None, *, failed=1, spent_s=0.0, luck=0.5):
    return wait_s(policy, error, getattr(error, "kind", ""), failed=failed, spent_s=spent_s, luck=luck)


def test_waits_grow_with_a_jitter_and_end_after_five_attempts():
    waits = [wait(ServiceDown("x"), failed=n) for n in range(1, 6)]
    assert waits == [0.75, 1.5, 3.0, 6.0, None]
    assert wait(ServiceDown("x"), luck=0) == 0.5 and wait(ServiceDown("x"), luck=1) == 1.0


def test_what_a_service_asks_for_is_waited_for_unless_it_takes_too_long():
    assert wait(RateLimited("x", retry_after_s=20)) == pytest.approx(21)
    assert wait(RateLimited("x", retry_after_s=WINDOW_S)) is None
    assert wait(RateLimited("x"), spent_s=WINDOW_S) is None
    assert wait(RateLimited("x", retry_after_s=500), RetryPolicy(attempts=2)) > 500, (
        "the node's own policy has no window"
    )


def test_a_nodes_own_policy_counts_but_not_against_a_refusal():
    policy = RetryPolicy(attempts=3, delay_s=1)
    assert wait(KeyMissing("x"), policy) is None
    assert wait(ServiceDown("x"), policy, failed=3) is None
    assert wait(ServiceDown("x"), RetryPolicy(errors=["RateLimited"])) is None
    assert wait(NodeError("x"), policy) == 1 and wait(NodeError("x")) is None
