"""Spans of model calls in the words of OpenTelemetry's GenAI conventions."""

import json
from collections.abc import Iterator

import pytest
from fakes import ADA
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from dipeo_executor.llm import prices
from dipeo_executor.llm.errors import RateLimited
from dipeo_executor.llm.ledger import Ledger
from dipeo_executor.llm.metering import Metered
from dipeo_executor.llm.models import Models
from dipeo_executor.program import Budget, Person
from dipeo_kit import telemetry

TALK = [{"role": "system", "content": "You are Ada."}, {"role": "user", "content": "A secret question"}]


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def metered(*, content: bool = False, mock: bool = False) -> Metered:
    return Metered(Models({}), Ledger(Budget(), prices.load(None)), mock, content)


def only(exported: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exported.get_finished_spans()
    return span


async def test_a_call_is_a_client_span_without_a_word_of_the_prompt(exported):
    await metered().complete(ADA, TALK, temperature=0, max_tokens=9, purpose="decision", schema={"type": "object"})
    span = only(exported)
    assert (span.name, span.kind) == ("chat m-1", SpanKind.CLIENT)
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mock",
        "gen_ai.request.model": "m-1",
        "gen_ai.request.temperature": 0,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.output.type": "json",
        "gen_ai.agent.id": "Ada",
        "gen_ai.response.model": "m-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 6,
        "gen_ai.usage.output_tokens": 1,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "dipeo.llm.purpose": "decision",
    }
    assert "secret" not in span.to_json()


async def test_prompts_and_answers_are_in_it_where_that_is_asked_for(exported):
    await metered(content=True).complete(ADA, TALK)
    attributes = only(exported).attributes or {}
    asked, said = (json.loads(str(attributes[f"gen_ai.{way}.messages"])) for way in ("input", "output"))
    assert asked[1] == {"role": "user", "parts": [{"type": "text", "content": "A secret question"}]}
    assert said[0]["parts"][0]["content"] == "echo: A secret question"


async def test_a_failed_call_names_the_class_of_its_error(exported):
    with pytest.raises(RateLimited):
        await metered().complete(ADA, [{"role": "user", "content": "[[status 429]]"}])
    span = only(exported)
    assert (span.attributes or {})["error.type"] == "RateLimited" and not span.status.is_ok
    assert not span.events and not span.status.description, "words and stacks repeat what a service said"


async def test_with_mock_llm_the_mock_answers_for_everybody_and_costs_nothing(exported):
    someone = Person("P", "P", "anthropic", "claude-sonnet-5", "k")
    calls = metered(mock=True)
    assert (await calls.complete(someone, TALK)).text == "echo: A secret question"
    assert calls.meta()["llm_usage"]["cost_usd"] == 0 and calls.calls[0].service == "mock"
