"""Local servers that speak each provider's real HTTP format, on the loop of the test. They keep what they saw."""

import asyncio
import json
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass(frozen=True)
class Seen:
    path: str
    headers: Mapping[str, str]
    body: Json


@dataclass
class Answer:
    """One HTTP answer. `events`: server-sent, each (event name or "", data); `breaks`: the connection, after them."""

    body: Json = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[tuple[str, Json]] = ()
    delay_s: float = 0.0
    breaks: bool = False


@dataclass
class Server:
    """Gives `answer` (a function of the request, or one Answer) to every request and keeps what it saw."""

    answer: Answer | Callable[[Seen], Answer] = field(default_factory=Answer)
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # a client went away before its answer
    connections: set[asyncio.StreamWriter] = field(default_factory=set)  # all there ever were
    handlers: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def bodies(self) -> list[Json]:
        return [seen.body for seen in self.seen]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self.handlers.add(task)
        try:
            while (seen := await _request(reader)) is not None:
                self.seen.append(seen)
                self.arrived.set()
                answer = self.answer(seen) if callable(self.answer) else self.answer
                if answer.delay_s and await self._gone(reader, answer.delay_s):
                    return
                writer.write(to_bytes(answer))
                await writer.drain()
                if answer.breaks:
                    return
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _gone(self, reader: asyncio.StreamReader, delay_s: float) -> bool:
        """Wait; whether the client hung up meanwhile."""
        try:
            async with asyncio.timeout(delay_s):
                await reader.read(1)
        except TimeoutError:
            return False
        self.left.set()
        return True


async def _request(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *rest = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(line.split()[1], headers, json.loads(body) if body else None)


def to_bytes(answer: Answer) -> bytes:
    if answer.events:
        named = [(f"event: {name}\n" if name else "", data) for name, data in answer.events]
        body = "".join(
            f"{name}data: {it if isinstance(it, str) else json.dumps(it)}\n\n" for name, it in named
        ).encode()
        kind, size = "text/event-stream", len(body) + 1000 * answer.breaks
    else:
        body = json.dumps(answer.body).encode()
        kind, size = "application/json", len(body)
    headers = {"content-type": kind, "content-length": str(size), **answer.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} X\r\n{head}\r\n".encode() + body


@asynccontextmanager
async def serving(answer: Answer | Callable[[Seen], Answer]) -> AsyncIterator[Server]:
    made = Server(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        for writer in made.connections:
            writer.close()
        await asyncio.gather(*made.handlers)


# --- dialects: a whole answer and the same streamed -------------------------------------------------------------------


def responses(text: str = "five", **more: Any) -> Answer:
    """OpenAI's Responses API."""
    message = {
        "id": "m", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }  # fmt: skip
    return Answer(_response([*more.pop("before", []), message]), **more)


def _response(output: list[Json], status: str = "completed") -> Json:
    return {
        "id": "r", "object": "response", "created_at": 1, "status": status, "model": "gpt-4o-mini-2024",
        "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": {
            "input_tokens": 11, "output_tokens": 2, "total_tokens": 13,
            "input_tokens_details": {"cached_tokens": 4}, "output_tokens_details": {"reasoning_tokens": 0},
        },
    }  # fmt: skip


def responses_stream(*pieces: str, before: Sequence[Json] = (), ends: bool = True, **more: Any) -> Answer:
    """`before`: what tools gave, ahead of the text."""
    item = {"id": "m", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    steps: list[Json] = [
        {"type": "response.created", "response": _response([], "in_progress")},
        *({"type": "response.output_item.done", "output_index": 0, "item": it} for it in before),
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", "part": part, **place},
        *({"type": "response.output_text.delta", "delta": piece, "logprobs": [], **place} for piece in pieces),
    ]
    if ends:
        steps.append({"type": "response.completed", "response": responses("".join(pieces), before=before).body})
    return Answer(events=[(it["type"], {**it, "sequence_number": n}) for n, it in enumerate(steps)], **more)


def chat(text: str = "five", **more: Any) -> Answer:
    """OpenAI's Chat Completions, which Ollama and the compatible servers speak."""
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    return Answer(_completion("chat.completion", {"message": message, "finish_reason": "stop"}), **more)


def _completion(kind: str, choice: Json, *, usage: bool = True) -> Json:
    made = {"id": "c", "object": kind, "created": 1, "model": "gpt-4o-mini-2024", "choices": [{"index": 0, **choice}]}
    details = {"cached_tokens": 4}
    spent = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13, "prompt_tokens_details": details}
    return {**made, "usage": spent} if usage else made


def chat_stream(*pieces: str, ends: bool = True, **more: Any) -> Answer:
    def chunk(delta: Json, finish: str | None = None) -> Json:
        return _completion("chat.completion.chunk", {"delta": delta, "finish_reason": finish}, usage=bool(finish))

    steps = [chunk({"role": "assistant", "content": piece}) for piece in pieces]
    if ends:
        steps += [chunk({}, "stop"), "[DONE]"]
    return Answer(events=[("", it) for it in steps], **more)


def anthropic(text: str = "five", **more: Any) -> Answer:
    """Anthropic's Messages API."""
    content = [*more.pop("before", []), *([{"type": "text", "text": text}] if text else [])]
    return Answer(_claude(content, more.pop("stop", "end_turn")), **more)


def _claude(content: list[Json], stop: str | None) -> Json:
    return {
        "id": "msg", "type": "message", "role": "assistant", "model": "claude-sonnet-5-2026", "content": content,
        "stop_reason": stop, "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 2, "cache_read_input_tokens": 4},
    }  # fmt: skip


def anthropic_stream(*pieces: str, ends: bool = True, **more: Any) -> Answer:
    steps: list[Json] = [
        {"type": "message_start", "message": {**_claude([], None), "usage": {"input_tokens": 7, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in pieces
        ),
    ]
    if ends:
        steps += [
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 2},
            },
            {"type": "message_stop"},
        ]
    return Answer(events=[(it["type"], it) for it in steps], **more)


def gemini(text: str = "five", **more: Any) -> Answer:
    """Google's generateContent."""
    return Answer(_candidate(text, "STOP"), **more)


def _candidate(text: str, finish: str | None) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    spent = {
        "promptTokenCount": 11, "candidatesTokenCount": 2, "totalTokenCount": 13, "cachedContentTokenCount": 4
    }  # fmt: skip
    return {"candidates": [candidate], "usageMetadata": spent, "modelVersion": "gemini-2.5-flash-1"}


def gemini_stream(*pieces: str, ends: bool = True, **more: Any) -> Answer:
    last = len(pieces) - 1
    steps = [_candidate(piece, "STOP" if ends and n == last else None) for n, piece in enumerate(pieces)]
    return Answer(events=[("", it) for it in steps], **more)


@contextmanager
def serving_in_a_thread(answer: Answer | Callable[[Seen], Answer]) -> Iterator[Server]:
    """The same for tests that are not async themselves; read `seen` while it runs."""
    ready: queue.Queue[tuple[Server, asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()

    async def run() -> None:
        done = asyncio.Event()
        async with serving(answer) as made:
            ready.put((made, asyncio.get_running_loop(), done))
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    made, loop, done = ready.get()
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
