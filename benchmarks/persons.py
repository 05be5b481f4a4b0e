"""Persons fanned out at a model's latency, and what a run that waits for a slow model weighs.

    .venv/bin/python benchmarks/persons.py [--rounds 5] [--waiting 1000]

The model is a server in a process of its own that speaks OpenAI's Responses format after 50 ms; it stamps requests and
replies itself. Each round of ours is followed by one of the bare OpenAI SDK: as many streamed calls under
asyncio.gather, by one client with its own connections. What it computes before a request leaves, about 1 ms on one
core, is the limit that many calls of one process have; `of the SDK` is ours over it. "mock" is the built-in mock with
the same latency: our own engine without any SDK.
Goal: after one warm-up call, first request to last reply at most 1.5 x 50 ms for 20 and for 60 persons; less than
100 KB resident for each of 1,000 runs that wait.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "services/executor/tests")]

from house import House, house  # noqa: E402

LATENCY_S = 0.05
ADA = "Ada: {service: %s, model: gpt-4o-mini, system_prompt: You are Ada.}"
PERSON = "- {label: P%d, type: person_job, person: Ada, memorize_to: GOLDFISH, default_prompt: '%s'}"


def fan(persons: int, service: str, prompt: str) -> str:
    lines = ["version: light", "persons:", "  " + ADA % service, "nodes:", "- {label: S, type: start}"]
    lines += [PERSON % (number, prompt) for number in range(persons)]
    lines += ["connections:", *(f"- {{from: S, to: P{number}}}" for number in range(persons))]
    return "\n".join(lines)


# --- the model, in its own process -----------------------------------------------------------------------------------


def model(latency_s: float, pipe: Connection) -> None:
    asyncio.run(_model(latency_s, pipe))


async def _model(latency_s: float, pipe: Connection) -> None:
    import modelservers

    made = modelservers.responses("hello"), modelservers.responses_stream("hel", "lo")
    whole, stream = (modelservers.to_bytes(answer) for answer in made)
    begun: list[float] = []
    ended: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (head := await reader.readline()) not in (b"", b"\r\n"):
            begun.append(time.time())
            size = 0
            while (line := await reader.readline()) != b"\r\n":
                size = int(line.split(b":")[1]) if line.lower().startswith(b"content-length") else size
            body = await reader.readexactly(size)
            await asyncio.sleep(latency_s)
            writer.write(stream if json.loads(body)["stream"] else whole)
            await writer.drain()
            ended.append(time.time())
            assert head.startswith(b"POST")

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=2048)
    pipe.send(server.sockets[0].getsockname()[1])
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, pipe.recv):
        pipe.send((len(begun), min(begun, default=0), max(ended, default=0)))
        begun.clear()
        ended.clear()


@contextmanager
def serving(latency_s: float) -> Iterator[Connection]:
    """Its address goes into the environment; "count" to the pipe gives (requests, first request, last reply)."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=model, args=(latency_s, theirs))
    process.start()
    os.environ |= {"OPENAI_API_KEY": "sk-bench-0123456789", "OPENAI_BASE_URL": f"http://127.0.0.1:{ours.recv()}/v1"}
    try:
        yield ours
    finally:
        process.kill()  # it may hold calls that never end
        process.join()


def count(pipe: Connection) -> tuple[int, float, float]:
    pipe.send("count")
    seen: tuple[int, float, float] = pipe.recv()
    return seen


# --- measurements ----------------------------------------------------------------------------------------------------


async def fanned_out(home: House, pipe: Connection, persons: int, service: str) -> float:
    """Milliseconds from the first request to the last reply; of the mock, from first start to last completion."""
    latency = f"[[latency {LATENCY_S * 1000:.0f}]] [[reply hello]]"
    prompt = latency if service == "mock" else "hi"
    done = await home.run(fan(persons, service, prompt), mock_llm=False)
    assert done.status == "completed", done.execution.error
    if service == "mock":
        stamps = [event.at.ToNanoseconds() / 1e6 for event in done.events if event.HasField("node_started")]
        ends = [event.at.ToNanoseconds() / 1e6 for event in done.events if event.HasField("node_completed")]
        return max(ends) - stamps[1]
    requests, first, last = count(pipe)
    assert requests == persons
    return (last - first) * 1000


