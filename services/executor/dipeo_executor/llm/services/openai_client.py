"""The OpenAI SDK's client, without what it does to every message before a request leaves. Import at first use.

The SDK compares each message with some thirty types to rename fields that pydantic_ai has named as the wire does: 15 ms
for a hundred messages, during which no other run moves.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI, AsyncStream
from openai._base_client import make_request_options
from openai._utils import is_given
from openai.resources.chat.chat import AsyncChat
from openai.resources.chat.completions import AsyncCompletions
from openai.resources.responses import AsyncResponses
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent

from dipeo_executor.llm.services.service import Access

if TYPE_CHECKING:
    import httpx2


class Client(AsyncOpenAI):
    @cached_property
    def responses(self) -> AsyncResponses:
        return _Responses(self)

    @cached_property
    def chat(self) -> AsyncChat:
        return _Chat(self)


class _Responses(AsyncResponses):
    async def create(self, **given: Any) -> Any:
        return await self._post(
            "/responses", cast_to=Response, stream_cls=AsyncStream[ResponseStreamEvent], **_request(given)
        )


class _Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return _Completions(self._client)


class _Completions(AsyncCompletions):
    async def create(self, **given: Any) -> Any:
        return await self._post(
            "/chat/completions", cast_to=ChatCompletion, stream_cls=AsyncStream[ChatCompletionChunk], **_request(given)
        )


def _request(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a resource's `create` as those of the client's `post`."""
    of_request = {name: given.pop(name, None) for name in ("extra_headers", "extra_body", "timeout")}
    body = {name: value for name, value in given.items() if is_given(value)}
    options = make_request_options(**of_request, security={"bearer_auth": True})
    return {"body": body, "options": options, "stream": body["stream"]}


def client(access: Access, http: "httpx2.AsyncClient") -> Client:
    """Retries are the engine's: none here."""
    return Client(base_url=access.base_url or None, api_key=access.key or "none", http_client=http, max_retries=0)
