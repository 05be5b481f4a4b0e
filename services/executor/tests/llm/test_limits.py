"""How fast calls with one key may go, over all executions of a process, and by which way."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import modelservers as wire
import pytest
from modelservers import Answer, serving

from dipeo_executor.llm.call import Call
from dipeo_executor.llm.errors import RateLimited
from dipeo_executor.llm.models import Models
from dipeo_executor.llm.providers import Lane
from dipeo_executor.program import Person

PIA = Person("P", "Pia", "openai-compatible", "local", "default")
TALK = [{"role": "user", "content": "hi"}]


def models_at(url: str, **limits) -> Models:
    env = {"OPENAI_COMPATIBLE_API_KEY": "sk-test-0123456789", "OPENAI_COMPATIBLE_BASE_URL": f"{url}/v1"}
    return Models(env, **limits)


async def test_no_more_calls_a_minute_than_allowed_and_who_is_cancelled_while_it_waits_keeps_no_place():
    lane = Lane(at_once=1, per_minute=2)
    for _ in range(2):
        async with lane:
            pass
    third = asyncio.create_task(lane.__aenter__())
    await asyncio.sleep(0)
    assert not third.done()
    third.cancel()
    await asyncio.gather(third, return_exceptions=True)
    assert not lane._at_once.locked()


async def test_keys_have_limits_of_their_own():
    async with serving(wire.chat(delay_s=5)) as server, serving(wire.chat()) as other:
        models = models_at(server.url, at_once=1)
        busy = asyncio.create_task(models.answer(Call(PIA, TALK)))
        await server.arrived.wait()
        elsewhere = Person("Q", "Quin", "vllm", "local", "default", base_url=f"{other.url}/v1")
        assert (await models.answer(Call(elsewhere, TALK))).text == "five"
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
        await models.aclose()


async def test_a_service_may_say_until_when_to_leave_it_alone():
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    async with serving(Answer({"error": {"message": "busy"}}, 429, {"retry-after": until})) as server:
        models = models_at(server.url)
        with pytest.raises(RateLimited) as caught:
            await models.answer(Call(PIA, TALK))
        await models.aclose()
    assert 20 < (caught.value.retry_after_s or 0) <= 30


async def test_calls_go_through_the_proxy_the_environment_names(monkeypatch):
    async with serving(wire.chat()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        models = models_at("http://models.example")
        assert (await models.answer(Call(PIA, TALK))).text == "five"
        await models.aclose()
    assert proxy.seen[0].path == "http://models.example/v1/chat/completions"