async def bare(pipe: Connection, calls: int, client: Any) -> float:
    """The same calls by the SDK alone."""

    async def one() -> None:
        asked = [{"role": "system", "content": "You are Ada."}, {"role": "user", "content": "hi"}]
        async for _ in await client.responses.create(model="gpt-4o-mini", input=asked, stream=True):
            pass

    await asyncio.gather(*(one() for _ in range(calls)))
    _, first, last = count(pipe)
    return (last - first) * 1000


def report(name: str, persons: int, took: list[float], than: list[float] | None = None) -> None:
    median, latency = statistics.median(took), LATENCY_S * 1000
    beside = f", {median / statistics.median(than):.2f} x the SDK's" if than else ""
    print(
        f"{name:<9}{persons} persons: at first {took[0]:.0f} ms, median {median:.0f} ms, best {min(took):.0f} ms, "
        f"{median / latency:.2f} x the latency (goal 1.50){beside}"
    )


async def fans(rounds: int) -> None:
    with serving(LATENCY_S) as pipe, tempfile.TemporaryDirectory() as base:
        async with house(Path(base), inprocess=True) as home:
            await home.run(fan(1, "openai", "hi"), mock_llm=False)  # the warm-up call
            import openai  # after ours, which loads it at first use

            async with openai.AsyncOpenAI() as client:
                await bare(pipe, 1, client)
                for persons in (20, 60):
                    pairs = [
                        (await fanned_out(home, pipe, persons, "openai"), await bare(pipe, persons, client))
                        for _ in range(rounds)
                    ]
                    ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
                    report("openai", persons, ours, theirs)
                    report("bare SDK", persons, theirs)
            for persons in (20, 60):
                report("mock", persons, [await fanned_out(home, pipe, persons, "mock") for _ in range(rounds)])


def resident_kb() -> int:
    return int(next(line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmRSS")))


async def waiting(runs: int, at_once: int) -> None:
    """Executor, store and clients in this process; only the model is apart."""
    with serving(3600) as pipe, tempfile.TemporaryDirectory() as base:
        async with house(Path(base), inprocess=True, capacity=runs + 50, model_calls=at_once) as home:
            text = fan(1, "openai", "hi")
            for _ in range(20):  # what every run shares is there
                await home.submit(text, mock_llm=False)
            await requests(pipe, min(20, at_once))
            before = resident_kb()
            for _ in range(runs // 20):
                await asyncio.gather(*(home.submit(text, mock_llm=False) for _ in range(20)))
            await requests(pipe, min(at_once, runs + 20))
            each = (resident_kb() - before) / runs
            asking = min(at_once, runs)
            print(f"{runs:,} runs that wait, {asking:,} of them in a request: {each:.0f} KB each (goal < 100)")


def weigh(runs: int, at_once: int) -> None:
    asyncio.run(waiting(runs, at_once))


async def requests(pipe: Connection, wanted: int) -> None:
    """Wait until so many have come since the server started; another process has to move, hence the polling."""
    while SEEN[0] < wanted:
        SEEN[0] += count(pipe)[0]  # the server forgets them when asked
        await asyncio.sleep(0.05)


SEEN = [0]


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--waiting", type=int, default=1000)
    given = options.parse_args()
    asyncio.run(fans(given.rounds))
    for at_once in (128, given.waiting + 100):  # each in a process of its own: memory that was freed hides what is used
        alone = multiprocessing.get_context("spawn").Process(target=weigh, args=(given.waiting, at_once))
        alone.start()
        alone.join()
