"""Persons through the whole house, against a local server that speaks OpenAI's format: what it received, what was
journaled, what it cost (spec/engine.md §4.5, spec/nodes.md §19)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import modelservers as wire
import pytest
from house import Finished, House, house
from lightly import light
from modelservers import Answer, Seen, Server, serving

from dipeo_protos.store.v1 import events_pb2

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ADA = "Ada: {service: openai, model: gpt-4o-mini, system_prompt: You are Ada.}"
ONE = "- {label: S, type: start}\n- {label: A, type: person_job, person: Ada, default_prompt: hi%s}"


def one(more: str = "", persons: str = ADA, top: str = "") -> str:
    """Start, one person, nothing else."""
    return light(ONE % more, "- {from: S, to: A}", persons) + top


def answering(texts: Sequence[str] | Callable[[int], str]) -> Callable[[Seen], Answer]:
    """The n-th request gets the n-th text, streamed when it asks for a stream."""
    number = iter(range(10_000))

    def answer(seen: Seen) -> Answer:
        n = next(number)
        text = texts(n) if callable(texts) else texts[min(n, len(texts) - 1)]
        return wire.responses_stream(text) if seen.body["stream"] else wire.responses(text)

    return answer


@asynccontextmanager
async def homes(base: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, **settings: Any) -> AsyncIterator[Any]:
    """(house, server): every person of service openai is answered by the server."""
    async with serving(answer) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        async with house(base, **settings) as home:
            yield home, server


def sent(server: Server) -> list[list[tuple[str, str]]]:
    return [[(it["role"], it["content"]) for it in body["input"]] for body in server.bodies]


async def example(name: str, home: House) -> Finished:
    done = await home.run((EXAMPLES / f"{name}.light.yaml").read_text(), mock_llm=False)
    assert done.status == "completed", done.execution.error
    return done


async def test_the_debate_gives_every_person_the_whole_conversation_in_its_own_roles(tmp_path, monkeypatch):
    async with homes(tmp_path, monkeypatch, answering(lambda n: f"reply {n + 1}")) as (home, server):
        await example("debate", home)
    optimist = ("system", "You argue for it with enthusiasm. At most 25 words.")
    pessimist = ("system", "You argue against it and name the risks. At most 25 words.")
    case, said, objection = (
        "Make the case for this: four-day work weeks",
        "Answer what was just said.",
        "Answer the objection.",
    )
    assert sent(server) == [
        [optimist, ("user", case)],
        [pessimist, ("user", case), ("user", "reply 1"), ("user", said)],
        [optimist, ("user", case), ("assistant", "reply 1"), ("user", said), ("user", "reply 2"), ("user", objection)],
        [
            pessimist, ("user", case), ("user", "reply 1"), ("user", said), ("assistant", "reply 2"),
            ("user", objection), ("user", "reply 3"), ("user", said),
        ],
        [
            ("system", "You are impartial. Answer in at most 25 words."),
            ("user", case), ("user", "reply 1"), ("user", said), ("user", "reply 2"),
            ("user", objection), ("user", "reply 3"), ("user", said), ("user", "reply 4"),
            ("user", "Who made the better case, and why?"),
        ],
    ]  # fmt: skip


async def test_the_judge_sees_the_text_alone_and_the_writer_every_draft(tmp_path, monkeypatch):
    replies = ["draft one", '{"decision": false}', "draft two", '{"decision": true}']
    async with homes(tmp_path, monkeypatch, answering(replies)) as (home, server):
        done = await example("judge", home)
    writer = ("system", "You write plainly. Two sentences.")
    first, again = (
        "Explain this to a child: why the sky is blue",
        "The editor was not content. Write it again, more simply.",
    )

    def judged(text: str) -> list[tuple[str, str]]:
        question = "Would a child of six understand this text? Answer YES or NO."
        return [("user", f"{question}\n\n--- BEGIN CONTENT ---\n{text}\n--- END CONTENT ---")]

    assert sent(server) == [
        [writer, ("user", first)],
        judged("draft one"),
        [writer, ("user", first), ("assistant", "draft one"), ("user", again)],
        judged("draft two"),
    ]
    assert server.bodies[1]["text"]["format"]["schema"]["required"] == ["decision"]
    purposes = [call["purpose"] for run in done.node_runs if run.meta_json for call in calls(run.meta_json)]
    assert purposes == ["answer", "decision", "answer", "decision"]


async def test_the_iterations_see_what_was_said_before_them(tmp_path, monkeypatch):
    async with homes(tmp_path, monkeypatch, answering(["one", "two", "three", "Counting"])) as (home, server):
        await example("iterations", home)
    poet, ask = ("system", "You are a poet. One line at a time."), ("user", "The next line")
    assert sent(server) == [
        [poet, ask],
        [poet, ask, ("assistant", "one"), ask],
        [poet, ask, ("assistant", "one"), ask, ("assistant", "two"), ask],
        [poet, *(("assistant", it) for it in ("one", "two", "three")), ("user", "Now a title for it.")],
    ]


def calls(meta_json: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(meta_json).get("llm_calls", [])
    return found


def retries(done: Finished) -> list[events_pb2.NodeRetrying]:
    return [event.node_retrying for event in done.events if event.HasField("node_retrying")]


async def test_what_a_service_refuses_for_now_is_asked_again_each_attempt_journaled(tmp_path, monkeypatch):
    statuses = iter([429, 503])

    def answer(seen: Seen) -> Answer:
        status = next(statuses, 200)
        refused = Answer({"error": {"message": "busy"}}, status, {"retry-after": "0"})
        return wire.responses_stream("at last") if status == 200 else refused

    async with homes(tmp_path, monkeypatch, answer) as (home, server):
        done = await home.run(one(", retry: {attempts: 4, delay_s: 0.01}"), mock_llm=False)
    assert done.status == "completed" and done.output("A") == "at last"
    assert [(it.attempt, it.reason.partition(":")[0]) for it in retries(done)] == [
        (2, "RateLimited"),
        (3, "ServiceDown"),
    ]
    assert len(server.seen) == 3


async def test_without_a_policy_of_its_own_a_node_is_tried_again_all_the_same(tmp_path, monkeypatch):
    statuses = iter([500])
    refused = Answer({"error": {"message": "busy"}}, 500)
    answer = lambda seen: refused if next(statuses, 200) == 500 else wire.responses_stream("at last")  # noqa: E731
    async with homes(tmp_path, monkeypatch, answer) as (home, _):
        done = await home.run(one(), mock_llm=False)
    assert done.output("A") == "at last" and [it.attempt for it in retries(done)] == [2]


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_what_a_service_refuses_for_good_is_never_asked_again(tmp_path, monkeypatch, status):
    answer = Answer({"error": {"message": "the model is not for you"}}, status)
    async with homes(tmp_path, monkeypatch, answer) as (home, server):
        done = await home.run(one(", retry: {attempts: 4, delay_s: 0}"), mock_llm=False)
    assert done.status == "failed" and len(server.seen) == 1 and not retries(done)
    assert f"openai answered {status}" in done.execution.error.message


async def test_every_call_counts_with_its_purpose_and_its_cost(tmp_path, monkeypatch):
    memory = light(
        "- {label: S, type: start}\n- {label: A, type: person_job, person: Ada, default_prompt: hi}\n"
        "- {label: B, type: person_job, person: Ada, default_prompt: more, memorize_to: what matters,"
        " text_format: {type: object, required: [n]}}",
        "- {from: S, to: A}\n- {from: A, to: B}",
        ADA,
    )
    replies = ["hello", '{"message_ids": []}', '{"m": 1}', '{"n": 1}']
    async with homes(tmp_path, monkeypatch, answering(replies)) as (home, _):
        done = await home.run(memory, mock_llm=False)
    meta = {run.label: json.loads(run.meta_json) for run in done.node_runs if run.meta_json}
    assert [call["purpose"] for call in meta["B"]["llm_calls"]] == ["memory_selection", "answer", "retry"]
    each = (7 * 0.15 + 4 * 0.075 + 2 * 0.6) / 1e6  # of 11 tokens in 4 were cached
    assert meta["B"]["llm_usage"] == {
        "input": 33, "output": 6, "cached": 12, "total": 39, "cost_usd": pytest.approx(3 * each)
    }  # fmt: skip
    usage = done.execution.usage
    assert (usage.input, usage.output, usage.cached, usage.unpriced) == (44, 8, 16, 0)
    assert usage.cost_usd == pytest.approx(4 * each)


async def test_an_unknown_price_is_unknown_and_never_nothing(tmp_path, monkeypatch):
    local = "Ada: {service: openai-compatible, model: local, base_url: '%s/v1'}"
    answer = lambda seen: wire.chat_stream("hello")  # noqa: E731
    async with homes(tmp_path, monkeypatch, answer) as (home, server):
        done = await home.run(one(persons=local % server.url), mock_llm=False)
        refused = await home.run(one(persons=local % server.url), mock_llm=False, max_cost_usd=1)
    assert done.execution.usage.unpriced == 1
    assert json.loads(done.node_runs[-1].meta_json)["llm_usage"]["cost_usd"] is None
    assert refused.status == "failed" and refused.execution.error.code == "price_unknown"
    assert len(server.seen) == 1


SILENT = "- {label: P%d, type: person_job, person: Ada, default_prompt: hi, memorize_to: GOLDFISH}"
CHAIN = light(
    "\n".join(["- {label: S, type: start}", *(SILENT % n for n in range(5))]),
    "\n".join(["- {from: S, to: P0}", *(f"- {{from: P{n}, to: P{n + 1}}}" for n in range(4))]),
    ADA,
)


@pytest.mark.parametrize(
    "how", [{"max_tokens": 30}, {"max_cost_usd": 0.0000066}, {"max_tokens": 30, "keep_going": True}]
)
async def test_a_budget_stops_the_run_before_the_call_that_would_exceed_it(tmp_path, monkeypatch, how):
    async with homes(tmp_path, monkeypatch, answering(["hello"])) as (home, server):
        done = await home.run(CHAIN, mock_llm=False, **how)
    error = done.execution.error
    assert done.status == "failed" and error.code == "budget_exceeded" and "raise max_" in error.message
    assert len(server.seen) == 2, "two calls fit, the third was not made"
    assert (done.execution.usage.input, done.execution.usage.output) == (22, 4), "what was spent is counted"


async def test_a_diagrams_own_budget_counts_and_the_stricter_wins(home: House):
    async def ends(top: str, **options: Any) -> str:
        return (await home.run(one(top=top), **options)).execution.error.code

    assert await ends("budget: {max_tokens: 1}") == "budget_exceeded"
    assert await ends("budget: {max_tokens: 1}", max_tokens=1000) == "budget_exceeded"
    assert await ends("budget: {max_tokens: 1000}", max_tokens=1) == "budget_exceeded"
    assert await ends("budget: {max_tokens: 1000}") == ""


async def test_a_budget_ends_a_batch_too_and_no_arrow_carries_the_error_on(home: House):
    text = light(
        "- {label: S, type: start}\n"
        "- {label: L, type: code_job, code: 'result = {\"items\": [1, 2, 3]}'}\n"
        "- {label: A, type: person_job, person: Ada, default_prompt: hi, batch: true, on_error: continue}\n"
        "- {label: E, type: endpoint}",
        "- {from: S, to: L}\n- {from: L, to: A}\n- {from: 'A[error]', to: E}",
        ADA,
    )
    done = await home.run(text, max_tokens=1)
    assert done.status == "failed" and done.execution.error.code == "budget_exceeded"


async def test_a_price_file_prices_what_the_table_does_not_know(tmp_path):
    prices = tmp_path / "prices.toml"
    prices.write_text('dated = 2026-11-01\n[prices."mock/*"]\ninput = 1000000\noutput = 0\n')
    async with house(tmp_path, prices_file=prices) as home:
        done = await home.run(one())
        stopped = await home.run(one(), max_cost_usd=0.5)
    assert done.execution.usage.cost_usd == pytest.approx(4), "You are Ada. hi"
    assert json.loads(done.node_runs[-1].meta_json)["prices"].startswith("prices.toml 2026-11-01")
    assert stopped.execution.error.code == "budget_exceeded"


async def test_partial_text_is_told_while_a_model_speaks_and_the_whole_is_what_lasts(home: House):
    words = " ".join(f"word{n}" for n in range(20))
    done = await home.run(one(persons=ADA).replace("hi", f"'[[latency 900]] [[reply {words}]]'"))
    told = [event.node_output for event in done.events if event.HasField("node_output")]
    assert 2 <= len(told) <= 5, "a few times a second"
    assert all(words.startswith(it.text) and it.size == len(it.text) for it in told)
    assert [it.size for it in told] == sorted({it.size for it in told}), "only what changed"
    assert done.output("A") == words
    kinds = [event.WhichOneof("body") for event in done.events]
    assert kinds.index("node_output") < kinds.index("node_completed", kinds.index("node_output"))


async def test_an_aborted_run_hangs_up_on_the_model(tmp_path, monkeypatch):
    async with homes(tmp_path, monkeypatch, Answer(delay_s=30)) as (home, server):
        submitted = await home.submit(one(), mock_llm=False)
        async with asyncio.timeout(20):
            await server.arrived.wait()
            await home.abort(submitted.execution_id)
            await server.left.wait()
        assert (await home.follow(submitted.execution_id)).status == "aborted"


async def test_an_endpoint_named_as_an_image_gets_what_a_person_has_drawn(tmp_path, monkeypatch):
    image = {"id": "ig", "type": "image_generation_call", "status": "completed", "result": "aGVsbG8=", "size": "8x6"}
    drawn = wire.responses_stream("drawn", before=[{**image, "output_format": "jpeg"}])
    text = light(
        "- {label: S, type: start}\n"
        "- {label: A, type: person_job, person: Ada, default_prompt: draw, tools: image}\n"
        "- {label: C, type: condition, condition_type: custom, expression: 'True'}\n"
        "- {label: E, type: endpoint, save_to_file: true, file_name: files/results/drawing.jpg}",
        "- {from: S, to: A}\n- {from: A, to: C}\n- {from: 'C[condtrue]', to: E}",
        ADA,
    )
    async with homes(tmp_path, monkeypatch, drawn) as (home, _):
        done = await home.run(text, mock_llm=False)
    assert done.status == "completed", done.execution.error
    assert (tmp_path / "files/results/drawing.jpg").read_bytes() == b"hello"
    (tool,) = json.loads(next(run.meta_json for run in done.node_runs if run.label == "A"))["tool_outputs"]
    assert (tool["result"]["format"], tool["result"]["width"], tool["result"]["height"]) == ("jpeg", 8, 6)


async def test_a_script_answers_for_everybody_and_a_retried_run_hears_it_again(home: House):
    rules = [
        {"node": "A", "attempt": 1, "status": 429},
        {"node": "A", "replies": ["first draft", "second draft"]},
    ]
    text = one(", retry: {attempts: 3, delay_s: 0}", persons=ADA)
    done = await home.run(text, mock_script_json=json.dumps(rules).encode())
    assert done.status == "completed" and done.output("A") == "first draft"
    again = await home.follow(await home.retry(done.execution_id))
    assert again.output("A") == "first draft"
    for each in (done, again):
        assert [run.attempt for run in each.node_runs if run.label == "A"] == [1, 2]
