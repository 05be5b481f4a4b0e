"""Spans of model calls, in the words of OpenTelemetry's GenAI semantic conventions (incubating: all names are here).

Prompts and answers are left out unless OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is true.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.trace import Span, SpanKind

from dipeo_executor.llm.call import Call
from dipeo_executor.nodes.base import Reply
from dipeo_kit import telemetry

CAPTURE_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
OUTPUT_TYPE = "gen_ai.output.type"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
AGENT_ID = "gen_ai.agent.id"
PURPOSE = "dipeo.llm.purpose"

PROVIDERS = {"gemini": "gcp.gemini"}  # our name -> the convention's, where they differ


@contextmanager
def chat_span(call: Call, *, content: bool) -> Iterator[Span]:
    """Around one call; the class of what it raises marks the span."""
    attributes: dict[str, Any] = {
        OPERATION: "chat",
        PROVIDER: PROVIDERS.get(call.person.service, call.person.service),
        REQUEST_MODEL: call.person.model,
        AGENT_ID: call.person.id,
        OUTPUT_TYPE: "text" if call.schema is None else "json",
        PURPOSE: call.purpose,
    }
    if call.temperature is not None:
        attributes[REQUEST_TEMPERATURE] = call.temperature
    if call.max_tokens is not None:
        attributes[REQUEST_MAX_TOKENS] = call.max_tokens
    if content:
        attributes[INPUT_MESSAGES] = json.dumps([_message(it["role"], it["content"]) for it in call.messages])
    with telemetry.span(f"chat {call.person.model}", attributes, kind=SpanKind.CLIENT) as span:
        yield span


def answered(span: Span, reply: Reply, *, content: bool) -> None:
    span.set_attributes(
        {
            RESPONSE_MODEL: reply.model,
            FINISH_REASONS: ["length" if reply.cut else "stop"],
            INPUT_TOKENS: reply.usage.input,
            OUTPUT_TOKENS: reply.usage.output,
            CACHED_TOKENS: reply.usage.cached,
        }
    )
    if content:
        span.set_attribute(OUTPUT_MESSAGES, json.dumps([_message("assistant", reply.text)]))


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}
